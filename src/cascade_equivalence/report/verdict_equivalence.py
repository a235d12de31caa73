"""Whether two systems are equivalent, in words: what the bounds of the study show, task by task."""

from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report import retest_table
from cascade_equivalence.report.prose import say

SENTENCES = "equivalence.txt"


def judged(equivalence: pl.DataFrame, system: str, reference: str, tasks: list[str]) -> str:
    """Say what is shown about a pair on clean speech.

    Args:
        equivalence: Tidy equivalence table.
        system: The system of the pair.
        reference: Its reference.
        tasks: Tasks to speak of: those on which both are above chance.

    Returns:
        A sentence, and one on how far the two agree with themselves where that is known; empty where the pair was not
        judged on any of them.
    """
    mine = equivalence.filter(pl.col("task").is_in(tasks), condition=CLEAN, system=system, reference=reference)
    if not mine.height:
        return ""
    parts = mine.group_by("verdict", maintain_order=True)
    tasks_of = {verdict: part["task"].to_list() for (verdict,), part in parts}
    facts = {"margin": mine["accuracy_margin"][0], "rules": _rules(mine), "tasks": tasks_of}
    told = say(SENTENCES, "judged", system=system, reference=reference, **facts)
    return " ".join(filter(None, (told, retest_table.sentence(mine))))


def _rules(mine: pl.DataFrame) -> list[tuple[dict[str, Any], list[str]]]:
    """What is asked of the answers of one pair, with the tasks of which it is asked."""
    # As in ``equivalence_verdicts``: by the ceiling where the gap to it is known.
    by_gap = pl.col("gap").is_not_null()
    of_ceiling = (pl.when(by_gap).then(name).alias(name) for name in ("ceiling", "ceiling_margin"))
    keys = [pl.when(~by_gap).then("kappa_bound").alias("kappa_bound"), *of_ceiling]
    return [(part.row(0, named=True), part["task"].to_list()) for _, part in mine.group_by(keys, maintain_order=True)]


def closing(equivalence: pl.DataFrame, speech_llms: list[str]) -> str:
    """What must not be read into the verdicts on speech LLMs."""
    theirs = equivalence.filter(
        pl.col("system").is_in(speech_llms) | pl.col("reference").is_in(speech_llms), condition=CLEAN
    )
    if theirs.filter(verdict="equivalent").height:
        return say(SENTENCES, "some_equivalent")
    return say(SENTENCES, "none_equivalent")
