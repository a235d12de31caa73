"""Erasers from files: what was planted is erased, what was not is kept, and the numbers are those of the rows."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch
from concept_erasure import LeaceFitter
from eraser_study import ALPHABET, CONFIG, WIDTH, WORDS, Study, planted_study, r2, words_of, write_study

from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.ctc import CtcProbe
from cascade_equivalence.mechanism.eraser_files import read_erasers

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return planted_study(tmp_path_factory.mktemp("study"))


def test_the_first_word_is_erased_and_the_summary_says_what_rows_say(study: Study) -> None:
    found = study.fit("proxy")
    rows, table = study.train()
    values = words_of(table)
    erasers = study.erasers("proxy")
    assert {"linear", "affine"} < set(erasers) and found["rank"] == erasers["linear"].rank == 7
    assert found["columns"] == found["classes"] == 8 and len(found["singular_values"]) == 7
    assert found["largest_dropped"] < found["tolerance"] == CONFIG.tolerance
    assert found["rows"] == len(rows) and found["pooling"] == "frame"
    assert found["probe_before"] == pytest.approx(r2(rows, values), abs=1e-6) and found["probe_before"] > 0.5
    assert found["probe_after"] < 1e-9
    for variant in (erasers["linear"], erasers["affine"]):
        erased = variant(torch.from_numpy(rows))
        assert r2(erased.numpy(), values) < 1e-6
        gone = np.var(rows - erased.numpy(), axis=0).sum() / np.var(rows, axis=0).sum()
        assert found["removed_variance"] == pytest.approx(gone, rel=1e-4)
    assert found["text_decodability"]["before"] == 1
    torch.testing.assert_close(erasers["affine"].bias.double(), torch.from_numpy(rows.mean(0)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["frame", "utterance"])
def test_it_is_what_the_library_fits_on_the_same_rows(study: Study, pooling: str) -> None:
    study.fit("acoustic", ErasureConfig(pooling=pooling))
    rows, table = study.train()
    voiced = table.filter(pl.col("log_f0").is_not_null())
    if pooling == "utterance":
        table = (
            table.with_columns(pl.Series("states", rows)).group_by("text", "energy_db", "log_f0").agg(pl.col("states"))
        )
        rows = np.array([np.mean(np.array(states.to_list()), 0) for states in table["states"]])
        voiced = table.filter(pl.col("log_f0").is_not_null())
    energy = (table["energy_db"] - table["energy_db"].mean()) / table["energy_db"].std(ddof=0)
    pitch = ((table["log_f0"] - voiced["log_f0"].mean()) / voiced["log_f0"].std(ddof=0)).fill_null(0)
    values = torch.from_numpy(np.column_stack([energy, pitch]))
    x = torch.from_numpy(rows)
    theirs = LeaceFitter.fit(x, values, constrain_cov_trace=False).eraser
    ours = study.erasers("acoustic")["affine"]
    assert torch.linalg.norm(ours.P - theirs.P) <= 1e-5 * torch.linalg.norm(theirs.P)
    torch.testing.assert_close(ours.bias.double(), theirs.bias, rtol=1e-5, atol=1e-5)


def test_characters_of_frames_are_erased_and_the_text_with_them(study: Study) -> None:
    found = study.fit("ctc")
    assert found["columns"] == 9 and found["rank"] == 8 and found["pooling"] == "frame"
    assert found["probe_before"] > 0.8 and found["probe_after"] < 1e-9
    assert found["text_decodability"]["before"] == 1 and found["text_decodability"]["after"] < 0.3
    shares = np.bincount(study.train()[0][:, :9].argmax(1), minlength=9) / found["rows"]
    assert found["label_entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert study.fit("ctc", CONFIG.model_copy(update={"pooling": "utterance"})) == found


def test_energy_and_pitch_are_erased_and_the_text_is_kept(study: Study) -> None:
    found = study.fit("acoustic")
    assert found["rank"] == found["columns"] == 2
    assert found["probe_before"] > 0.7 and found["probe_after"] < 1e-9
    assert found["text_decodability"]["after"] > 0.95


def test_shuffled_words_say_nothing_of_the_words(study: Study) -> None:
    planted, found = study.fit("proxy"), study.fit("permuted")
    assert "controls" not in found and set(study.erasers("permuted")) == {"linear", "affine"}
    # On the rows that it was fitted on, a probe explains some of any labels.
    assert found["probe_before"] > 0.02 and found["held_out_before"] < 0.05
    assert planted["held_out_before"] > 0.5 and planted["held_out_after"] < 0.05
    assert found["columns"] == planted["columns"] and found["probe_before"] < 0.3 * planted["probe_before"]
    rows, table = study.train()
    # Shuffled labels are an utterance's, too, and so are most of the directions that they take.
    assert r2(study.erasers("permuted")["linear"](torch.from_numpy(rows)).numpy(), words_of(table)) > 0.2


def test_only_the_variants_asked_for_are_written(study: Study) -> None:
    assert "controls" not in study.fit("acoustic", ErasureConfig(affine=[False], controls=[]))
    assert list(study.erasers("acoustic")) == ["linear"] and study.erasers("acoustic")["linear"].bias is None
    study.fit("acoustic", ErasureConfig(affine=[True], controls=["random"], seeds=1))
    assert list(study.erasers("acoustic")) == ["affine", "random0"]


def test_where_no_first_word_repeats_nothing_is_erased_and_it_says_why(tmp_path: Path) -> None:
    small = write_study(tmp_path, [*WORDS, "abe", "ace", "add", "bee"], 64, [3])
    for concept in ("proxy", "permuted"):
        found = small.fit(concept)
        assert found["rank"] == 0 and "none begins two" in found["reason"]
        for each in (found, *found.get("controls", {}).values()):
            assert found["probe_before"] is None and each["probe_after"] is None
            assert each["removed_variance"] == 0
        x = torch.randn(5, 64)
        assert all(torch.equal(eraser(x), x) for eraser in small.erasers(concept).values())


@pytest.mark.parametrize(("labels", "columns"), [("first", 9), ("union", 9), ("each", 18)])
def test_a_probe_with_several_outputs_a_frame_labels_it_as_asked(
    study: Study, tmp_path: Path, labels: Literal["first", "union", "each"], columns: int
) -> None:
    weight = torch.zeros(18, WIDTH)  # of which the first half reads characters, the second first words
    weight[:, :18] = torch.eye(18)
    probe = CtcProbe(weight, torch.zeros(18), ALPHABET, 2)
    probe.write(tmp_path / "ctc.safetensors", {})
    other = replace(study, folder=tmp_path, layers={3: replace(study.layers[3], ctc=tmp_path / "ctc.safetensors")})
    found = other.fit("ctc", CONFIG.model_copy(update={"ctc_labels": labels}))
    assert (found["columns"], found["labels"], found["outputs"]) == (columns, labels, 2)
    assert found["probe_after"] < 0.01 and found["controls"]["random"]["probe_after"] > 0.3
    rows, _ = study.train()
    said = probe.logits(torch.from_numpy(rows)).argmax(1).reshape(-1, 2)
    one_hot = torch.nn.functional.one_hot(said, 9).double()
    union = one_hot.amax(1)
    union[:, 8] = one_hot[:, :, 8].amin(1)
    values = {"first": one_hot[:, 0], "union": union, "each": one_hot.flatten(1)}[labels]
    x = torch.from_numpy(rows)
    theirs = LeaceFitter.fit(x, values, constrain_cov_trace=False).eraser
    ours = other.erasers("ctc")["affine"]
    assert torch.linalg.norm(ours.P - theirs.P) <= 1e-4 * torch.linalg.norm(theirs.P)
    counts = one_hot[:, : 1 if labels == "first" else 2].sum((0, 1))
    shares = (counts / counts.sum()).numpy()
    assert found["label_entropy"] == pytest.approx(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def test_with_one_output_a_frame_the_choice_is_none(study: Study) -> None:
    found = [study.fit("ctc", CONFIG.model_copy(update={"ctc_labels": name})) for name in ("union", "each", "first")]
    assert found[0] | {"labels": ""} == found[1] | {"labels": ""} == found[2] | {"labels": ""}


def test_a_probe_that_reads_the_same_everywhere_leaves_nothing_to_erase(study: Study, tmp_path: Path) -> None:
    bias = torch.eye(9)[8].repeat(2)
    CtcProbe(torch.zeros(18, WIDTH), bias, ALPHABET, 2).write(tmp_path / "ctc.safetensors", {})
    other = replace(study, folder=tmp_path, layers={3: replace(study.layers[3], ctc=tmp_path / "ctc.safetensors")})
    for labels in ("first", "union", "each"):
        found = other.fit("ctc", CONFIG.model_copy(update={"ctc_labels": labels}))
        assert found["rank"] == 0 and found["label_entropy"] == 0 and found["reason"]


def test_moments_of_other_states_and_broken_files_are_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    wide = write_study(tmp_path / "wide", ["bad cab"] * 12, 64, [3])
    mixed = replace(wide, layers={3: replace(wide.layers[3], moments=study.layers[3].moments)})
    with pytest.raises(StudyError, match="is not of"):
        mixed.fit("acoustic")
    (tmp_path / "broken.safetensors").write_bytes(b"{")
    with pytest.raises(StudyError, match="cannot be read"):
        read_erasers(tmp_path / "broken.safetensors")
