"""Is a speech LLM an expensive cascade (the paper's abstract) here? The sentences that say so."""

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.costs_table import seconds
from cascade_equivalence.report.naming import CASCADE, E2E, Outline
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.wording import listed

SENTENCES = "costs.txt"


def expense(costs: pl.DataFrame, agreement: pl.DataFrame, outline: Outline) -> list[str]:
    """Say of each speech LLM whether it is an expensive cascade: dearer than one with its LLM, and no better.

    Args:
        costs: Tidy costs table.
        agreement: Tidy agreement table: which cascade has the same LLM, and where accuracies differ.
        outline: What the systems are made of.

    Returns:
        A sentence or two for every speech LLM and cascade with its LLM that reads the transcript of an ASR, on clean
        speech; none where no pair is such.
    """
    same = pl.col("match").eq("exact") & pl.col("condition").eq(CLEAN)
    kinds = {(E2E, CASCADE): 1, (CASCADE, E2E): -1}
    told = []
    for (system, reference), part in agreement.filter(same).group_by("system", "reference", maintain_order=True):
        sign = kinds.get((part["system_kind"][0], part["reference_kind"][0]))
        if sign is None:
            continue
        speaker, cascade = (str(system), str(reference))[::sign]
        if outline.asr_kind(str(outline.parts(cascade)["asr"])) == "asr":
            gaps = part.select("task", "accuracies_differ", gap=sign * pl.col("accuracy_difference"))
            told.append(_expense(speaker, cascade, gaps, costs.filter(condition=CLEAN)))
    return told


def _expense(speaker: str, cascade: str, gaps: pl.DataFrame, costs: pl.DataFrame) -> str:
    """What a speech LLM costs and gains beside one cascade; ``gaps`` are its differences in accuracy, by task."""
    spent = []
    for name in (speaker, cascade):
        mine = costs.filter(pl.col("task").is_in(gaps["task"].to_list()), system=name)
        total, why = sum(mine["seconds"].drop_nulls()), list(dict.fromkeys(mine["reason"].drop_nulls()))
        if not why and not total:
            why = [say(SENTENCES, "unknown", name=name, timed=mine.height > 0)]
        if why:
            return say(SENTENCES, "untold", speaker=speaker, cascade=cascade, why=listed(why))
        spent.append(total / sum(mine["rows"]))
    differ = gaps.filter("accuracies_differ")
    better, worse = (differ.filter(side)["task"].to_list() for side in (pl.col("gap") > 0, pl.col("gap") < 0))
    facts = {"seconds": [seconds(each) for each in spent], "ratio": spent[0] / spent[1]}
    return say(SENTENCES, "told", speaker=speaker, cascade=cascade, better=better, worse=worse, **facts)
