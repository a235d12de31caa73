"""Whether sound and text lie apart in the states of a model, in findings."""

from collections.abc import Iterator

import polars as pl

from cascade_equivalence.report.finding import APART, Finding
from cascade_equivalence.report.mechanism_names import concept_title
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.prose import inside

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
