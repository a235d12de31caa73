"""Whether the text that emerges suffices, and what erasers take away, as a reader sees it (paper's Table 6)."""

from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.report.display import (
    MARKS,
    MINUS,
    NOT_RUN,
    UNDEFINED,
    Display,
    decimal,
    ends,
    mark_legend,
    percent,
    span,
)
from cascade_equivalence.report.mechanism_names import concept_title
from cascade_equivalence.report.mechanism_schemas import ERASERS, SUFFICIENCY
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

ARMS = ("implicit", "explicit", "system")


def sufficiency(table: pl.DataFrame, confidence: float) -> Display:
    """Table 6 of the paper: one row a speech LLM, a cascade with its LLM and a task."""
    rows = []
    for row in table.iter_rows(named=True):
        either = {MARKS[row[f"{arm}_against_chance"]] for arm in ("system", "implicit")}
        rows.append(
            [
                row["system"],
                row["explicit"] or NOT_RUN,
                task_title(row["task"]),
                ends(row, "kappa_implicit") + "".join(sorted(either)),
                ends(row, "kappa_explicit"),
                ends(row, "kappa_difference", signed=True) + ("" if row["paired"] else " *"),
                *(
                    (percent(row[f"{arm}_accuracy"]) if row[arm] else NOT_RUN) + MARKS[row[f"{arm}_against_chance"]]
                    for arm in ARMS
                ),
            ]
        )
    reasons = dict.fromkeys(part for reason in table["reason"].drop_nulls() for part in reason.split("; "))
    marks = mark_legend(cell for row in rows for cell in row)
    apart = [row[5] for row in rows if row[5].endswith("*") and not row[5].startswith(UNDEFINED)]
    return Display(
        name="sufficiency",
        title="Does the text that emerges suffice?",
        columns=[
            "Speech LLM",
            "Explicit cascade",
            "Task",
            f"κ with implicit [{confidence:.0%}]",
            f"κ with explicit [{confidence:.0%}]",
            f"implicit {MINUS} explicit",
            "implicit %",
            "explicit %",
            "speech LLM %",
        ],
        rows=rows,
        remarks=[
            "The implicit cascade is the speech LLM's own text LLM reading what the logit lens shows of its last "
            "layer; the explicit one has the same LLM and reads the transcript of an ASR. κ is each one's agreement "
            "with the speech LLM, on the same clips; the last columns are accuracies.",
            "κ with the explicit cascade is the control: what agreement a real transcript gives.",
            *(
                [
                    "* No contrast of the two was asked for, so the difference is not paired: its interval is the "
                    "widest that the two intervals allow."
                ]
                if apart
                else []
            ),
            *(f"{UNDEFINED}: {reason}." for reason in reasons),
            *(f"{remark} At a κ: of the speech LLM or the implicit cascade." for remark in marks),
        ],
        text_columns=3,
    )


def erasers(table: pl.DataFrame) -> Display:
    """One row a model and concept, over its layers: what is taken away, what is left of the concept and of the text."""
    rows = []
    for (model, concept, control), part in table.group_by("model", "concept", "control", maintain_order=True):
        losses = part.with_columns(loss=pl.col("text_before") - pl.col("text_after")).drop_nulls("loss")
        rows.append(
            [
                str(model),
                concept_title(str(concept)) + (f": {concept_title(str(control)).lower()}" if control else ""),
                span(part["rank"], lambda rank: f"{rank:,}"),
                span(part["columns"], lambda count: f"{count:,}"),
                span(part["removed_variance"], percent),
                span(part["held_out_before"], decimal) if control is None else NOT_RUN,
                span(part["held_out_after"], decimal) if control is None else NOT_RUN,
                span(part["probe_after"], decimal),
                _largest_loss(losses),
            ]
        )
    shrunk = table["shrinkage"].drop_nulls()
    tolerances = table["tolerance"].drop_nulls().unique().sort().to_list()
    pooling = table["pooling"].drop_nulls().unique(maintain_order=True).to_list()
    reasons = table.filter(pl.col("reason").is_not_null()).unique(["concept", "reason"], maintain_order=True)
    return Display(
        name="erasers",
        title="What the erasers take away",
        columns=[
            "Model",
            "Concept",
            "Rank (d)",
            "Columns",
            "Variance removed %",
            "Concept, held-out R² before",
            "after",
            "after, on the rows fitted on",
            "Text: largest loss",
        ],
        rows=rows,
        remarks=[
            "From the lowest to the highest of the layers, which are in erasers.csv. Rank: directions taken away; "
            "columns: those of the concept, which the rank cannot exceed. Variance removed: share of the states' total "
            "variance; of controls, which have the concept's rank, the mean over draws.",
            "Concept, held out: R² of a ridge probe for the concept of mean states, on utterances that it was not "
            "fitted on; about 0, or less, is what shuffled labels have. On the rows fitted on: R² of a least-squares "
            "probe fitted anew on the erased states of the rows that the eraser was fitted on; 0 means that no linear "
            "map reads the concept there any more. Under a control it stays.",
            *_ctc_labels(table),
            f"Text: what the layer's CTC probe reads (1 {MINUS} CER) before and after, at the layer where it loses "
            "most. A loss under acoustic erasure means that acoustics and text share directions.",
            f"Fitted on {' and '.join(f'{name}s' for name in pooling) or 'states'}; covariance "
            f"{'shrunk' if shrunk.any() else 'not shrunk'}; singular values above "
            f"{' or '.join(f'{value:g}' for value in tolerances) or 'the tolerance'} count.",
            *(f"{concept_title(row['concept'])}: {row['reason']}." for row in reasons.iter_rows(named=True)),
        ],
        text_columns=2,
    )


def _largest_loss(losses: pl.DataFrame) -> str:
    if not losses.height:
        return UNDEFINED
    row = losses.sort("loss", "layer", descending=[True, False]).row(0, named=True)
    return (
        f"{decimal(0.0 - row['loss'], signed=True)} ({decimal(row['text_before'])} to {decimal(row['text_after'])}, "
        f"layer {row['layer']})"
    )


LABELS = {
    "first": "the first of them is the frame's label, one label a frame as in the paper",
    "union": "a frame is labelled with all characters that any of them reads",
    "each": "each of them has columns of its own, so that many more directions are erased than in the paper",
}


def _ctc_labels(table: pl.DataFrame) -> list[str]:
    """What frames are labelled with for CTC where a probe says several characters a frame."""
    several = table.filter(pl.col("outputs") > 1).select("model", "labels", "outputs").unique(maintain_order=True)
    return [
        f"CTC of {row['model']}: its probe puts out {row['outputs']} characters a frame; {LABELS[row['labels']]}."
        for row in several.iter_rows(named=True)
    ]


def _sufficiency(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.sufficiency_frame import sufficiency_table

    return sufficiency_table(results["accuracy"], results["agreement"], results["contrasts"], results.outline)


def _planned(study: PlannedStudy) -> bool:
    """Where a speech LLM can stand beside the cascade inside one."""
    known = study.config.definitions.systems
    return {"implicit", "e2e"} <= {known[name].kind for name in study.config.systems}


def _erasers(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.mechanism_frames import erasers_table

    return erasers_table(results.mechanism.erasers)


SUFFICIENCY_TABLE = Table(
    name="sufficiency",
    section="sufficiency",
    schema=SUFFICIENCY,
    build=_sufficiency,
    display=lambda tables, confidence: sufficiency(tables.sufficiency, confidence),
    planned=_planned,
)
ERASERS_TABLE = Table(
    name="erasers",
    section="erasure",
    schema=ERASERS,
    build=_erasers,
    display=lambda tables, _: erasers(tables.erasers),
    planned=lambda study: bool(study.mechanism_files["erasers"]),
)
