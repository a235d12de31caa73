if STUDY.config.mechanism:

    rule steer_states:
        """Move states along a direction, or erase a concept at a single layer."""
        input:
            item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
            clips=lambda wildcards: stages.speech.file(
                STUDY, wildcards.task, stages.steering.voice(STUDY, wildcards.task)
            ),
            erasers=lambda wildcards: [
                path
                for files in stages.steering.eraser_files(STUDY, wildcards.model).values()
                for path in files.values()
            ],
            utterances=lambda wildcards: stages.steering.fitted_on(STUDY, wildcards.model),
            manifests=lambda wildcards: stages.opened_models.manifests(STUDY, wildcards.model),
            preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.model),
        output:
            answers=f"{RESULTS}/steering/{{model}}/{{task}}.parquet",
        log:
            f"{RESULTS}/logs/steering/{{model}}/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/steering/{{model}}/{{task}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.steering.need(STUDY, **wildcards).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.steering.need(STUDY, **wildcards), batch=True),
            gpu=stages.needs.gpus(STUDY, "answer"),
        params:
            made_by=MADE_BY("steer_states", "models"),
            settings=lambda wildcards: stages.steering.params(STUDY, wildcards.model, wildcards.task),
        message:
            "Steering {wildcards.model}: {wildcards.task}"
        script:
            "../scripts/steer_states.py"
