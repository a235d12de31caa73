"""Subspaces found by variance hold what was planted in them, and erasing what is not used costs nothing."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from report_mechanism_study import LABELS, World, write_mechanism
from study_config import changed, one_line

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.mechanism.concept import Pooled
from cascade_equivalence.mechanism.concepts import between_classes, heard_minus_read, voices
from cascade_equivalence.mechanism.leace import spanning
from cascade_equivalence.mechanism.mean_files import read_means, write_means
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.loss_table import display, frame
from cascade_equivalence.report.mechanism_frames import erasers_table
from cascade_equivalence.report.table import TABLES


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(1, 12), st.integers(1, 9), st.floats(0.05, 1.0), st.integers(0, 99))
def test_no_fewer_directions_hold_as_much(rows: int, width: int, share: float, seed: int) -> None:
    apart = drawn(seed, rows, width)
    eraser = spanning(apart, share).eraser
    left = float(eraser(apart).square().sum() / apart.square().sum())
    assert left <= 1 - share + 1e-9
    # Eigenvalues of the scatter are the best that any so many directions can do.
    best = torch.linalg.eigvalsh(apart.mT @ apart).flip(0)
    fewer = float(best[: eraser.rank - 1].sum() / best.sum())
    assert fewer < share + 1e-9
    torch.testing.assert_close(eraser.right @ eraser.left, torch.eye(eraser.rank, dtype=torch.float64))


def test_nothing_is_erased_where_nothing_differs() -> None:
    for rows in (torch.zeros(3, 5, dtype=torch.float64), torch.zeros(0, 5, dtype=torch.float64)):
        eraser = spanning(rows, 0.9).eraser
        assert eraser.rank == 0
        states = drawn(1, 4, 5)
        assert torch.equal(eraser(states), states)


def test_planted_voices_are_found_and_means_are_equal_after() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"voice": [f"v{number % 4}" for number in range(200)]})
    where = rng.standard_normal((4, 30)) * 5
    where[:, 10:] = 0
    heard = rng.standard_normal((200, 30)) + np.tile(where, (50, 1))
    columns = voices(table)
    counts = rng.integers(1, 9, 200).astype(float)
    apart = between_classes(Pooled(heard, counts), columns.values)
    eraser = spanning(torch.from_numpy(apart), 1.0).eraser
    assert eraser.rank == 3
    # Nearly all of it lies where it was planted.
    assert float(eraser.left[:10].square().sum()) > 2.9
    left = eraser(torch.from_numpy(heard)).numpy()
    means = [
        np.average(left[own], axis=0, weights=counts[own])
        for own in (columns.values[:, voice] == 1 for voice in range(4))
    ]
    np.testing.assert_allclose(means, np.tile(means[0], (4, 1)), atol=1e-9)
    assert spanning(torch.from_numpy(apart), 0.3).eraser.rank < 3
    assert voices(table[:1]).reason


def test_a_voice_without_rows_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    heard, labels = rng.standard_normal((40, 6)), np.eye(3)[rng.integers(0, 2, 40)]
    apart = between_classes(Pooled(heard, np.ones(40)), labels)
    there = between_classes(Pooled(heard, np.ones(40)), labels[:, :2])
    np.testing.assert_allclose(apart.T @ apart, there.T @ there)


def test_what_is_heard_beyond_what_is_read_is_found() -> None:
    rng = np.random.default_rng(1)
    read = rng.standard_normal((60, 20))
    shift = np.zeros(20)
    shift[3] = 4
    read[5] = np.nan
    heard = np.nan_to_num(read) + shift + 0.1 * rng.standard_normal((60, 20))
    apart = heard_minus_read(Pooled(heard, np.ones(60), read), np.zeros((60, 1)))
    assert len(apart) == 59
    eraser = spanning(torch.from_numpy(apart), 0.9).eraser
    assert eraser.rank == 1 and abs(float(eraser.left[3, 0])) == pytest.approx(1, abs=0.01)


def test_means_come_back_as_they_were_written(tmp_path: Path) -> None:
    means = {0: np.arange(6.0).reshape(2, 3), 7: np.full((2, 3), np.nan)}
    write_means(tmp_path / "means.safetensors", means, {"model": "m"})
    for layer, each in means.items():
        np.testing.assert_array_equal(read_means(tmp_path / "means.safetensors", layer), each)


def test_what_needs_reading_is_told_before_any_job_runs() -> None:
    opened = {"models": ["mini-speech-llm"], "erasure": {"concepts": ["modality"], "tasks": ["sst2"]}}
    assert one_line(changed(mechanism=opened)).startswith("mechanism.erasure.concepts: 'modality' needs")
    # Means of the whole prompt are no means of what is heard.
    everywhere = opened | {"similarity": {}, "states": {"tasks": ["sst2"], "positions": "all"}}
    line = one_line(changed(mechanism=everywhere))
    assert line.startswith("mechanism.erasure.concepts: 'modality'") and "positions: all" in line


def test_the_table_says_what_erasing_costs(tmp_path: Path) -> None:
    world = World()
    files = write_mechanism(tmp_path, world)
    erasure, _ = erasure_tables(files.erasure, LABELS, StatisticsConfig())
    table = frame(erasure, erasers_table(files.erasers))
    assert table.schema == pl.Schema(TABLES["erasure_loss"].schema) and table.height
    # Planted: what is lost, and a constant beside it.
    assert (table["loss_change"] > 0).all() and (table["unerased_loss"] == 0.5).all()
    shown = display(table, 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)} and len(shown.rows) == table.height
    heard = table.filter(arm="audio", concept="proxy")
    assert (heard["random_draws"] == world.draws).all() and heard["random_p"].is_between(0, 1).all()
    # What no result could show is said of as many draws, and of no more.
    for draws in (1, 5, 18, 19, 99):
        told = display(table.with_columns(random_draws=pl.lit(draws), principal_draws=pl.lit(99)), 0.95).remarks
        assert any(f"of {draws} draws" in each for each in told) == (1 / (draws + 1) > 0.05)
