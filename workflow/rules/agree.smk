rule agree:
    """Compare a pair of systems on a task in a condition."""
    input:
        system=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
        reference=f"{RESULTS}/answers/{{reference}}/{{task}}/{{condition}}.parquet",
        heard=lambda wildcards: stages.agree.transcripts_of_pair(STUDY, **wildcards),
        manifests=lambda wildcards: stages.resolve.pair_manifests(STUDY, wildcards.system, wildcards.reference),
    output:
        agreement=f"{RESULTS}/agreement/{{system}}~{{reference}}/{{task}}/{{condition}}.csv",
    log:
        f"{RESULTS}/logs/agree/{{system}}~{{reference}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/agree/{{system}}~{{reference}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        **stages.needs.asked(stages.agree.need(STUDY)),
    params:
        made_by=MADE_BY("agree", "statistics"),
        statistics=lambda wildcards: stages.agree.params(STUDY),
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
        first_manifests=lambda wildcards: stages.resolve.pair_manifests(STUDY, wildcards.system, wildcards.first),
        second_manifests=lambda wildcards: stages.resolve.pair_manifests(STUDY, wildcards.system, wildcards.second),
    output:
        contrast=f"{RESULTS}/contrasts/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.csv",
    log:
        f"{RESULTS}/logs/contrast/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/contrast/{{system}}~{{first}}~{{second}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        **stages.needs.asked(stages.agree.need(STUDY)),
    params:
        made_by=MADE_BY("contrast", "statistics"),
        statistics=lambda wildcards: stages.agree.contrast_params(STUDY),
    message:
        "Comparing how {wildcards.system} agrees with {wildcards.first} and with {wildcards.second} on {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/contrast.py"
