rule preflight:
    """Check that a speech LLM hears two known clips."""
    input:
        manifests=lambda wildcards: stages.resolve.transcribing_manifests(STUDY, wildcards.model),
    output:
        record=f"{RESULTS}/preflight/{{model}}.json",
    log:
        f"{RESULTS}/logs/preflight/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preflight/{{model}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.preflight.need(STUDY, wildcards.model).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.preflight.need(STUDY, wildcards.model)),
        gpu=stages.needs.gpus(STUDY, "answer"),
    params:
        made_by=MADE_BY("preflight", "models"),
        settings=lambda wildcards: stages.preflight.params(STUDY, wildcards.model),
    message:
        "Preflight of {wildcards.model}"
    script:
        "../scripts/preflight.py"


rule answer:
    """Answer a task in a condition with one system."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: stages.answer.heard(STUDY, wildcards.system, wildcards.task, wildcards.condition),
        manifests=lambda wildcards: stages.resolve.answering_manifests(STUDY, wildcards.system),
        preflight=lambda wildcards: stages.preflight.files_of(STUDY, wildcards.system),
        shares=lambda wildcards: stages.answer.shares(STUDY, wildcards.system, wildcards.task, wildcards.condition),
    output:
        answers=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "transformers"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.answer.need(STUDY, **wildcards).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.answer.need(STUDY, **wildcards), batch=True),
        gpu=lambda wildcards: stages.answer.gpus(STUDY, **wildcards),
    params:
        made_by=MADE_BY("answer", "models"),
        settings=lambda wildcards: stages.answer.params(STUDY, wildcards.system, wildcards.task),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system}"
    script:
        "../scripts/answer.py"


rule answer_share:
    """Answer a share of a task in a condition with one system."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: stages.answer.heard(STUDY, wildcards.system, wildcards.task, wildcards.condition),
        manifests=lambda wildcards: stages.resolve.answering_manifests(STUDY, wildcards.system),
        preflight=lambda wildcards: stages.preflight.files_of(STUDY, wildcards.system),
    output:
        share=f"{RESULTS}/shares/{{system}}/{{task}}/{{condition}}/{{number}}-of-{{of}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}-{{number}}-of-{{of}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}-{{number}}-of-{{of}}.tsv"
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "transformers"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.answer.share_need(STUDY, **wildcards).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.answer.share_need(STUDY, **wildcards), batch=True),
        gpu=stages.needs.gpus(STUDY, "answer"),
    params:
        made_by=MADE_BY("answer_share", "models"),
        settings=lambda wildcards: stages.answer.params(STUDY, wildcards.system, wildcards.task, "answer_share"),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system}, share {wildcards.number} of {wildcards.of}"
    script:
        "../scripts/answer_share.py"


rule answer_imported:
    """Take over answers that others produced."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
    output:
        answers=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "imported"),
    # The file lies where the study is started from.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        made_by=MADE_BY("answer_imported", "statistics"),
        settings=lambda wildcards: stages.imported.params(STUDY, wildcards.system, wildcards.task),
    message:
        "Reading {wildcards.system}'s answers to {wildcards.task}"
    script:
        "../scripts/answer_imported.py"


use rule answer as answer_vllm with:
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "vllm"),
    conda:
        "../envs/vllm.yaml"
    params:
        made_by=MADE_BY("answer", "vllm"),
        settings=lambda wildcards: stages.answer.params(STUDY, wildcards.system, wildcards.task),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system} in vLLM"


use rule answer_share as answer_share_vllm with:
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "vllm"),
    conda:
        "../envs/vllm.yaml"
    params:
        made_by=MADE_BY("answer_share", "vllm"),
        settings=lambda wildcards: stages.answer.params(STUDY, wildcards.system, wildcards.task, "answer_share"),
    message:
        "Answering {wildcards.task} ({wildcards.condition}) with {wildcards.system} in vLLM, share {wildcards.number} of {wildcards.of}"
