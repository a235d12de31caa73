# Services: systems behind an API, and the LLMs and recognisers of cascades that an endpoint runs. What they give lies
# where all answers and transcripts do: these rules and `answer` and `transcribe` share paths, and no system or recogniser.
# The key is not declared with `envvars`: Snakemake would write its value into the command lines of the jobs it starts.


rule answer_api:
    """Ask a service about a task in a condition; answers are paid once."""
    input:
        item_table=f"{RESULTS}/tasks/{{task}}/items.parquet",
        heard=lambda wildcards: stages.answer.heard(STUDY, wildcards.system, wildcards.task, wildcards.condition),
    output:
        answers=f"{RESULTS}/answers/{{system}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/answer/{{system}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/answer/{{system}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        system=stages.wildcards.answered_by(STUDY, "api"),
    # Machines that compute often have no way out of their network, and no key in their environment.
    localrule: True
    conda:
        "../envs/api.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        made_by=MADE_BY("answer_api", "api"),
        settings=lambda wildcards: stages.api.params(STUDY, wildcards.system, wildcards.task),
    message:
        "Asking {wildcards.system} about {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/answer_api.py"


rule transcribe_api:
    """Ask a recogniser that an endpoint runs about a task in a condition; transcripts are paid once."""
    input:
        clips=lambda wildcards: stages.speech.files_of(STUDY, wildcards.task, wildcards.condition),
    output:
        transcripts=f"{RESULTS}/transcripts/{{asr}}/{{task}}/{{condition}}.parquet",
    log:
        f"{RESULTS}/logs/transcribe/{{asr}}/{{task}}/{{condition}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/transcribe/{{asr}}/{{task}}/{{condition}}.tsv"
    wildcard_constraints:
        asr=stages.wildcards.transcribed_by(STUDY, "endpoint"),
    # Machines that compute often have no way out of their network, and no key in their environment.
    localrule: True
    # Word errors are counted here, too.
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        made_by=MADE_BY("transcribe_api", "models"),
        settings=lambda wildcards: stages.transcribe.params(STUDY, wildcards.asr),
    message:
        "Asking {wildcards.asr} to transcribe {wildcards.task} ({wildcards.condition})"
    script:
        "../scripts/transcribe_api.py"
