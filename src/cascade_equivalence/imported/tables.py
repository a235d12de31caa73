"""The comparison as tidy tables and as JSON: a row a task, and a row an item that both got wrong."""

from typing import Any

import polars as pl

from cascade_equivalence.imported.agree import AgreementFound
from cascade_equivalence.imported.comparison import TaskAgreement

ENDS = ("value", "low", "high", "reason")


def numbers(found: AgreementFound) -> pl.DataFrame:
    """A row a task, with every number that is shown and why it is missing where it is."""
    return pl.DataFrame([_row(found, each) for each in found.tasks], infer_schema_length=None)


def both_wrong(found: AgreementFound) -> pl.DataFrame:
    """A row an item that both got wrong: task, id, voice, text, label, a, b, same."""
    return pl.concat([each.wrong.select(pl.lit(each.task).alias("task"), pl.all()) for each in found.tasks])


def content(found: AgreementFound) -> dict[str, Any]:
    """All that is found, as JSON has it."""
    return {
        "systems": [{"name": name, "format": form} for name, form in zip(found.names, found.formats, strict=True)],
        "confidence": found.statistics.confidence,
        "bounds": found.statistics.equivalence.model_dump(mode="json"),
        "remarks": list(found.remarks),
        "tasks": [
            {
                "task": each.task,
                "by": each.by,
                "labels": list(each.labels),
                "rows": each.rows,
                "groups": each.groups,
                **each.estimates,
                "tests": each.tests,
                "both_wrong": each.both_wrong,
                "same_wrong": each.same_wrong,
                "overlap_chance": each.overlap_chance,
                "p": each.p,
                "p_adjusted": each.adjusted,
                "verdicts": each.verdicts,
                "remarks": list(each.remarks),
                "items_both_wrong": each.wrong.to_dicts(),
            }
            for each in found.tasks
        ],
    }


def _row(found: AgreementFound, task: TaskAgreement) -> dict[str, Any]:
    row: dict[str, Any] = {"task": task.task, "a": found.names[0], "b": found.names[1], "by": task.by}
    row |= {"rows": task.rows, "groups": task.groups}
    for name, each in task.estimates.items():
        row |= {name if end == "value" else f"{name}_{end}": each[end] for end in ENDS}
    test = task.tests
    row |= {"only_a_right": test["b"], "only_b_right": test["c"], "mcnemar_p": test["p"]}
    row |= {"mcnemar_method": test["method"], "clustered_p": test["clustered"]["p"]}
    row |= {"clustered_p_adjusted": task.adjusted["difference"], "permutation_p": test["permutation"]["p"]}
    row |= {"both_wrong": task.both_wrong, "same_wrong": task.same_wrong, "overlap_chance": task.overlap_chance}
    bounds = found.statistics.equivalence
    row |= {"accuracy_margin": bounds.accuracy_margin, "kappa_bound": bounds.kappa_bound}
    row |= {"ceiling_margin": bounds.ceiling_margin, "confidence": found.statistics.confidence}
    return (
        row | {f"{name}_verdict": word for name, word in task.verdicts.items()} | {"remarks": "; ".join(task.remarks)}
    )
