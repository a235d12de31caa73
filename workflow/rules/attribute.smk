if STUDY.config.mechanism:

    rule attribute_words:
        """Take each spoken word out, of what is heard and of what is read."""
        input:
            item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
            clips=lambda wildcards: stages.speech.file(
                STUDY, wildcards.task, stages.attributions.voice(STUDY, wildcards.task)
            ),
            transcripts=lambda wildcards: stages.attributions.transcripts(STUDY, wildcards.task),
            manifests=lambda wildcards: stages.opened_models.manifests(STUDY, wildcards.model),
            timing=lambda wildcards: stages.resolve.manifest(STUDY, stages.attributions.timing(STUDY)),
            preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.model),
        output:
            words=f"{RESULTS}/attributions/{{model}}/{{task}}.parquet",
        log:
            f"{RESULTS}/logs/attributions/{{model}}/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/attributions/{{model}}/{{task}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.attributions.need(STUDY, **wildcards).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.attributions.need(STUDY, **wildcards), batch=True),
            gpu=stages.needs.gpus(STUDY, "answer"),
        params:
            made_by=MADE_BY("attribute_words", "models"),
            settings=lambda wildcards: stages.attributions.params(STUDY, wildcards.model, wildcards.task),
        message:
            "Taking words out of what {wildcards.model} hears and reads: {wildcards.task}"
        script:
            "../scripts/attribute_words.py"
