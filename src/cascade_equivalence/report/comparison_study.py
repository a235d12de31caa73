"""A study beside the paper: what in it has the paper's names, and which layer of it stands for which of the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.report.paper_numbers import IMPLICIT, LAST_LAYER, LAYER_STEP, SEPARATOR, parts
from cascade_equivalence.report.tables import Tables

MODEL = "model"
NAMED = ("system", "reference", "second_reference", MODEL)
"""Columns of the paper's numbers that hold names of systems and models."""


class Absent(Exception):
    """A study has no counterpart of a number; the message says why."""


class Found(NamedTuple):
    """A study's number, in the tidy tables' unit (shares, not percent).

    Attributes:
        value: The number; None where it is undefined.
        low: Lower end of its interval; None where it has none.
        high: Upper end.
        layer: The study's layer, of a number that belongs to one.
        reason: Why it is undefined.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    layer: int | None = None
    reason: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], name: str, *, layer: int | None = None, reason: str | None = None) -> "Found":
        """An estimate's three columns, or a number that has no interval."""
        return cls(row[name], row.get(f"{name}_low"), row.get(f"{name}_high"), layer, reason)

    def times(self, factor: float) -> "Found":
        """In another unit, or as a multiple of something; the factor is positive."""
        value, low, high = (None if end is None else factor * end for end in (self.value, self.low, self.high))
        return self._replace(value=value, low=low, high=high)

    def plus(self, more: float) -> "Found":
        """More by so much."""
        value, low, high = (None if end is None else more + end for end in (self.value, self.low, self.high))
        return self._replace(value=value, low=low, high=high)

    def negative(self) -> "Found":
        """Its negative, the interval turned round."""
        value, low, high = (None if end is None else 0.0 - end for end in (self.value, self.high, self.low))
        return self._replace(value=value, low=low, high=high)


@dataclass(frozen=True)
class PaperView:
    """A study's tables, and what in it has the paper's names.

    Attributes:
        tables: The tidy tables.
        systems: By the paper's name of a system, the study's.
        models: By the paper's name of an opened model, the study's.
        own_systems: The paper's names of the systems that are the paper's own rather than stand-ins.
        own_models: The same of the models; a layer of these is the same layer or none, of others the one at its depth.
    """

    tables: Tables
    systems: Mapping[str, str]
    models: Mapping[str, str]
    own_systems: frozenset[str]
    own_models: frozenset[str]

    @classmethod
    def of(cls, tables: Tables, paper: PaperConfig) -> "PaperView":
        """From the tables and the config."""
        return cls(
            tables,
            {theirs.name: ours for ours, theirs in paper.systems.items()},
            {theirs.name: ours for ours, theirs in paper.models.items()},
            frozenset(theirs.name for theirs in paper.systems.values() if not theirs.stands_in),
            frozenset(theirs.name for theirs in paper.models.values() if not theirs.stands_in),
        )

    def ours(self, column: str, names: str | None) -> str | None:
        """The study's names in a column of the paper's numbers."""
        known = self.models if column == MODEL else self.systems
        return SEPARATOR.join(known.get(name, name) for name in parts(names)) or None

    def is_own(self, row: Mapping[str, Any]) -> bool:
        """Whether all systems and models of a number are the paper's own."""
        return all(
            name in (self.own_models if column == MODEL else self.own_systems)
            for column in NAMED
            for name in parts(row[column])
            if name != IMPLICIT
        )

    def system(self, name: str) -> str:
        """The study's system of a name."""
        if name not in self.systems:
            raise Absent(f"no system of this study is {name}")
        return self.systems[name]

    def model(self, name: str) -> str:
        """The study's opened model of a name."""
        if name not in self.models:
            raise Absent(f"no opened model of this study is {name}")
        return self.models[name]

    def layers(self, table: pl.DataFrame, model: str, layer: int, layer_to: int | None) -> list[int]:
        """The watched layers of a model that are the paper's layer, or lie in its range of layers."""
        watched = table.filter(model=self.model(model))["layer"].unique().sort().to_list()
        if not watched:
            raise Absent(f"this study has no such numbers of {self.model(model)}")
        exact = model in self.own_models
        if layer_to is None:
            found = corresponding(layer, watched, exact=exact)
            if found is None:
                near = "" if exact or watched[-1] == LAST_LAYER else ", and none at its depth"
                raise Absent(f"layer {layer} was not watched in {self.model(model)}{near}")
            return [found]
        there = [each for each in watched if layer <= LAST_LAYER * depth(each, watched, exact=exact) <= layer_to]
        if not there:
            raise Absent(f"no layer from {layer} to {layer_to} was watched in {self.model(model)}")
        return there


def depth(layer: int, watched: Sequence[int], *, exact: bool) -> float:
    """Where a layer stands between the first watched layer (0) and the last (1).

    Args:
        layer: One of the watched layers.
        watched: All of them, ascending.
        exact: Take the layer as one of the paper's models, whose first is 0 and whose last is 31.
    """
    if exact or watched[-1] == LAST_LAYER:
        return layer / LAST_LAYER
    return (layer - watched[0]) / (watched[-1] - watched[0]) if watched[-1] > watched[0] else 1.0


def corresponding(layer: int, watched: Sequence[int], *, exact: bool) -> int | None:
    """The watched layer that is, or stands where, a layer of the paper's models is.

    Args:
        layer: Layer of a model with 32 blocks, of which the paper watches every fourth and the last.
        watched: Watched layers, ascending.
        exact: Take no other layer than the same.

    Returns:
        The same layer where the model is as deep as the paper's; else the one that is nearest in relative depth, but no
        further than one of the paper's steps; None if there is none.
    """
    if exact or watched[-1] == LAST_LAYER:
        return layer if layer in watched else None
    aim = layer / LAST_LAYER
    nearest = min(watched, key=lambda each: (abs(depth(each, watched, exact=False) - aim), each))
    away = abs(depth(nearest, watched, exact=False) - aim)
    return nearest if away <= LAYER_STEP / LAST_LAYER else None
