if STUDY.config.mechanism:

    rule draw_utterances:
        """Draw the clips that open models are watched on."""
        input:
            clips=stages.utterances.clips(STUDY),
        output:
            utterances=stages.utterances.file(STUDY),
        log:
            f"{RESULTS}/logs/draw_utterances.log",
        benchmark:
            f"{RESULTS}/benchmarks/draw_utterances.tsv"
        conda:
            "../envs/models.yaml"
        resources:
            **stages.needs.asked(stages.utterances.need(STUDY)),
        params:
            made_by=MADE_BY("draw_utterances", "models"),
            settings=stages.utterances.params(STUDY),
        message:
            "Drawing the utterances that models are watched on, and measuring their pitch and energy"
        script:
            "../scripts/draw_utterances.py"

    # A rule for each model: which layers it has decides which files it makes.
    for opened in stages.opened_models.models(STUDY):

        rule:
            """Write down the states of a model's layers, in one pass."""
            name:
                stages.opened_models.rule_name("capture", opened)
            input:
                utterances=stages.utterances.file(STUDY),
                clips=stages.utterances.clips(STUDY),
                item_tables=stages.utterances.item_files(STUDY),
                manifests=stages.opened_models.manifests(STUDY, opened),
                preflight=stages.preflight.files(STUDY, stages.opened_models.original(opened)),
            output:
                states=stages.states.all_files(STUDY, opened),
                index=stages.states.index(STUDY, opened),
            log:
                f"{RESULTS}/logs/capture/{opened}.log",
            benchmark:
                f"{RESULTS}/benchmarks/capture/{opened}.tsv"
            conda:
                "../envs/models.yaml"
            threads: stages.states.need(STUDY, opened).threads
            resources:
                **stages.needs.asked(stages.states.need(STUDY, opened), batch=True),
                gpu=stages.opened_models.gpus(STUDY),
            params:
                made_by=MADE_BY("capture_states", "models"),
                opened=opened,
                settings=stages.states.params(STUDY, opened),
            message:
                f"Capturing the states of {opened}"
            script:
                "../scripts/capture_states.py"
