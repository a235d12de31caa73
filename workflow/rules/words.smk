rule describe_voices:
    """Say in words what the voices of a task tell."""
    input:
        clips=lambda wildcards: stages.speech.files_of(STUDY, wildcards.task, wildcards.condition),
        transcripts=f"{RESULTS}/transcripts/{{asr}}/{{task}}/{{condition}}.parquet",
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
    output:
        tags=f"{RESULTS}/voice/{{asr}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/voice/{{asr}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/voice/{{asr}}/{{task}}/{{condition}}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        **stages.needs.asked(lambda wildcards: stages.voice_words.need(STUDY, wildcards.task, wildcards.condition)),
    params:
        made_by=MADE_BY("describe_voices", "models"),
        settings=lambda wildcards: stages.voice_words.params(STUDY, wildcards.task),
    message:
        "What voices tell: {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/describe_voices.py"
