rule answer_again:
    """Ask a system again, under what should not matter."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: STUDY.heard_by(wildcards.system, wildcards.task, "clean"),
        manifests=lambda wildcards: STUDY.answering_manifests(wildcards.system),
        preflight=lambda wildcards: STUDY.preflights_of(wildcards.system),
    output:
        answers=f"{RESULTS}/answers/{{system}}@{{variant}}/{{task}}/clean.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}@{{variant}}/{{task}}/clean.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}@{{variant}}/{{task}}/clean.tsv"
    wildcard_constraints:
        system=STUDY.either_answered_by("transformers"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: STUDY.answer_need(wildcards.system, wildcards.task, "clean").threads
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.answer_need(wildcards.system, wildcards.task, "clean").memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.answer_need(wildcards.system, wildcards.task, "clean").runtime(attempt),
        batch_size=lambda wildcards, attempt: STUDY.answer_need(wildcards.system, wildcards.task, "clean").batch(
            attempt
        ),
        gpu=STUDY.gpus("answer"),
    params:
        made_by=MADE_BY("answer_again", "models"),
        settings=lambda wildcards: STUDY.retest_params(wildcards.system, wildcards.variant, wildcards.task),
    message:
        "Answering {wildcards.task} with {wildcards.system} again ({wildcards.variant})"
    script:
        "../scripts/answer_again.py"


use rule answer_again as answer_again_vllm with:
    wildcard_constraints:
        system=STUDY.either_answered_by("vllm"),
    conda:
        "../envs/vllm.yaml"
    params:
        made_by=MADE_BY("answer_again", "vllm"),
        settings=lambda wildcards: STUDY.retest_params(wildcards.system, wildcards.variant, wildcards.task),
    message:
        "Answering {wildcards.task} with {wildcards.system} in vLLM again ({wildcards.variant})"


rule agree_again:
    """Compare a system that is asked again with itself."""
    input:
        usual=f"{RESULTS}/answers/{{system}}/{{task}}/clean.parquet",
        again=f"{RESULTS}/answers/{{system}}@{{variant}}/{{task}}/clean.parquet",
    output:
        agreement=f"{RESULTS}/agreement/{{system}}~{{system}}@{{variant}}/{{task}}/clean.json",
    log:
        f"{RESULTS}/logs/agree/{{system}}~{{system}}@{{variant}}/{{task}}/clean.log",
    benchmark:
        f"{RESULTS}/benchmarks/agree/{{system}}~{{system}}@{{variant}}/{{task}}/clean.tsv"
    # Seconds of work: a queue would take longer.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        made_by=MADE_BY("agree_again", "statistics"),
        settings=lambda wildcards: STUDY.retest_agreement_params(),
    message:
        "Comparing {wildcards.system} with itself on {wildcards.task} ({wildcards.variant})"
    script:
        "../scripts/agree_again.py"
