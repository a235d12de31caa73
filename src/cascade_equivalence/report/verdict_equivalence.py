"""Whether two systems are equivalent, in words: what the bounds of the study show, task by task."""

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report import retest_table
from cascade_equivalence.report.wording import listed_tasks

SHOWN = {
    "equivalent": "are shown to be equivalent on {}",
    "accuracy only": "are shown to be equally good, but with other answers, on {}",
    "different": "are shown to differ on {}",
    "ceiling": "are a ceiling, not shown to be equivalent, on {}",
    "inconclusive": "are shown neither to be equivalent nor to differ on {}",
    "undefined": "cannot be judged on {}",
}
"""What is said of the tasks with each verdict, the plainest first."""


GUESSING = "guessing"
PLACE = ["system", "reference", "task"]


def grid(equivalence: pl.DataFrame, agreement: pl.DataFrame) -> pl.DataFrame:
    """Verdicts of every pair and task on clean speech, for a grid; of systems not shown to be above chance none.

    Args:
        equivalence: Tidy equivalence table.
        agreement: Tidy agreement table.

    Returns:
        ``system``, ``reference``, ``match``, ``task``, ``verdict`` and kappa with its interval. Where one of the two is
        not shown to be above chance the verdict is ``guessing``.
    """
    verdicts = equivalence.filter(condition=CLEAN).select(*PLACE, "match", "verdict")
    guesses = pl.any_horizontal(
        pl.col(f"{side}_against_chance").is_in(["at", "below", "unknown"]).fill_null(False)
        for side in ("system", "reference")
    )
    kappas = agreement.filter(condition=CLEAN).select(
        *PLACE, "kappa", "kappa_low", "kappa_high", guesses.alias(GUESSING)
    )
    joined = verdicts.join(kappas, on=PLACE, how="left", maintain_order="left", validate="1:1")
    told = pl.when(pl.col(GUESSING) & (pl.col("verdict") != "undefined")).then(pl.lit(GUESSING)).otherwise("verdict")
    return joined.with_columns(verdict=told).drop(GUESSING)


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
    by_verdict = {verdict: mine.filter(verdict=verdict)["task"].to_list() for verdict in SHOWN}
    clauses = [
        words.format(listed_tasks(by_verdict[verdict])) for verdict, words in SHOWN.items() if by_verdict[verdict]
    ]
    margin = mine["accuracy_margin"][0]
    answers = _answers(mine)
    told = (
        f"By the bounds set before it ran (accuracies within ±{100 * margin:g} points and {answers}), {system} and "
        f"{reference} {'; they '.join(clauses)}."
    )
    return " ".join(filter(None, (told, retest_table.sentence(mine))))


def _answers(mine: pl.DataFrame) -> str:
    """What is asked of the answers of one pair; task by task, where it is not one thing for all."""
    rules: dict[str, list[str]] = {}
    for task, gap, ceiling, margin, bound in mine.select(
        "task", "gap", "ceiling", "ceiling_margin", "kappa_bound"
    ).iter_rows():
        # As in ``equivalence_verdicts``: by the ceiling where the gap to it is known.
        rule = f"κ above {bound:g}" if gap is None else f"κ at most {margin:g} below that of {ceiling}"
        rules.setdefault(rule, []).append(task)
    if len(rules) == 1:
        return next(iter(rules))
    return " and ".join(f"{rule} on {listed_tasks(tasks)}" for rule, tasks in rules.items())


def closing(equivalence: pl.DataFrame, speech_llms: list[str]) -> str:
    """What must not be read into the verdicts on speech LLMs."""
    theirs = equivalence.filter(
        pl.col("system").is_in(speech_llms) | pl.col("reference").is_in(speech_llms), condition=CLEAN
    )
    if theirs.filter(verdict="equivalent").height:
        return (
            "Equivalent means within those bounds, on these items and voices; answers that are alike do not show that "
            "they come about alike."
        )
    return (
        "None of this shows that a speech LLM and a cascade are equivalent: a difference that is not shown may be "
        "there, and answers that are alike do not show that they come about alike."
    )
