"""Moments of states: against numpy on all rows at once, whatever the parts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from concept_erasure import LeaceFitter, optimal_linear_shrinkage
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.moments import (
    Running,
    class_moments,
    cross_moments,
    measure,
    measure_files,
    read_moments,
    train_places,
)
from cascade_equivalence.mechanism.states import INDEX, States, StatesWriter, frame_owner, read_index

torch.set_num_threads(1)
WIDTH = 6
FRAMES = [4, 7, 1, 5, 9, 3]
ORDER = [3, 0, 5, 1, 4, 2]
"""Rows of the utterances table in the order of the states."""
SPLIT = ["train", "train", "test", "train", "test", "train"]


def layer(folder: Path, rows: torch.Tensor, frames: list[int] = FRAMES) -> tuple[Path, Path, Path]:
    """Files of some states: states, index, utterances."""
    rows = rows.float() if rows.dtype == torch.float64 else rows
    with StatesWriter(folder / "states.safetensors", rows.shape[1], rows.dtype, {}) as writer:
        writer.add(rows)
    starts = np.cumsum([0, *frames[:-1]])
    table = [
        (utterance, "t", str(utterance), "v", int(start), count, 0, count)
        for utterance, start, count in zip(ORDER, starts, frames, strict=True)
    ]
    pl.DataFrame(table, schema=INDEX, orient="row").write_parquet(folder / "index.parquet")
    pl.DataFrame({"split": SPLIT}).write_parquet(folder / "utterances.parquet")
    return folder / "states.safetensors", folder / "index.parquet", folder / "utterances.parquet"


def random_rows(n: int, offset: float = 100.0, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(offset, [1, 2, 3, 0.1, 1, 50], (n, WIDTH)))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any), st.floats(-1e4, 1e4), st.integers(0, 99))
def test_parts_do_not_matter(parts: list[int], offset: float, seed: int) -> None:
    rows = random_rows(sum(parts), offset, seed)
    running = Running(WIDTH)
    for part in rows.split(parts):
        running.add(part)
    found = running.moments()
    assert found.count == len(rows)
    np.testing.assert_allclose(found.mean, rows.numpy().mean(0), rtol=1e-12, atol=1e-12)
    expected = np.cov(rows.numpy(), rowvar=False, bias=True)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(found.covariance, found.covariance.T)


def test_a_mean_far_larger_than_the_spread_costs_no_digits() -> None:
    rows = random_rows(3000, 0.0)
    shifted = (rows + 1e7).split(17)
    running = Running(WIDTH)
    for part in shifted:
        running.add(part)
    expected = np.cov(rows.numpy(), rowvar=False, bias=True)
    np.testing.assert_allclose(running.moments().covariance, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows_at_once", [1, 3, 8, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_the_train_split_is_measured(tmp_path: Path, rows_at_once: int, dtype: torch.dtype) -> None:
    rows = random_rows(sum(FRAMES), 3.0).to(dtype)
    states_path, index_path, utterances_path = layer(tmp_path, rows)
    states = States(states_path)
    index, utterances = read_index(index_path, states), pl.read_parquet(utterances_path)
    found = measure(states, index, utterances, rows_at_once)
    wide = rows.double().numpy()
    train = np.repeat([SPLIT[utterance] == "train" for utterance in ORDER], FRAMES)
    np.testing.assert_allclose(found.frame.mean, wide[train].mean(0))
    np.testing.assert_allclose(found.frame.covariance, np.cov(wide[train], rowvar=False, bias=True), atol=1e-12)
    assert found.frame.count == train.sum() == found.frames.sum()
    assert found.rows.tolist() == [3, 0, 5, 1]
    means = [part.mean(0) for part in np.split(wide, np.cumsum(FRAMES)[:-1])]
    expected = np.array([mean for mean, utterance in zip(means, ORDER, strict=True) if SPLIT[utterance] == "train"])
    np.testing.assert_allclose(found.means, expected)
    np.testing.assert_allclose(found.utterance.covariance, np.cov(expected, rowvar=False, bias=True), atol=1e-12)
    np.testing.assert_allclose(found.utterance.mean, expected.mean(0))


def test_the_spectrum_is_that_of_the_covariance_before_and_after_shrinkage(tmp_path: Path) -> None:
    paths = layer(tmp_path, random_rows(sum(FRAMES)))
    measure_files(*paths, tmp_path / "moments.safetensors")
    found = read_moments(tmp_path / "moments.safetensors")
    vectors = found.spectrum.vectors
    torch.testing.assert_close(vectors @ torch.diag(found.spectrum.values) @ vectors.T, found.frame.covariance)
    shrunk = optimal_linear_shrinkage(found.frame.covariance, found.frame.count)
    torch.testing.assert_close(vectors @ torch.diag(found.spectrum.shrunk) @ vectors.T, shrunk)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    paths = layer(tmp_path, random_rows(sum(FRAMES)))
    measure_files(*paths, tmp_path / "folder" / "moments.safetensors")
    found = read_moments(tmp_path / "folder" / "moments.safetensors")
    states = States(paths[0])
    expected = measure(states, read_index(paths[1], states), pl.read_parquet(paths[2]))
    for part in ("means", "frames"):
        assert torch.equal(getattr(found, part), getattr(expected, part))
    for part in ("mean", "covariance", "count"):
        np.testing.assert_array_equal(getattr(found.frame, part), getattr(expected.frame, part))
    assert found.spectrum.count == found.frame.count and found.rows.tolist() == expected.rows.tolist()
    assert found.frame.covariance.dtype == found.means.dtype == torch.float64


def test_cross_moments_of_groups_are_those_of_their_rows() -> None:
    generator = np.random.default_rng(0)
    counts = np.array([3, 1, 6, 2])
    values = generator.normal(5, 2, (4, 3))
    owner = np.repeat(np.arange(4), counts)
    rows = random_rows(len(owner))
    sums = torch.zeros(4, WIDTH, dtype=torch.float64).index_add_(0, torch.from_numpy(owner), rows)
    found = cross_moments(sums, torch.from_numpy(counts), torch.from_numpy(values))
    both = np.cov(rows.numpy(), values[owner], rowvar=False)
    np.testing.assert_allclose(found.covariance, both[:WIDTH, WIDTH:], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.variance, np.diag(both)[WIDTH:])
    fitter = LeaceFitter(WIDTH, 3, dtype=torch.float64).update(rows, torch.from_numpy(values[owner]))
    torch.testing.assert_close(found.covariance, fitter.sigma_xz)


@pytest.mark.parametrize("rows_at_once", [1, 4, 1000])
def test_labels_of_frames_are_counted_in_one_pass(tmp_path: Path, rows_at_once: int) -> None:
    rows = random_rows(sum(FRAMES)).float()
    states_path, index_path, utterances_path = layer(tmp_path, rows)
    states = States(states_path)
    index = read_index(index_path, states)
    kept = np.isin(frame_owner(index), train_places(index, pl.read_parquet(utterances_path)))
    labels = np.random.default_rng(1).integers(0, 4, (len(rows), 2))
    seen = []

    def read(start: int, part: torch.Tensor) -> torch.Tensor:
        assert torch.equal(part, rows[start : start + len(part)])
        seen.append(len(part))
        return torch.from_numpy(labels[start : start + len(part)])

    found = class_moments(states, kept, read, 5, rows_at_once)
    assert sum(seen) == len(rows)
    columns = np.hstack([np.eye(5)[column] for column in labels.T])[kept]
    both = np.cov(rows.double().numpy()[kept], columns, rowvar=False)
    np.testing.assert_allclose(found.covariance, both[:WIDTH, WIDTH:], atol=1e-9)
    np.testing.assert_allclose(found.variance, np.diag(both)[WIDTH:], atol=1e-12)
    np.testing.assert_array_equal(found.counts, columns.sum(0))


def test_states_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    rows = random_rows(sum(FRAMES))
    rows[0, 2] = float("inf")
    with pytest.raises(StudyError, match="infinite"):
        measure_files(*layer(tmp_path, rows), tmp_path / "moments.safetensors")
    assert not (tmp_path / "moments.safetensors").exists()


def test_utterances_without_frames_are_left_out_and_too_few_are_refused(tmp_path: Path) -> None:
    frames = [0, 7, 1, 5, 9, 3]
    states_path, index_path, utterances_path = layer(tmp_path, random_rows(sum(frames)), frames)
    measure_files(states_path, index_path, utterances_path, tmp_path / "moments.safetensors")
    found = read_moments(tmp_path / "moments.safetensors")
    assert found.rows.tolist() == [0, 5, 1] and found.means.isfinite().all()
    pl.DataFrame({"split": ["train"] + ["test"] * 5}).write_parquet(utterances_path)
    with pytest.raises(StudyError, match="1 utterances to train on"):
        measure_files(states_path, index_path, utterances_path, tmp_path / "moments.safetensors")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "moments.safetensors").write_bytes(b"nothing")
    with pytest.raises(StudyError, match="cannot be read"):
        read_moments(tmp_path / "moments.safetensors")
