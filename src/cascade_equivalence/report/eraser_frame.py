"""Tidy table of what erasers take away from states, from the nodes' summaries."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.mechanism_frames import read_json
from cascade_equivalence.report.mechanism_names import CONCEPT_TITLES, Fitted, by_name, ranks
from cascade_equivalence.report.mechanism_schemas import ERASERS

AS_FOUND = [name for name in ERASERS if name not in ("model", "concept", "layer") and not name.startswith("text_")]


def erasers_table(files: Iterable[Path]) -> pl.DataFrame:
    """Erasers of every concept at every layer.

    Args:
        files: ``.../{model}/{concept}/summary.json``.

    Returns:
        Table with the columns ``ERASERS``, models in the order of the files, concepts in the paper's.

    Raises:
        StudyError: A file is damaged or lacks something, or two are about the same concept.
    """
    rows = []
    for name, path in by_name(files, Fitted.of).items():
        try:
            layers = read_json(path)["layers"].items()
            rows += [name._asdict() | {"layer": int(layer)} | _row(found) for layer, found in layers]
        except KeyError as error:
            raise StudyError(f"{path} lacks {error}: another version of this project made it; run again") from error
    models, concepts = ranks(row["model"] for row in rows), ranks((row["concept"] for row in rows), CONCEPT_TITLES)
    rows.sort(key=lambda row: (models[row["model"]], concepts[row["concept"]], row["layer"]))
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
