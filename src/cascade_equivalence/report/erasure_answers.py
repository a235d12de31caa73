"""A model's answers to a task while concepts are erased, from the nodes' files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cascade_equivalence.config.mechanism import AFFINE, BASELINE, DRAWN, LINEAR
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.mechanism_names import (
    ALL,
    BAG,
    DRAW,
    HEARD,
    ORDERED,
    READ,
    ranks,
)
from cascade_equivalence.stats import erasure as stats
from cascade_equivalence.stats.answers import KEY
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.statistic import Statistic

VARIANTS = (LINEAR, AFFINE, *DRAWN)
ARMS = (HEARD, READ)


class ErasureCondition(NamedTuple):
    """What is erased, how, where, and what the model answers from."""

    arm: str
    positions: str
    concept: str
    variant: str

    @property
    def is_draw(self) -> bool:
        """Whether it is one draw of a control."""
        return re.match(DRAW, self.variant) is not None

    @property
    def pooled(self) -> "ErasureCondition":
        """The condition that all draws of a control share; itself where it is none."""
        return self._replace(variant=re.sub(DRAW, r"\1", self.variant))


@dataclass(frozen=True, eq=False)
class Asked:
    """A model's answers to one task under all conditions.

    Attributes:
        model: The model.
        task: The task.
        labels: Its closed label set.
        clusters: The group of each item.
        gold: The right label of each item.
        items: Id and voice of each item.
        baselines: Answers with nothing erased, by arm.
        erased: Answers by condition.
    """

    model: str
    task: str
    labels: Sequence[str]
    clusters: Clusters
    gold: pl.Series
    items: Sequence[tuple[str, ...]]
    baselines: Mapping[str, stats.ErasedAnswers]
    erased: Mapping[ErasureCondition, stats.ErasedAnswers]

    def order_against_bag(self, condition: ErasureCondition, measure: str) -> Statistic | None:
        """A measure with CTC erased minus that with BoC erased, item by item; None where there is no such pair."""
        bag = self.erased.get(condition._replace(concept=BAG))
        if condition.concept != ORDERED or condition.is_draw or bag is None:
            return None
        return stats.change(self.clusters, self.erased[condition], bag, measure)

    def draws(self, condition: ErasureCondition, control: str) -> list[stats.ErasedAnswers]:
        """Draws of a concept's control where a condition is; of one that is a concept itself the same variant."""
        if control not in DRAWN:
            twin = self.erased.get(condition._replace(concept=control))
            return [twin] if twin is not None and CONCEPTS[control].control_of == condition.concept else []
        place = condition._replace(variant=control)
        return [answers for other, answers in self.erased.items() if other.is_draw and other.pooled == place]


def read_erased(model: str, task: str, parts: Mapping[str, Path], labels: Sequence[str]) -> Asked:
    """Read a model's answers to a task.

    Args:
        model: The model.
        task: The task.
        parts: Files by concept; ``none`` is the baseline.
        labels: The closed label set; empty for open answers.

    Raises:
        StudyError: The baseline is missing, or a condition holds other items than it.
    """
    if BASELINE not in parts:
        raise StudyError(f"{model} on {task} was run with concepts erased but not with nothing erased: run that, too")
    tables = {concept: pl.read_parquet(path) for concept, path in parts.items()}
    bases = {str(arm): part for (arm,), part in tables[BASELINE].group_by("arm", maintain_order=True)}
    texts = {arm: f"the answers of {model} to {task} ({arm})" for arm in bases}
    baselines = {
        arm: stats.align(part, part, labels, f"{texts[arm]} with nothing erased") for arm, part in bases.items()
    }
    if READ in bases and HEARD in bases:
        stats.align(bases[READ], bases[HEARD], labels, texts[READ])
    erased: dict[ErasureCondition, stats.ErasedAnswers] = {}
    for concept, table in tables.items():
        if concept == BASELINE:
            continue
        for names, part in table.group_by("arm", "positions", "variant", maintain_order=True):
            arm, positions, variant = map(str, names)
            if arm not in bases:
                raise StudyError(
                    f"{parts[concept]} has answers from {arm}, which {parts[BASELINE]} lacks: run it again"
                )
            condition = ErasureCondition(arm, positions, concept, variant)
            whose = f"{texts[arm]} with {concept} ({variant}, {positions}) erased"
            erased[condition] = stats.align(part, bases[arm], labels, whose)
    first = next(iter(bases.values())).sort(KEY)
    order = sorted(erased, key=_place)
    return Asked(
        model,
        task,
        labels,
        Clusters.of(first["group"].to_list()),
        first["label"],
        first.select(KEY).rows(),
        {arm: baselines[arm] for arm in ARMS if arm in baselines},
        {condition: erased[condition] for condition in order},
    )


def _place(condition: ErasureCondition) -> tuple[int, ...]:
    """Hearing before reading, everywhere before at audio, concepts as in the paper, then draws by number."""
    concepts = ranks([condition.concept], CONCEPTS)
    number = int(re.sub(DRAW, r"\2", condition.variant)) if condition.is_draw else 0
    return (
        ARMS.index(condition.arm),
        int(condition.positions != ALL),
        concepts[condition.concept],
        VARIANTS.index(condition.pooled.variant),
        number,
    )
