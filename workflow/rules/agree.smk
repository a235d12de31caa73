rule agree:
    """Compare a pair of systems on a task in a condition."""
    input:
        system=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
        reference=f"{RESULTS}/answers/{{reference}}/{{task}}/{{condition}}.parquet",
        heard=lambda wildcards: STUDY.heard_in_pair(**wildcards),
        manifests=lambda wildcards: STUDY.pair_manifests(wildcards.system, wildcards.reference),
    output:
        agreement=f"{RESULTS}/agreement/{{system}}~{{reference}}/{{task}}/{{condition}}.json",
    log:
        f"{RESULTS}/logs/agree/{{system}}~{{reference}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/agree/{{system}}~{{reference}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.agreement_need().memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.agreement_need().runtime(attempt),
    params:
        made_by=MADE_BY("agree", "statistics"),
        statistics=lambda wildcards: STUDY.agreement_params(),
    message:
        "Comparing {wildcards.system} with {wildcards.reference} on {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/agree.py"


rule contrast:
    """Compare a system's agreements with two references."""
    input:
        system=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
        first=f"{RESULTS}/answers/{{first}}/{{task}}/{{condition}}.parquet",
        second=f"{RESULTS}/answers/{{second}}/{{task}}/{{condition}}.parquet",
        first_manifests=lambda wildcards: STUDY.pair_manifests(wildcards.system, wildcards.first),
        second_manifests=lambda wildcards: STUDY.pair_manifests(wildcards.system, wildcards.second),
    output:
        contrast=f"{RESULTS}/contrasts/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.json",
    log:
        f"{RESULTS}/logs/contrast/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/contrast/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.agreement_need().memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.agreement_need().runtime(attempt),
    params:
        made_by=MADE_BY("contrast", "statistics"),
        statistics=lambda wildcards: STUDY.contrast_params(),
    message:
        "Comparing how {wildcards.system} agrees with {wildcards.first} and with {wildcards.second} on {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/contrast.py"
