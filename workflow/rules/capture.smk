if STUDY.config.mechanism:

    rule draw_utterances:
        """Draw the clips that open models are watched on."""
        input:
            clips=STUDY.state_clips(),
        output:
            utterances=STUDY.utterances(),
        log:
            f"{RESULTS}/logs/draw_utterances.log",
        benchmark:
            f"{RESULTS}/benchmarks/draw_utterances.tsv"
        conda:
            "../envs/models.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: STUDY.utterances_need().memory(attempt),
            runtime=lambda wildcards, attempt: STUDY.utterances_need().runtime(attempt),
        params:
            made_by=MADE_BY("draw_utterances", "models"),
            settings=STUDY.utterances_params(),
        message:
            "Drawing the utterances that models are watched on, and measuring their pitch and energy"
        script:
            "../scripts/draw_utterances.py"

    # A rule for each model: which layers it has decides which files it makes.
    for opened in STUDY.opened():

        rule:
            """Write down the states of a model's layers, in one pass."""
            name:
                STUDY.rule_name("capture", opened)
            input:
                utterances=STUDY.utterances(),
                clips=STUDY.state_clips(),
                item_tables=STUDY.state_items(),
                manifests=STUDY.opened_manifests(opened),
                preflight=STUDY.preflights(STUDY.original(opened)),
            output:
                states=STUDY.all_states(opened),
                index=STUDY.states_index(opened),
            log:
                f"{RESULTS}/logs/capture/{opened}.log",
            benchmark:
                f"{RESULTS}/benchmarks/capture/{opened}.tsv"
            conda:
                "../envs/models.yaml"
            threads: STUDY.capture_need(opened).threads
            resources:
                mem_mb=lambda wildcards, attempt, need=STUDY.capture_need(opened): need.memory(attempt),
                runtime=lambda wildcards, attempt, need=STUDY.capture_need(opened): need.runtime(attempt),
                batch_size=lambda wildcards, attempt, need=STUDY.capture_need(opened): need.batch(attempt),
                gpu=STUDY.gpus_of_states(),
            params:
                made_by=MADE_BY("capture_states", "models"),
                opened=opened,
                settings=STUDY.states_params(opened),
            message:
                f"Capturing the states of {opened}"
            script:
                "../scripts/capture_states.py"
