if STUDY.config.mechanism:

    rule read_lens:
        """Read text off a layer with the logit lens."""
        input:
            states=f"{RESULTS}/states/{{model}}/layer{{layer}}.safetensors",
            last=lambda wildcards: STUDY.all_states(wildcards.model)[-1],
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=STUDY.utterances(),
            manifest=lambda wildcards: STUDY.manifest(STUDY.text_model(wildcards.model)),
        output:
            lens=f"{RESULTS}/lens/{{model}}/layer{{layer}}.parquet",
        log:
            f"{RESULTS}/logs/lens/{{model}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/lens/{{model}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: STUDY.lens_need(wildcards.model).threads
        resources:
            mem_mb=lambda wildcards, attempt: STUDY.lens_need(wildcards.model).memory(attempt),
            runtime=lambda wildcards, attempt: STUDY.lens_need(wildcards.model).runtime(attempt),
            gpu=STUDY.gpus_of_states(),
        params:
            made_by=MADE_BY("read_lens", "models"),
            settings=lambda wildcards: STUDY.lens_params(wildcards.model),
        message:
            "Reading layer {wildcards.layer} of {wildcards.model} through the logit lens"
        script:
            "../scripts/read_lens.py"


rule implicit_transcripts:
    """Read transcripts off a speech LLM's last layer."""
    input:
        clips=lambda wildcards: STUDY.clips_of(wildcards.task, wildcards.condition),
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        manifests=lambda wildcards: STUDY.transcribing_manifests(wildcards.lens),
        preflight=lambda wildcards: STUDY.preflights(wildcards.lens),
    output:
        transcripts=f"{RESULTS}/transcripts/{{lens}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/transcribe/{{lens}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{lens}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: STUDY.implicit_need(**wildcards).threads
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.implicit_need(**wildcards).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.implicit_need(**wildcards).runtime(attempt),
        batch_size=lambda wildcards, attempt: STUDY.implicit_need(**wildcards).batch(attempt),
        gpu=STUDY.gpus("answer"),
    params:
        made_by=MADE_BY("implicit_transcripts", "models"),
        settings=lambda wildcards: STUDY.implicit_params(wildcards.lens, wildcards.task),
    message:
        "Reading {wildcards.task} ({wildcards.condition}) off the last layer: {wildcards.lens}"
    script:
        "../scripts/implicit_transcripts.py"
