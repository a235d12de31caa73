rule synthesize_speech:
    """Speak the items of a task in a voice."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        recordings=lambda wildcards: stages.sets.extracted(STUDY, wildcards.task, wildcards.voice),
    output:
        clips=f"{RESULTS}/speech/{{task}}/{{voice}}/clean.parquet",
    log:
        f"{RESULTS}/logs/synthesize_speech/{{task}}/{{voice}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/synthesize_speech/{{task}}/{{voice}}.tsv"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **stages.needs.asked(lambda wildcards: stages.speech.need(STUDY, wildcards.task)),
        speech_connections=lambda wildcards: stages.speech.connections(STUDY, wildcards.voice),
    params:
        made_by=MADE_BY("synthesize_speech", "speech"),
        voice=lambda wildcards: stages.speech.params(STUDY, wildcards.task, wildcards.voice),
    message:
        "Speaking {wildcards.task} in the voice {wildcards.voice}"
    script:
        "../scripts/synthesize_speech.py"


rule mix_noise:
    """Make the noisy clips of a task and voice."""
    input:
        clean=f"{RESULTS}/speech/{{task}}/{{voice}}/clean.parquet",
        pool=lambda wildcards: stages.noise.pool(STUDY, wildcards.task, wildcards.voice, wildcards.noise),
    output:
        clips=f"{RESULTS}/speech/{{task}}/{{voice}}/{{noise}}.parquet",
    log:
        f"{RESULTS}/logs/mix_noise/{{task}}/{{voice}}/{{noise}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mix_noise/{{task}}/{{voice}}/{{noise}}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        **stages.needs.asked(lambda wildcards: stages.noise.need(STUDY, wildcards.task, wildcards.voice)),
    params:
        made_by=MADE_BY("mix_noise", "speech"),
        noise=lambda wildcards: stages.noise.params(STUDY, wildcards.voice, wildcards.noise),
    message:
        "Making {wildcards.noise} of {wildcards.task}, voice {wildcards.voice}"
    script:
        "../scripts/mix_noise.py"
