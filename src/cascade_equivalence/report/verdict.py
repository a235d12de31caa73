"""The study's outcome in words, computed from the tables; it never claims more than they hold."""

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.display import decimal, interval, points
from cascade_equivalence.report.naming import Outline, condition_title, task_title

LISTED = 4  # differences spelt out; the table has them all


def verdict(accuracy: pl.DataFrame, agreement: pl.DataFrame, noise: pl.DataFrame, outline: Outline) -> list[str]:
    """Say what the numbers mean.

    Args:
        accuracy: Tidy accuracy table.
        agreement: Tidy agreement table.
        noise: Tidy noise table.
        outline: Names, and what the systems are made of.

    Returns:
        Sentences, in reading order.
    """
    guesses = (pl.col("system_against_chance") != "above") | (pl.col("reference_against_chance") != "above")
    clean = agreement.filter(pl.col("condition") == CLEAN).with_columns(guesses=guesses.fill_null(False))
    defined = clean.filter(pl.col("kappa").is_not_null())
    telling, guessing = defined.filter(~pl.col("guesses")), defined.filter("guesses")
    sentences = _pairs(telling, outline)
    if guessing.height:
        sentences.append(
            f"On {_by_task(guessing)} at least one system of a pair is not above chance, so its κ can show shared "
            "habits of guessing, not shared understanding (‡)."
        )
    undefined = clean.filter(pl.col("kappa").is_null())
    if undefined.height:
        tasks = _listed(undefined["task"].unique(maintain_order=True).to_list())
        sentences.append(f"κ is undefined on {tasks} where {undefined['kappa_reason'][0]}.")
    if clean.height:
        sentences.append(_differences(clean))
    sentences += _tasks(accuracy)
    if noise.height:
        sentences.append(_noise(noise))
    if all(spec.kind == "cascade" for spec in outline.systems.values()):
        sentences.append(
            "No speech LLM is among the systems, so these numbers say how alike cascades are; they neither support nor "
            "refute that a speech LLM behaves like one."
        )
    return sentences


def _listed(tasks: list[str]) -> str:
    names = [task_title(task) for task in tasks]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _pairs(telling: pl.DataFrame, outline: Outline) -> list[str]:
    sentences = []
    for (system, reference, label), part in telling.group_by("system", "reference", "pair", maintain_order=True):
        if outline.same_llm(str(system), str(reference)):
            sentences.append(
                f"{system} and {reference} share their LLM and differ only in the ASR: their agreement on clean "
                f"speech, {_kappa_range(part)}, is a ceiling: the most to expect of any system that differs only "
                "in what it heard."
            )
        else:
            sentences.append(f"{system} and {reference} ({label}) agree with {_kappa_range(part)}.")
    return sentences


def _kappa_range(part: pl.DataFrame) -> str:
    def shown(row: dict) -> str:
        return f"{interval(row['kappa'], row['kappa_low'], row['kappa_high'])} on {task_title(row['task'])}"

    ordered = part.sort("kappa")
    lowest, highest = ordered.row(0, named=True), ordered.row(-1, named=True)
    return f"κ = {shown(lowest)}" if part.height == 1 else f"κ from {shown(lowest)} to {shown(highest)}"


def _by_task(part: pl.DataFrame) -> str:
    found = []
    for (task,), rows in part.group_by("task", maintain_order=True):
        kappas = rows["kappa"].sort()
        ends = list(dict.fromkeys((decimal(kappas[0]), decimal(kappas[-1]))))
        found.append(f"{task_title(str(task))} (κ {' to '.join(ends)})")
    return ", ".join(found)


def _differences(clean: pl.DataFrame) -> str:
    differ = clean.filter("accuracies_differ").sort(pl.col("accuracy_difference").abs(), descending=True)
    if not differ.height:
        return (
            f"None of the {clean.height} comparisons shows a difference in accuracy, which does not prove them equal."
        )
    found = [
        f"{row['system']} against {row['reference']} on {task_title(row['task'])} "
        f"({points(row['accuracy_difference'])} points)"
        for row in differ.head(LISTED).iter_rows(named=True)
    ]
    most = ", the largest of them" if differ.height > LISTED else ""
    return (
        f"After correction for the number of tests, accuracies differ in {differ.height} of {clean.height} "
        f"comparisons{most}: {'; '.join(found)}."
    )


def _tasks(accuracy: pl.DataFrame) -> list[str]:
    best = accuracy.group_by("task", maintain_order=True).agg(pl.max("accuracy_low"), pl.first("majority"))
    weak = best.filter(pl.col("accuracy_low") <= pl.col("majority"))["task"].to_list()
    if not weak:
        return []
    return [f"On {_listed(weak)} no system is clearly better than giving the commonest label every time."]


def _noise(noise: pl.DataFrame) -> str:
    hardest = noise.filter(pl.col("snr_db") == pl.col("snr_db").min()).sort("change")
    worst, best = hardest.row(0, named=True), hardest.row(-1, named=True)

    def shown(row: dict) -> str:
        return f"{points(row['change'])} points ({row['system']}, {task_title(row['task'])})"

    where = f"In babble at {condition_title(worst['condition'])} accuracy changes by"
    return f"{where} {shown(worst)}." if hardest.height == 1 else f"{where} {shown(worst)} to {shown(best)}."
