rule resolve_model:
    """Fetch a model's weights and convert them, with a manifest; an adapter's with those of its base."""
    input:
        parts=lambda wildcards: list(stages.resolve.parts(STUDY, wildcards.model).values()),
    output:
        manifest=f"{MODELS}/{{model}}/manifest.json",
    log:
        f"{MODELS}/logs/{{model}}.log",
    benchmark:
        f"{MODELS}/benchmarks/{{model}}.tsv"
    retries: 2
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        made_by=MADE_BY("resolve_model", "models"),
        spec=lambda wildcards: stages.resolve.params(STUDY, wildcards.model),
    message:
        "Resolving the weights of {wildcards.model}"
    script:
        "../scripts/resolve_model.py"


rule prepare_items:
    """Load, clean, check and sample the items of a task."""
    input:
        source=lambda wildcards: stages.items.fetched(STUDY, wildcards.task),
    output:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
    log:
        f"{RESULTS}/logs/prepare_items/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_items/{{task}}.tsv"
    # Seconds of work: a queue would take longer.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        made_by=MADE_BY("prepare_items", "statistics"),
        sample=lambda wildcards: stages.items.params(STUDY, wildcards.task),
    message:
        "Preparing the items of {wildcards.task}"
    script:
        "../scripts/prepare_items.py"
