rule collect_tables:
    """Collect all results into tables."""
    input:
        **stages.report.mechanism_files(STUDY),
        answers=stages.answer.all_files(STUDY),
        agreement=stages.agree.all_files(STUDY),
        retests=stages.repeat.all_files(STUDY),
        silence=stages.silence.all_files(STUDY),
        contrasts=stages.agree.all_contrasts(STUDY),
        transcripts=stages.transcribe.all_files(STUDY),
        speech=stages.speech.all_files(STUDY),
        item_tables=stages.items.all_files(STUDY),
        surplus=stages.surplus.all_files(STUDY),
    output:
        csv=[
            report(
                f"{RESULTS}/tables/{table}.csv",
                category="Tables",
                caption="../report/tables.rst",
                labels={"table": table},
            )
            for table in stages.report.tables(STUDY)
        ],
        markdown=expand(f"{RESULTS}/tables/{{table}}.md", table=stages.report.tables(STUDY)),
    log:
        f"{RESULTS}/logs/collect_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_tables.tsv"
    conda:
        "../envs/statistics.yaml"
    resources:
        **stages.needs.asked(stages.report.need(STUDY)),
    params:
        made_by=MADE_BY("collect_tables", "statistics"),
        settings=stages.report.params(STUDY, "collect_tables"),
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
            stages.report.comparison(STUDY),
            category="Tables",
            caption="../report/paper.rst",
            labels={"table": "comparison"},
        ),
        claims=report(
            stages.report.claims(STUDY),
            category="Tables",
            caption="../report/claims.rst",
            labels={"table": "claims"},
        ),
        replication=report(
            stages.report.replication(STUDY),
            category="Tables",
            caption="../report/replication.rst",
            labels={"table": "replication"},
        ),
        paper=directory(stages.report.paper_folder(STUDY)),
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
        settings=stages.report.params(STUDY, "compare_with_paper"),
    message:
        "Setting the numbers beside the paper's"
    script:
        "../scripts/compare_with_paper.py"


rule draw_figures:
    """Draw the figures."""
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=stages.report.tables(STUDY)),
    output:
        svg=[
            report(
                file,
                category="Figures",
                caption="../report/figures.rst",
                labels={"figure": figure},
            )
            for figure, file in zip(stages.report.figures(STUDY), stages.report.figure_files(STUDY, "svg"))
        ],
        png=stages.report.figure_files(STUDY, "png"),
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
        settings=stages.report.params(STUDY, "draw_figures"),
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
        answers=stages.answer.all_files(STUDY),
        transcripts=stages.transcribe.all_files(STUDY),
        speech=stages.speech.all_files(STUDY),
        item_tables=stages.items.all_files(STUDY),
        manifests=stages.resolve.all_manifests(STUDY),
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
        **stages.needs.asked(stages.report.need(STUDY)),
    params:
        made_by=MADE_BY("write_report", "statistics"),
        settings=stages.report.params(STUDY, "write_report"),
    message:
        "Writing the report"
    script:
        "../scripts/write_report.py"
