rule measure_surplus:
    """Measure what the sound tells beyond the words."""
    input:
        clips=lambda wildcards: stages.surplus.clips(STUDY, wildcards.task),
        transcripts=lambda wildcards: stages.surplus.transcripts(STUDY, wildcards.task),
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
    output:
        surplus=f"{RESULTS}/surplus/{{task}}.json",
    log:
        f"{RESULTS}/logs/surplus/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/surplus/{{task}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        **stages.needs.asked(lambda wildcards: stages.surplus.need(STUDY, wildcards.task)),
    params:
        made_by=MADE_BY("measure_surplus", "models"),
        settings=lambda wildcards: stages.surplus.params(STUDY, wildcards.task),
    message:
        "Measuring what the audio of {wildcards.task} tells beyond its transcripts"
    script:
        "../scripts/measure_surplus.py"
