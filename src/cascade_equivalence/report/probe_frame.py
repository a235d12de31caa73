"""Tidy table of what probes find in opened models, from the nodes' files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.mechanism_frames import by_model, estimate_values, read_json
from cascade_equivalence.report.mechanism_names import CTC, PROBE_TITLES, Layer, ranks
from cascade_equivalence.report.mechanism_schemas import PROBES
from cascade_equivalence.stats.explained import Explained
from cascade_equivalence.stats.statistic import Estimate, estimate

R2, DECODABILITY = "R2", "1 - CER"
UNKNOWN = Estimate(None, None, None, None)


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe of a layer, as its file has it.

    Attributes:
        place: The layer.
        name: The probe.
        layer: What the file says of the layer.
        found: What it says of the probe.
        explained: What the probe misses of each test item; None where it could not be judged.
    """

    place: Layer
    name: str
    layer: Mapping[str, Any]
    found: Mapping[str, Any]
    explained: Explained | None

    @classmethod
    def of(cls, place: Layer, layer: Mapping[str, Any], name: str) -> "Probe":
        """Take it from the file of its layer."""
        found = layer[name]
        known = found["decodability" if name == CTC else "r2"] is not None
        explained = Explained.read(found["by_item"], floored=name == CTC) if known else None
        return cls(place, name, layer, found, explained)

    def minus(self, other: "Probe | None", confidence: float) -> Estimate:
        """By how much more it explains than another one, on the same items.

        Raises:
            StudyError: The other one was judged on other items.
        """
        if other is None or self.explained is None or other.explained is None:
            return UNKNOWN
        one, two = self.explained, other.explained
        if list(one.items) != list(two.items) or not np.allclose(one.there, two.there):
            raise StudyError(
                f"the {self.name} probe of {_called(self.place)} was judged on other items than that of "
                f"{_called(other.place)}: run the probes again"
            )
        return estimate({"": one.minus(two, "")}, one.count, confidence)[""]

    def value(self, confidence: float) -> Estimate:
        """What it explains."""
        if self.explained is None:
            return Estimate(None, None, None, self.found.get("reason"))
        return estimate({"": self.explained.statistic("")}, self.explained.count, confidence)[""]


def _called(place: Layer) -> str:
    return f"{place.model} at layer {place.layer}{' with untrained blocks' if place.untrained else ''}"


def probes_table(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """Probes of every opened model, each beside its controls.

    Args:
        files: Of a model and layer each, trained or not.
        statistics: Level of the intervals.

    Returns:
        Table with the columns ``PROBES``, models in the order of the files.

    Raises:
        StudyError: A file is damaged or lacks something, two are about the same layer, or those of one model were
            judged on different items.
    """
    probes: dict[tuple[Layer, str], Probe] = {}
    for of, path in files_about(files, Layer._fields).items():
        place, found = Layer(*of), read_json(path)
        try:
            probes |= {(place, name): Probe.of(place, found, name) for name in PROBE_TITLES}
        except KeyError as error:
            raise StudyError(f"{path} lacks {error}: another version of this project made it; run again") from error
    values = {key: probe.value(statistics.confidence) for key, probe in probes.items()}
    rows = []
    for (place, name), probe in probes.items():
        of_model = (each.layer for each, _ in probes if each._replace(layer=place.layer) == place)
        first = place._replace(layer=min(of_model))
        twin = probes.get((place._replace(untrained=True), name)) if not place.untrained else None
        start = probes[first, name] if first != place else None
        rows.append(
            _row(probe, values[place, name])
            | estimate_values("untrained_value", values[twin.place, name] if twin else UNKNOWN)
            | {"first_layer": first.layer}
            | estimate_values("first_value", values[first, name])
            | estimate_values("difference_first", probe.minus(start, statistics.confidence))
            | estimate_values("difference_untrained", probe.minus(twin, statistics.confidence))
        )
    table = pl.DataFrame(rows, schema=PROBES, orient="row")
    return by_model(table, "untrained", "layer", pl.col("probe").replace_strict(ranks(PROBE_TITLES)))


def _row(probe: Probe, value: Estimate) -> dict[str, Any]:
    one = probe.found
    shuffled = one["shuffled"] if isinstance(one["shuffled"], list) else [one["shuffled"]]
    shuffled = [each for each in shuffled if each is not None]
    control = sum(shuffled) / len(shuffled) if shuffled else None
    return {
        "model": probe.place.model,
        "untrained": probe.place.untrained,
        "layer": probe.place.layer,
        "width": probe.layer["width"],
        "probe": probe.name,
        "measure": DECODABILITY if probe.name == CTC else R2,
        **estimate_values("value", value),
        "shuffled": control,
        "shuffled_highest": max(shuffled, default=None),
        "shuffles": len(shuffled),
        "selectivity": None if value.value is None or control is None else value.value - control,
        "frames": probe.layer["frames"],
        "train": one.get("train", probe.layer["utterances"]["train"]),
        "test": one.get("test", probe.layer["utterances"]["test"]),
        "of_test_value": one.get("r2_of_test"),
        "uniform_value": one.get("r2_uniform"),
        **{name: one.get(name) for name in ("penalty", "left_out", "voice_value")},
        "voices_left_out": ", ".join(one.get("voices_left_out") or ()) or None,
        "reason": value.reason,
        **{name: one.get(name) for name in ("prior", "feasible_share", "blank_share", "label_entropy")},
    }
