"""What linear probes and probes with a hidden layer read, before and after erasing, as columns and for a reader."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import MINUS, NOT_RUN, Display, percent, points_ends
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.statistic import Estimate

PROBES = ("linear_before", "mlp_before", "linear_after", "mlp_after")
TARGETS = {
    "voice": "Voice",
    "manner": "Manner",
    "pitch": "Pitch above the voice's median",
    "energy": "Energy above the voice's median",
}
ESTIMATES = (*PROBES, *(f"{name}_above_shuffled" for name in PROBES), "mlp_gain")
SCHEMA: Schema = {
    "model": pl.String,
    "layer": pl.Int64,
    "target": pl.String,
    "rows": pl.Int64,
    "texts": pl.Int64,
    "classes": pl.Int64,
    "majority": pl.Float64,
    **{column: kind for name in ESTIMATES for column, kind in estimate_schema(name).items()},
    **{f"{name}_shuffled": pl.Float64 for name in PROBES},
    "reason": pl.String,
}
"""Model x layer x target. Accuracy on texts that nothing was fitted on of linear probes and of those with a hidden
layer (``mlp``), of states as they are and after LEACE; ``shuffled``: of probes that learnt shuffled labels;
``above_shuffled``: the difference, row by row; ``mlp_gain``: before erasing, mlp minus linear."""


def frame(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a model, target and layer.

    Args:
        files: What ``mechanism.mlp_probes`` wrote, of a model and layer each.
        statistics: Level of the intervals, which count whole texts.

    Raises:
        StudyError: A file is damaged.
    """
    from cascade_equivalence.report.mechanism_frames import by_model, estimate_values, read_json
    from cascade_equivalence.report.mechanism_names import ranks

    rows = []
    for (model, layer), path in files_about(files, ("model", "layer")).items():
        try:
            for target, found in read_json(path)["targets"].items():
                row: dict[str, Any] = {"model": model, "layer": layer, "target": target, "reason": found["reason"]}
                if found["reason"] is None:
                    row |= {"rows": len(found["texts"]), "texts": len(set(found["texts"]))}
                    row |= {name: found[name] for name in ("classes", "majority")}
                    for name, each in _estimates(found, statistics.confidence).items():
                        row |= estimate_values(name, each)
                    row |= {f"{name}_shuffled": _mean(found[name]["shuffled"]) for name in PROBES}
                rows.append(row)
        except KeyError as error:
            raise StudyError(f"{path} lacks {error}: another version of this project made it; run again") from error
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return by_model(table, pl.col("target").replace_strict(ranks(TARGETS), return_dtype=pl.Int64), "layer")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _estimates(found: Mapping[str, Any], confidence: float) -> "dict[str, Estimate]":
    import numpy as np

    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.mean import mean
    from cascade_equivalence.stats.statistic import estimate

    clusters = Clusters.of(found["texts"])
    right = {name: np.array(found[name]["right"], dtype=float) for name in PROBES}
    values = right | {f"{name}_above_shuffled": right[name] - np.array(found[name]["shuffled"]) for name in PROBES}
    values["mlp_gain"] = right["mlp_before"] - right["linear_before"]
    statistics = {name: mean(clusters, each, "nothing was judged") for name, each in values.items()}
    return estimate(statistics, clusters.count, confidence)


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model, target and layer."""
    rows = [
        [
            row["model"],
            TARGETS[row["target"]],
            str(row["layer"]),
            *(cell for name in PROBES for cell in _cells(row, name)),
            NOT_RUN if row["mlp_gain"] is None else points_ends(row, "mlp_gain"),
            NOT_RUN if row["majority"] is None else percent(row["majority"]),
            NOT_RUN if row["rows"] is None else f"{row['rows']:,} ({row['texts']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    names = ("Linear", "Hidden layer", "Linear, erased", "Hidden layer, erased")
    heads = [head for name in names for head in (f"{name} / shuffled, %", f"more, points [{confidence:.0%}]")]
    gain = f"Hidden layer {MINUS} linear"
    return Display(
        name="curved",
        title="What probes read that are not linear, before and after erasing",
        columns=["Model", "Target", "Layer", *heads, gain, "Commonest %", "Utterances (texts)"],
        rows=rows,
        remarks=[
            "Accuracy on utterances of texts that nothing was fitted on: of a linear probe of mean states, and of one "
            "with a hidden layer beside it. Erased: the target's own LEACE eraser, fitted on the same training "
            "utterances, of which it leaves a linear probe nothing; what one with a hidden layer still reads leaks, "
            "and what a linear one reads of other utterances the eraser has not met.",
            "Shuffled: the same probes of shuffled labels; more: the difference to them. Pitch and energy are taken "
            "against the median of the voice. Intervals count whole texts (jackknife).",
            *_leaks(table),
            *dict.fromkeys(
                f"{row['model']}, {TARGETS[row['target']]}: {row['reason']}."
                for row in table.drop_nulls("reason").iter_rows(named=True)
            ),
        ],
        text_columns=2,
    )


def _cells(row: Mapping[str, Any], name: str) -> list[str]:
    if row[name] is None:
        return [NOT_RUN] * 2
    return [f"{percent(row[name])} / {percent(row[f'{name}_shuffled'])}", points_ends(row, f"{name}_above_shuffled")]


def _leaks(table: pl.DataFrame) -> list[str]:
    """Where erased targets are still read: above shuffled labels and the commonest class, by the intervals."""
    found = []
    for name, probe in (("linear_after", "linear probe"), ("mlp_after", "hidden layer")):
        known = table.drop_nulls(f"{name}_above_shuffled_low")
        if not known.height:
            continue
        # In folds, probes of nothing tell balanced classes less often than by chance: the commonest class counts, too.
        read = (pl.col(f"{name}_above_shuffled_low") > 0) & (pl.col(f"{name}_low") > pl.col("majority"))
        told = [
            f"{model}, {TARGETS[str(target)].lower()}: layer {', '.join(map(str, part['layer'].to_list()))}"
            for (model, target), part in known.filter(read).group_by("model", "target", maintain_order=True)
        ]
        where = f"still reads: {'; '.join(told)}; elsewhere it is at chance" if told else "is at chance everywhere"
        found.append(f"After erasing a {probe} {where} ({known.height} comparisons, not adjusted for their number).")
    return found


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.curved, results.statistics)


TABLE = Table(
    name="curved",
    section="subspace",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.curved, confidence),
    planned=lambda study: bool(study.mechanism_files["curved"]),
)
