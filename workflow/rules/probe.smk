if STUDY.config.mechanism:

    rule probe_layer:
        """Train and test the probes of a layer."""
        input:
            states=f"{RESULTS}/states/{{opened}}/layer{{layer}}.safetensors",
            index=f"{RESULTS}/states/{{opened}}/index.parquet",
            utterances=stages.utterances.file(STUDY),
        output:
            found=f"{RESULTS}/probes/{{opened}}/layer{{layer}}.json",
            ctc=f"{RESULTS}/probes/{{opened}}/layer{{layer}}.safetensors",
        log:
            f"{RESULTS}/logs/probe/{{opened}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/probe/{{opened}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.probes.need(STUDY, wildcards.opened).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.probes.need(STUDY, wildcards.opened)),
        params:
            made_by=MADE_BY("probe_layer", "models"),
            settings=lambda wildcards: stages.probes.params(STUDY, wildcards.opened),
        message:
            "Probing layer {wildcards.layer} of {wildcards.opened}"
        script:
            "../scripts/probe_layer.py"

    rule probe_curved:
        """Probe a layer by what is not linear, before and after erasing."""
        input:
            states=f"{RESULTS}/states/{{model}}/layer{{layer}}.safetensors",
            index=f"{RESULTS}/states/{{model}}/index.parquet",
            utterances=stages.utterances.file(STUDY),
            item_tables=stages.utterances.item_files(STUDY),
        output:
            found=f"{RESULTS}/curved/{{model}}/layer{{layer}}.json",
        log:
            f"{RESULTS}/logs/curved/{{model}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/curved/{{model}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: stages.curved.need(STUDY, wildcards.model).threads
        resources:
            **stages.needs.asked(lambda wildcards: stages.curved.need(STUDY, wildcards.model)),
        params:
            made_by=MADE_BY("probe_curved", "models"),
            settings=lambda wildcards: stages.curved.params(STUDY),
        message:
            "Probing layer {wildcards.layer} of {wildcards.model} by what is not linear"
        script:
            "../scripts/probe_curved.py"
