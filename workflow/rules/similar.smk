if STUDY.config.mechanism:

    rule compare_hearing:
        """Set states of what is heard beside states of the same words read."""
        input:
            states=lambda wildcards: stages.states.all_files(STUDY, wildcards.model),
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=stages.utterances.file(STUDY),
            clips=stages.utterances.clips(STUDY),
            item_tables=stages.utterances.item_files(STUDY),
            manifests=lambda wildcards: stages.opened_models.manifests(STUDY, wildcards.model),
            preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.model),
        output:
            similarity=f"{RESULTS}/similarity/{{model}}.json",
            means=f"{RESULTS}/similarity/{{model}}.safetensors",
        log:
            f"{RESULTS}/logs/similarity/{{model}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/similarity/{{model}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.similarity.need(STUDY, wildcards.model).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.similarity.need(STUDY, wildcards.model), batch=True),
            gpu=stages.opened_models.gpus(STUDY),
        params:
            made_by=MADE_BY("compare_hearing", "models"),
            settings=lambda wildcards: stages.similarity.params(STUDY, wildcards.model),
        message:
            "Setting what {wildcards.model} hears beside what it reads"
        script:
            "../scripts/compare_hearing.py"
