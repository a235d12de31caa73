"""Whether answers fall under erasure, and further than under the controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.config.mechanism import AFFINE, BASELINE, DRAWN, LINEAR
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.report.chance import ABOVE, UNCLEAR, standing_of
from cascade_equivalence.report.erasure_tables import shown_positions
from cascade_equivalence.report.finding import first_reason, too_few
from cascade_equivalence.report.mechanism_names import HEARD, READ, control_names
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.prose import inside
from cascade_equivalence.report.verdict_claims import Sides, every
from cascade_equivalence.stats.erasure import ACCURACY

MARGIN = 0.05
"""Fall of accuracy that still counts as none; the choice is ours, the paper gives none."""
ALPHA = 0.05
LEFT_SHARE, READ_BEFORE = 0.5, 0.05
"""Share of its R2, where it had this much, above which a concept counts as not erased."""
ENOUGH = 19
"""Draws of a control below which p cannot reach ``ALPHA``."""
DRAWN_NAMES = {"random": "random", "principal": "random of equal variance"}
Row = Mapping[str, Any]


class Fall(NamedTuple):
    """Whether a measure falls, and further than under the controls.

    Attributes:
        outcome: One of ``OUTCOMES``.
        why: Why it does not or cannot be told.
        holds: P-value of the claim that it does; None where it was not tested.
        fails: P-value of the claim that it does not by more than the margin; likewise.
    """

    outcome: str
    why: str = ""
    holds: float | None = None
    fails: float | None = None


@dataclass(frozen=True)
class Erasures:
    """One model's accuracies under erasure, by what was done.

    Attributes:
        model: The model.
        rows: Rows of the erasure table by task, arm, concept and variant, at the positions that are shown.
        controls: Rows of the controls table by the same, control and measure.
        tasks: Tasks in the order of the tables.
        variant: The variant that is judged: the paper's, where it was run.
        left: Why a concept may still be there, by concept; a fall that stays away then says nothing.
        confidence: Level of the intervals.
        beside_models: Rows of the controls table that set the model against another one that was not told before.
        others: Rows of the erasure table with nothing erased, from audio, by other model and task.
    """

    model: str
    rows: Mapping[tuple[str, str, str, str], Row]
    controls: Mapping[tuple[str, str, str, str, str, str], Row]
    tasks: list[str]
    variant: str
    left: Mapping[str, str]
    confidence: float = 0.95
    beside_models: Sequence[Row] = ()
    others: Mapping[tuple[str, str], Row] = field(default_factory=dict)

    @classmethod
    def of(
        cls, erasure: pl.DataFrame, controls: pl.DataFrame, erasers: pl.DataFrame, model: str, confidence: float
    ) -> "Erasures":
        """Sort the tables."""
        mine = erasure.filter(model=model)
        place = shown_positions(mine)
        key = ("task", "arm", "concept", "variant")
        there = (pl.col("positions") == place) | (pl.col("concept") == BASELINE)
        rows = {tuple(row[name] for name in key): row for row in mine.filter(there).iter_rows(named=True)}
        names = (*key, "control", "measure")
        mine_beside = controls.filter(model=model, positions=place)
        alone = pl.col("other_model").is_null()
        against = mine_beside.filter(alone).iter_rows(named=True)
        models = erasure["model"].unique(maintain_order=True).to_list()
        # Two models differ or do not: that is one claim, told of the first of them.
        told = models[: models.index(model)]
        bases = erasure.filter(pl.col("model") != model, concept=BASELINE, arm=HEARD).iter_rows(named=True)
        fitted = erasers.filter(pl.col("control").is_null(), model=model)
        return cls(
            model,
            rows,
            {tuple(row[name] for name in names): row for row in against},
            mine["task"].unique(maintain_order=True).to_list(),
            LINEAR if LINEAR in mine["variant"] else AFFINE,
            {str(concept): _left(part) for (concept,), part in fitted.group_by("concept")},
            confidence,
            mine_beside.filter(~alone & ~pl.col("other_model").is_in(told)).rows(named=True),
            {(row["model"], row["task"]): row for row in bases},
        )

    def change(self, row: Row, measure: str = ACCURACY) -> Sides:
        """The change of a measure."""
        return Sides.of(row, f"{measure}_change", self.confidence)

    def row(self, task: str, concept: str, variant: str, arm: str = HEARD) -> Row | None:
        """Answers under a condition."""
        return self.rows.get((task, arm, concept, variant))

    def nothing_to_lose(self, task: str, arm: str = HEARD, other_model: str | None = None) -> str:
        """Why a fall says nothing: accuracy is not shown to be above chance with nothing erased; empty where it is.

        Args:
            task: The task.
            arm: Whether the model hears or reads.
            other_model: The model that it is about, if that is another one.
        """
        if other_model is None:
            row = self.rows.get((task, arm, BASELINE, BASELINE))
        else:
            row = self.others.get((other_model, task))
        found = UNCLEAR if row is None else standing_of(row["accuracy_low"], row["chance"], row["against_chance"])
        return "" if found == ABOVE else inside("nothing_to_lose", standing=found, other=other_model, reads=arm == READ)

    def beside(self, task: str, concept: str, variant: str, measure: str = ACCURACY) -> list[Row]:
        """The controls of a condition, from audio."""
        found = (self.controls.get((task, HEARD, concept, variant, control, measure)) for control in control_names())
        return [row for row in found if row is not None]

    def fall(self, task: str, concept: str, variant: str, measure: str = ACCURACY) -> Fall:
        """Whether a measure falls from audio, and further than under every control, those of the same rank first."""
        row = self.rows[task, HEARD, concept, variant]
        low, high = row[f"{measure}_change_low"], row[f"{measure}_change_high"]
        if reason := self.nothing_to_lose(task):
            return Fall(UNTOLD, reason)
        if low is None or high is None:
            return Fall(UNTOLD, inside("fall_unknown", reason=row["reason"]))
        beside, left = self.beside(task, concept, variant, measure), self.left.get(concept)
        further = (Sides.of(control, "difference", self.confidence).below(0) for control in beside)
        holds = every(self.change(row, measure).below(0), *further)
        fails = None if left else self.change(row, measure).above(-MARGIN)
        if low > -MARGIN:
            return Fall(UNTOLD if left else FAILS, left or inside("no_fall", margin=MARGIN), holds, fails)
        if high >= 0:
            return Fall(UNTOLD, few(row) if too_few(row["groups"], MARGIN) else inside("open_fall"), holds, fails)
        excuse = _excuse(beside)
        return Fall(UNTOLD if excuse else HOLDS, excuse, holds, fails)


def _left(layers: pl.DataFrame) -> str:
    """Why a concept may be there after erasing; empty where it is not."""
    before, after = pl.col("probe_before"), pl.col("probe_after")
    read = layers.filter((before > READ_BEFORE) & (after > LEFT_SHARE * before)).sort("layer")
    return first_reason(
        {
            inside("nothing_taken"): layers["rank"].max() == 0,
            inside("still_read", layers=read["layer"].to_list()): read.height > 0,
        }
    )


def control_name(control: str) -> str:
    """A control, beside numbers."""
    known = CONCEPTS.get(control)
    return known.brief or known.title if known else DRAWN_NAMES[control]


def few(row: Row) -> str:
    """That items are too few to rule out a fall."""
    return inside("too_few", items=row["groups"], margin=inside("a_fall", margin=MARGIN))


def _excuse(controls: Sequence[Row]) -> str:
    """Why a fall may be nobody's doing but any erasure's; empty if the controls rule that out."""
    drawn = [row for row in controls if row["control"] in DRAWN]
    as_much = [control_name(row["control"]) for row in controls if not beyond(row)]
    most = max((row["draws"] or 0 for row in drawn), default=0)
    return first_reason(
        {
            inside("no_control"): not controls,
            inside("no_ranked_control"): not drawn,
            inside("control_as_much", names=as_much): bool(as_much),
            inside("few_draws", draws=most, alpha=ALPHA): most < ENOUGH,
        }
    )


def beyond(control: Row) -> bool:
    """Whether a value lies below a control's: below almost all of its draws, and, item by item, below their mean."""
    if control["difference_high"] is None or control["difference_high"] >= 0:
        return False
    return bool(control["p"] <= ALPHA if control["draws"] >= ENOUGH else control["at_or_below"] == 0)


def falls(row: Row | None) -> bool:
    """Whether accuracy is shown to fall."""
    return row is not None and row["accuracy_change_high"] is not None and row["accuracy_change_high"] < 0
