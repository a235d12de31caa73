"""The study's outcome in words, computed from the tables."""

import polars as pl

from cascade_equivalence.conditions import NOISE_KINDS, families, parse_condition
from cascade_equivalence.config.study import PRIOR
from cascade_equivalence.report.display import decimal, points
from cascade_equivalence.report.naming import HEARING, Outline, level_title, task_title
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_equivalence import closing
from cascade_equivalence.report.verdict_speech import Standing, contrast_sentence, speech_llm
from cascade_equivalence.report.wording import counted, kappa_on, listed_tasks

LISTED = 4  # differences spelt out; the table has them all


def verdict(tables: Tables, outline: Outline) -> list[str]:
    """Say what the numbers mean.

    Args:
        tables: The tidy tables.
        outline: Names, and what the systems are made of.

    Returns:
        Paragraphs, in reading order: speech LLMs, comparisons of cascades, accuracy, noise.
    """
    standing = Standing.of(tables, outline)
    clean, speech_llms = standing.pairs, [name for name in outline.systems if name in outline.speech_llms]
    paragraphs = [paragraph for name in speech_llms for paragraph in speech_llm(name, standing)]
    if speech_llms:
        paragraphs.append(closing(tables.equivalence, speech_llms))
    apart = [*HEARING, PRIOR]
    cascades = clean.filter(~pl.col("system_kind").is_in(apart) & ~pl.col("reference_kind").is_in(apart))
    sentences = _cascades(cascades.filter(pl.col("kappa").is_not_null() & ~pl.col("guesses")))
    others = standing.contrasts.filter(~pl.col("system").is_in(speech_llms))
    for _, part in others.group_by("system", "first", "second", maintain_order=True):
        sentences.append(contrast_sentence(part, outline))
    guessing = clean.filter(pl.col("kappa").is_not_null() & pl.col("guesses"))
    if guessing.height:
        sentences.append(
            f"On {_by_task(guessing)} at least one system of a pair is not shown to be above chance, so its κ can "
            "show shared habits of guessing, not shared understanding (‡)."
        )
    undefined = clean.filter(pl.col("kappa").is_null())
    if undefined.height:
        tasks = listed_tasks(undefined["task"].unique(maintain_order=True).to_list())
        sentences.append(f"κ is undefined on {tasks} where {undefined['kappa_reason'][0]}.")
    paragraphs.append(" ".join(sentences))
    sentences = [_differences(clean)] if clean.height else []
    sentences += _tasks(tables.accuracy)
    if tables.noise.height:
        sentences.append(_noise(tables.noise))
    paragraphs.append(" ".join(sentences))
    if not speech_llms:
        paragraphs.append(
            "No speech LLM is among the systems, so these numbers say how alike cascades are; they neither support nor "
            "refute that a speech LLM behaves like one."
        )
    return [paragraph for paragraph in paragraphs if paragraph]


def _cascades(telling: pl.DataFrame) -> list[str]:
    tops = set(ceilings(telling).select("system", "reference").iter_rows())
    sentences = []
    for (system, reference, label), part in telling.group_by("system", "reference", "pair", maintain_order=True):
        if (system, reference) in tops:
            sentences.append(
                f"{system} and {reference} share their LLM and differ only in the transcript it reads: their agreement "
                f"on clean speech, {_kappa_range(part)}, is a ceiling: about the most to expect of a system "
                "with this LLM that hears no better than the weaker of the two."
            )
        else:
            sentences.append(f"{system} and {reference} ({label}) agree with {_kappa_range(part)}.")
    return sentences


def _kappa_range(part: pl.DataFrame) -> str:
    ordered = part.sort("kappa")
    lowest, highest = ordered.row(0, named=True), ordered.row(-1, named=True)
    if part.height == 1:
        return f"κ = {kappa_on(lowest)}"
    return f"κ from {kappa_on(lowest)} to {kappa_on(highest)}"


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
        compared = counted(clean.height, "comparison")
        return f"Of {compared} none shows a difference in accuracy, which does not prove equality."
    found = [
        f"{row['system']} against {row['reference']} on {task_title(row['task'])} "
        f"({points(row['accuracy_difference'])} points)"
        for row in differ.head(LISTED).iter_rows(named=True)
    ]
    most = ", the largest of them" if differ.height > LISTED else ""
    return (
        "After correction for the number of tests, which count a text as one, accuracies differ in "
        f"{differ.height} of {counted(clean.height, 'comparison')}{most}: {'; '.join(found)}."
    )


def _tasks(accuracy: pl.DataFrame) -> list[str]:
    best = accuracy.group_by("task", maintain_order=True).agg(pl.max("accuracy_low"), pl.first("majority"))
    weak = best.filter(pl.col("accuracy_low") <= pl.col("majority"))["task"].to_list()
    if not weak:
        return []
    return [f"On {listed_tasks(weak)} no system is clearly better than giving the commonest label every time."]


def _noise(noise: pl.DataFrame) -> str:
    return " ".join(_hardest(noise, kind, names[-1]) for kind, names in families(noise["condition"]).items())


def _hardest(noise: pl.DataFrame, kind: str, condition: str) -> str:
    """What the hardest condition of a kind does to accuracies."""
    hardest = noise.filter(condition=condition).sort("change")
    worst, best = hardest.row(0, named=True), hardest.row(-1, named=True)

    def shown(row: dict) -> str:
        return f"{points(row['change'])} points ({row['system']}, {task_title(row['task'])})"

    noise_kind = NOISE_KINDS[kind]
    where = (
        f"In {noise_kind.shown} {noise_kind.scale.link} {level_title(parse_condition(condition))} accuracy changes by"
    )
    return f"{where} {shown(worst)}." if hardest.height == 1 else f"{where} {shown(worst)} to {shown(best)}."
