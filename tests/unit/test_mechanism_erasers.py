"""Erasers from files: what was planted is erased, what was not is kept, and the numbers are those of the rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
from concept_erasure import LeaceFitter
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from cascade_equivalence.config.mechanism import ConceptName, ErasureConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.concepts import proxy
from cascade_equivalence.mechanism.ctc import CtcProbe
from cascade_equivalence.mechanism.erasers import LayerFiles, fit_concept, read_erasers
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.moments import measure_files
from cascade_equivalence.mechanism.states import INDEX, States, StatesWriter, frame_owner

torch.set_num_threads(1)

ALPHABET = "abcdefg "
WORDS = ["bad", "cab", "dead", "face", "feed", "bead", "egg", "gag"]
WIDTH = 40
CONFIG = ErasureConfig(seeds=5)


@dataclass(frozen=True)
class Study:
    """Files of a study in which characters, first words, energy and pitch each have dimensions of their own."""

    folder: Path
    layers: Mapping[int, LayerFiles]
    utterances: Path
    index: Path

    def fit(self, concept: ConceptName, config: ErasureConfig = CONFIG) -> dict[str, Any]:
        """Fit a concept; what the summary says of layer 3."""
        fit_concept(concept, self.layers, self.utterances, self.index, config, self.folder / concept)
        summary = json.loads((self.folder / concept / "summary.json").read_text())
        assert summary["concept"] == concept and set(summary["layers"]) == {str(layer) for layer in self.layers}
        return summary["layers"]["3"]

    def erasers(self, concept: ConceptName, layer: int = 3) -> dict[str, Eraser]:
        return read_erasers(self.folder / concept / f"layer{layer}.safetensors")

    def train(self) -> tuple[np.ndarray, pl.DataFrame]:
        """Frames of the train split, and the row of the utterances table that each belongs to."""
        index, table = pl.read_parquet(self.index), pl.read_parquet(self.utterances)
        owner = index["utterance"].to_numpy()[frame_owner(index)]
        keep = (table["split"] == "train").to_numpy()[owner]
        rows = States(self.layers[3].states).part(0, len(owner)).double().numpy()
        return rows[keep], table[owner[keep]]


def write_study(folder: Path, texts: Sequence[str], width: int = WIDTH, layers: Sequence[int] = (3, 5)) -> Study:
    """Write a study whose texts consist of the alphabet's characters."""
    rng = np.random.default_rng(0)
    count = len(texts)
    energy, pitch = rng.normal(-30, 4, count), rng.normal(5, 0.3, count)
    split = ["test" if row % 4 == 3 else "train" for row in range(count)]
    table = pl.DataFrame({"task": "t", "text": texts, "split": split, "energy_db": energy, "log_f0": pitch})
    table = table.with_columns(log_f0=pl.when(pl.int_range(pl.len()) % 7 == 5).then(None).otherwise(pl.col("log_f0")))
    table.write_parquet(folder / "utterances.parquet")
    order = rng.permutation(count)
    # A blank between characters, so that doubled ones are spelt right.
    spelt = [[label for c in texts[row] for label in (ALPHABET.index(c), len(ALPHABET))] for row in order]
    starts = np.cumsum([0, *map(len, spelt)])
    index = [
        (row, "t", str(row), "v", int(start), len(labels), 0, len(labels))
        for row, start, labels in zip(order.tolist(), starts[:-1], spelt, strict=True)
    ]
    pl.DataFrame(index, schema=INDEX, orient="row").write_parquet(folder / "index.parquet")
    files = {}
    for layer in layers:
        files[layer] = LayerFiles(
            folder / f"states{layer}.safetensors",
            folder / f"moments{layer}.safetensors",
            folder / f"ctc{layer}.safetensors",
            folder / "proxy" / f"layer{layer}.safetensors",
        )
        with StatesWriter(files[layer].states, width, torch.float32, {}) as writer:
            for row, labels in zip(order, spelt, strict=True):
                states = rng.normal(2, 1, (len(labels), width))
                states[:, : len(ALPHABET) + 1] += 15 * np.eye(len(ALPHABET) + 1)[labels]
                word = texts[row].split(" ")[0]
                if word in WORDS:
                    states[:, 9 + WORDS.index(word)] += 6
                states[:, 17] += energy[row]
                states[:, 18] += 10 * pitch[row]
                writer.add(torch.from_numpy(states))
        measure_files(
            files[layer].states, folder / "index.parquet", folder / "utterances.parquet", files[layer].moments
        )
        weight = torch.zeros(len(ALPHABET) + 1, width)
        weight[:, : len(ALPHABET) + 1] = torch.eye(len(ALPHABET) + 1)
        CtcProbe(weight, torch.zeros(len(weight)), ALPHABET, 1).write(files[layer].ctc, {})
    return Study(folder, files, folder / "utterances.parquet", folder / "index.parquet")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    rng = np.random.default_rng(1)
    texts = [" ".join([WORDS[n // 4 % len(WORDS)], *rng.choice(WORDS, 3)]) for n in range(160)]
    made = write_study(tmp_path_factory.mktemp("study"), texts)
    made.fit("proxy")
    return made


def r2(rows: np.ndarray, values: np.ndarray) -> float:
    """Least squares by scikit-learn."""
    return float(r2_score(values, LinearRegression().fit(rows, values).predict(rows), multioutput="variance_weighted"))


def words_of(table: pl.DataFrame) -> np.ndarray:
    return proxy(table["text"].to_list()).values


def test_the_first_word_is_erased_and_the_summary_says_what_rows_say(study: Study) -> None:
    found = study.fit("proxy")
    rows, table = study.train()
    values = words_of(table)
    erasers = study.erasers("proxy")
    assert set(erasers) == {"linear", "affine"} and found["rank"] == erasers["linear"].rank == 7
    assert found["columns"] == found["classes"] == 8 and len(found["singular_values"]) == 7
    assert found["largest_dropped"] < found["tolerance"] == CONFIG.tolerance
    assert found["rows"] == len(rows) and found["pooling"] == "frame"
    assert found["probe_before"] == pytest.approx(r2(rows, values), abs=1e-6) and found["probe_before"] > 0.5
    assert found["probe_after"] < 1e-9
    for variant in erasers.values():
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
    assert study.fit("ctc", ErasureConfig(pooling="utterance")) == found


def test_energy_and_pitch_are_erased_and_the_text_is_kept(study: Study) -> None:
    found = study.fit("acoustic")
    assert found["rank"] == found["columns"] == 2
    assert found["probe_before"] > 0.7 and found["probe_after"] < 1e-9
    assert found["text_decodability"]["after"] > 0.95


def test_characters_of_utterances_are_erased(study: Study) -> None:
    found = study.fit("boc")
    assert found["columns"] == len(ALPHABET) and 0 < found["rank"] <= len(ALPHABET)
    assert found["probe_before"] > 0.01 and found["probe_after"] < 1e-3


def test_random_directions_keep_what_the_proxys_erase(study: Study) -> None:
    planted, found = study.fit("proxy"), study.fit("random")
    erasers = study.erasers("random")
    assert list(erasers) == [f"seed{draw}" for draw in range(5)]
    assert all(each.bias is None and each.rank == planted["rank"] for each in erasers.values())
    assert found["probe_before"] == planted["probe_before"] and found["probe_after"] > 0.6 * found["probe_before"]
    assert found["text_decodability"]["after"] > 0.8
    rows, table = study.train()
    left = [r2(erasers[f"seed{draw}"](torch.from_numpy(rows)).numpy(), words_of(table)) for draw in range(3)]
    assert found["probe_after"] == pytest.approx(np.mean(left), abs=1e-5)
    overlap = study.erasers("random", 5)["seed0"].left.T @ erasers["seed0"].left
    assert torch.linalg.norm(overlap, 2) < 0.999


def test_the_principal_control_takes_as_much_variance_as_the_proxy(study: Study) -> None:
    planted = study.fit("proxy")
    found = study.fit("principal", ErasureConfig(seeds=60))
    assert found["target"] == pytest.approx(planted["removed_variance"], rel=1e-5)
    assert found["expected"] == pytest.approx(found["target"], rel=0.05)
    assert found["removed_variance"] == pytest.approx(found["target"], rel=0.2)
    assert len(found["removed_variances"]) == 60


def test_shuffled_words_say_nothing_of_the_words(study: Study) -> None:
    planted, found = study.fit("proxy"), study.fit("permuted")
    assert found["columns"] == planted["columns"] and found["probe_before"] < 0.3 * planted["probe_before"]
    rows, table = study.train()
    # Shuffled labels are an utterance's, too, and so are most of the directions that they take.
    assert r2(study.erasers("permuted")["linear"](torch.from_numpy(rows)).numpy(), words_of(table)) > 0.2


def test_only_the_variants_asked_for_are_written(study: Study) -> None:
    study.fit("acoustic", ErasureConfig(affine=[False]))
    assert list(study.erasers("acoustic")) == ["linear"] and study.erasers("acoustic")["linear"].bias is None
    study.fit("acoustic", ErasureConfig(affine=[True]))
    assert list(study.erasers("acoustic")) == ["affine"]


@pytest.mark.parametrize("pooling", ["frame", "utterance"])
@pytest.mark.parametrize("shrinkage", [False, True])
def test_tiny_studies_work(tmp_path: Path, pooling: str, shrinkage: bool) -> None:
    small = write_study(tmp_path, [f"{WORDS[n % 3]} {WORDS[n % 8]}" for n in range(12)], 64, [3])
    for concept in get_args(ConceptName):
        found = small.fit(concept, ErasureConfig(pooling=pooling, shrinkage=shrinkage, seeds=2))
        assert 0 <= found["probe_after"] <= found["probe_before"] + 1e-9 <= 1 + 1e-6, concept
        for eraser in small.erasers(concept).values():
            assert eraser.rank == found["rank"] and torch.isfinite(eraser(torch.randn(3, 64))).all()


def test_where_no_first_word_repeats_nothing_is_erased_and_it_says_why(tmp_path: Path) -> None:
    small = write_study(tmp_path, [*WORDS, "abe", "ace", "add", "bee"], 64, [3])
    for concept in ("proxy", "permuted", "random", "principal"):
        found = small.fit(concept)
        assert found["rank"] == 0 and "none begins two" in found["reason"]
        assert found["probe_before"] is None and found["probe_after"] is None
        assert found["removed_variance"] == 0
        x = torch.randn(5, 64)
        assert all(torch.equal(eraser(x), x) for eraser in small.erasers(concept).values())


def test_a_probe_with_several_outputs_a_frame_has_columns_for_each(study: Study, tmp_path: Path) -> None:
    weight = torch.zeros(18, WIDTH)  # of which the first half reads characters, the second first words
    weight[:, :18] = torch.eye(18)
    CtcProbe(weight, torch.zeros(18), ALPHABET, 2).write(tmp_path / "ctc.safetensors", {})
    other = replace(study, folder=tmp_path, layers={3: replace(study.layers[3], ctc=tmp_path / "ctc.safetensors")})
    found = other.fit("ctc")
    assert found["columns"] == 18 and 8 < found["rank"] <= 15 and found["probe_after"] < 0.01


def test_a_control_without_the_proxy_and_moments_of_other_states_are_refused(study: Study, tmp_path: Path) -> None:
    alone = replace(study, folder=tmp_path, layers={3: replace(study.layers[3], proxy=None)})
    with pytest.raises(StudyError, match="put proxy among the concepts"):
        alone.fit("random")
    (tmp_path / "wide").mkdir()
    wide = write_study(tmp_path / "wide", ["bad cab"] * 12, 64, [3])
    mixed = replace(wide, layers={3: replace(wide.layers[3], moments=study.layers[3].moments)})
    with pytest.raises(StudyError, match="is not of"):
        mixed.fit("acoustic")
    (tmp_path / "broken.safetensors").write_bytes(b"{")
    with pytest.raises(StudyError, match="cannot be read"):
        read_erasers(tmp_path / "broken.safetensors")
