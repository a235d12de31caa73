"""Tidy tables of what the logit lens finds and erasers take away, from the nodes' files, and what such tables share."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import DRAWN
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report import columns
from cascade_equivalence.report.mechanism_names import Layer, ranks
from cascade_equivalence.report.mechanism_schemas import ERASERS, LENS
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.intervals import difference, share
from cascade_equivalence.stats.mean import numbers
from cascade_equivalence.stats.statistic import Estimate, Statistic, estimate

NOTHING_SHOWN = "the lens shows no token in any utterance"
SOLE = "there is no other text to pair with"
LENS_COLUMNS = ["precision", "recall", "chance_precision", "chance_recall"]
LENS_ROWS = ["utterance", "said", "kept", *LENS_COLUMNS]
OPTIONAL = ("top_recall", "chance_top_recall", "tuned_precision", "tuned_recall", "all_precision", "all_recall")
LENS_DIFFERENCES = {
    "above_chance": ("precision", "chance_precision"),
    "gain": ("precision", "first_precision"),
    "tuned_gain": ("tuned_precision", "precision"),
}


def read_json(path: Path) -> dict[str, Any]:
    """Read a node's JSON; a number that is not finite counts as missing.

    Raises:
        StudyError: The file is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error
    return _finite(found)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def estimate_values(name: str, found: Estimate | Mapping[str, Any]) -> dict[str, Any]:
    """An estimate as three columns."""
    return columns.estimate_values(name, asdict(found) if isinstance(found, Estimate) else found)


def reasons(found: Mapping[str, Estimate]) -> str | None:
    """Why values or intervals are missing, each reason once; None where nothing is."""
    names: dict[str, list[str]] = {}
    for name, each in found.items():
        if each.reason:
            names.setdefault(each.reason, []).append(name.replace("_", " "))
    return "; ".join(f"{', '.join(which)}: {reason}" for reason, which in names.items()) or None


def lens_table(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """What the logit lens shows at each layer; intervals count texts, however often one is spoken.

    Args:
        files: Of a model and layer each, in any order of the layers.
        statistics: Level of the intervals.

    Returns:
        Table with the columns ``LENS``, models in the order of the files.

    Raises:
        StudyError: A file lacks a column, or the layers of a model do not hold the same utterances.
    """
    found = {Layer(*of): _utterances(path) for of, path in files_about(files, ("model", "layer")).items()}
    rows = []
    for place, shown in found.items():
        first = min(other.layer for other in found if other.model == place.model)
        start = found[Layer(place.model, first)]
        if shown["utterance"].to_list() != start["utterance"].to_list():
            raise StudyError(
                f"the lens of {place.model} has other utterances at layer {place.layer} than at layer {first}: run the "
                "lens again"
            )
        values = shown.with_columns(first_precision=start["precision"])
        tested = values["tuned_text"].count() if "tuned_precision" in values.columns else 0
        clusters = Clusters.of([f"{number:09}" for number in shown["said"]])
        there = {name: _share(clusters, values, name) for name in (*LENS_COLUMNS, *OPTIONAL) if name in values.columns}
        there |= {
            name: _difference(clusters, values, *terms)
            for name, terms in LENS_DIFFERENCES.items()
            if set(terms) <= set(values.columns) and not (name == "gain" and place.layer == first)
        }
        estimates = estimate(there, clusters.count, statistics.confidence)
        rows.append(
            {
                "model": place.model,
                "layer": place.layer,
                "utterances": shown.height,
                "without_tokens": int((shown["kept"] == 0).sum()),
                "kept": shown["kept"].mean(),
                "top": shown["top"][0] if "top" in shown.columns else None,
                "first_layer": first,
                "tuned_utterances": tested or None,
                **{
                    key: value for name, each in estimates.items() for key, value in estimate_values(name, each).items()
                },
                "reason": reasons(estimates),
            }
        )
    return by_model(pl.DataFrame(rows, schema=LENS, orient="row"), "layer")


def _utterances(path: Path) -> pl.DataFrame:
    table = pl.read_parquet(path)
    if missing := [name for name in LENS_ROWS if name not in table.columns]:
        raise StudyError(f"{path} lacks the columns {', '.join(missing)}: run the lens again")
    return table.sort("utterance")


def _share(clusters: Clusters, values: pl.DataFrame, name: str) -> Statistic:
    each = numbers(values[name])
    return share(clusters, each, SOLE if name.startswith("chance") else NOTHING_SHOWN, np.isfinite(each))


def _difference(clusters: Clusters, values: pl.DataFrame, *names: str) -> Statistic:
    each = [numbers(values[name]) for name in names]
    both = np.isfinite(np.sum(each, axis=0))
    first, second = (share(clusters, one, NOTHING_SHOWN, both) for one in each)
    return difference(first, second, clusters.count, NOTHING_SHOWN)


def by_model(table: pl.DataFrame, *keys: Any) -> pl.DataFrame:
    """Sort a table by model, in the order in which they come, then by other keys."""
    return table.sort(pl.col("model").replace_strict(ranks(table["model"]), return_dtype=pl.Int64), *keys)


KEY = ("model", "concept", "control", "layer")
AS_FOUND = [name for name in ERASERS if name not in KEY and not name.startswith("text_")]
OF_CONTROLS = ("rank", "rows", "pooling", "probe_before")
"""What a control has in common with its concept."""


def erasers_table(files: Iterable[Path]) -> pl.DataFrame:
    """Erasers of every concept, and of its controls, at every layer.

    Args:
        files: Summaries, of a model and concept each.

    Returns:
        Table with the columns ``ERASERS``, models in the order of the files, concepts in the paper's.

    Raises:
        StudyError: A file is damaged or lacks something, or two are about the same concept.
    """
    rows = []
    for (model, concept), path in files_about(files, ("model", "concept")).items():
        try:
            for layer, found in read_json(path)["layers"].items():
                place = {"model": model, "concept": concept, "layer": int(layer)}
                rows.append(place | {"control": None} | _row(found))
                shared = {key: found[key] for key in OF_CONTROLS if key in found}
                for control, drawn in (found.get("controls") or {}).items():
                    rows.append(place | {"control": control} | _row(shared | drawn))
        except KeyError as error:
            raise StudyError(f"{path} lacks {error}: another version of this project made it; run again") from error
    models, concepts = ranks(row["model"] for row in rows), ranks((row["concept"] for row in rows), CONCEPTS)
    controls: dict[str | None, int] = {None: 0} | {control: place for place, control in enumerate(DRAWN, 1)}
    rows.sort(key=lambda row: (models[row["model"]], concepts[row["concept"]], controls[row["control"]], row["layer"]))
    return pl.DataFrame(rows, schema=ERASERS, orient="row")


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    draws = [share for share in found.get("removed_variances") or () if share is not None]
    text = found.get("text_decodability") or {}
    return {name: found.get(name) for name in AS_FOUND} | {
        "rank": found["rank"],
        "removed_variance": found["removed_variance"],
        "removed_variance_lowest": min(draws, default=None),
        "removed_variance_highest": max(draws, default=None),
        "text_before": text.get("before"),
        "text_after": text.get("after"),
    }
