rule answer:
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        transcripts=lambda wildcards: STUDY.transcripts_of(wildcards.system, wildcards.task, wildcards.condition),
        manifest=lambda wildcards: STUDY.backbone_manifest(wildcards.system),
    output:
        answers=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}.tsv"
    retries: 1
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=STUDY.gpus("answer"),
    params:
        settings=lambda wildcards: STUDY.answer_params(wildcards.system, wildcards.task),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system}"
    script:
        "../scripts/answer.py"
