"""The study's outcome in words, computed from the tables: what systems do, and what they cost."""

import polars as pl

from cascade_equivalence.conditions import CLEAN, NOISE_KINDS, families, parse_condition
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.study import PRIOR
from cascade_equivalence.report.costs_table import seconds
from cascade_equivalence.report.naming import CASCADE, E2E, HEARING, Outline, level_title
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_equivalence import closing
from cascade_equivalence.report.verdict_speech import Standing, contrast_sentence, speech_llm
from cascade_equivalence.report.wording import listed

SENTENCES = "cascades.txt"
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
        by_task = guessing.group_by("task", maintain_order=True).agg(pl.min("kappa"), highest=pl.max("kappa"))
        ends = {task: kappas for task, *kappas in by_task.iter_rows()}
        sentences.append(say(SENTENCES, "guessing", tasks=ends))
    undefined = clean.filter(pl.col("kappa").is_null())
    if undefined.height:
        tasks = undefined["task"].unique(maintain_order=True).to_list()
        sentences.append(say(SENTENCES, "undefined", tasks=tasks, reason=undefined["kappa_reason"][0]))
    paragraphs.append(" ".join(sentences))
    sentences = [_differences(clean)] if clean.height else []
    sentences += _tasks(tables.accuracy)
    if tables.noise.height:
        sentences.append(_noise(tables.noise))
    paragraphs.append(" ".join(sentences))
    # Of those that answered elsewhere nobody knows what they are.
    if not speech_llms and not any(isinstance(spec, ImportedSpec) for spec in outline.systems.values()):
        paragraphs.append(say(SENTENCES, "no_speech_llm"))
    return [paragraph for paragraph in paragraphs if paragraph]


def _cascades(telling: pl.DataFrame) -> list[str]:
    tops = set(ceilings(telling).select("system", "reference").iter_rows())
    sentences = []
    for (system, reference, label), part in telling.group_by("system", "reference", "pair", maintain_order=True):
        facts = {"label": label, "ceiling": (system, reference) in tops, "rows": part.sort("kappa").rows(named=True)}
        sentences.append(say(SENTENCES, "agreement", system=system, reference=reference, **facts))
    return sentences


def _differences(clean: pl.DataFrame) -> str:
    differ = clean.filter("accuracies_differ").sort(pl.col("accuracy_difference").abs(), descending=True)
    return say(SENTENCES, "differences", compared=clean.height, differ=differ.rows(named=True), listed=LISTED)


def _tasks(accuracy: pl.DataFrame) -> list[str]:
    best = accuracy.group_by("task", maintain_order=True).agg(pl.max("accuracy_low"), pl.first("majority"))
    weak = best.filter(pl.col("accuracy_low") <= pl.col("majority"))["task"].to_list()
    return [say(SENTENCES, "commonest_label", tasks=weak)] if weak else []


def _noise(noise: pl.DataFrame) -> str:
    return " ".join(_hardest(noise, kind, names[-1]) for kind, names in families(noise["condition"]).items())


def _hardest(noise: pl.DataFrame, kind: str, condition: str) -> str:
    """What the hardest condition of a kind does to accuracies."""
    rows = noise.filter(condition=condition).sort("change").rows(named=True)
    noise_kind, level = NOISE_KINDS[kind], level_title(parse_condition(condition))
    ends = rows if len(rows) == 1 else [rows[0], rows[-1]]
    return say(SENTENCES, "noise", shown=noise_kind.shown, link=noise_kind.scale.link, level=level, rows=ends)


COSTS = "costs.txt"


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
            why = [say(COSTS, "unknown", name=name, timed=mine.height > 0)]
        if why:
            return say(COSTS, "untold", speaker=speaker, cascade=cascade, why=listed(why))
        spent.append(total / sum(mine["rows"]))
    differ = gaps.filter("accuracies_differ")
    better, worse = (differ.filter(side)["task"].to_list() for side in (pl.col("gap") > 0, pl.col("gap") < 0))
    facts = {"seconds": [seconds(each) for each in spent], "ratio": spent[0] / spent[1]}
    return say(COSTS, "told", speaker=speaker, cascade=cascade, better=better, worse=worse, **facts)
