rule transcribe:
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
    retries: 1
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=STUDY.gpus("transcribe"),
    params:
        settings=lambda wildcards: STUDY.transcribe_params(wildcards.asr),
    message:
        "Transcribing {wildcards.task} ({wildcards.condition}) with {wildcards.asr}"
    script:
        "../scripts/transcribe.py"
