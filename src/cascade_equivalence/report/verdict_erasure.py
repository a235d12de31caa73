"""What erasure says of the paper's claims, in findings."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from cascade_equivalence.config.mechanism import AFFINE, BASELINE, LINEAR
from cascade_equivalence.report.finding import (
    APART,
    BAG_BREAKS_MORE,
    BAG_DIFFERS,
    HEARING,
    NECESSARY,
    NOT_MEAN,
    SPARED,
    Claim,
    Finding,
)
from cascade_equivalence.report.mechanism_names import (
    BAG,
    HEARD,
    ORDERED,
    READ,
    concept_title,
    concepts_of,
)
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.prose import inside
from cascade_equivalence.report.verdict_claims import Judged, Sides, either, every
from cascade_equivalence.report.verdict_fall import (
    MARGIN,
    Erasures,
    Row,
    beyond,
    control_name,
    falls,
)
from cascade_equivalence.stats.erasure import ACCURACY, FORCED


def necessary(found: Erasures) -> Iterator[Finding]:
    """Do answers fall when a concept of the text is erased, further than under the controls?

    A fall must show in the forced choice, too, where there is one: otherwise it is the writing of answers that breaks.
    """
    for task, concept, row in _conditions(found, concepts_of("text")):
        outcome, why, holds, fails = found.fall(task, concept, found.variant)
        if row["forced_accuracy_change"] is not None:
            forced = found.fall(task, concept, found.variant, FORCED)
            holds, fails = every(holds, forced.holds), either(fails, every(holds, forced.fails))
            if (outcome, forced.outcome) == (HOLDS, FAILS):
                outcome, why = FAILS, inside("writing_breaks")
            elif (outcome, forced.outcome) == (HOLDS, UNTOLD):
                outcome, why = UNTOLD, inside("in_forced_choice", why=forced.why)
        if outcome == HOLDS and falls(found.row(task, concept, found.variant, READ)):
            why = inside("reading_too")
        judged = Judged(outcome, why, either(holds, fails))
        yield _finding(found, NECESSARY, concept, task, judged, _levels(found, task, concept, row))


def hearing(found: Erasures) -> Iterator[Finding]:
    """Does the same eraser leave the model able to answer from the true text?"""
    for task, concept, row in _conditions(found, concepts_of("text")):
        read = found.row(task, concept, found.variant, READ)
        if read is None:
            continue
        apart = found.controls.get((task, HEARD, concept, found.variant, READ, ACCURACY))
        numbers = inside("hearing", row=row, read=read, apart=apart)
        yield _finding(found, HEARING, concept, task, _hearing(found, task, row, read, apart), numbers)


def _hearing(found: Erasures, task: str, row: Row, read: Row, apart: Row | None) -> Judged:
    if reason := found.nothing_to_lose(task) or found.nothing_to_lose(task, READ):
        return Judged(UNTOLD, reason)
    heard, spoken = found.change(row), found.change(read)
    further = None if apart is None else Sides.of(apart, "difference", found.confidence)
    beyond_reading = either(heard.below(-MARGIN), None if further is None else further.below(0))
    p = either(every(heard.below(0), spoken.above(-MARGIN), beyond_reading), every(heard.below(0), spoken.below(0)))
    if not falls(row):
        return Judged(UNTOLD, inside("no_fall_in_hearing"), p)
    less = further is not None and further.high is not None and further.high < 0
    if spoken.low is not None and spoken.low > -MARGIN:
        if less or (heard.high is not None and heard.high < -MARGIN):
            return Judged(HOLDS, inside("reading_stays", margin=MARGIN), p)
        return Judged(UNTOLD, inside("hearing_no_further"), p)
    if not falls(read):
        return Judged(UNTOLD, inside("open_reading"), p)
    return Judged(FAILS, inside("reading_falls", less=less), p)


def bag_breaks_more(found: Erasures) -> Iterator[Finding]:
    """Does erasing BoC break more than erasing CTC (the paper's section 5.4)?"""
    for task, concept, _ in _conditions(found, (ORDERED,)):
        row = found.controls.get((task, HEARD, concept, found.variant, BAG, ACCURACY))
        if row is None:
            continue
        judged = _bag_breaks_more(found, task, row)
        finding = _finding(found, BAG_BREAKS_MORE, concept, task, judged, inside("bag", row=row))
        yield replace(finding, subject=inside("bags"))


def _bag_breaks_more(found: Erasures, task: str, row: Row) -> Judged:
    apart = Sides.of(row, "difference", found.confidence)
    if apart.low is None or apart.high is None:
        return Judged(UNTOLD, inside("no_interval", reason=row["reason"]))
    if reason := found.nothing_to_lose(task):
        return Judged(UNTOLD, reason)
    p = either(apart.above(0), apart.below(0))
    if apart.low > 0:
        return Judged(HOLDS, "", p)
    if apart.high < 0:
        return Judged(FAILS, inside("ctc_breaks_more"), p)
    return Judged(UNTOLD, inside("bags_alike"), p)


def bag_differs(found: Erasures) -> Iterator[Finding]:
    """Is what BoC breaks beyond CTC another in other models: does how they hold the text differ (section 5.4)?"""
    for task, concept, _ in _conditions(found, (ORDERED,)):
        place = {"task": task, "arm": HEARD, "concept": concept, "variant": found.variant, "measure": ACCURACY}
        for row in found.beside_models:
            if all(row[name] == at for name, at in place.items()):
                judged, numbers = _bag_differs(found, task, row), inside("bag_beside", row=row)
                finding = _finding(found, BAG_DIFFERS, concept, task, judged, numbers)
                yield replace(finding, subject=inside("bags_beside", other=row["other_model"]))


def _bag_differs(found: Erasures, task: str, row: Row) -> Judged:
    apart = Sides.of(row, "difference", found.confidence)
    if apart.low is None or apart.high is None:
        return Judged(UNTOLD, inside("no_interval", reason=row["reason"]))
    if reason := found.nothing_to_lose(task) or found.nothing_to_lose(task, other_model=row["other_model"]):
        return Judged(UNTOLD, reason)
    p = either(apart.above(0), apart.below(0))
    if apart.low > 0 or apart.high < 0:
        return Judged(HOLDS, "", p)
    return Judged(UNTOLD, inside("models_alike"), p)


def not_only_mean(found: Erasures) -> Iterator[Finding]:
    """Do answers fall when the eraser keeps the mean, too?"""
    for task, concept, row in _conditions(found, concepts_of("text"), LINEAR):
        affine = found.row(task, concept, AFFINE)
        if affine is None:
            continue
        kept, linear = found.fall(task, concept, AFFINE), found.change(row).below(0)
        p = either(every(linear, kept.holds), every(linear, kept.fails))
        judged = Judged(kept.outcome, kept.why and inside("mean_kept", why=kept.why), p)
        if not falls(row):
            judged = Judged(UNTOLD, inside("nothing_to_explain"), p)
        yield _finding(found, NOT_MEAN, concept, task, judged, inside("mean", linear=row, affine=affine))


def spared(found: Erasures) -> Iterator[Finding]:
    """Do answers stay when a concept of the sound is erased?"""
    for task, concept, row in _conditions(found, concepts_of("sound")):
        judged = _spared(found, task, concept, row)
        yield _finding(found, SPARED, concept, task, judged, _levels(found, task, concept, row))


def _spared(found: Erasures, task: str, concept: str, row: Row) -> Judged:
    outcome, why, holds, fails = found.fall(task, concept, found.variant)
    p = either(holds, fails)
    if outcome == FAILS:
        return Judged(HOLDS, why, p)
    if outcome == HOLDS:
        return Judged(FAILS, inside("falls_further"), p)
    # Controls excuse a fall, but their absence does not.
    if (
        falls(row)
        and not found.nothing_to_lose(task)
        and all(beyond(control) for control in found.beside(task, concept, found.variant))
    ):
        return Judged(FAILS, inside("falls"), p)
    return Judged(UNTOLD, why, p)


def _conditions(
    found: Erasures, concepts: tuple[str, ...], variant: str | None = None
) -> Iterator[tuple[str, str, Row]]:
    for concept in concepts:
        for task in found.tasks:
            if (row := found.row(task, concept, variant or found.variant)) is not None:
                yield task, concept, row


def _finding(found: Erasures, claim: Claim, concept: str, task: str, judged: Judged, numbers: str) -> Finding:
    outcome, why, p = judged
    return Finding(found.model, claim, concept_title(concept), task_title(task), outcome, numbers, why, p=p)


def _levels(found: Erasures, task: str, concept: str, row: Row) -> str:
    """Accuracy, parse rate and forced choice after and before, beside the controls' accuracy."""
    controls = [(control_name(each["control"]), each) for each in found.beside(task, concept, found.variant)]
    return inside("levels", base=found.rows[task, HEARD, BASELINE, BASELINE], row=row, controls=controls)


TEXT_MARGIN = 0.03
"""Loss of decodability that still counts as none: the paper's figure for Ultravox (its section 5.4)."""


def apart(erasers: pl.DataFrame, probes: pl.DataFrame, model: str, concept: str) -> Iterator[Finding]:
    """Does the text stay readable when a concept of the sound is erased, at the layers where it is?

    Args:
        erasers: Tidy erasers table.
        probes: Tidy probes table, for what CTC reads from nothing.
        model: The model.
        concept: The concept.
    """
    mine = erasers.filter(pl.col("control").is_null(), model=model, concept=concept)
    if not mine.height:
        return
    nothing = pl.max_horizontal(pl.lit(0.0), "shuffled_highest", "prior")
    ctc = probes.filter(~pl.col("untrained"), model=model, probe="ctc").select("layer", nothing.alias("nothing"))
    loss = pl.col("text_before") - pl.col("text_after")
    told = (
        mine.join(ctc, on="layer", how="left")
        .with_columns(loss=loss)
        .filter(pl.col("loss").is_not_null() & (pl.col("text_before") > pl.col("nothing").fill_null(0.0)))
        .sort("loss", "layer", descending=[True, False])
    )
    subject = concept_title(concept)
    if not told.height:
        yield Finding(model, APART, subject, "", UNTOLD, inside("no_text_to_lose"), inside("nothing_read"))
        return
    worst = told.row(0, named=True)
    lost = max(0.0, worst["loss"])
    numbers = inside("text_lost", worst=worst, loss=lost, layers=told.height)
    holds = worst["loss"] <= TEXT_MARGIN
    why = inside("without_interval", margin=TEXT_MARGIN) if holds else inside("shared")
    brief = inside("loss_brief", loss=lost)
    yield Finding(model, APART, subject, "", HOLDS if holds else FAILS, numbers, why, brief)
