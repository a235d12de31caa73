rule transcribe:
    """Transcribe a task in a condition, all voices."""
    input:
        clips=lambda wildcards: stages.speech.files_of(STUDY, wildcards.task, wildcards.condition),
        manifests=lambda wildcards: stages.resolve.transcribing_manifests(STUDY, wildcards.asr),
        preflight=lambda wildcards: stages.preflight.files(STUDY, wildcards.asr),
        # What errors are added to, and the transcripts whose rate is reached.
        made_from=lambda wildcards: stages.transcribe.made_from(STUDY, **wildcards),
    output:
        transcripts=f"{RESULTS}/transcripts/{{asr}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/transcribe/{{asr}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{asr}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        asr=stages.wildcards.transcribed_by(STUDY, "here"),
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: stages.transcribe.need(STUDY, **wildcards).threads
    resources:
        **stages.needs.asked(lambda wildcards: stages.transcribe.need(STUDY, **wildcards), batch=True),
        gpu=lambda wildcards: stages.transcribe.gpus(STUDY, wildcards.asr),
    params:
        made_by=MADE_BY("transcribe", "models"),
        settings=lambda wildcards: stages.transcribe.params(STUDY, wildcards.asr),
    message:
        "Transcribing {wildcards.task} ({wildcards.condition}) with {wildcards.asr}"
    script:
        "../scripts/transcribe.py"
