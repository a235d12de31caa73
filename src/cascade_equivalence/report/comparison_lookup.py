"""Where a study's tidy tables hold what one of the paper's numbers is about: a join on the keys that are named as data.

Which table, key and column a statistic is found by stands in ``resources/paper/statistics.yaml``; here are the tables
that are keyed as the paper's numbers are, the formulas, and the join.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.mechanism import BASELINE, LINEAR
from cascade_equivalence.report.comparison_study import MODEL, NAMED, Absent, Found, PaperView
from cascade_equivalence.report.erasure_tables import shown_positions, with_draws_pooled
from cascade_equivalence.report.mechanism_names import FIRST_WORD, HEARD, RANDOM, concept_title
from cascade_equivalence.report.naming import condition_title, task_title
from cascade_equivalence.report.paper_numbers import IMPLICIT, KEYED, STATISTICS, Term, parts
from cascade_equivalence.report.tables import Tables

ByKey = dict[tuple[Any, ...], dict[str, Any]]
Subject = dict[str, Any]
"""What one number is about: a row of the paper's numbers with one system and task, and the study's layer."""


# -- the tidy tables, keyed as the paper's numbers are ------------------------------------------------------


def pairs(tables: Tables) -> pl.DataFrame:
    """Agreement and errors of two systems, each pair in both directions.

    Kappa and what their errors have in common are the same in either; differences are not.
    """
    both = [_either_way(table, "system", "reference") for table in (tables.agreement, tables.errors)]
    key = list(KEYED["pairs"].key)
    agreement, errors = (table.unique(key, keep="first", maintain_order=True) for table in both)
    more = [name for name in errors.columns if name in key or name not in agreement.columns]
    return agreement.join(errors.select(more), on=key, how="left", maintain_order="left")


def _either_way(table: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """Each row, and behind it the same with two names exchanged."""
    numbered = table.with_row_index()
    turned = numbered.with_columns(pl.col(other).alias(one), pl.col(one).alias(other))
    return pl.concat([numbered, turned]).sort("index", maintain_order=True).drop("index")


def contrasts(tables: Tables) -> pl.DataFrame:
    """Contrasts as they were asked for, then with the two references exchanged."""
    table = tables.contrasts.rename({"first": "reference", "second": "second_reference"})
    name = "kappa_difference"
    turned = {name: name, f"{name}_low": f"{name}_high", f"{name}_high": f"{name}_low"}
    exchanged = table.with_columns(
        pl.col("second_reference").alias("reference"),
        pl.col("reference").alias("second_reference"),
        *((0.0 - pl.col(other)).alias(end) for end, other in turned.items()),
    )
    return pl.concat([table, exchanged])


def probes(tables: Tables) -> pl.DataFrame:
    """Probes of trained blocks; ``papers`` is the value by the paper's definition, or else by the study's."""
    other = pl.col("of_test_value")
    ends = (pl.when(other.is_null()).then(f"value{end}").alias(f"papers{end}") for end in ("_low", "_high"))
    trained = tables.probes.filter(~pl.col("untrained")).rename({"probe": "concept"})
    return trained.with_columns(pl.coalesce(other, "value").alias("papers"), *ends)


def erasers(tables: Tables) -> pl.DataFrame:
    """Erasers by the paper's conditions, the last layer first: random ones are drawn at the first word's rank."""
    drawn = (pl.col("control") == RANDOM) & (pl.col("concept") == FIRST_WORD)
    named = tables.erasers.filter(pl.col("control").is_null() | drawn)
    return named.with_columns(
        concept=pl.coalesce("control", "concept"),
        text_loss=pl.col("text_before") - pl.col("text_after"),
        dimensions=pl.coalesce("columns", "rank"),
    ).sort("layer", descending=True)


def erased(tables: Tables) -> pl.DataFrame:
    """A model's answers while a concept is erased in the paper's way, and with nothing erased.

    Linear erasure everywhere (or where it was done), while the model hears. Random erasure is the mean over the random
    draws that have the first word's rank, as in the paper.
    """
    found = []
    for _, heard in tables.erasure.filter(arm=HEARD).group_by(MODEL, maintain_order=True):
        pooled = with_draws_pooled(heard)
        there = pooled.filter(pl.col("positions").eq_missing(shown_positions(heard)) & (pl.col("concept") != BASELINE))
        # The ends in a row of pooled draws are of its first draw only.
        ends = [f"{name}{end}" for name in ("accuracy", "accuracy_change") for end in ("_low", "_high")]
        drawn = there.filter(concept=FIRST_WORD, variant=RANDOM).with_columns(
            pl.lit(RANDOM).alias("concept"), *(pl.lit(None, pl.Float64).alias(end) for end in ends)
        )
        mine = pl.concat([pooled.filter(concept=BASELINE), there.filter(variant=LINEAR), drawn])
        base = mine.filter(concept=BASELINE).unique("task", keep="first", maintain_order=True)
        before = mine.join(base.select("task", before="accuracy"), on="task", how="left", maintain_order="left")
        found.append(before.with_columns(accuracy_change=pl.col("accuracy") - pl.col("before")))
    return pl.concat(found) if found else tables.erasure


def unerased(tables: Tables) -> pl.DataFrame:
    """A model's answers with nothing erased."""
    return tables.erasure.filter(arm=HEARD, concept=BASELINE)


DERIVED: Mapping[str, Callable[[Tables], pl.DataFrame]] = {
    each.__name__: each for each in (pairs, contrasts, probes, erasers, erased, unerased)
} | {"last_erasers": erasers}
"""Tables that are not tidy tables as they are, by the name that ``statistics.yaml`` gives them."""


def by_key(tables: Tables, name: str) -> ByKey:
    """The rows of a table by the values of its key; of several the first."""
    table = DERIVED[name](tables) if name in DERIVED else tables[name]
    found: ByKey = {}
    for row in table.iter_rows(named=True):
        found.setdefault(tuple(row[column] for column in KEYED[name].key), row)
    return found


# -- one number out of several ------------------------------------------------------------------------------


def _difference(one: Found, other: Found) -> Found:
    if one.value is None or other.value is None:
        return Found(None, reason=one.reason or other.reason)
    return Found(one.value - other.value)


def _ratio(one: Found, other: Found) -> Found:
    if one.value is None or not other.value:
        return Found(None, reason=one.reason or other.reason)
    return one.times(1.0 / other.value)


def _excess(one: Found, other: Found) -> Found:
    share = _ratio(one, other)
    return share if one.value is None or not other.value else Found(one.value / other.value - 1)


FORMULAS: dict[str, Callable[..., Found]] = {
    "first": lambda one, *_: one,
    "negative": Found.negative,
    "complement": lambda one: one.negative().plus(1.0),
    "difference": _difference,
    "difference_of_differences": lambda a, b, c, d: _difference(_difference(a, b), _difference(c, d)),
    "ratio": _ratio,
    "excess": _excess,
}
"""What is made of the rows of one way, in order."""


# -- the join -----------------------------------------------------------------------------------------------


class Lookup:
    """Finds a study's numbers.

    Args:
        view: The study beside the paper.
    """

    def __init__(self, view: PaperView) -> None:
        self._view = view
        self._rows: dict[str, ByKey] = {}

    def found(self, statistic: str, subject: Subject) -> Found:
        """The study's number.

        Raises:
            Absent: It has none.
        """
        for way in STATISTICS[statistic].found:
            if all(subject[name] is not None and wanted in ("*", subject[name]) for name, wanted in way.when.items()):
                terms = [self._term(term, subject) for term in way.of]
                there = [each for each in terms if each is not None]
                if len(there) == len(terms):
                    return FORMULAS[way.formula](*there)
        raise AssertionError(f"no way to find {statistic} says why there is none")

    def _term(self, term: Term, subject: Subject) -> Found | None:
        """A row's number; None if there is none and the table does not say why."""
        place = KEYED[term.table]
        asked: dict[str, Any] = {}
        for name in place.key:
            other = term.where.get(name, name)
            asked[name] = subject.get(str(other), other)
        if isinstance(layer := asked.get("layer"), int) and "layer" in term.where:
            (asked["layer"],) = self._view.layers(self._view.tables[term.table], asked[MODEL], layer, None)
        ours = {name: self._view.ours(name, value) if name in NAMED else value for name, value in asked.items()}
        if term.table not in self._rows:
            self._rows[term.table] = by_key(self._view.tables, term.table)
        rows = self._rows[term.table]
        row = rows.get(tuple(ours.values()))
        if row is None:
            for at, name in enumerate(place.key):
                if name in place.lacks and all(key[at] != ours[name] for key in rows):
                    raise Absent(place.lacks[name].format(**_words(ours)))
            if place.absent is None:
                return None
            raise Absent(place.absent.format(**_words(ours)))
        if row[term.value] is None and term.needed is not None:
            raise Absent(term.needed)
        why = None if term.reason is None or row[term.value] is not None else row[term.reason]
        return Found.of(row, term.value, layer=subject["layer"], reason=why or term.otherwise)


def _words(names: Mapping[str, Any]) -> dict[str, Any]:
    """Names as the sentences of ``statistics.yaml`` have them."""
    found = dict(names)
    if (task := names.get("task")) is not None:
        found |= {"task": task_title(task), "task_name": task}
    if (concept := names.get("concept")) is not None:
        found |= {"concept": concept_title(concept), "concept_name": concept}
    if (condition := names.get("condition")) is not None:
        found["where"] = "in noise" if condition == CLEAN else f"at {condition_title(condition)}"
    return found


def subjects(row: Mapping[str, Any], view: PaperView) -> Iterator[Subject]:
    """Everything that one of the paper's numbers is about.

    Raises:
        Absent: The study has no such system, model, task or layer.
    """
    for column in NAMED:
        for name in parts(row[column]):
            if name != IMPLICIT:
                view.model(name) if column == MODEL else view.system(name)
    asked = parts(row["task"])
    if missing := [task for task in asked if task not in view.tables.accuracy["task"]]:
        raise Absent(f"this study has no {task_title(missing[0])}")
    layers: list[int | None] = [None]
    if (layered := STATISTICS[row["statistic"]].layered) is not None:
        layers = [*view.layers(view.tables[layered], row["model"], row["layer"], row["layer_to"])]
    models = dict(zip(("first_model", "second_model"), parts(row["model"]), strict=False))
    systems: list[str | None] = [*parts(row["system"])] or [None]
    tasks: list[str | None] = [*asked] or [None]
    for system, task, layer in product(systems, tasks, layers):
        yield {**row, **models, "system": system, "task": task, "layer": layer}
