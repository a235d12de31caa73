rule adapter_texts:
    """Choose the texts of a voice adapter's training."""
    output:
        texts=f"{RESULTS}/adapters/{{adapter}}/texts.parquet",
    log:
        f"{RESULTS}/logs/adapters/{{adapter}}/texts.log",
    benchmark:
        f"{RESULTS}/benchmarks/adapters/{{adapter}}/texts.tsv"
    retries: 1
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        made_by=MADE_BY("adapter_texts", "models"),
        settings=lambda wildcards: stages.adapter.texts_params(STUDY, wildcards.adapter),
    message:
        "Choosing the training texts of {wildcards.adapter}"
    script:
        "../scripts/adapter_texts.py"


rule adapter_shard:
    """Speak and hear a shard of a voice adapter's clips."""
    input:
        manifests=lambda wildcards: list(stages.adapter.manifests(STUDY, wildcards.adapter).values()),
        texts=f"{RESULTS}/adapters/{{adapter}}/texts.parquet",
    output:
        shard=f"{RESULTS}/adapters/{{adapter}}/shards/{{shard}}.safetensors",
    log:
        f"{RESULTS}/logs/adapters/{{adapter}}/shards/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/adapters/{{adapter}}/shards/{{shard}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        made_by=MADE_BY("adapter_shard", "models"),
        settings=lambda wildcards: stages.adapter.shard_params(STUDY, wildcards.adapter),
    message:
        "Speaking and hearing training clips of {wildcards.adapter} ({wildcards.shard})"
    script:
        "../scripts/adapter_shard.py"


rule adapter_training:
    """Train a voice adapter."""
    input:
        manifests=lambda wildcards: list(stages.adapter.manifests(STUDY, wildcards.adapter).values()),
        shards=lambda wildcards: list(stages.adapter.shards(STUDY, wildcards.adapter).values()),
    output:
        **{file.partition(".")[0]: f"{RESULTS}/adapters/{{adapter}}/model/{file}" for file in stages.adapter.FILES},
    log:
        f"{RESULTS}/logs/adapters/{{adapter}}/training.log",
    benchmark:
        f"{RESULTS}/benchmarks/adapters/{{adapter}}/training.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        made_by=MADE_BY("adapter_training", "models"),
        settings=lambda wildcards: stages.adapter.train_params(STUDY, wildcards.adapter),
    message:
        "Training {wildcards.adapter}"
    script:
        "../scripts/adapter_training.py"


rule adapter_evaluation:
    """Measure a voice adapter on held-out texts and voices, and write its model card."""
    input:
        manifests=lambda wildcards: list(stages.adapter.manifests(STUDY, wildcards.adapter).values()),
        shards=lambda wildcards: list(stages.adapter.shards(STUDY, wildcards.adapter).values()),
        weights=rules.adapter_training.output.model,
        change=rules.adapter_training.output.adapter_model,
    output:
        card=f"{RESULTS}/adapters/{{adapter}}/model/README.md",
        results=f"{RESULTS}/adapters/{{adapter}}/model/evaluation.json",
    log:
        f"{RESULTS}/logs/adapters/{{adapter}}/evaluation.log",
    benchmark:
        f"{RESULTS}/benchmarks/adapters/{{adapter}}/evaluation.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        made_by=MADE_BY("adapter_evaluation", "models"),
        settings=lambda wildcards: stages.adapter.evaluation_params(STUDY, wildcards.adapter),
    message:
        "Evaluating {wildcards.adapter}"
    script:
        "../scripts/adapter_evaluation.py"
