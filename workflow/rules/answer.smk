rule preflight:
    """Check that a speech LLM hears two known clips."""
    input:
        manifests=lambda wildcards: STUDY.transcribing_manifests(wildcards.model),
    output:
        record=f"{RESULTS}/preflight/{{model}}.json",
    log:
        f"{RESULTS}/logs/preflight/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preflight/{{model}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: STUDY.preflight_need(wildcards.model).threads
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.preflight_need(wildcards.model).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.preflight_need(wildcards.model).runtime(attempt),
        gpu=STUDY.gpus("answer"),
    params:
        made_by=MADE_BY("preflight", "models"),
        settings=lambda wildcards: STUDY.preflight_params(wildcards.model),
    message:
        "Preflight of {wildcards.model}"
    script:
        "../scripts/preflight.py"


rule answer:
    """Answer a task in a condition with one system."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: STUDY.heard_by(wildcards.system, wildcards.task, wildcards.condition),
        manifests=lambda wildcards: STUDY.answering_manifests(wildcards.system),
        preflight=lambda wildcards: STUDY.preflights_of(wildcards.system),
    output:
        answers=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        system=STUDY.either_answered_by("transformers"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: STUDY.answer_need(**wildcards).threads
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.answer_need(**wildcards).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.answer_need(**wildcards).runtime(attempt),
        batch_size=lambda wildcards, attempt: STUDY.answer_need(**wildcards).batch(attempt),
        gpu=STUDY.gpus("answer"),
    params:
        made_by=MADE_BY("answer", "models"),
        settings=lambda wildcards: STUDY.answer_params(wildcards.system, wildcards.task),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system}"
    script:
        "../scripts/answer.py"


use rule answer as answer_vllm with:
    wildcard_constraints:
        system=STUDY.either_answered_by("vllm"),
    conda:
        "../envs/vllm.yaml"
    params:
        made_by=MADE_BY("answer", "vllm"),
        settings=lambda wildcards: STUDY.answer_params(wildcards.system, wildcards.task),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system} in vLLM"
