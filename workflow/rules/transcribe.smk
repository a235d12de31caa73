rule transcribe:
    """Transcribe a task in a condition, all voices."""
    input:
        clips=lambda wildcards: STUDY.clips_of(wildcards.task, wildcards.condition),
        manifests=lambda wildcards: STUDY.transcribing_manifests(wildcards.asr),
        preflight=lambda wildcards: STUDY.preflights(wildcards.asr),
    output:
        transcripts=f"{RESULTS}/transcripts/{{asr}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/transcribe/{{asr}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{asr}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: STUDY.transcribe_need(**wildcards).threads
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.transcribe_need(**wildcards).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.transcribe_need(**wildcards).runtime(attempt),
        batch_size=lambda wildcards, attempt: STUDY.transcribe_need(**wildcards).batch(attempt),
        gpu=STUDY.gpus("transcribe"),
    params:
        made_by=MADE_BY("transcribe", "models"),
        settings=lambda wildcards: STUDY.transcribe_params(wildcards.asr),
    message:
        "Transcribing {wildcards.task} ({wildcards.condition}) with {wildcards.asr}"
    script:
        "../scripts/transcribe.py"
