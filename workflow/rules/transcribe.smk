rule transcribe:
    input:
        clips=lambda wildcards: STUDY.clips_of(wildcards.task, wildcards.condition),
        manifest=f"{MODELS}/{{asr}}/manifest.json",
    output:
        transcripts=f"{RESULTS}/transcripts/{{asr}}/{{task}}/{{condition}}.parquet",
    params:
        settings=lambda wildcards: STUDY.transcribe_params(),
    log:
        f"{RESULTS}/logs/transcribe/{{asr}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{asr}}/{{task}}/{{condition}}.tsv"
    threads: 2
    retries: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=STUDY.gpus("transcribe"),
    conda:
        "../../envs/models.yaml"
    message:
        "Transcribing {wildcards.task} ({wildcards.condition}) with {wildcards.asr}"
    script:
        "../scripts/transcribe.py"
