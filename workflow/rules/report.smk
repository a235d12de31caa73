rule collect_tables:
    """Collect all results into tables."""
    input:
        **STUDY.mechanism_files(),
        answers=STUDY.all_answers(),
        agreement=STUDY.all_agreement(),
        retests=STUDY.all_retests(),
        contrasts=STUDY.all_contrasts(),
        transcripts=STUDY.all_transcripts(),
        speech=STUDY.all_clips(),
        item_tables=STUDY.all_items(),
        surplus=STUDY.all_surplus(),
    output:
        csv=[
            report(
                f"{RESULTS}/tables/{table}.csv",
                category="Tables",
                caption="../report/tables.rst",
                labels={"table": table},
            )
            for table in STUDY.tables()
        ],
        markdown=expand(f"{RESULTS}/tables/{{table}}.md", table=STUDY.tables()),
    log:
        f"{RESULTS}/logs/collect_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_tables.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.tables_need().memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.tables_need().runtime(attempt),
    params:
        made_by=MADE_BY("collect_tables", "statistics"),
        settings=STUDY.report_params("tables"),
    message:
        "Collecting the tables"
    script:
        "../scripts/collect_tables.py"


rule compare_with_paper:
    """Set the study's numbers beside the paper's."""
    input:
        tables=rules.collect_tables.output.csv,
    output:
        comparison=report(
            STUDY.comparison(),
            category="Tables",
            caption="../report/paper.rst",
            labels={"table": "comparison"},
        ),
        claims=report(
            STUDY.claims(),
            category="Tables",
            caption="../report/claims.rst",
            labels={"table": "claims"},
        ),
        replication=report(
            STUDY.replication(),
            category="Tables",
            caption="../report/replication.rst",
            labels={"table": "replication"},
        ),
        paper=directory(STUDY.paper_folder()),
    log:
        f"{RESULTS}/logs/compare_with_paper.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_with_paper.tsv"
    # Seconds of work: a queue would take longer.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        made_by=MADE_BY("compare_with_paper", "statistics"),
        settings=STUDY.report_params("paper"),
    message:
        "Setting the numbers beside the paper's"
    script:
        "../scripts/compare_with_paper.py"


rule draw_figures:
    """Draw the figures."""
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=STUDY.tables()),
    output:
        svg=[
            report(
                file,
                category="Figures",
                caption="../report/figures.rst",
                labels={"figure": figure},
            )
            for figure, file in zip(STUDY.figures(), STUDY.figure_files("svg"))
        ],
        png=STUDY.figure_files("png"),
    log:
        f"{RESULTS}/logs/draw_figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_figures.tsv"
    # Seconds of work: a queue would take longer.
    localrule: True
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        made_by=MADE_BY("draw_figures", "statistics"),
        settings=STUDY.report_params("figures"),
    message:
        "Drawing the figures"
    script:
        "../scripts/draw_figures.py"


rule write_report:
    """Write the report, one page."""
    input:
        tables=rules.collect_tables.output.csv,
        figures=rules.draw_figures.output.svg,
        comparison=rules.compare_with_paper.output.comparison,
        claims=rules.compare_with_paper.output.claims,
        replication=rules.compare_with_paper.output.replication,
        answers=STUDY.all_answers(),
        transcripts=STUDY.all_transcripts(),
        speech=STUDY.all_clips(),
        item_tables=STUDY.all_items(),
        manifests=STUDY.all_manifests(),
    output:
        html=report(
            f"{RESULTS}/report.html",
            category="Report",
            caption="../report/report.rst",
            labels={"page": "report"},
        ),
    log:
        f"{RESULTS}/logs/write_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_report.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: STUDY.tables_need().memory(attempt),
        runtime=lambda wildcards, attempt: STUDY.tables_need().runtime(attempt),
    params:
        made_by=MADE_BY("write_report", "statistics"),
        settings=STUDY.report_params("page"),
    message:
        "Writing the report"
    script:
        "../scripts/write_report.py"
