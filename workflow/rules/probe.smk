if STUDY.config.mechanism:

    rule probe_layer:
        """Train and test the probes of a layer."""
        input:
            states=f"{RESULTS}/states/{{opened}}/layer{{layer}}.safetensors",
            index=f"{RESULTS}/states/{{opened}}/index.parquet",
            utterances=STUDY.utterances(),
        output:
            found=f"{RESULTS}/probes/{{opened}}/layer{{layer}}.json",
            ctc=f"{RESULTS}/probes/{{opened}}/layer{{layer}}.safetensors",
        log:
            f"{RESULTS}/logs/probe/{{opened}}/layer{{layer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/probe/{{opened}}/layer{{layer}}.tsv"
        conda:
            "../envs/models.yaml"
        threads: lambda wildcards: STUDY.layer_need(wildcards.opened).threads
        resources:
            mem_mb=lambda wildcards, attempt: STUDY.layer_need(wildcards.opened).memory(attempt),
            runtime=lambda wildcards, attempt: STUDY.layer_need(wildcards.opened).runtime(attempt),
        params:
            made_by=MADE_BY("probe_layer", "models"),
            settings=lambda wildcards: STUDY.probe_params(wildcards.opened),
        message:
            "Probing layer {wildcards.layer} of {wildcards.opened}"
        script:
            "../scripts/probe_layer.py"
