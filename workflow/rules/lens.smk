if STUDY.config.mechanism:

    rule read_lens:
        """Read text off a layer with the logit lens."""
        input:
            states=f"{RESULTS}/states/{{model}}/layer{{layer}}.safetensors",
            last=lambda wildcards: stages.states.all_files(STUDY, wildcards.model)[-1],
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=stages.utterances.file(STUDY),
            manifest=lambda wildcards: stages.resolve.manifest(STUDY, STUDY.text_model(wildcards.model)),
        output:
            lens=f"{RESULTS}/lens/{{model}}/layer{{layer}}.parquet",
        log:
            f"{RESULTS}/logs/lens/{{model}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/lens/{{model}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.lens.need(STUDY, wildcards.model).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.lens.need(STUDY, wildcards.model)),
            gpu=stages.opened_models.gpus(STUDY),
        params:
            made_by=MADE_BY("read_lens", "models"),
            settings=lambda wildcards: stages.lens.params(STUDY, wildcards.model),
        message:
            "Reading layer {wildcards.layer} of {wildcards.model} through the logit lens"
        script:
            "../scripts/read_lens.py"


rule implicit_transcripts:
    """Read transcripts off a speech LLM's last layer."""
    input:
        clips=lambda wildcards: stages.speech.files_of(STUDY, wildcards.task, wildcards.condition),
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        manifests=lambda wildcards: stages.resolve.transcribing_manifests(STUDY, wildcards.lens),
        preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.lens),
    output:
        transcripts=f"{RESULTS}/transcripts/{{lens}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/transcribe/{{lens}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{lens}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.lens.implicit_need(STUDY, **wildcards).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.lens.implicit_need(STUDY, **wildcards), batch=True),
        gpu=stages.needs.gpus(STUDY, "answer"),
    params:
        made_by=MADE_BY("implicit_transcripts", "models"),
        settings=lambda wildcards: stages.lens.implicit_params(STUDY, wildcards.lens, wildcards.task),
    message:
        "Reading {wildcards.task} ({wildcards.condition}) off the last layer: {wildcards.lens}"
    script:
        "../scripts/implicit_transcripts.py"
