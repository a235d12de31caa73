if STUDY.config.mechanism:

    rule probe_layer:
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
            "../../envs/models.yaml"
        resources:
            mem_mb=4000,
            runtime=120,
        params:
            settings=lambda wildcards: STUDY.probe_params(wildcards.opened),
        message:
            "Probing layer {wildcards.layer} of {wildcards.opened}"
        script:
            "../scripts/probe_layer.py"
