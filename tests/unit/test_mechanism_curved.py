"""A probe with a hidden layer reads what a linear one cannot, and neither reads what is not there."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from cascade_equivalence.config.mechanism import CurvedConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import OF
from cascade_equivalence.mechanism.mlp_probes import Classes, classes_of, curved_layer, erase_classes, probe_classes
from cascade_equivalence.mechanism.states import INDEX, StatesWriter
from cascade_equivalence.report.curved_table import PROBES, display, frame
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.stats.clusters import Floats

torch.set_num_threads(1)
ROWS, WIDTH = 300, 8
CONFIG = CurvedConfig(folds=3, shuffles=3, epochs=80)
TEXTS = [f"text {number // 2}" for number in range(ROWS)]


def planted(kind: str) -> tuple[Floats, Classes]:
    rng = np.random.default_rng(0)
    states = 0.3 * rng.standard_normal((ROWS, WIDTH))
    signs = rng.integers(0, 2, (ROWS, 2))
    states[:, :2] += 2 * signs - 1
    labels = {"xor": signs[:, 0] ^ signs[:, 1], "linear": signs[:, 0], "nothing": rng.integers(0, 2, ROWS)}[kind]
    return states + 5, Classes(labels, ("a", "b"), np.zeros(ROWS, dtype=int))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Of each planted label a layer of its own, as the target voice."""
    folder = tmp_path_factory.mktemp("curved")
    files = []
    for layer, kind in enumerate(("xor", "linear", "nothing")):
        found = {"voice": probe_classes(*planted(kind), TEXTS, CONFIG), "manner": {"reason": "no manner"}}
        files.append(folder / f"{layer}.json")
        files[-1].write_text(json.dumps({OF: {"model": "m", "layer": layer}, "targets": found}))
    return frame(files, StatisticsConfig())


def test_exclusive_or_is_read_by_a_hidden_layer_alone(table: pl.DataFrame) -> None:
    row = table.row(0, named=True)
    assert row["mlp_before"] > 0.9 and row["mlp_gain_low"] > 0.3
    assert row["linear_before_above_shuffled_low"] < 0.1 and row["linear_before"] < 0.65
    # LEACE has nothing to take away: what is left is all of it.
    assert row["mlp_after"] > 0.9 and row["mlp_after_above_shuffled_low"] > 0.3


def test_what_is_linear_is_read_by_both_and_gone_for_a_linear_probe_once_erased(table: pl.DataFrame) -> None:
    row = table.row(1, named=True)
    assert min(row["linear_before"], row["mlp_before"]) > 0.85
    assert row["linear_after_above_shuffled_low"] < 0.05 and row["linear_after"] < 0.65
    assert row["linear_before_above_shuffled_low"] > 0.3


def test_what_is_not_there_is_at_chance(table: pl.DataFrame) -> None:
    row = table.row(2, named=True)
    for name in PROBES:
        assert row[f"{name}_above_shuffled_low"] < 0.02 and abs(row[f"{name}_shuffled"] - 0.5) < 0.1


def test_the_table_says_where_it_leaks(table: pl.DataFrame) -> None:
    assert table.schema == pl.Schema(TABLES["curved"].schema)
    shown = display(table, 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)} and len(shown.rows) == table.height == 6
    assert any("still reads: m, voice: layer 0" in remark for remark in shown.remarks)
    assert any("no manner" in remark for remark in shown.remarks)


def test_nothing_linear_is_left_on_the_rows_that_the_eraser_was_fitted_on() -> None:
    states, classes = planted("linear")
    left = erase_classes(states, classes.labels, 2)(torch.from_numpy(states)).numpy()
    means = [left[classes.labels == label].mean(0) for label in (0, 1)]
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)
    np.testing.assert_allclose(left.mean(0), states.mean(0), atol=1e-6)


def test_targets_are_told_within_voices_and_few_are_not_told() -> None:
    rng = np.random.default_rng(0)
    voices = [f"v{row % 2}" for row in range(40)]
    pitch = [None if row == 7 else float(row % 2 * 10 + rng.random()) for row in range(40)]
    columns = {"voice": voices, "energy_db": rng.random(40).tolist(), "log_f0": pitch}
    found = classes_of(pl.DataFrame(columns), [None] * 40)
    assert found["manner"].names == [] and (found["manner"].labels == -1).all()
    assert found["pitch"].labels[7] == -1
    # Each voice is above its own median as often as below it.
    for voice in (0, 1):
        own = found["pitch"].labels[found["pitch"].strata == voice]
        assert abs((own == 1).sum() - (own == 0).sum()) <= 1
    states = rng.standard_normal((40, 4))
    assert probe_classes(states, found["manner"], voices, CONFIG)["reason"]
    assert probe_classes(states, found["voice"], voices, CONFIG)["reason"]


def test_a_layer_is_probed_from_its_files_and_again_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    index = [(row, "t", f"i{row}", "v", 2 * row, 2, 0, 2) for row in range(40)]
    pl.DataFrame(index, schema=INDEX, orient="row").write_parquet(tmp_path / "index.parquet")
    table = pl.DataFrame(
        {
            "task": "t",
            "id": [f"i{row}" for row in range(40)],
            "voice": [f"v{row % 2}" for row in range(40)],
            "text": [f"text {row}" for row in range(40)],
            "energy_db": rng.random(40),
            "log_f0": rng.random(40),
        }
    )
    table.write_parquet(tmp_path / "utterances.parquet")
    with StatesWriter(tmp_path / "states.safetensors", 6, torch.float32, {}) as writer:
        writer.add(torch.from_numpy(rng.standard_normal((80, 6))))
    styles = {("t", f"i{row}"): ("loud", "soft", None)[row % 3] for row in range(40)}
    names = ("states.safetensors", "index.parquet", "utterances.parquet")
    states, index_path, utterances = (tmp_path / name for name in names)
    for name in ("one", "other"):
        curved_layer(
            states, index_path, utterances, styles, CONFIG, tmp_path / f"{name}.json", {"model": "m", "layer": 3}
        )
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    found = frame([tmp_path / "one.json"], StatisticsConfig())
    assert found["target"].to_list() == ["voice", "manner", "pitch", "energy"] and found["reason"].null_count() == 4
