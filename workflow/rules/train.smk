rule connector_texts:
    """Choose the texts of a connector's training."""
    output:
        texts=f"{RESULTS}/connectors/{{connector}}/texts.parquet",
    log:
        f"{RESULTS}/logs/connectors/{{connector}}/texts.log",
    benchmark:
        f"{RESULTS}/benchmarks/connectors/{{connector}}/texts.tsv"
    retries: 1
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        made_by=MADE_BY("connector_texts", "models"),
        settings=lambda wildcards: stages.connector.texts_params(STUDY, wildcards.connector),
    message:
        "Choosing the training texts of {wildcards.connector}"
    script:
        "../scripts/connector_texts.py"


rule connector_shard:
    """Speak and encode a shard of a connector's training clips."""
    input:
        texts=f"{RESULTS}/connectors/{{connector}}/texts.parquet",
        manifest=lambda wildcards: stages.connector.manifests(STUDY, wildcards.connector)[0],
    output:
        shard=f"{RESULTS}/connectors/{{connector}}/shards/{{shard}}.safetensors",
    log:
        f"{RESULTS}/logs/connectors/{{connector}}/shards/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/connectors/{{connector}}/shards/{{shard}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        made_by=MADE_BY("connector_shard", "models"),
        settings=lambda wildcards: stages.connector.shard_params(STUDY, wildcards.connector),
    message:
        "Speaking and encoding training clips of {wildcards.connector} ({wildcards.shard})"
    script:
        "../scripts/connector_shard.py"


rule connector_frames:
    """Train a connector's first stage."""
    input:
        train=lambda wildcards: stages.connector.training_shards(STUDY, wildcards.connector),
        held_out=lambda wildcards: stages.connector.held_out_shards(STUDY, wildcards.connector),
        manifest=lambda wildcards: stages.connector.manifests(STUDY, wildcards.connector)[1],
    output:
        weights=f"{RESULTS}/connectors/{{connector}}/frames/model.safetensors",
        config=f"{RESULTS}/connectors/{{connector}}/frames/config.json",
        curve=f"{RESULTS}/connectors/{{connector}}/frames/curve.json",
    log:
        f"{RESULTS}/logs/connectors/{{connector}}/frames.log",
    benchmark:
        f"{RESULTS}/benchmarks/connectors/{{connector}}/frames.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        made_by=MADE_BY("connector_frames", "models"),
        settings=lambda wildcards: stages.connector.frames_params(STUDY, wildcards.connector),
    message:
        "Training {wildcards.connector}, first stage"
    script:
        "../scripts/connector_frames.py"


rule connector_distil:
    """Train a connector's second stage."""
    input:
        train=lambda wildcards: stages.connector.training_shards(STUDY, wildcards.connector),
        held_out=lambda wildcards: stages.connector.held_out_shards(STUDY, wildcards.connector),
        manifest=lambda wildcards: stages.connector.manifests(STUDY, wildcards.connector)[1],
        first=rules.connector_frames.output.weights,
        config=rules.connector_frames.output.config,
    output:
        weights=f"{RESULTS}/connectors/{{connector}}/model/model.safetensors",
        config=f"{RESULTS}/connectors/{{connector}}/model/config.json",
        curve=f"{RESULTS}/connectors/{{connector}}/model/curve.json",
    log:
        f"{RESULTS}/logs/connectors/{{connector}}/distil.log",
    benchmark:
        f"{RESULTS}/benchmarks/connectors/{{connector}}/distil.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        made_by=MADE_BY("connector_distil", "models"),
        settings=lambda wildcards: stages.connector.distil_params(STUDY, wildcards.connector),
    message:
        "Training {wildcards.connector}, second stage"
    script:
        "../scripts/connector_distil.py"


rule connector_evaluation:
    """Evaluate a connector and write its model card."""
    input:
        held_out=lambda wildcards: stages.connector.held_out_shards(STUDY, wildcards.connector),
        manifest=lambda wildcards: stages.connector.manifests(STUDY, wildcards.connector)[1],
        weights=rules.connector_distil.output.weights,
        config=rules.connector_distil.output.config,
    output:
        results=f"{RESULTS}/connectors/{{connector}}/model/evaluation.json",
        card=f"{RESULTS}/connectors/{{connector}}/model/README.md",
    log:
        f"{RESULTS}/logs/connectors/{{connector}}/evaluation.log",
    benchmark:
        f"{RESULTS}/benchmarks/connectors/{{connector}}/evaluation.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        made_by=MADE_BY("connector_evaluation", "models"),
        settings=lambda wildcards: stages.connector.evaluation_params(STUDY, wildcards.connector),
    message:
        "Evaluating {wildcards.connector}"
    script:
        "../scripts/connector_evaluation.py"
