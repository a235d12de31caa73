"""The dial: what the study's measures say of one adapter at several scales, numbers of other tables side by side.

The tidy table, and as a reader sees it. Whether the numbers move with the scale is in ``dial_trends``.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.dial import Dial, Setting, dials
from cascade_equivalence.config.mechanism import AFFINE, DRAWN, LINEAR
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import (
    UNDEFINED,
    Display,
    decimal,
    interval,
    percent,
    points,
    points_interval,
)
from cascade_equivalence.report.erasure_tables import shown_positions
from cascade_equivalence.report.mechanism_names import HEARD, PROBE_TITLES, concept_title, concepts_of
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

SECTION = "dial"
KAPPA, ACCURACY, OWN_ACCURACY, PROBE, FALL, SURPLUS = "kappa", "accuracy", "own_accuracy", "probe", "erasure", "surplus"
SAME_WORDS, APART = "attributions", "apart"
PITCH = "pitch"
MOVING = {KAPPA: "κ with its own cascade", ACCURACY: "Accuracy"}
"""What has a trend, and what it is called."""
TITLES = {
    KAPPA: MOVING[KAPPA],
    ACCURACY: "Accuracy %",
    OWN_ACCURACY: "Accuracy % of the own cascade",
    SURPLUS: "Acoustic surplus, bits",
    SAME_WORDS: "The same words count, heard and read (Spearman)",
    APART: "Two items' labels apart as heard, nats",
}
CURVE: Schema = {
    "adapter": pl.String,
    "base": pl.String,
    "asr": pl.String,
    "scale": pl.Float64,
    "model": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "measure": pl.String,
    "of": pl.String,
    "task": pl.String,
    "condition": pl.String,
    "layer": pl.Int64,
    **estimate_schema("value"),
    "beside": pl.Float64,
    "reason": pl.String,
}
"""Adapter (named by the model with the most of it) x scale x measure x task or layer, clean speech. ``kappa``: the
system with its own-weights cascade; ``accuracy`` of the system and ``own_accuracy`` of that cascade, ``beside``
them chance; ``probe``: R2 of what it is ``of``, within voices, beside it that of shuffled targets; ``erasure``: change
of accuracy without a concept, beside it the mean change without as many drawn directions; ``surplus``: bits that the
sound tells beyond the transcript (``asr`` is whose), of the task alone; ``attributions``: how far heard and read
answers rest on the same words, beside it words of other texts; ``apart``: nats between two items of different labels as
they are heard, beside them as they are read."""


def curve(results: "Results") -> pl.DataFrame:
    """The numbers of all dials, read off other tables; columns ``CURVE``."""
    rows = [
        named(dial) | {"scale": setting.scale, "model": setting.model, "system": setting.system} | row
        for dial in results.outline.dials
        for setting in dial.settings
        for row in _of_setting(setting, results)
    ]
    surplus = results["surplus"]
    rows += [
        named(dial)
        | {"asr": row["transcript"], "measure": SURPLUS, "task": row["task"], "reason": row["reason"]}
        | _value(row, "surplus")
        for dial in results.outline.dials
        for row in surplus.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=CURVE, orient="row")


def named(dial: Dial) -> dict[str, Any]:
    """The columns that say which dial it is."""
    return {"adapter": dial.most.model, "base": dial.base, "asr": dial.asr, "condition": CLEAN}


def _value(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {f"value{end}": row[f"{name}{end}"] for end in ("", "_low", "_high")}


def _of_setting(setting: Setting, results: "Results") -> Iterator[dict[str, Any]]:
    pair = [setting.system, setting.reference]
    found = results["agreement"].filter(pl.col("system").is_in(pair), pl.col("reference").is_in(pair), condition=CLEAN)
    for row in found.unique("task", keep="first", maintain_order=True).iter_rows(named=True):
        about = {"measure": KAPPA, "task": row["task"], "reference": setting.reference}
        yield about | _value(row, "kappa") | {"reason": row["kappa_reason"]}
    for measure, system in ((ACCURACY, setting.system), (OWN_ACCURACY, setting.reference)):
        for row in results["accuracy"].filter(system=system, condition=CLEAN).iter_rows(named=True):
            about = {"measure": measure, "task": row["task"], "reference": setting.reference}
            yield about | _value(row, "accuracy") | {"beside": row["chance"], "reason": row["reason"]}
    probes = results["probes"].filter(~pl.col("untrained"), model=setting.model, probe=PITCH)
    for row in probes.iter_rows(named=True):
        about = {"measure": PROBE, "of": PITCH, "layer": row["layer"]}
        yield about | _value(row, "value") | {"beside": row["shuffled"], "reason": row["reason"]}
    yield from erased(setting.model, *results.erasure)
    for row in results["attributions"].filter(model=setting.model).iter_rows(named=True):
        about = {"measure": SAME_WORDS, "task": row["task"], "beside": row["places"]}
        yield about | _value(row, "agreement") | {"reason": row["reason"]}
    # Behind the speech the two runs are the same, whatever is exchanged; at words one of them reads another text.
    patched = results["patching"].filter(pl.col("positions").is_in(["behind", "last"]), model=setting.model)
    for row in patched.unique("task", keep="first", maintain_order=True).iter_rows(named=True):
        yield {"measure": APART, "task": row["task"], "beside": row["read_apart"]} | _value(row, "heard_apart")


def erased(model: str, erasure: pl.DataFrame, controls: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The fall of accuracy from audio without each concept of the sound, beside that without drawn directions."""
    mine = erasure.filter(model=model, arm=HEARD)
    if not mine.height:
        return
    variant = LINEAR if LINEAR in mine["variant"] else AFFINE
    mine = mine.filter(pl.col("concept").is_in(concepts_of("sound")), variant=variant, positions=shown_positions(mine))
    drawn = controls.filter(
        pl.col("control").is_in(DRAWN),
        pl.col("other_model").is_null(),
        model=model,
        arm=HEARD,
        variant=variant,
        measure=ACCURACY,
    )
    for row in mine.iter_rows(named=True):
        beside = drawn.filter(task=row["task"], concept=row["concept"], positions=row["positions"])
        # Of several controls the one that takes most away: it is the one that has to be passed.
        lowest = beside["control_mean"].min()
        before = None if row["accuracy_change"] is None else row["accuracy"] - row["accuracy_change"]
        control = None if lowest is None or before is None else float(lowest) - before  # type: ignore[arg-type]
        about = {"measure": FALL, "of": row["concept"], "task": row["task"], "beside": control}
        yield about | _value(row, "accuracy_change") | {"reason": row["reason"]}


def display_curve(table: pl.DataFrame, confidence: float) -> Display:
    """One row an adapter, measure and task or layer; one column a scale."""
    scales = table["scale"].drop_nulls().unique().sort().to_list()
    rows = []
    for key, part in table.group_by("adapter", "measure", "of", "task", "layer", maintain_order=True):
        adapter, measure, of, task, layer = key
        found = {row["scale"]: row for row in part.iter_rows(named=True)}
        everywhere = found.get(None)
        rows.append(
            [
                str(adapter),
                _title(str(measure), of),
                task_title(str(task)) if task else f"layer {layer}",
                *(_cell(row) if (row := found.get(scale, everywhere)) else "" for scale in scales),
            ]
        )
    return Display(
        name="dial",
        title="The dial: one adapter at several scales",
        columns=["Adapter", "Measure", "Of", *(f"{scale:g} [{confidence:.0%}]" for scale in scales)],
        rows=rows,
        remarks=[
            "Scale: how much of the adapter's change is made; 0 leaves its base as it was. Own cascade: a recogniser's "
            "transcript typed into the speech LLM's own text LLM, at the same scale. If the study's measures measure "
            "what they are meant to, agreement with it falls and accuracy rises with the scale where the words do not "
            "suffice.",
            "In round brackets: of accuracies, chance; of a probe, shuffled targets; of an erasure, the mean over as "
            "many drawn directions; of words that count, those of other texts at the same places; of two labels apart, "
            "as they are read. The surplus is one of the task, whatever the scale.",
        ],
        text_columns=3,
    )


def _title(measure: str, of: object) -> str:
    if measure == PROBE:
        return f"{PROBE_TITLES[str(of)]} within voices, R²"
    if measure == FALL:
        return f"Change without {concept_title(str(of)).lower()}, points"
    return TITLES[measure]


def _cell(row: Mapping[str, Any]) -> str:
    value, low, high, control = (row[name] for name in ("value", "value_low", "value_high", "beside"))
    if value is None:
        return UNDEFINED
    if row["measure"] in (ACCURACY, OWN_ACCURACY):
        limits = "" if low is None else f" [{percent(low)}, {percent(high)}]"
        text, other = f"{percent(value)}{limits}", percent(control)
    elif row["measure"] == FALL:
        text, other = points_interval(value, low, high), points(control)
    else:
        text, other = interval(value, low, high), decimal(control)
    return text if control is None else f"{text} ({other})"


def planned(study: PlannedStudy) -> bool:
    """Whether a study turns a dial."""
    return bool(dials(study.config))


TABLE = Table(
    name="dial",
    section=SECTION,
    schema=CURVE,
    build=curve,
    display=lambda tables, confidence: display_curve(tables.dial, confidence),
    planned=planned,
)
