rule fetch_set:
    """Fetch the texts of a published set."""
    output:
        manifest=f"{SETS}/{{task}}/manifest.json",
    log:
        f"{SETS}/logs/fetch_set/{{task}}.log",
    benchmark:
        f"{SETS}/benchmarks/fetch_set/{{task}}.tsv"
    retries: 2
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        made_by=MADE_BY("fetch_set", "models"),
        sources=lambda wildcards: stages.sets.fetch_params(STUDY, wildcards.task),
    message:
        "Fetching the published items of {wildcards.task}"
    script:
        "../scripts/fetch_set.py"


rule fetch_archive:
    """Fetch the recordings of a published set."""
    output:
        record=f"{SETS}/{{task}}/archive.json",
    log:
        f"{SETS}/logs/fetch_archive/{{task}}.log",
    benchmark:
        f"{SETS}/benchmarks/fetch_archive/{{task}}.tsv"
    retries: 2
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=1000,
        runtime=720,
    params:
        made_by=MADE_BY("fetch_set", "models"),
        source=lambda wildcards: stages.sets.archive_params(STUDY, wildcards.task),
    message:
        "Fetching the recordings of {wildcards.task}"
    script:
        "../scripts/fetch_set.py"


rule extract_audio:
    """Make one recording an item of a published archive."""
    input:
        source=lambda wildcards: stages.items.fetched(STUDY, wildcards.task),
        archive=lambda wildcards: stages.sets.archive(STUDY, wildcards.task),
    output:
        manifest=f"{SETS}/recordings/{{task}}/manifest.json",
    log:
        f"{SETS}/logs/extract_audio/{{task}}.log",
    benchmark:
        f"{SETS}/benchmarks/extract_audio/{{task}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        made_by=MADE_BY("extract_audio", "models"),
        recordings=lambda wildcards: stages.sets.recordings_params(STUDY, wildcards.task),
    message:
        "Extracting the recordings of {wildcards.task}"
    script:
        "../scripts/extract_audio.py"


rule fetch_musan:
    """Fetch the archive of MUSAN."""
    output:
        record=f"{SETS}/musan/archive.json",
    log:
        f"{SETS}/logs/fetch_musan.log",
    benchmark:
        f"{SETS}/benchmarks/fetch_musan.tsv"
    retries: 2
    # Machines that compute often have no way out of their network.
    localrule: True
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=1000,
        runtime=720,
    params:
        made_by=MADE_BY("fetch_musan", "models"),
        source=stages.noise.musan_params(STUDY),
    message:
        "Fetching MUSAN"
    script:
        "../scripts/fetch_musan.py"


rule unpack_musan:
    """Unpack a part of MUSAN."""
    input:
        archive=f"{SETS}/musan/archive.json",
    output:
        manifest=f"{SETS}/musan/{{part}}/manifest.json",
    log:
        f"{SETS}/logs/unpack_musan/{{part}}.log",
    benchmark:
        f"{SETS}/benchmarks/unpack_musan/{{part}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        made_by=MADE_BY("unpack_musan", "models"),
        part=lambda wildcards: stages.noise.unpack_params(STUDY, wildcards.part),
    message:
        "Unpacking the {wildcards.part} of MUSAN"
    script:
        "../scripts/unpack_musan.py"
