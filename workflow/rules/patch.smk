if STUDY.config.mechanism:

    rule patch_states:
        """Put states that were heard, and states that were read, into other runs."""
        input:
            item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
            clips=lambda wildcards: stages.speech.file(
                STUDY, wildcards.task, stages.patching.voice(STUDY, wildcards.task)
            ),
            manifests=lambda wildcards: stages.opened_models.manifests(STUDY, wildcards.model),
            preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.model),
        output:
            patched=f"{RESULTS}/patching/{{model}}/{{task}}.parquet",
        log:
            f"{RESULTS}/logs/patching/{{model}}/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/patching/{{model}}/{{task}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.patching.need(STUDY, **wildcards).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.patching.need(STUDY, **wildcards), batch=True),
            gpu=stages.needs.gpus(STUDY, "answer"),
        params:
            made_by=MADE_BY("patch_states", "models"),
            settings=lambda wildcards: stages.patching.params(STUDY, wildcards.model, wildcards.task),
        message:
            "Putting states of {wildcards.model} into other runs: {wildcards.task}"
        script:
            "../scripts/patch_states.py"
