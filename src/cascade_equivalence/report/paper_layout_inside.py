"""The paper's tables on what goes on inside opened models, in its own layout: its Tables 4, 5 and 7."""

import polars as pl

from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.report.comparison_lookup import ByKey, by_key, erasers
from cascade_equivalence.report.display import MARKS, MINUS, NOT_RUN, UNDEFINED, mark_legend, percent, span
from cascade_equivalence.report.mechanism_names import CTC, DRAW, FIRST_WORD, PROBE_TITLES, RANDOM, concept_title
from cascade_equivalence.report.naming import short_title
from cascade_equivalence.report.paper_layout_behaviour import classified
from cascade_equivalence.report.paper_layout_table import Beside, Cell, LayoutRow, PaperTable, RowGroup, paper_table
from cascade_equivalence.report.paper_numbers import LENS, LENS_ALL
from cascade_equivalence.report.tables import Tables

PAPER_CONCEPTS = (BASELINE, "proxy", "ctc", "boc", "acoustic", RANDOM)
"""The conditions of the paper's Table 7, in its order."""


def table4(tables: Tables, beside: Beside) -> PaperTable:
    """Probes: one row a model and layer (paper's Table 4)."""
    trained = tables.probes.filter(~pl.col("untrained"))
    groups = []
    for (model,), mine in trained.group_by("model", maintain_order=True):
        rows: list[LayoutRow] = []
        for layer in mine["layer"].unique().sort():
            values = dict(mine.filter(layer=layer).select("probe", pl.coalesce("of_test_value", "value")).iter_rows())
            cells = []
            for probe in PROBE_TITLES:
                statistic = "text_decodability" if probe == CTC else "probe_r2"
                paper = beside.number("Table 4", statistic, model=str(model), layer=layer, concept=probe)
                cells.append(Cell(_short(values[probe], 2), "", paper) if probe in values else Cell())
            rows.append([str(layer), *cells])
        groups.append(RowGroup(str(model), rows))
    return paper_table(
        "table4",
        "Layer-wise probe results (Table 4 of the paper)",
        ["Layer", *PROBE_TITLES.values()],
        groups,
        [
            "Energy, pitch: ridge regression R², against the mean of the test utterances as in the paper, so that who "
            "speaks counts; CTC: text decodability (share of characters recovered); BoC: R² of the frequencies of "
            "characters.",
            *beside.remarks("Table 4"),
        ],
        grouped_by="Model",
    )


def table5(tables: Tables, beside: Beside) -> PaperTable:
    """Logit lens: one row a layer, one column a model (paper's Table 5)."""
    models = tables.lens["model"].unique(maintain_order=True).to_list()
    found = {(row["model"], row["layer"]): row for row in tables.lens.iter_rows(named=True)}
    rows: list[LayoutRow] = []
    for layer in tables.lens["layer"].unique().sort():
        cells = []
        for model in models:
            row = found.get((model, layer))
            paper = beside.number("Table 5", LENS, model=model, layer=layer)
            value = None if row is None else row["precision"]
            if not paper and row is not None and row["all_precision"] is not None:
                paper = beside.number("Table 5", LENS_ALL, model=model, layer=layer)
                value = row["all_precision"] if paper else value
            cells.append(Cell() if row is None else Cell(_short(value, 3), "", paper))
        rows.append([str(layer), *cells])
    counts = tables.lens.group_by("model", maintain_order=True).agg(pl.max("utterances"))
    return paper_table(
        "table5",
        "Logit lens bag-of-tokens precision by layer (Table 5 of the paper)",
        ["Layer", *models],
        [RowGroup("", rows)],
        [
            "Share of the likeliest tokens that occur in the reference transcript; utterances: "
            + ", ".join(f"{model} {count:,}" for model, count in counts.iter_rows())
            + ".",
            *beside.remarks("Table 5"),
        ],
        text_columns=0,
    )


def table7(tables: Tables, beside: Beside) -> PaperTable:
    """Erasure: one row a model and condition, one column a task (paper's Table 7)."""
    tasks = classified(tables.erasure)
    found, directions = by_key(tables, "erased"), erasers(tables)
    groups = []
    for model in tables.erasure["model"].unique(maintain_order=True):
        rows: list[LayoutRow] = []
        for concept in PAPER_CONCEPTS:
            cells = [_erased_cell(found, (model, concept, task), beside) for task in tasks]
            if any(cell.shown != NOT_RUN for cell in cells):
                ranks = directions.filter(model=model, concept=concept)["rank"]
                shown = span(ranks, lambda rank: f"{rank:g}") if ranks.len() else NOT_RUN
                columns = beside.number("Table 7", "erased_dimensions", model=model, concept=concept)
                title = "Baseline" if concept == BASELINE else concept_title(concept)
                rows.append([title, Cell(shown, "", columns), *cells])
        groups.append(RowGroup(model, rows))
    drawn = tables.erasure.filter(concept=FIRST_WORD)["variant"]
    draws = drawn.filter(drawn.str.extract(DRAW, 1) == RANDOM).n_unique()
    marked = [cell.text for group in groups for row in group.rows for cell in row if isinstance(cell, Cell)]
    return paper_table(
        "table7",
        "Concept erasure: accuracy (%) with all watched layers erased at once (Table 7 of the paper)",
        ["Condition", "d", *map(short_title, tasks)],
        groups,
        [
            "Linear LEACE, as in the paper, while the model hears. d: directions taken away, from the lowest to the "
            "highest layer; the paper's d counts the columns of the concept."
            + (f" Random: mean of {draws} draws at the first word's rank." if draws else ""),
            *beside.remarks("Table 7"),
            *mark_legend(marked),
        ],
        grouped_by="Model",
    )


def _erased_cell(found: ByKey, key: tuple[str, str, str], beside: Beside) -> Cell:
    if (row := found.get(key)) is None:
        return Cell()
    model, concept, task = key
    paper = beside.number("Table 7", "accuracy", model=model, concept=concept, task=task)
    return Cell(percent(row["accuracy"]), "" if concept == RANDOM else MARKS[row["against_chance"]], paper)


def _short(value: float | None, places: int) -> str:
    """A number without the zero before the point, as in the paper's tables."""
    if value is None:
        return UNDEFINED
    rounded = f"{round(value, places) + 0.0:.{places}f}"
    return rounded.replace("0.", ".", 1).replace("-", MINUS) if abs(float(rounded)) < 1 else rounded.replace("-", MINUS)
