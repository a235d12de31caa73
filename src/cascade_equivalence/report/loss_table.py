"""What erasing costs in nats: the loss on the right label, as tidy columns and as a reader sees it."""

from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.mechanism import BASELINE, DRAWN
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, decimal, ends, p_value, percent, points_ends
from cascade_equivalence.report.mechanism_names import DRAW, HEARD, READ, concept_title
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

PLACE = ["model", "task", "arm", "positions", "concept"]
SCHEMA: Schema = {
    **dict.fromkeys((*PLACE, "variant"), pl.String),
    "fewest_directions": pl.Int64,
    "most_directions": pl.Int64,
    "removed_variance": pl.Float64,
    "unerased_loss": pl.Float64,
    **estimate_schema("loss_change"),
    **estimate_schema("accuracy_change"),
    **{
        f"{control}_{name}": kind
        for control in DRAWN
        for name, kind in (
            *((each, pl.Float64) for each in ("loss_change", "lowest", "highest", "p")),
            ("draws", pl.Int64),
        )
    },
    "reason": pl.String,
}
"""A condition of the erasure. ``loss_change``: negative log-likelihood of the right label's words minus that with
nothing erased, in nats, item by item. Of each drawn control its mean over draws, the ends, and ``p`` = (draws whose
change is at or below + 1) / (draws + 1): small where the concept costs less than directions drawn for it.
``removed_variance``: mean over layers."""
LEVEL, MOST = 0.05, 19
"""At which a p is read, and the draws that it takes to reach that."""
NO_DIRECTION = "there is nothing to erase at any layer"


def frame(erasure: pl.DataFrame, erasers: pl.DataFrame) -> pl.DataFrame:
    """One row a condition that is no draw, of tasks with labels.

    Args:
        erasure: The table ``erasure``.
        erasers: The table ``erasers``.
    """
    own = erasers.filter(pl.col("control").is_null())
    sizes = {
        key: (part["rank"].min(), part["rank"].max(), part["removed_variance"].mean())
        for key, part in own.group_by("model", "concept")
    }
    drawn = pl.col("variant").str.contains(DRAW)
    draws = erasure.filter(drawn).with_columns(control=pl.col("variant").str.extract(DRAW, 1))
    base = {
        (row["model"], row["task"], row["arm"]): row["loss"]
        for row in erasure.filter(concept=BASELINE).iter_rows(named=True)
    }
    rows = []
    for row in erasure.filter(~drawn & (pl.col("concept") != BASELINE)).iter_rows(named=True):
        if row["loss"] is None:
            continue
        fewest, most, removed = sizes.get((row["model"], row["concept"]), (None, None, None))
        found: dict[str, Any] = {name: row[name] for name in SCHEMA if name in row}
        found |= {"fewest_directions": fewest, "most_directions": most, "removed_variance": removed}
        found["unerased_loss"] = base.get((row["model"], row["task"], row["arm"]))
        for control in DRAWN:
            part = draws.filter(control=control, **{name: row[name] for name in PLACE})["loss_change"].drop_nulls()
            if part.len():
                as_low = int((part <= row["loss_change"]).sum())
                ends_of = {"loss_change": part.mean(), "lowest": part.min(), "highest": part.max()}
                counted = {"draws": part.len(), "p": (as_low + 1) / (part.len() + 1)}
                found |= {f"{control}_{name}": value for name, value in (ends_of | counted).items()}
        found["reason"] = NO_DIRECTION if most == 0 else row["reason"]
        rows.append(found)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a condition."""
    rows = [
        [
            row["model"],
            concept_title(row["concept"]),
            row["variant"],
            {"all": "everywhere", "audio": "at the sound"}.get(row["positions"], row["positions"]),
            {HEARD: "audio", READ: "text"}[row["arm"]],
            task_title(row["task"]),
            NOT_RUN if row["most_directions"] is None else f"{row['fewest_directions']} to {row['most_directions']}",
            UNDEFINED if row["removed_variance"] is None else percent(row["removed_variance"]),
            UNDEFINED if row["unerased_loss"] is None else decimal(row["unerased_loss"]),
            ends(row, "loss_change", signed=True),
            *(_control(row, control) for control in DRAWN),
            points_ends(row, "accuracy_change"),
        ]
        for row in table.iter_rows(named=True)
    ]
    heads = [f"{concept_title(control)}: loss, p" for control in DRAWN]
    return Display(
        name="erasure_loss",
        title="What erasing costs, in nats",
        columns=[
            "Model",
            "Erased",
            "Variant",
            "Where",
            "From",
            "Task",
            "Directions",
            "Variance %",
            "Loss",
            f"Change [{confidence:.0%}]",
            *heads,
            "Accuracy, points",
        ],
        rows=rows,
        remarks=[
            "Loss: negative log-likelihood of the right label's words, in nats, while directions are taken out of all "
            "watched layers; accuracy can stay where the loss moves. Change: against nothing erased, item by item; "
            "below 0 the model does better without.",
            "Found by variance: the fewest orthonormal directions that hold most (`variance_share`) of the variance "
            "between voices, or of what mean states are, heard, beyond what they are, read. The others are LEACE's.",
            "Random directions, as many, and random ones with as much variance: mean over draws with the lowest and "
            "highest; p = (draws whose change is at or below + 1) / (draws + 1), small where the concept's directions "
            "are needed less than others. Linear takes the concept's share of the mean away, affine keeps it.",
            *_floor(table),
            *dict.fromkeys(
                f"{row['model']}, {concept_title(row['concept'])}: {row['reason']}."
                for row in table.drop_nulls("reason").iter_rows(named=True)
            ),
        ],
        text_columns=6,
    )


def _floor(table: pl.DataFrame) -> list[str]:
    """That no p can be small where draws are few."""
    found = {row[f"{control}_draws"] for row in table.iter_rows(named=True) for control in DRAWN} - {None}
    few = sorted(count for count in found if 1 / (count + 1) > LEVEL)
    if not few:
        return []
    least = ", ".join(f"{p_value(1 / (count + 1))} of {count} draws" for count in few)
    return [
        f"No p here can be less than {least}: so few draws show nothing at a level of {LEVEL}, whatever is erased "
        f"(`variance_seeds`, `seeds`; {MOST} do)."
    ]


def _control(row: dict[str, Any], control: str) -> str:
    if row[f"{control}_draws"] is None:
        return NOT_RUN
    mean, low, high = (decimal(row[f"{control}_{name}"], signed=True) for name in ("loss_change", "lowest", "highest"))
    return f"{mean} [{low}, {high}], {p_value(row[f'{control}_p'])}"


def _build(results: "Results") -> pl.DataFrame:
    return frame(results["erasure"], results["erasers"])


TABLE = Table(
    name="erasure_loss",
    section="subspace",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.erasure_loss, confidence),
    planned=lambda study: bool(study.mechanism_files["erasure"]),
)
