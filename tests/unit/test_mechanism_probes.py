"""A layer's result: what was planted in its states is found there and not elsewhere; little data breaks nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from cascade_equivalence.config.mechanism import CtcConfig, ProbesConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.characters import Alphabet
from cascade_equivalence.mechanism.ctc import read_ctc_probe
from cascade_equivalence.mechanism.probe_utterances import Utterances
from cascade_equivalence.mechanism.probes import probe_layer
from cascade_equivalence.mechanism.states import INDEX, States, StatesWriter

WIDTH = 32
CONFIG = ProbesConfig(shuffles=3, ctc=CtcConfig(learning_rate=0.1, batch_size=8))
QUICK = ProbesConfig(shuffles=2, ctc=CtcConfig(epochs=2))
RIDGE = {
    *("r2", "r2_of_test", "r2_uniform", "penalty", "shuffled", "selectivity", "voice_value", "by_item", "by_utterance"),
    *("train", "test", "left_out", "voices_left_out", "low", "high", "reason"),
}
CTC = {
    *("by_item", "by_utterance", "decodability", "cer", "low", "high", "shuffled", "prior", "feasible_share", "epochs"),
    *("label_entropy", "blank_share", "alphabet", "upsample", "reason"),
}


class Planted:
    """Utterances whose states show their characters, energy and pitch in layer 0, and nothing in layer 1."""

    def __init__(
        self, folder: Path, count: int, *, unvoiced: int = 0, voices: int = 1, frames_a_label: int = 2
    ) -> None:
        self.folder = folder
        rng = np.random.default_rng(3)
        rows = []
        for number in range(count):
            words = ["".join(rng.choice(list("abcde"), rng.integers(1, 6))) for _ in range(rng.integers(2, 5))]
            for voice in range(voices):
                rows.append(
                    {
                        "task": "sst2",
                        "id": f"{number:03}",
                        "voice": f"voice {voice}",
                        "text": " ".join(words).title(),
                        "split": "test" if number % 5 == 4 else "train",
                        "energy_db": float(rng.normal(-25, 4)),
                        "log_f0": None if len(rows) < unvoiced else float(rng.normal(5, 0.3)),
                    }
                )
        self.table = pl.DataFrame(rows, schema_overrides={"log_f0": pl.Float64})
        alphabet = Alphabet(" abcde")
        shapes = rng.standard_normal((alphabet.blank + 1, WIDTH))
        loud, high = rng.standard_normal((2, WIDTH))
        self.states: list[np.ndarray] = []
        for row in rows:
            parted = [part for label in alphabet.labels(row["text"]) for part in (label, alphabet.blank)]
            shown = shapes[parted[: len(parted) // 2 * frames_a_label]]
            sound = (row["energy_db"] + 25) / 4 * loud + ((row["log_f0"] or 5) - 5) / 0.3 * high
            self.states.append(shown + 0.5 * sound + 0.1 * rng.standard_normal(shown.shape))
        self.noise = [rng.standard_normal(states.shape) for states in self.states]
        self.write()

    def write(self, order: list[int] | None = None, dtype: torch.dtype = torch.float32) -> None:
        """Write table, index and both layers; the states in some order."""
        order = order or list(range(len(self.states)))
        self.table.write_parquet(self.folder / "utterances.parquet")
        for layer, own in enumerate((self.states, self.noise)):
            with StatesWriter(self.folder / f"layer{layer}.safetensors", WIDTH, dtype, {}) as writer:
                for place in order:
                    writer.add(torch.from_numpy(own[place]))
        rows, start = [], 0
        for place in order:
            frames = len(self.states[place])
            names = self.table.row(place, named=True)
            rows.append([place, names["task"], names["id"], names["voice"], start, frames, 0, frames])
            start += frames
        pl.DataFrame(rows, schema=INDEX, orient="row").write_parquet(self.folder / "index.parquet")

    def probe(self, layer: int = 0, config: ProbesConfig = CONFIG) -> dict[str, Any]:
        """The result, checked for its form."""
        names = (f"layer{layer}.safetensors", "index.parquet", "utterances.parquet")
        states, index, utterances = (self.folder / name for name in names)
        self.json, self.probe_path = self.folder / f"out{layer}.json", self.folder / f"out{layer}.safetensors"
        probe_layer(states, index, utterances, config, self.json, self.probe_path, {"model": "planted", "layer": layer})
        result = json.loads(self.json.read_text())
        assert {*result} == {"of", "width", "utterances", "frames", "energy", "pitch", "boc", "ctc"}
        assert {*result["ctc"]} == CTC
        for name in ("energy", "pitch", "boc"):
            own = result[name]
            assert {*own} == RIDGE
            assert own["train"] + own["test"] + own["left_out"] == len(self.states)
            assert (own["r2"] is None) <= (own["reason"] is not None)
            if own["low"] is not None:
                assert own["low"] <= own["r2"] <= own["high"] <= 1
        for own, value in [(result[name], result[name]["r2"]) for name in ("energy", "pitch", "boc")] + [
            (result["ctc"], None if result["ctc"]["cer"] is None else 1 - result["ctc"]["cer"])
        ]:
            if value is not None:
                missed, there = (sum(own["by_item"][part]) for part in ("missed", "there"))
                assert value == pytest.approx(1 - missed / there)
                assert own["by_item"]["items"] == sorted(set(own["by_item"]["items"]))
                self.check_utterances(own, missed, there)
        return result

    def check_utterances(self, own: dict[str, Any], missed: float, there: float) -> None:
        """What is told of single utterances is of those that test, and adds up."""
        each = own["by_utterance"]
        assert sum(each["missed"]) == pytest.approx(missed) and sum(each["there"]) == pytest.approx(there)
        tested = self.table.filter(split="test")
        numbers = {text: number for number, text in enumerate(dict.fromkeys(self.table["text"]))}
        known = set(zip(tested["text"].replace_strict(numbers), tested["voice"], strict=True))
        assert set(zip(each["said"], each["voice"], strict=True)) <= known
        assert len({len(values) for values in each.values()}) == 1 and len(each["said"]) <= tested.height


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("planted"), 120, unvoiced=7)


@pytest.fixture(scope="module")
def results(planted: Planted) -> list[dict[str, Any]]:
    return [planted.probe(layer) for layer in (0, 1)]


@pytest.mark.parametrize("target", ["energy", "pitch", "boc"])
def test_a_planted_target_is_found_in_its_layer_only(results: list[dict[str, Any]], target: str) -> None:
    found, absent = (result[target] for result in results)
    assert found["r2"] > 0.9 and found["low"] > 0.8
    assert found["selectivity"] == pytest.approx(found["r2"] - np.mean(found["shuffled"]))
    assert absent["r2"] < 0.1 and absent["low"] < 0.1
    for own in (found, absent):
        assert len(own["shuffled"]) == CONFIG.shuffles and max(own["shuffled"]) < 0.1
        assert own["penalty"] in CONFIG.penalties and own["reason"] is None
    assert found["penalty"] < absent["penalty"]


def test_planted_text_is_read_in_its_layer_only(results: list[dict[str, Any]]) -> None:
    found, absent = (result["ctc"] for result in results)
    assert found["decodability"] > 0.95 and found["decodability"] == pytest.approx(1 - found["cer"])
    if found["low"] is None:
        assert found["decodability"] == 1 and found["reason"]
    else:
        assert found["low"] <= found["decodability"] <= found["high"] and found["reason"] is None
    assert absent["decodability"] < 0.1
    assert max(own[control] for own in (found, absent) for control in ("shuffled", "prior")) < 0.1
    assert found["feasible_share"] == 1 and 0 < found["epochs"] <= 40
    # Every other frame shows a blank, the others one of six characters.
    assert found["blank_share"] == pytest.approx(0.5, abs=0.05)
    assert np.log(2) < found["label_entropy"] < np.log(7)
    assert sorted(found["alphabet"]) == list(" abcde") and found["alphabet"][0] != "e"


def test_counts_and_left_out_clips_are_told(planted: Planted, results: list[dict[str, Any]]) -> None:
    result = results[0]
    assert (result["of"]["layer"], result["width"], result["frames"]) == (0, WIDTH, sum(map(len, planted.states)))
    assert result["utterances"] == {"train": 96, "test": 24}
    assert (result["pitch"]["train"], result["pitch"]["test"], result["pitch"]["left_out"]) == (90, 23, 7)
    assert (result["energy"]["train"], result["energy"]["test"], result["energy"]["left_out"]) == (96, 24, 0)


def test_the_written_probe_is_the_one_that_was_judged(planted: Planted, results: list[dict[str, Any]]) -> None:
    planted.probe(1, QUICK)
    probe = read_ctc_probe(planted.folder / "out0.safetensors")
    assert probe.alphabet == results[0]["ctc"]["alphabet"]
    states = States(planted.folder / "layer0.safetensors")
    start, right, labels = 0, 0, []
    for own, text, split in zip(planted.states, planted.table["text"], planted.table["split"], strict=True):
        part = states.part(start, start + len(own))
        right += probe.decode(part) == text.lower()
        labels += probe.labels(part).tolist() if split == "train" else []
        start += len(own)
    assert right > 0.9 * len(planted.states)
    shares = np.bincount(labels) / len(labels)
    assert results[0]["ctc"]["blank_share"] == pytest.approx(shares[-1])
    assert results[0]["ctc"]["label_entropy"] == pytest.approx(entropy(shares))


def test_equal_seeds_give_equal_files_and_the_order_of_the_states_does_not_matter(tmp_path: Path) -> None:
    study = Planted(tmp_path, 40, unvoiced=2, voices=2)
    result = study.probe(0, QUICK)
    written = study.json.read_bytes(), study.probe_path.read_bytes()
    study.probe(0, QUICK)
    assert (study.json.read_bytes(), study.probe_path.read_bytes()) == written
    study.write(order=np.random.default_rng(0).permutation(len(study.states)).tolist())
    study.probe(0, QUICK)
    assert (study.json.read_bytes(), study.probe_path.read_bytes()) == written
    assert study.probe(0, QUICK.model_copy(update={"seed": 1})) != result


def test_copies_of_an_item_in_other_voices_do_not_choose_the_penalty(tmp_path: Path) -> None:
    study = Planted(tmp_path, 40, voices=4)
    first = [place // 4 * 4 for place in range(len(study.states))]
    study.table = study.table.with_columns(energy_db=study.table["energy_db"].gather(first))
    study.noise = [study.noise[place] for place in first]
    study.write()
    result = study.probe(1, QUICK)
    assert result["utterances"] == {"train": 128, "test": 32}
    # Were copies held out one by one, the other three would make the weakest penalty look best.
    assert result["energy"]["penalty"] >= 100


def test_knowing_the_voice_alone_is_no_sound(tmp_path: Path) -> None:
    study = Planted(tmp_path, 60, voices=3)
    voice = study.table["voice"].str.tail(1).cast(pl.Float64)
    study.table = study.table.with_columns(energy_db=-30 + 10 * voice + pl.Series(study.table["energy_db"]) / 10)
    rng = np.random.default_rng(0)
    # Layer 1 tells the voice, and nothing else.
    study.noise = [
        rng.standard_normal(states.shape) + 5 * number for states, number in zip(study.states, voice, strict=True)
    ]
    study.write()
    sound, voice_only = (study.probe(layer, QUICK)["energy"] for layer in (0, 1))
    assert sound["voice_value"] == voice_only["voice_value"] > 0.95
    assert voice_only["r2_of_test"] > 0.9 and abs(voice_only["r2"]) < 0.1 and voice_only["low"] < 0
    assert sound["r2"] > 0.5


def test_a_voice_that_does_not_train_is_left_out_and_named(tmp_path: Path) -> None:
    study = Planted(tmp_path, 60, voices=3)
    study.table = study.table.filter((pl.col("voice") != "voice 2") | (pl.col("split") == "test"))
    study.states = study.states[: study.table.height]
    study.noise = study.noise[: study.table.height]
    study.write()
    result = study.probe(0, QUICK)
    for name in ("energy", "pitch"):
        assert result[name]["voices_left_out"] == ["voice 2"] and result[name]["left_out"] == 12
    assert result["boc"]["voices_left_out"] == [] and result["boc"]["left_out"] == 0
    assert result["energy"]["r2"] is not None


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(0, 9))
def test_targets_are_exchanged_within_voices_alone(voices: list[str], seed: int) -> None:
    names = [str(place) for place in range(len(voices))]
    utterances = Utterances(names, voices, names, np.ones(len(voices), dtype=bool), Alphabet("a"))
    places = list(range(0, len(voices), 2))
    order = utterances.shuffled(places, np.random.default_rng(seed)).tolist()
    assert sorted(order) == places
    assert [voices[place] for place in order] == [voices[place] for place in places]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_states_in_short_arithmetic_do(tmp_path: Path, dtype: torch.dtype) -> None:
    study = Planted(tmp_path, 60)
    study.write(dtype=dtype)
    assert study.probe(0, QUICK)["energy"]["r2"] > 0.8


@pytest.mark.parametrize("count", [5, 6, 10])
def test_few_utterances_give_results_or_reasons(tmp_path: Path, count: int) -> None:
    result = Planted(tmp_path, count, unvoiced=4).probe(0, QUICK)
    assert result["utterances"]["test"] == count // 5
    for name in ("energy", "pitch", "boc"):
        if result[name]["test"] < 2 or result[name]["train"] < 2:
            assert result[name]["r2"] is None and "too few utterances" in result[name]["reason"]
        else:
            assert result[name]["r2"] is not None
    if count < 10:
        assert result["ctc"]["low"] is None and "one group" in result["ctc"]["reason"]
    assert result["ctc"]["decodability"] is not None


def test_more_errors_than_characters_are_no_less_than_nothing_right(tmp_path: Path) -> None:
    study = Planted(tmp_path, 60)
    said = pl.when(pl.col("split") == "test").then(pl.lit("a")).otherwise("text").alias("text")
    study.table = study.table.with_columns(said)
    study.write()
    result = study.probe(0)["ctc"]
    assert result["cer"] > 2 and result["decodability"] == 0
    assert result["low"] is None and result["high"] is None and result["reason"]


def test_no_voiced_clip_leaves_pitch_undefined(tmp_path: Path) -> None:
    result = Planted(tmp_path, 20, unvoiced=20).probe(0, QUICK)
    assert result["pitch"]["r2"] is None and result["pitch"]["left_out"] == 20
    assert "0 to train on" in result["pitch"]["reason"] and result["energy"]["r2"] is not None


def test_no_feasible_text_is_said_so(tmp_path: Path) -> None:
    study = Planted(tmp_path, 20)
    study.states = [states[:1] for states in study.states]
    study.noise = [states[:1] for states in study.noise]
    study.write()
    result = study.probe(0, QUICK)["ctc"]
    assert {result[name] for name in ("decodability", "cer", "low", "high", "shuffled", "prior")} == {None}
    assert "upsample" in result["reason"] and result["feasible_share"] == 0 and result["epochs"] == 0
    assert result["blank_share"] == 1 and result["label_entropy"] == 0
    assert read_ctc_probe(study.probe_path).decode(torch.ones(3, WIDTH)) == ""


def test_a_text_without_known_characters_is_left_out_of_the_bags(tmp_path: Path) -> None:
    study = Planted(tmp_path, 30)
    names = pl.when(pl.col("id") == "004").then(pl.lit("?!")).otherwise("text").alias("text")
    study.table = study.table.with_columns(names)
    study.write()
    result = study.probe(0, QUICK)
    assert result["boc"]["left_out"] == 1 and result["energy"]["left_out"] == 0
    assert result["ctc"]["decodability"] is not None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("nan", "not numbers"),
        ("other", "lists other utterances"),
        ("fewer", "lists other utterances"),
        ("frames", "capture them again"),
        ("no test", "tests: raise mechanism.states.per_task"),
        ("no text", "has a text"),
    ],
)
def test_files_that_do_not_fit_are_errors(tmp_path: Path, damage: str, message: str) -> None:
    study = Planted(tmp_path, 10)
    if damage == "nan":
        study.states[3][0, 0] = np.nan
    if damage == "no test":
        study.table = study.table.with_columns(split=pl.lit("train"))
    if damage == "no text":
        study.table = study.table.with_columns(text=pl.lit("  "))
    study.write()
    if damage == "other":
        study.table.with_columns(id=pl.col("id").reverse()).write_parquet(tmp_path / "utterances.parquet")
    if damage == "fewer":
        study.table.head(9).write_parquet(tmp_path / "utterances.parquet")
    if damage == "frames":
        index = pl.read_parquet(tmp_path / "index.parquet")
        index.with_columns(frames=pl.col("frames") + 1).write_parquet(tmp_path / "index.parquet")
    with pytest.raises(StudyError, match=message):
        study.probe(0, QUICK)
    assert not (tmp_path / "out0.json").exists()
