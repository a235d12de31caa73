rule measure_surplus:
    """Measure what the sound tells beyond the words."""
    input:
        clips=lambda wildcards: STUDY.surplus_clips(wildcards.task),
        transcripts=lambda wildcards: STUDY.surplus_transcripts(wildcards.task),
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
        mem_mb=lambda wildcards, attempt: STUDY.surplus_need(wildcards.task).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.surplus_need(wildcards.task).runtime(attempt),
    params:
        made_by=MADE_BY("measure_surplus", "models"),
        settings=lambda wildcards: STUDY.surplus_params(wildcards.task),
    message:
        "Measuring what the audio of {wildcards.task} tells beyond its transcripts"
    script:
        "../scripts/measure_surplus.py"
