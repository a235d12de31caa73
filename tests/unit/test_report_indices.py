"""The table of other indices of agreement."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_study import cells_of

from cascade_equivalence.report.display import UNDEFINED
from cascade_equivalence.report.indices_table import COLUMNS, TABLE, display
from cascade_equivalence.stats.agreement import kappa, observed_agreement
from cascade_equivalence.stats.by_rows import by_rows
from cascade_equivalence.stats.indices import index_statistics, indices
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import estimate

LABELS = ["a", "b", "c"]
PAIR: dict[str, Any] = {
    "pair": "a label",
    "system": "talker",
    "reference": "cascade",
    "system_kind": "e2e",
    "reference_kind": "cascade",
    "match": "exact",
    "task": "ag_news",
    "condition": "clean",
    "noise": None,
    "snr_db": None,
    "rt60_ms": None,
}


def node(system: Iterable[str], reference: Iterable[str], *, voices: int, labels: list[str] = LABELS) -> dict[str, Any]:
    """The parts of an agreement node that the table reads; every voice of a text answers alike."""
    answers = [pair for pair in zip(system, reference, strict=True) for _ in range(voices)]
    joined = pl.DataFrame(
        {
            "group": [f"{number // voices:04}" for number in range(len(answers))],
            "label": ["a"] * len(answers),
            "system_parsed": [one for one, _ in answers],
            "reference_parsed": [other for _, other in answers],
            "system_correct": [one == "a" for one, _ in answers],
            "reference_correct": [other == "a" for _, other in answers],
        }
    )
    paired = Paired.of(joined, labels)
    options: dict[str, Any] = {"draws": 1500, "confidence": 0.95, "seed": 0}
    statistics = {
        "kappa": kappa(paired),
        "observed_agreement": observed_agreement(paired),
        **index_statistics(paired, closed=bool(labels)),
    }
    found = estimate(statistics, paired.clusters.count, 0.95)
    parts = {
        "rows": len(answers),
        "groups": paired.clusters.count,
        "kappa": asdict(found["kappa"]),
        "observed_agreement": asdict(found["observed_agreement"]),
        "indices": indices(found, closed=bool(labels)),
        "by_rows": by_rows(paired, **options),
    }
    return json.loads(json.dumps(parts, allow_nan=False))


def table(*found: dict[str, Any], **place: Any) -> pl.DataFrame:
    """The tidy table of some nodes."""
    front = {name: pl.Float64 if name in ("snr_db", "rt60_ms") else pl.String for name in PAIR}
    rows = [PAIR | place | {"rows": each["rows"], "groups": each["groups"]} | cells_of(TABLE, each) for each in found]
    kinds = {name: cell.kind for name, cell in COLUMNS.items()}
    return pl.DataFrame(rows, schema={**front, "rows": pl.Int64, "groups": pl.Int64, **kinds}, orient="row")


def drawn(seed: int, count: int = 80) -> tuple[list[str], list[str]]:
    """Answers of two systems that agree more often than not."""
    rng = np.random.default_rng(seed)
    system = rng.choice(LABELS, count, p=[0.6, 0.3, 0.1])
    return system.tolist(), np.where(rng.random(count) < 0.6, system, rng.choice(LABELS, count)).tolist()


def test_a_row_is_the_node_and_the_ratios_of_its_numbers() -> None:
    found = node(*drawn(0), voices=4)
    columns = cells_of(TABLE, found)
    assert set(columns) == set(COLUMNS)
    for name, where in (
        ("kappa", found),
        ("observed_agreement", found),
        *((n, found["indices"]) for n in ("pabak", "ac1")),
    ):
        assert [columns[name], columns[f"{name}_low"], columns[f"{name}_high"]] == [
            where[name][part] for part in ("value", "low", "high")
        ]
    assert columns["kappa_max"] == found["indices"]["kappa_max"]["value"]
    assert columns["share_of_max"] * columns["kappa_max"] == pytest.approx(columns["kappa"])
    for name in ("kappa", "observed_agreement"):
        widths = [each[name]["high"] - each[name]["low"] for each in (found, found["by_rows"])]
        assert columns[f"{name}_width_ratio"] * widths[1] == pytest.approx(widths[0])
        # Four voices that answer alike are one observation: intervals are twice as wide as if they were four.
        assert columns[f"{name}_width_ratio"] == pytest.approx(2, abs=0.25)
    assert columns["indices_reason"] is None


def test_what_is_undefined_stays_so_and_says_why() -> None:
    opened = cells_of(TABLE, node(["paris", "rome", "bern"] * 4, ["paris", "rome", "oslo"] * 4, voices=2, labels=[]))
    assert opened["pabak"] is opened["ac1"] is None and opened["share_of_max"] is not None
    assert opened["indices_reason"].startswith("PABAK, AC1: ")
    same = cells_of(TABLE, node(["a"] * 9, ["a"] * 9, voices=2))
    assert same["kappa"] is same["kappa_max"] is same["share_of_max"] is same["kappa_width_ratio"] is None
    assert same["observed_agreement"] == 1 and same["observed_agreement_width_ratio"] is None
    assert same["indices_reason"].startswith("kappa max: both systems gave")
    constant = cells_of(TABLE, node(["a"] * 9, ["a", "b", "c"] * 3, voices=2))
    assert constant["kappa_max"] == constant["kappa"] == 0 and constant["share_of_max"] is None


def test_with_one_clip_a_text_both_intervals_are_about_as_wide() -> None:
    assert cells_of(TABLE, node(*drawn(1), voices=1))["kappa_width_ratio"] == pytest.approx(1, abs=0.15)


def test_the_display_shows_clean_speech_and_explains_its_cells() -> None:
    several, single = node(*drawn(2), voices=3), node(*drawn(3), voices=1)
    opened = node(["paris", "rome"] * 9, ["paris", "oslo"] * 9, voices=2, labels=[])
    clean = table(several, single, opened)
    shown = display(pl.concat([clean, table(several, condition="snr5", noise="babble", snr_db=5.0)]), 0.9)
    assert len(shown.rows) == 3 and {len(cells) for cells in shown.rows} == {len(shown.columns)}
    assert len(set(shown.columns)) == len(shown.columns)
    first, _, third = shown.rows
    assert first[0] == "talker vs. cascade" and first[2] == "240 (80)"
    assert first[3] == f"{clean['kappa'][0]:.2f} [{clean['kappa_low'][0]:.2f}, {clean['kappa_high'][0]:.2f}]"
    assert first[5] == f"{clean['kappa_width_ratio'][0]:.1f}"
    assert UNDEFINED in third and "90%" in shown.columns[3]
    text = " ".join(shown.remarks)
    assert "open answers have no fixed number" in text
    without = " ".join(display(table(several), 0.95).remarks)
    assert "open answers" not in without


def test_an_empty_table_can_be_displayed() -> None:
    assert display(table(), 0.95).rows == []
