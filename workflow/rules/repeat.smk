rule answer_again:
    """Ask a system again, under what should not matter."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: stages.answer.heard(STUDY, wildcards.system, wildcards.task, "clean"),
        manifests=lambda wildcards: stages.resolve.answering_manifests(STUDY, wildcards.system),
        preflight=lambda wildcards: stages.preflight.files_of(STUDY, wildcards.system),
    output:
        answers=f"{RESULTS}/answers/{{system}}@{{variant}}/{{task}}/clean.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}@{{variant}}/{{task}}/clean.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}@{{variant}}/{{task}}/clean.tsv"
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "transformers"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.answer.need(STUDY, wildcards.system, wildcards.task, "clean").threads
    resources:
        **stages.needs.asked(
            lambda wildcards: stages.answer.need(STUDY, wildcards.system, wildcards.task, "clean"), batch=True
        ),
        gpu=stages.needs.gpus(STUDY, "answer"),
    params:
        made_by=MADE_BY("answer_again", "models"),
        settings=lambda wildcards: stages.repeat.answer_params(
            STUDY, wildcards.system, wildcards.variant, wildcards.task
        ),
    message:
        "Answering {wildcards.task} with {wildcards.system} again ({wildcards.variant})"
    script:
        "../scripts/answer_again.py"


use rule answer_again as answer_again_vllm with:
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "vllm"),
    conda:
        "../envs/vllm.yaml"
    params:
        made_by=MADE_BY("answer_again", "vllm"),
        settings=lambda wildcards: stages.repeat.answer_params(
            STUDY, wildcards.system, wildcards.variant, wildcards.task
        ),
    message:
        "Answering {wildcards.task} with {wildcards.system} in vLLM again ({wildcards.variant})"


rule agree_again:
    """Compare a system that is asked again with itself."""
    input:
        usual=f"{RESULTS}/answers/{{system}}/{{task}}/clean.parquet",
        again=f"{RESULTS}/answers/{{system}}@{{variant}}/{{task}}/clean.parquet",
    output:
        agreement=f"{RESULTS}/agreement/{{system}}~{{system}}@{{variant}}/{{task}}/clean.csv",
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
        settings=lambda wildcards: stages.repeat.params(STUDY),
    message:
        "Comparing {wildcards.system} with itself on {wildcards.task} ({wildcards.variant})"
    script:
        "../scripts/agree_again.py"
