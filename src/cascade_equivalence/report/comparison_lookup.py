"""Where a study's tidy tables hold what one of the paper's numbers is about."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.mechanism import BASELINE, LINEAR
from cascade_equivalence.report.columns import ENDS
from cascade_equivalence.report.comparison_study import MODEL, NAMED, Absent, Found, PaperView, pair_row
from cascade_equivalence.report.erasure_tables import shown_positions, with_draws_pooled
from cascade_equivalence.report.mechanism_names import FIRST_WORD, HEARD, RANDOM, concept_title
from cascade_equivalence.report.naming import condition_title, task_title
from cascade_equivalence.report.paper_numbers import IMPLICIT, LAST_LAYER, LENS, LENS_ALL, parts
from cascade_equivalence.report.tables import Tables


class PaperSubject(NamedTuple):
    """What one number is about: a row of the paper's numbers with a single system, task and layer.

    Names are the paper's, but the layer is the study's.
    """

    system: str | None
    reference: str | None
    second_reference: str | None
    model: str | None
    task: str | None
    condition: str | None
    layer: int | None
    concept: str | None


def _one(table: pl.DataFrame, why: str, **names: Any) -> dict[str, Any]:
    """The first row with these values."""
    rows = table.filter(**names)
    if not rows.height:
        raise Absent(why)
    return rows.row(0, named=True)


def _accuracy(subject: PaperSubject, view: PaperView) -> Found:
    task = str(subject.task)
    if subject.model is not None:
        return Found.of(erased(view.tables, view.model(subject.model), str(subject.concept), task), "accuracy")
    if subject.system == IMPLICIT:
        return Found.of(_implicit(view.system(str(subject.reference)), task, view), "implicit_accuracy")
    system = view.system(str(subject.system))
    return Found.of(_one(view.tables.accuracy, f"{system} did not answer {task}", system=system, task=task), "accuracy")


def _implicit(system: str, task: str, view: PaperView) -> dict[str, Any]:
    why = f"this study has no implicit cascade of {system} on {task_title(task)}"
    return _one(view.tables.sufficiency, why, system=system, task=task)


def erased(tables: Tables, model: str, concept: str, task: str) -> dict[str, Any]:
    """A model's answers while a concept is erased in the paper's way, as a row of the erasure table.

    Linear erasure everywhere (or where it was done), while the model hears. Random erasure is the mean over the random
    draws that have the first word's rank, as in the paper.

    Raises:
        Absent: The study did not do that.
    """
    heard = tables.erasure.filter(model=model, arm=HEARD)
    if concept == BASELINE:
        why = f"this study did not ask {model} {task_title(task)} with nothing erased"
    else:
        why = f"this study did not erase {concept_title(concept)} from {model} on {task_title(task)}"
    drawn = concept == RANDOM
    mine = with_draws_pooled(heard.filter(concept=FIRST_WORD if drawn else concept, task=task))
    if concept != BASELINE:
        where = shown_positions(heard)
        mine = mine.filter(pl.col("positions").eq_missing(where), variant=RANDOM if drawn else LINEAR)
    row = _one(mine, why)
    # The ends in a row of pooled draws are of its first draw only.
    ends = {f"{name}{end}": None for name in ("accuracy", "accuracy_change") for end in ("_low", "_high")}
    return row | ends if drawn else row


def _accuracy_change(subject: PaperSubject, view: PaperView) -> Found:
    task, model = str(subject.task), view.model(str(subject.model))
    row = erased(view.tables, model, str(subject.concept), task)
    base = erased(view.tables, model, BASELINE, task)
    return Found.of(row | {"accuracy_change": row["accuracy"] - base["accuracy"]}, "accuracy_change")


def _in_noise(name: str | None, subject: PaperSubject, view: PaperView, condition: str | None) -> dict[str, Any]:
    task, system = str(subject.task), view.system(str(name))
    if condition not in view.tables.noise["condition"]:
        where = "in noise" if condition == CLEAN else f"at {condition_title(str(condition))}"
        raise Absent(f"this study has no speech {where}")
    why = f"{system} was not heard in noise on {task_title(task)}"
    return _one(view.tables.noise, why, system=system, task=task, condition=condition)


def _accuracy_noise_voices(subject: PaperSubject, view: PaperView) -> Found:
    return Found.of(_in_noise(subject.system, subject, view, subject.condition), "accuracy")


def _accuracy_loss(subject: PaperSubject, view: PaperView) -> Found:
    return Found.of(_in_noise(subject.system, subject, view, subject.condition), "change").negative()


def _ahead(subject: PaperSubject, view: PaperView, condition: str | None) -> float:
    """By how much the system is right more often than the reference, on the voices that are heard in noise."""
    one, two = (_in_noise(name, subject, view, condition)["accuracy"] for name in (subject.system, subject.reference))
    return one - two


def _accuracy_difference(subject: PaperSubject, view: PaperView) -> Found:
    return Found(_ahead(subject, view, subject.condition))


def _accuracy_reversal(subject: PaperSubject, view: PaperView) -> Found:
    return Found(_ahead(subject, view, CLEAN) - _ahead(subject, view, subject.condition))


def _pair(subject: PaperSubject, view: PaperView) -> dict[str, Any]:
    """What the study finds of two systems."""
    one, two = view.system(str(subject.system)), view.system(str(subject.reference))
    row = pair_row(view.tables, one, two, str(subject.task), str(subject.condition))
    if row is None:
        raise Absent(f"this study does not compare {one} with {two} on {task_title(str(subject.task))}")
    return row


def _kappa(subject: PaperSubject, view: PaperView) -> Found:
    if subject.reference == IMPLICIT:
        row = _implicit(view.system(str(subject.system)), str(subject.task), view)
        return Found.of(row, "kappa_implicit", reason=row["reason"])
    row = _pair(subject, view)
    return Found.of(row, "kappa", reason=row["kappa_reason"])


def _kappa_difference(subject: PaperSubject, view: PaperView) -> Found:
    task = str(subject.task)
    system, first, second = (view.system(str(name)) for name in subject[:3])
    table = view.tables.contrasts.filter(system=system, task=task, condition=subject.condition)
    if (rows := table.filter(first=first, second=second)).height:
        return Found.of(row := rows.row(0, named=True), "kappa_difference", reason=row["reason"])
    if (rows := table.filter(first=second, second=first)).height:
        return Found.of(row := rows.row(0, named=True), "kappa_difference", reason=row["reason"]).negative()
    # Not asked for as a contrast, so there is a difference but no interval of it.
    one, two = (
        _kappa(subject._replace(reference=name), view) for name in (subject.reference, subject.second_reference)
    )
    if one.value is None or two.value is None:
        return Found(None, reason=one.reason or two.reason)
    return Found(one.value - two.value)


def _mcnemar(subject: PaperSubject, view: PaperView) -> Found:
    adjusted = _pair(subject, view)["mcnemar_p_adjusted"]
    return Found(adjusted, reason="the pair is in no family of tests" if adjusted is None else None)


def _overlap(subject: PaperSubject, view: PaperView) -> Found:
    row = _pair(subject, view)
    return Found.of(row, "overlap", reason=row["overlap_reason"])


def _overlap_chance(subject: PaperSubject, view: PaperView) -> Found:
    return Found(_pair(subject, view)["overlap_chance"], reason="wrong answers are not of a closed set")


def _overlap_ratio(subject: PaperSubject, view: PaperView) -> Found:
    overlap, chance = _overlap(subject, view), _overlap_chance(subject, view)
    if overlap.value is None or not chance.value:
        return Found(None, reason=overlap.reason or chance.reason)
    return overlap.times(1.0 / chance.value)


def _heard_right(subject: PaperSubject, view: PaperView) -> Found:
    """Of the clips that both got wrong, those whose transcript has no word error."""
    row = _pair(subject, view)
    return Found.of(row, "correct_joint_errors", reason=row["induced_reason"] or "nothing that both got wrong")


def _misheard(subject: PaperSubject, view: PaperView) -> Found:
    """Of the clips with the same wrong answer, those whose transcript has a word error."""
    row = _pair(subject, view)
    wrong = {
        f"wrong{end}": None if (right := row[f"correct_shared_errors{end}"]) is None else 1.0 - right for end in ENDS
    }
    ends = {"wrong_low": wrong["wrong_high"], "wrong_high": wrong["wrong_low"]}
    return Found.of(wrong | ends, "wrong", reason=row["induced_reason"] or "no shared error")


def _probe(subject: PaperSubject, view: PaperView) -> Found:
    table, model = view.tables.probes.filter(~pl.col("untrained")), view.model(str(subject.model))
    row = _one(table, f"no {subject.concept} probe of {model}", model=model, layer=subject.layer, probe=subject.concept)
    if row["of_test_value"] is not None:  # the paper's definition
        return Found(row["of_test_value"], layer=subject.layer)
    return Found.of(row, "value", layer=subject.layer, reason=row["reason"])


def _lens_precision(subject: PaperSubject, view: PaperView) -> Found:
    model = view.model(str(subject.model))
    row = _one(view.tables.lens, f"this study has no logit lens of {model}", model=model, layer=subject.layer)
    return Found.of(row, "precision", layer=subject.layer, reason=row["reason"])


def _lens_precision_all(subject: PaperSubject, view: PaperView) -> Found:
    model = view.model(str(subject.model))
    row = _one(view.tables.lens, f"this study has no logit lens of {model}", model=model, layer=subject.layer)
    return Found.of(row, _over_all(row), layer=subject.layer, reason=row["reason"])


def _over_all(row: Mapping[str, Any]) -> str:
    """The column of the precision over all positions.

    Raises:
        Absent: The study kept the states of the audio's positions only.
    """
    if row["all_precision"] is None:
        raise Absent(
            "the paper's lens reads all positions of the prompt here; this study's states are those of the audio: set "
            "`mechanism.states.positions: all`"
        )
    return "all_precision"


def _lens_precision_gap(subject: PaperSubject, view: PaperView) -> Found:
    """By how much the one model's precision is above the other's, as a share of the other's, at its own last layer."""
    first, second = parts(subject.model)
    one, two = _last(first, view)["precision"], (last := _last(second, view))[_over_all(last)]
    return Found(None if one is None or not two else one / two - 1, reason="a model shows no words")


def _last(name: str, view: PaperView) -> dict[str, Any]:
    (layer,) = view.layers(view.tables.lens, name, LAST_LAYER, None)
    return view.tables.lens.filter(model=view.model(name), layer=layer).row(0, named=True)


def _text_decodability_loss(subject: PaperSubject, view: PaperView) -> Found:
    row = _eraser(subject, view, layer=subject.layer)
    if row["text_before"] is None or row["text_after"] is None:
        return Found(None, layer=subject.layer, reason=row["reason"] or "the text was not probed after erasing")
    return Found(row["text_before"] - row["text_after"], layer=subject.layer)


def _erased_dimensions(subject: PaperSubject, view: PaperView) -> Found:
    """Columns of the concept, as the paper counts; of random directions their number."""
    row = _eraser(subject, view)
    return Found(row["rank"] if row["columns"] is None else row["columns"])


def _eraser(subject: PaperSubject, view: PaperView, **layer: int | None) -> dict[str, Any]:
    model, concept = view.model(str(subject.model)), str(subject.concept)
    why = f"this study did not erase {concept_title(concept)} from {model}"
    return _one(erasers_of(view.tables.erasers, model, concept).sort("layer", descending=True), why, **layer)


def erasers_of(erasers: pl.DataFrame, model: str, concept: str) -> pl.DataFrame:
    """Rows of the erasers table on one of the paper's conditions: random ones are drawn at the first word's rank."""
    drawn = concept == RANDOM
    return erasers.filter(
        pl.col("control").eq_missing(RANDOM if drawn else None),
        model=model,
        concept=FIRST_WORD if drawn else concept,
    )


Lookup = Callable[[PaperSubject, PaperView], Found]
LOOKUPS: dict[str, Lookup] = {
    "accuracy": _accuracy,
    "accuracy_noise_voices": _accuracy_noise_voices,
    "accuracy_loss": _accuracy_loss,
    "accuracy_difference": _accuracy_difference,
    "accuracy_reversal": _accuracy_reversal,
    "accuracy_change": _accuracy_change,
    "kappa": _kappa,
    "kappa_difference": _kappa_difference,
    "mcnemar_p_adjusted": _mcnemar,
    "overlap": _overlap,
    "overlap_chance": _overlap_chance,
    "overlap_ratio": _overlap_ratio,
    "joint_errors_heard_right": _heard_right,
    "joint_errors_misheard": _misheard,
    "probe_r2": _probe,
    "text_decodability": _probe,
    "text_decodability_loss": _text_decodability_loss,
    LENS: _lens_precision,
    LENS_ALL: _lens_precision_all,
    "lens_precision_gap": _lens_precision_gap,
    "erased_dimensions": _erased_dimensions,
}
"""How each statistic is looked up."""
LAYER_TABLES: dict[str, str] = {
    "probe_r2": "probes",
    "text_decodability": "probes",
    LENS: "lens",
    LENS_ALL: "lens",
    "text_decodability_loss": "erasers",
}
"""The table whose layers are a statistic's."""


def subjects(row: Mapping[str, Any], view: PaperView) -> Iterable[PaperSubject]:
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
    if (layered := LAYER_TABLES.get(row["statistic"])) is not None:
        table = getattr(view.tables, layered)
        layers = [*view.layers(table, row["model"], row["layer"], row["layer_to"])]
    systems: list[str | None] = [*parts(row["system"])] or [None]
    tasks: list[str | None] = [*asked] or [None]
    for system, task, layer in product(systems, tasks, layers):
        yield PaperSubject(
            system,
            row["reference"],
            row["second_reference"],
            row["model"],
            task,
            row["condition"],
            layer,
            row["concept"],
        )
