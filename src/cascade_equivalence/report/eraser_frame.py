"""Tidy table of what erasers take away from states, from the nodes' summaries."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.mechanism import DRAWN
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.mechanism_frames import read_json
from cascade_equivalence.report.mechanism_names import ranks
from cascade_equivalence.report.mechanism_schemas import ERASERS

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
