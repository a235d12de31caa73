"""What erasing a concept does to the answers, as a reader sees it (paper's Table 7)."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.config.mechanism import BASELINE, DRAWN
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.report.display import (
    MARKS,
    MINUS,
    NOT_RUN,
    Display,
    decimal,
    mark_legend,
    p_value,
    percent,
    points,
    points_ends,
    span,
)
from cascade_equivalence.report.mechanism_names import (
    ALL,
    BAG,
    DRAW,
    HEARD,
    READ,
    concept_title,
    concepts_of,
    control_names,
)
from cascade_equivalence.report.mechanism_schemas import ERASURE, ERASURE_CONTROLS
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.report.table import Table

PLACES = {ALL: "everywhere", "audio": "at the sound", "none": ""}
ARMS = {HEARD: "audio", READ: "text"}
PLACE = ["model", "arm", "positions", "concept", "variant"]


def with_draws_pooled(erasure: pl.DataFrame) -> pl.DataFrame:
    """The erasure table with one row for all draws of a concept's control, whose variant is the control.

    Returns:
        Its columns, ``draws``, and ``lowest`` and ``highest`` accuracy; the accuracy of pooled draws is their mean.
    """
    accuracy = pl.col("accuracy")
    named = erasure.with_columns(pl.col("variant").str.replace(DRAW, "${1}"), place=pl.int_range(pl.len()))
    key = ["task", *PLACE]
    return (
        named.group_by(key, maintain_order=True)
        .agg(
            pl.len().alias("draws"),
            accuracy.min().alias("lowest"),
            accuracy.max().alias("highest"),
            accuracy.mean(),
            pl.col("place").min(),
            *(pl.col(name).first() for name in erasure.columns if name not in (*key, "accuracy")),
        )
        .sort("place")
        .drop("place")
    )


def shown_positions(table: pl.DataFrame) -> str | None:
    """Where concepts are erased in what is told and drawn: everywhere if there is such a condition."""
    there = table.filter(pl.col("concept") != BASELINE)["positions"].unique().sort().to_list()
    return (ALL if ALL in there else there[0]) if there else None


def erasure(table: pl.DataFrame, erasers: pl.DataFrame) -> Display:
    """Table 7 of the paper: one row a condition, one column a task."""
    tasks = table["task"].unique(maintain_order=True).to_list()
    dimensions = {
        (model, concept): span(part["rank"], lambda rank: f"{rank}")
        for (model, concept), part in erasers.filter(pl.col("control").is_null()).group_by("model", "concept")
    }
    rows = []
    for place, part in with_draws_pooled(table).group_by(PLACE, maintain_order=True):
        model, arm, positions, concept, variant = map(str, place)
        found = {row["task"]: row for row in part.iter_rows(named=True)}
        rows.append(
            [
                model,
                "Baseline" if concept == BASELINE else concept_title(concept),
                _variant(variant, part["draws"][0]),
                PLACES.get(positions, positions),
                ARMS[arm],
                dimensions.get((model, concept), NOT_RUN),
                *(_cell(found.get(task)) for task in tasks),
            ]
        )
    order = {model: place for place, model in enumerate(table["model"].unique(maintain_order=True))}
    rows.sort(key=lambda row: (order[row[0]], list(ARMS.values()).index(row[4])))
    return Display(
        name="erasure",
        title="Accuracy while a concept is erased",
        columns=["Model", "Erased", "Variant", "Where", "From", "d", *(f"{task_title(task)} %" for task in tasks)],
        rows=rows,
        remarks=[
            "Share of right answers while a concept's directions are taken out of all watched layers at once, on every "
            "step; in round brackets the share of answers that could be parsed. An accuracy far below chance with few "
            "parsed answers shows broken output, not a lack of knowledge: see the forced choice in the next table.",
            "Text (first word), CTC and BoC hold the text; linear takes their share of the mean away, too (as in the "
            "paper), affine keeps the mean. d: directions, from the lowest to the highest layer.",
            *_about_controls(table),
            "From text: the same eraser while the model reads the true text instead of hearing it. A fall there is "
            "damage to language.",
            *mark_legend(cell for row in rows for cell in row),
            *_seen(table),
            "Intervals, changes and divergences are in erasure.csv.",
        ],
        text_columns=5,
    )


def _about_controls(table: pl.DataFrame) -> list[str]:
    """What the controls are that were run."""
    drawn = set(table["variant"].str.extract(DRAW, 1).drop_nulls())
    about = {
        "random": "random directions",
        "principal": "random directions among principal components that carry as much variance",
    }
    kinds = [about[name] for name in DRAWN if name in drawn]
    parts = [f"{' and '.join(kinds)}, drawn for each concept, as many as its eraser takes away (d)"] if kinds else []
    parts += [CONCEPTS[name].fitted for name in concepts_of("control") if name in table["concept"]]
    means = (
        " Of draws: the mean, in square brackets the lowest and the highest; they are answered from audio only, and "
        "take their share of the mean away, as linear does."
        if kinds
        else ""
    )
    return [f"Controls: {'; '.join(parts)}.{means}"] if parts else []


def _seen(table: pl.DataFrame) -> list[str]:
    """How much of the changes may come from erasers that were fitted on the very items."""
    both = table.filter(pl.col("seen_rows") > 0)
    if not both.height:
        return []
    apart = (pl.col("accuracy_change") - pl.col("unseen_accuracy_change")).abs()
    moved = both.select(apart.max()).item()
    share = sum(both["seen_rows"]) / sum(both["rows"])
    without = "" if moved is None else f"; without them no change moves by more than {percent(moved)} points"
    return [f"{percent(share)} % of the answers are to items that the erasers were fitted on, too{without}."]


def _variant(variant: str, draws: int) -> str:
    if variant in DRAWN:
        return f"{concept_title(variant).lower()}: {draws} draws"
    return "" if variant == BASELINE else variant


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return NOT_RUN
    if row["variant"] in DRAWN:
        return f"{percent(row['accuracy'])} [{percent(row['lowest'])}, {percent(row['highest'])}]"
    return f"{percent(row['accuracy'])}{MARKS[row['against_chance']]} ({percent(row['parse_rate'])})"


def erasure_controls(table: pl.DataFrame, controls: pl.DataFrame, confidence: float) -> Display:
    """One row a condition in which the model hears, with every control beside the change."""
    from cascade_equivalence.stats.erasure import ACCURACY, FORCED

    found: dict[tuple[str, ...], dict[tuple[str, str], dict[str, Any]]] = {}
    key = [*PLACE, "task"]
    for row in controls.filter(pl.col("other_model").is_null()).iter_rows(named=True):
        found.setdefault(tuple(row[name] for name in key), {})[row["control"], row["measure"]] = row
    reading = {tuple(row[name] for name in key): row for row in table.filter(arm=READ).iter_rows(named=True)}
    present = [control for control in control_names() if control in controls["control"]]
    fitted = table.filter((pl.col("arm") == HEARD) & (pl.col("concept") != BASELINE))
    rows = []
    for row in fitted.filter(~pl.col("variant").str.contains(DRAW)).iter_rows(named=True):
        place = tuple(row[name] for name in key)
        mine = found.get(place, {})
        read = reading.get((row["model"], READ, *place[2:]))
        rows.append(
            [
                row["model"],
                concept_title(row["concept"]),
                row["variant"],
                PLACES.get(row["positions"], row["positions"]),
                task_title(row["task"]),
                _change(row, ACCURACY),
                points(row["parse_rate_change"]),
                _change(row, FORCED),
                decimal(row["kl"]),
                *(_control(mine.get((control, ACCURACY))) for control in present),
                _change(read, ACCURACY) if read else NOT_RUN,
                _reading(mine.get((READ, ACCURACY))),
                _reading(mine.get((BAG, ACCURACY))),
            ]
        )
    return Display(
        name="erasure_controls",
        title="Changes under erasure, beside their controls",
        columns=[
            "Model",
            "Erased",
            "Variant",
            "Where",
            "Task",
            f"Accuracy, points [{confidence:.0%}]",
            "Parsed",
            "Forced choice",
            "KL (nats)",
            *(f"{concept_title(control)}: accuracy %, p" for control in present),
            "Reading the text instead",
            f"hearing {MINUS} reading",
            f"CTC {MINUS} BoC",
        ],
        rows=rows,
        remarks=[
            "Changes in percentage points against nothing erased, on the same items; intervals count whole items. "
            "Forced choice: the label with the highest likelihood, whatever is written; it needs no parser. KL: "
            "divergence of the first answer token from the unerased model.",
            "Controls drawn for each concept have as many directions as its eraser at each layer: mean accuracy over "
            f"draws with the lowest and highest; p = (draws that leave at most as much + 1) / (draws + 1)"
            f"{_smallest(controls)}. Of a control that was fitted once the difference to it stands in brackets, in "
            "points. Nothing is adjusted for the number of rows.",
            f"Reading: the change under the same eraser from the true text; hearing {MINUS} reading: how much further "
            "accuracy falls from audio.",
            f"CTC {MINUS} BoC: accuracy with CTC erased minus that with BoC erased, item by item; above 0, BoC breaks "
            "more. How it differs between models is in erasure_controls.csv, and in the claims.",
        ],
        text_columns=5,
    )


def _smallest(controls: pl.DataFrame) -> str:
    draws = controls["draws"].max()
    return f", with {draws} draws at least {1 / (draws + 1):.3f}" if isinstance(draws, int) and draws > 1 else ""


def _change(row: Mapping[str, Any], measure: str) -> str:
    name = f"{measure}_change"
    return points_ends(row, name)


def _control(row: Mapping[str, Any] | None) -> str:
    if row is None or row["draws"] is None:
        return NOT_RUN
    if row["draws"] == 1:
        difference = points_ends(row, "difference")
        return f"{percent(row['control_mean'])} ({difference})"
    ends = f"[{percent(row['control_lowest'])}, {percent(row['control_highest'])}]"
    return f"{percent(row['control_mean'])} {ends}, {p_value(row['p'])}"


def _reading(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return NOT_RUN
    return points_ends(row, "difference")


def _planned(study: PlannedStudy) -> bool:
    return bool(study.mechanism_files["erasure"])


ERASURE_TABLE = Table(
    name="erasure",
    section="erasure",
    schema=ERASURE,
    build=lambda results: results.erasure[0],
    display=lambda tables, _: erasure(tables.erasure, tables.erasers),
    planned=_planned,
)
CONTROLS_TABLE = Table(
    name="erasure_controls",
    section="controls",
    schema=ERASURE_CONTROLS,
    build=lambda results: results.erasure[1],
    display=lambda tables, confidence: erasure_controls(tables.erasure, tables.erasure_controls, confidence),
    planned=_planned,
)
