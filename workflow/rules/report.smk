rule collect_tables:
    input:
        answers=STUDY.all_answers(),
        agreement=STUDY.all_agreement(),
        transcripts=STUDY.all_transcripts(),
    output:
        csv=report(
            expand(f"{RESULTS}/tables/{{table}}.csv", table=STUDY.tables()),
            category="Tables",
            caption="../report/tables.rst",
            labels=lambda wildcards, output=None: {"format": "CSV"},
        ),
        markdown=expand(f"{RESULTS}/tables/{{table}}.md", table=STUDY.tables()),
    params:
        settings=STUDY.report_params(),
    log:
        f"{RESULTS}/logs/collect_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_tables.tsv"
    resources:
        mem_mb=4000,
        runtime=20,
    conda:
        "../../envs/statistics.yaml"
    message:
        "Collecting the tables"
    script:
        "../scripts/collect_tables.py"


rule draw_figures:
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=STUDY.tables()),
    output:
        svg=report(
            expand(f"{RESULTS}/figures/{{figure}}.svg", figure=STUDY.figures()),
            category="Figures",
            caption="../report/figures.rst",
        ),
        png=expand(f"{RESULTS}/figures/{{figure}}.png", figure=STUDY.figures()),
    params:
        settings=STUDY.report_params(),
    log:
        f"{RESULTS}/logs/draw_figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_figures.tsv"
    resources:
        mem_mb=2000,
        runtime=20,
    conda:
        "../../envs/statistics.yaml"
    message:
        "Drawing the figures"
    script:
        "../scripts/draw_figures.py"


rule write_report:
    input:
        tables=rules.collect_tables.output.csv,
        figures=rules.draw_figures.output.svg,
        answers=STUDY.all_answers(),
        transcripts=STUDY.all_transcripts(),
        manifests=STUDY.all_manifests(),
    output:
        html=report(f"{RESULTS}/report.html", category="Report", caption="../report/report.rst"),
    params:
        settings=STUDY.report_params(),
    log:
        f"{RESULTS}/logs/write_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_report.tsv"
    resources:
        mem_mb=2000,
        runtime=20,
    conda:
        "../../envs/statistics.yaml"
    message:
        "Writing the report"
    script:
        "../scripts/write_report.py"
