if STUDY.config.mechanism and STUDY.config.mechanism.erasure:

    rule layer_moments:
        """Mean and covariance of the states of a layer."""
        input:
            states=f"{RESULTS}/states/{{model}}/layer{{layer}}.safetensors",
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=stages.utterances.file(STUDY),
        output:
            moments=f"{RESULTS}/moments/{{model}}/layer{{layer}}.safetensors",
        log:
            f"{RESULTS}/logs/moments/{{model}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/moments/{{model}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        resources:
            **stages.needs.asked(lambda wildcards: stages.probes.need(STUDY, wildcards.model)),
        params:
            made_by=MADE_BY("layer_moments", "models"),
            settings=stages.erasers.moments_params(STUDY),
        message:
            "Mean and covariance of layer {wildcards.layer} of {wildcards.model}"
        script:
            "../scripts/layer_moments.py"

    # A rule for each model: which layers it has decides which files it makes.
    for model in stages.opened_models.speech_llms(STUDY):

        rule:
            """Fit the erasers of a concept at all layers of a model."""
            name:
                stages.opened_models.rule_name("fit_erasers", model)
            input:
                states=stages.states.all_files(STUDY, model),
                moments=stages.erasers.all_moments(STUDY, model),
                probes=stages.probes.all_ctc(STUDY, model),
                index=stages.states.index(STUDY, model),
                utterances=stages.utterances.file(STUDY),
                read=lambda wildcards, model=model: stages.erasers.read_means(STUDY, model, wildcards.concept),
            output:
                erasers=[
                    stages.erasers.file(STUDY, model, "{concept}", layer)
                    for layer in stages.opened_models.layers(STUDY, model)
                ],
                summary=stages.erasers.summary(STUDY, model, "{concept}"),
            log:
                f"{RESULTS}/logs/erasers/{model}/{{concept}}.log",
            benchmark:
                f"{RESULTS}/benchmarks/erasers/{model}/{{concept}}.tsv"
            conda:
                "../envs/models.yaml"
            resources:
                **stages.needs.asked(stages.erasers.need(STUDY, model)),
            params:
                made_by=MADE_BY("fit_erasers", "models"),
                model=model,
                settings=lambda wildcards: stages.erasers.params(STUDY, wildcards.concept),
            message:
                f"Fitting erasers of the concept {{wildcards.concept}} in {model}"
            script:
                "../scripts/fit_erasers.py"

    rule answer_erased:
        """Answer a task while a concept is erased."""
        input:
            erasers=lambda wildcards: stages.erasers.files_of(STUDY, wildcards.model, wildcards.concept),
            utterances=stages.utterances.file(STUDY),
            item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
            clips=lambda wildcards: stages.speech.file(
                STUDY, wildcards.task, stages.erasure.voice(STUDY, wildcards.task)
            ),
            manifests=lambda wildcards: stages.opened_models.manifests(STUDY, wildcards.model),
            preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.model),
        output:
            answers=f"{RESULTS}/erasure/{{model}}/{{concept}}/{{task}}.parquet",
        log:
            f"{RESULTS}/logs/erasure/{{model}}/{{concept}}/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/erasure/{{model}}/{{concept}}/{{task}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.erasure.need(STUDY, **wildcards).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.erasure.need(STUDY, **wildcards), batch=True),
            gpu=stages.needs.gpus(STUDY, "answer"),
        params:
            made_by=MADE_BY("answer_erased", "models"),
            settings=lambda wildcards: stages.erasure.params(STUDY, wildcards.model, wildcards.concept, wildcards.task),
        message:
            "Answering {wildcards.task} with {wildcards.model} while erasing: {wildcards.concept}"
        script:
            "../scripts/answer_erased.py"
