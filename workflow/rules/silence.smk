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
