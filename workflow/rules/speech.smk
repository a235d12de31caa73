rule synthesize_speech:
    """Speak the items of a task in a voice."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        recordings=lambda wildcards: STUDY.extracted(wildcards.task, wildcards.voice),
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
        mem_mb=lambda wildcards, attempt: STUDY.speech_need(wildcards.task).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.speech_need(wildcards.task).runtime(attempt),
        speech_connections=lambda wildcards: STUDY.speech_connections(wildcards.voice),
    params:
        made_by=MADE_BY("synthesize_speech", "speech"),
        voice=lambda wildcards: STUDY.speech_params(wildcards.task, wildcards.voice),
    message:
        "Speaking {wildcards.task} in the voice {wildcards.voice}"
    script:
        "../scripts/synthesize_speech.py"


rule mix_noise:
    """Make the noisy clips of a task and voice."""
    input:
        clean=f"{RESULTS}/speech/{{task}}/{{voice}}/clean.parquet",
        pool=lambda wildcards: STUDY.pool_of(wildcards.task, wildcards.voice, wildcards.noise),
    output:
        clips=f"{RESULTS}/speech/{{task}}/{{voice}}/{{noise}}.parquet",
    log:
        f"{RESULTS}/logs/mix_noise/{{task}}/{{voice}}/{{noise}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mix_noise/{{task}}/{{voice}}/{{noise}}.tsv"
    conda:
        "../envs/speech.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.noise_need(wildcards.task, wildcards.voice).memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.noise_need(wildcards.task, wildcards.voice).runtime(attempt),
    params:
        made_by=MADE_BY("mix_noise", "speech"),
        noise=lambda wildcards: STUDY.noise_params(wildcards.voice, wildcards.noise),
    message:
        "Making {wildcards.noise} of {wildcards.task}, voice {wildcards.voice}"
    script:
        "../scripts/mix_noise.py"
