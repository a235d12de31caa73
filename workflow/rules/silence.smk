rule silence_speech:
    """Put silence in the place of the clips of a task and voice."""
    input:
        clean=f"{RESULTS}/speech/{{task}}/{{voice}}/clean.parquet",
    output:
        clips=f"{RESULTS}/speech/{{task}}/{{voice}}/silence.parquet",
    log:
        f"{RESULTS}/logs/silence_speech/{{task}}/{{voice}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/silence_speech/{{task}}/{{voice}}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        **stages.needs.asked(lambda wildcards: stages.silence.clip_need(STUDY, wildcards.task)),
    params:
        made_by=MADE_BY("silence_speech", "speech"),
        silence=stages.silence.clip_params(STUDY),
    message:
        "Silencing {wildcards.task}, voice {wildcards.voice}"
    script:
        "../scripts/silence_speech.py"


rule compare_over_silence:
    """Say what the systems answer to a task when nothing is said, and how far they agree there."""
    input:
        silent=lambda wildcards: stages.silence.answers(STUDY, wildcards.task, "silence"),
        spoken=lambda wildcards: stages.silence.answers(STUDY, wildcards.task, "clean"),
    output:
        floor=f"{RESULTS}/silence/{{task}}.json",
    log:
        f"{RESULTS}/logs/compare_over_silence/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_over_silence/{{task}}.tsv"
    # Seconds of work: a queue would take longer.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        made_by=MADE_BY("compare_over_silence", "statistics"),
        settings=stages.silence.params(STUDY),
    message:
        "Comparing answers to {wildcards.task} over silence"
    script:
        "../scripts/compare_over_silence.py"
