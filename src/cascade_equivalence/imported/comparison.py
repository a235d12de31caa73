"""The comparison of two systems on a task: the numbers of the report's tables, from the same functions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.imported.joining import JoinedTask
from cascade_equivalence.imported.judged import JudgedAnswers
from cascade_equivalence.stats import agreement, overlap
from cascade_equivalence.stats.accuracy import accuracy, accuracy_difference, parse_rate
from cascade_equivalence.stats.answers import check_answers
from cascade_equivalence.stats.contrast import contrast
from cascade_equivalence.stats.equivalence import (
    accuracy_verdict,
    judge,
    kappa_verdict,
    overall_verdict,
    p_of_interval,
    tests,
)
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.stats.mcnemar import adjust
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

ESTIMATES = ("accuracy_a", "accuracy_b", "parsed_a", "parsed_b", "difference", "kappa", "same_answer", "overlap")
ONE_WAY_WRONG = "right and wrong alone do not tell one wrong answer from another"
NO_CEILING = "no third file gives the ceiling"


@dataclass
class TaskAgreement:
    """What is found of two systems on one task.

    Attributes:
        task: The task; empty where no file says.
        by: What was compared: ``answers`` or ``scores``.
        labels: The closed set that answers are from; empty where they are free.
        rows: Answers that were compared.
        groups: Groups of items, the independent units.
        estimates: Those in ``ESTIMATES``, and ``ceiling`` and ``gap``: kappa of A and C, and that of A and B minus it;
            each {value, low, high, reason}.
        tests: What ``stats.equivalence.tests`` gives, of A and B.
        both_wrong: Answers that both got wrong.
        same_wrong: Those of them that are one and the same wrong answer; None where scores alone were compared.
        overlap_chance: Overlap by chance, if each keeps its own favourite errors; None where there is none.
        p: P-values of the tests that verdicts rest on: ``difference``, ``kappa`` and ``gap``.
        adjusted: The same, corrected over the tasks.
        verdicts: ``accuracy``, ``answers`` and ``together``, see ``stats.equivalence``.
        wrong: Items that both got wrong: id, voice, text, label, a, b, same (null where scores alone were compared).
        remarks: What does not join, and how answers were read: a line each.
    """

    task: str
    by: str
    labels: tuple[str, ...]
    rows: int
    groups: int
    estimates: dict[str, dict[str, Any]]
    tests: dict[str, Any]
    both_wrong: int
    same_wrong: int | None
    overlap_chance: float | None
    p: dict[str, float | None]
    adjusted: dict[str, float | None]
    verdicts: dict[str, str]
    wrong: pl.DataFrame
    remarks: tuple[str, ...]


def compare_task(joined: JoinedTask, judged: JudgedAnswers, statistics: StatisticsConfig) -> TaskAgreement:
    """Compare two systems on one task; verdicts come from ``give_verdicts``, which needs all tasks.

    Args:
        joined: The systems' answers to the same items; a third system's are those of the first asked otherwise.
        judged: The same, read.
        statistics: Level of the intervals, and the bounds of equivalence.
    """
    labels, bounds = judged.labels, statistics.equivalence
    sides = [check_answers(table, labels, "the answers") for table in judged.tables]
    pair = join_pair(sides[0], sides[1])
    paired = Paired.of(pair, labels)
    clusters = paired.clusters
    one, other = paired.system_correct, paired.reference_correct
    found = estimate(
        {
            "accuracy_a": accuracy(clusters, one),
            "accuracy_b": accuracy(clusters, other),
            "parsed_a": parse_rate(clusters, paired.system != paired.invalid),
            "parsed_b": parse_rate(clusters, paired.reference != paired.invalid),
            "difference": accuracy_difference(clusters, one, other),
            "kappa": agreement.kappa(paired),
            "same_answer": agreement.observed_agreement(paired),
            "overlap": overlap.error_overlap(paired),
        },
        clusters.count,
        statistics.confidence,
    )
    estimates = {name: asdict(each) for name, each in found.items()}
    if judged.by == "scores":
        estimates["overlap"] = _none(ONE_WAY_WRONG)
    elif labels and overlap.uniform_chance(labels)[1]:
        estimates["overlap"] = _none(overlap.ONE_WRONG)
    estimates |= _against_ceiling(sides, labels, statistics)
    judgement = judge(
        paired,
        kappa=found["kappa"],
        difference=found["difference"],
        accuracy_margin=bounds.accuracy_margin,
        kappa_bound=bounds.kappa_bound,
        confidence=statistics.confidence,
    )
    wrong = overlap.both_wrong(paired)
    same = overlap.same_wrong(paired) if judged.by == "answers" else None
    return TaskAgreement(
        task=joined.task,
        by=judged.by,
        labels=labels,
        rows=pair.height,
        groups=clusters.count,
        estimates=estimates,
        tests=tests(paired, round(1 - statistics.confidence, 12)),
        both_wrong=int(wrong.sum()),
        same_wrong=None if same is None else int(same.sum()),
        overlap_chance=overlap.empirical_chance(paired)[0] if estimates["overlap"]["value"] is not None else None,
        p={
            "difference": judgement["accuracy"]["p_difference"],
            "kappa": _below(estimates["kappa"], bounds.kappa_bound, statistics.confidence),
            "gap": _below(estimates["gap"], -bounds.ceiling_margin, statistics.confidence),
        },
        adjusted={},
        verdicts={},
        wrong=_wrong(joined, pair, wrong, same),
        remarks=(*joined.apart, *judged.remarks),
    )


def give_verdicts(found: Sequence[TaskAgreement], statistics: StatisticsConfig) -> None:
    """Judge all tasks of a comparison, corrected for their number, as a study's report judges a pair.

    Args:
        found: The tasks; their ``adjusted`` and ``verdicts`` are filled in.
        statistics: Bounds of equivalence and false discovery rate.
    """
    bounds, fdr = statistics.equivalence, statistics.fdr
    for name in ("difference", "kappa", "gap"):
        for each, p in zip(found, adjust([each.p[name] for each in found]), strict=True):
            each.adjusted[name] = p
    for each in found:
        difference, gap, kappa = (each.estimates[name] for name in ("difference", "gap", "kappa"))
        ends = difference["low"], difference["high"]
        right = accuracy_verdict(*ends, bounds.accuracy_margin, each.adjusted["difference"], fdr)
        if gap["value"] is not None:
            answers = kappa_verdict(gap["low"], gap["high"], -bounds.ceiling_margin, each.adjusted["gap"], fdr)
        else:
            answers = kappa_verdict(kappa["low"], kappa["high"], bounds.kappa_bound, each.adjusted["kappa"], fdr)
        each.verdicts = {"accuracy": right, "answers": answers, "together": overall_verdict(right, answers)}


def _against_ceiling(
    sides: Sequence[pl.DataFrame], labels: Sequence[str], statistics: StatisticsConfig
) -> dict[str, dict[str, Any]]:
    """Kappa of the first with itself asked otherwise, and by how much that of the two differs from it."""
    if len(sides) <= 2:  # noqa: PLR2004 - two systems and no third
        return {"ceiling": _none(NO_CEILING), "gap": _none(NO_CEILING)}
    found = contrast(sides[0], sides[1], sides[2], labels, confidence=statistics.confidence)
    return {"ceiling": found["second"]["kappa"], "gap": found["kappa_difference"]}


def _none(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _below(found: dict[str, Any], bound: float, confidence: float) -> float | None:
    """P of a value below a bound; 1 where it is not below."""
    value = found["value"]
    p = p_of_interval(value, found["low"], found["high"], bound, confidence)
    return p if p is None or value is None or value < bound else 1.0


def _wrong(joined: JoinedTask, pair: pl.DataFrame, wrong: np.ndarray, same: np.ndarray | None) -> pl.DataFrame:
    """The items that both got wrong, with what each said, and whether that is the same where that is known."""
    said = [
        table.select("id", "voice", pl.coalesce("raw", "answer").alias(name))
        for name, table in zip("ab", joined.tables, strict=False)
    ]
    alike = pl.lit(None, pl.Boolean) if same is None else pl.Series(same)
    rows = pair.select("id", "voice").with_columns(same=alike).filter(pl.Series(wrong))
    text = joined.tables[0].select("id", "voice", "text", "label")
    for table in (text, *said):
        rows = rows.join(table, on=["id", "voice"], how="left", maintain_order="left")
    return rows.select("id", "voice", "text", "label", "a", "b", "same")
