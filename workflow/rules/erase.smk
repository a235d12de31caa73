if STUDY.config.mechanism and STUDY.config.mechanism.erasure:

    rule layer_moments:
        """Mean and covariance of the states of a layer."""
        input:
            states=f"{RESULTS}/states/{{model}}/layer{{layer}}.safetensors",
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=STUDY.utterances(),
        output:
            moments=f"{RESULTS}/moments/{{model}}/layer{{layer}}.safetensors",
        log:
            f"{RESULTS}/logs/moments/{{model}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/moments/{{model}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: STUDY.layer_need(wildcards.model).memory(attempt),
            runtime=lambda wildcards, attempt: STUDY.layer_need(wildcards.model).runtime(attempt),
        params:
            made_by=MADE_BY("layer_moments", "models"),
            settings=STUDY.moments_params(),
        message:
            "Mean and covariance of layer {wildcards.layer} of {wildcards.model}"
        script:
            "../scripts/layer_moments.py"

    # A rule for each model: which layers it has decides which files it makes.
    for model in STUDY.opened_speech_llms():

        rule:
            """Fit the erasers of a concept at all layers of a model."""
            name:
                STUDY.rule_name("fit_erasers", model)
            input:
                states=STUDY.all_states(model),
                moments=STUDY.all_moments(model),
                probes=STUDY.all_ctc_probes(model),
                index=STUDY.states_index(model),
                utterances=STUDY.utterances(),
            output:
                erasers=[STUDY.eraser(model, "{concept}", layer) for layer in STUDY.layers_of(model)],
                summary=STUDY.eraser_summary(model, "{concept}"),
            log:
                f"{RESULTS}/logs/erasers/{model}/{{concept}}.log",
            benchmark:
                f"{RESULTS}/benchmarks/erasers/{model}/{{concept}}.tsv"
            conda:
                "../envs/models.yaml"
            resources:
                mem_mb=lambda wildcards, attempt, need=STUDY.erasers_need(model): need.memory(attempt),
                runtime=lambda wildcards, attempt, need=STUDY.erasers_need(model): need.runtime(attempt),
            params:
                made_by=MADE_BY("fit_erasers", "models"),
                model=model,
                settings=lambda wildcards: STUDY.eraser_params(wildcards.concept),
            message:
                f"Fitting erasers of the concept {{wildcards.concept}} in {model}"
            script:
                "../scripts/fit_erasers.py"

    rule answer_erased:
        """Answer a task while a concept is erased."""
        input:
            erasers=lambda wildcards: STUDY.erasers_of(wildcards.model, wildcards.concept),
            utterances=STUDY.utterances(),
            item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
            clips=lambda wildcards: STUDY.clips(wildcards.task, STUDY.erased_voice(wildcards.task)),
            manifests=lambda wildcards: STUDY.opened_manifests(wildcards.model),
            preflight=lambda wildcards: STUDY.preflights(wildcards.model),
        output:
            answers=f"{RESULTS}/erasure/{{model}}/{{concept}}/{{task}}.parquet",
        log:
            f"{RESULTS}/logs/erasure/{{model}}/{{concept}}/{{task}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/erasure/{{model}}/{{concept}}/{{task}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: STUDY.erased_need(**wildcards).threads
        resources:
            mem_mb=lambda wildcards, attempt: STUDY.erased_need(**wildcards).memory(attempt),
            runtime=lambda wildcards, attempt: STUDY.erased_need(**wildcards).runtime(attempt),
            batch_size=lambda wildcards, attempt: STUDY.erased_need(**wildcards).batch(attempt),
            gpu=STUDY.gpus("answer"),
        params:
            made_by=MADE_BY("answer_erased", "models"),
            settings=lambda wildcards: STUDY.erased_params(wildcards.model, wildcards.concept, wildcards.task),
        message:
            "Answering {wildcards.task} with {wildcards.model} while erasing: {wildcards.concept}"
        script:
            "../scripts/answer_erased.py"
