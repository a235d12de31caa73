rule answer_conflict:
    """Ask a system about two texts with different labels, one heard and one typed."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: stages.conflict.heard(STUDY, wildcards.system, wildcards.task),
        manifests=lambda wildcards: stages.resolve.answering_manifests(STUDY, wildcards.system),
        preflight=lambda wildcards: stages.preflight.files_of(STUDY, wildcards.system),
    output:
        answers=f"{RESULTS}/conflict/{{system}}/{{task}}.parquet",
    log:
        f"{RESULTS}/logs/conflict/{{system}}/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/conflict/{{system}}/{{task}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.conflict.need(STUDY, **wildcards).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.conflict.need(STUDY, **wildcards), batch=True),
        gpu=stages.needs.gpus(STUDY, "answer"),
    params:
        made_by=MADE_BY("answer_conflict", "models"),
        settings=lambda wildcards: stages.conflict.params(STUDY, wildcards.system, wildcards.task),
    message:
        "What {wildcards.system} hears against what it reads: {wildcards.task}"
    script:
        "../scripts/answer_conflict.py"
