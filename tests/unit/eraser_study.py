"""Made-up files of a study whose states hold characters, first words, energy and pitch, for the tests of erasers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.mechanism.concepts import proxy
from cascade_equivalence.mechanism.ctc import CtcProbe
from cascade_equivalence.mechanism.eraser_files import read_erasers
from cascade_equivalence.mechanism.erasers import LayerFiles, fit_concept
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.moments import measure_files
from cascade_equivalence.mechanism.states import INDEX, States, StatesWriter, frame_owner

ALPHABET = "abcdefg "
WORDS = ["bad", "cab", "dead", "face", "feed", "bead", "egg", "gag"]
WIDTH = 40
CONFIG = ErasureConfig(seeds=5)
READS = [name for name, concept in CONCEPTS.items() if concept.reads]
"""Concepts that take what is read, of which this study has nothing."""


@dataclass(frozen=True)
class Study:
    """Files of a study in which characters, first words, energy and pitch each have dimensions of their own."""

    folder: Path
    layers: Mapping[int, LayerFiles]
    utterances: Path
    index: Path

    def fit(self, concept: str, config: ErasureConfig = CONFIG) -> dict[str, Any]:
        """Fit a concept; what the summary says of layer 3."""
        fit_concept("model", concept, self.layers, self.utterances, self.index, config, self.folder / concept)
        summary = json.loads((self.folder / concept / "summary.json").read_text())
        assert summary["of"] == {"model": "model", "concept": concept}
        assert set(summary["layers"]) == {str(layer) for layer in self.layers}
        return summary["layers"]["3"]

    def erasers(self, concept: str, layer: int = 3) -> dict[str, Eraser]:
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
    table = pl.DataFrame(
        {
            "task": "t",
            "id": [f"{row:03}" for row in range(count)],
            "text": texts,
            "split": split,
            "energy_db": energy,
            "log_f0": pitch,
            "voice": [f"v{row // 2 % 3}" for row in range(count)],
        }
    )
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
                # Who speaks shows in two of the other dimensions.
                states[:, -2:] += 3 * np.eye(3, 2)[row // 2 % 3]
                writer.add(torch.from_numpy(states))
        measure_files(
            files[layer].states, folder / "index.parquet", folder / "utterances.parquet", files[layer].moments
        )
        weight = torch.zeros(len(ALPHABET) + 1, width)
        weight[:, : len(ALPHABET) + 1] = torch.eye(len(ALPHABET) + 1)
        CtcProbe(weight, torch.zeros(len(weight)), ALPHABET, 1).write(files[layer].ctc, {})
    return Study(folder, files, folder / "utterances.parquet", folder / "index.parquet")


def planted_study(folder: Path) -> Study:
    """A study with every word first in some texts, and two layers."""
    rng = np.random.default_rng(1)
    return write_study(folder, [" ".join([WORDS[n // 4 % len(WORDS)], *rng.choice(WORDS, 3)]) for n in range(160)])


def r2(rows: np.ndarray, values: np.ndarray) -> float:
    """Least squares by scikit-learn."""
    return float(r2_score(values, LinearRegression().fit(rows, values).predict(rows), multioutput="variance_weighted"))


def words_of(table: pl.DataFrame) -> np.ndarray:
    return proxy(table["text"].to_list()).values
