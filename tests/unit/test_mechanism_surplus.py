"""What classifiers know of a clip: features of signals that are known, and a task whose labels lie in the pitch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.surplus_features import FEATURES, audio_features, prosody, text_features
from cascade_equivalence.nodes.surplus import measure_surplus, sample_items
from cascade_equivalence.speech.clips import Clip, hash_audio, write_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import write_items

LOW, HIGH = 65.0, 400.0
SECONDS = 1.5
WORDS = 3
# Just-in-time compiled code of librosa and torch do not get along in one process.
PROGRAM = f"""
import sys, json, dataclasses, numpy as np
from pathlib import Path
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.nodes.surplus import measure_surplus
from cascade_equivalence.mechanism.acoustics import acoustic_targets
from cascade_equivalence.mechanism.surplus_features import prosody
root = Path(sys.argv[1])
clips = np.load(root / "clips.npz")
found = {{name: prosody(clips[name], {WORDS}, {LOW}, {HIGH}) for name in clips.files}}
other = {{name: dataclasses.asdict(acoustic_targets(clips[name], {LOW}, {HIGH})) for name in clips.files}}
speech = [root / f"{{voice}}.parquet" for voice in ("one", "two")]
config = SurplusConfig(tasks=["mustard"], folds=3, permutations=3)
for name, paths in (("forward", speech), ("backward", speech[::-1])):
    transcripts = root / "whisper" / "mustard" / "clean.parquet"
    target = root / f"{{name}}.json"
    measure_surplus(paths, transcripts, root / "items.parquet", "mustard", config, StatisticsConfig(), target)
print(json.dumps({{"found": found, "other": other, "torch": "torch" in sys.modules}}))
"""
TIME = np.arange(round(SECONDS * SAMPLING_RATE)) / SAMPLING_RATE


def tone(pitch: np.ndarray | float, harmonics: int = 8) -> np.ndarray:
    """A tone with falling harmonics whose pitch in Hz is given at each sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, TIME.shape)) / SAMPLING_RATE
    return 0.1 * sum(np.sin(number * phase) / number for number in range(1, harmonics + 1))


def signals() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).standard_normal(4 * len(TIME))
    return {
        "tone": tone(150),
        "glide": tone(100 * 3 ** (TIME / SECONDS)),
        "louder": tone(150) * 10 ** (12 * (TIME - SECONDS) / 20),
        "half as loud": 0.5 * tone(150),
        "sine": 0.2 * np.sin(2 * np.pi * 1000 * TIME),
        "white": 0.1 * noise,
        "brown": 0.005 * np.cumsum(noise - noise.mean()) / 10,
        "pause": np.concatenate([tone(150), 1e-4 * noise[: len(TIME)]]),
        "silence": np.zeros(SAMPLING_RATE),
        "click": 0.1 * noise[:60],
    }


def speak(root: Path) -> list[Item]:
    """Eight sentences as sarcasm, in a high pitch, and sincerely, in a low one, in two voices."""
    items = [
        Item(id=f"{text}-{style}", text=f"words of sentence {text}", label=style, group=f"g{text}", style=style)
        for text in range(8)
        for style in ("sarcastic", "sincere")
    ]
    rng = np.random.default_rng(1)
    heard = []
    for voice, pitch in (("one", 100.0), ("two", 180.0)):
        clips = []
        for item in items:
            high = 1.5 if item.style == "sarcastic" else 1.0
            flac = encode_flac(tone(pitch * high * rng.uniform(0.95, 1.05))[:8000].astype(np.float32))
            clips.append(Clip(item.id, voice, flac, SAMPLING_RATE, 0.5, "test", item.text, hash_audio(flac)))
        write_clips(clips, root / f"{voice}.parquet", {})
        heard += [(clip.id, voice, f"{clip.text}!", clip.sha256) for clip in clips]
    write_items(items, root / "items.parquet", "mustard")
    table = pl.DataFrame(heard, schema=["id", "voice", "text", "audio_sha256"], orient="row")
    write_table(table, root / "whisper" / "mustard" / "clean.parquet", {"asr": "whisper"})
    return items


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surplus")
    speak(folder)
    np.savez(folder / "clips.npz", **{name: clip.astype(np.float32) for name, clip in signals().items()})
    return folder


@pytest.fixture(scope="module")
def made(root: Path) -> dict[str, Any]:
    """What is measured, in a process of its own."""
    source = Path(__file__).resolve().parents[2] / "src"
    command = [sys.executable, "-c", PROGRAM, str(root)]
    # More threads than cores make small products slow.
    alone = {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"]}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(made: dict[str, Any]) -> dict[str, dict[str, float]]:
    return made["found"]


def test_measuring_needs_no_torch(made: dict[str, Any]) -> None:
    assert not made["torch"]


def test_every_clip_has_every_feature_and_pitch_is_that_of_the_probes(made: dict[str, Any]) -> None:
    for name, features in made["found"].items():
        assert set(features) == set(FEATURES)
        other = made["other"][name]
        assert features["voiced_share"] == pytest.approx(other["voiced_share"])
        if other["log_f0"] is None:
            assert np.isnan(features["log_f0_mean"])
        else:
            assert features["log_f0_mean"] == pytest.approx(other["log_f0"])
        # The mean of logarithms is at most the logarithm of the mean.
        assert features["energy_db_mean"] <= other["energy_db"] + 1e-3


def test_contours_are_those_that_were_made(found: dict[str, dict[str, float]]) -> None:
    glide = found["glide"]
    assert glide["log_f0_slope"] == pytest.approx(np.log(3) / SECONDS, rel=0.05)
    assert glide["log_f0_range"] == pytest.approx(0.9 * np.log(3), rel=0.08)
    assert glide["log_f0_std"] == pytest.approx(np.log(3) / np.sqrt(12), rel=0.08)
    assert found["louder"]["energy_db_slope"] == pytest.approx(12, abs=1)
    assert found["tone"]["energy_db_slope"] == pytest.approx(0, abs=0.5)
    assert found["tone"]["log_f0_range"] == pytest.approx(0, abs=0.02)


def test_loudness_is_only_in_the_level(found: dict[str, dict[str, float]]) -> None:
    tone, half = found["tone"], found["half as loud"]
    assert tone["energy_db_mean"] - half["energy_db_mean"] == pytest.approx(6.02, abs=0.01)
    for name in FEATURES[1:]:
        assert half[name] == pytest.approx(tone[name], abs=1e-3), name


def test_tempo_and_length(found: dict[str, dict[str, float]]) -> None:
    assert found["tone"]["log_seconds"] == pytest.approx(np.log(SECONDS))
    assert found["tone"]["words_per_second"] == pytest.approx(WORDS / SECONDS)


def test_the_spectrum_is_that_of_the_signal_and_not_of_its_pauses(found: dict[str, dict[str, float]]) -> None:
    assert found["sine"]["centroid_mean"] == pytest.approx(1.0, abs=0.1)
    assert found["white"]["centroid_mean"] == pytest.approx(SAMPLING_RATE / 4000, rel=0.05)
    assert found["white"]["tilt_mean"] == pytest.approx(0, abs=0.5)
    assert found["brown"]["tilt_mean"] == pytest.approx(-6, abs=1)
    assert found["pause"]["centroid_mean"] == pytest.approx(found["tone"]["centroid_mean"], rel=0.1)
    assert found["pause"]["energy_db_mean"] < found["tone"]["energy_db_mean"] - 10


def test_what_does_not_exist_is_missing_and_becomes_finite(found: dict[str, dict[str, float]]) -> None:
    silence = found["silence"]
    assert silence["energy_db_mean"] == pytest.approx(-100) and silence["voiced_share"] == 0
    assert np.isnan(silence["centroid_mean"]) and np.isnan(silence["mfcc1_std"])
    raw = np.array([[each[name] for name in FEATURES] for each in found.values()])
    audio, missing = audio_features(raw, np.zeros(len(raw), dtype=np.intp))
    assert np.isfinite(audio).all() and audio.shape == (len(raw), len(FEATURES) + len(missing))
    told = [FEATURES[column] for column in missing]
    silent = audio[list(found).index("silence"), len(FEATURES) :]
    assert silent[told.index("centroid_mean")] == silent[told.index("log_f0_mean")] == 1
    assert audio[list(found).index("glide"), len(FEATURES) :].tolist() == [0] * len(told)


@given(seed=st.integers(0, 1000), voices=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_how_a_voice_sounds_by_itself_is_taken_out(seed: int, voices: int) -> None:
    rng = np.random.default_rng(seed)
    voice = np.tile(np.arange(voices), 6)
    raw = rng.standard_normal((len(voice), 3))
    raw[rng.random(raw.shape) < 0.2] = np.nan
    raw[:, 2] = np.where(voice == 0, np.nan, raw[:, 2])  # a voice without any value
    scale, shift = rng.uniform(0.1, 10, (voices, 3)), rng.normal(0, 100, (voices, 3))
    plain, missing = audio_features(raw, voice)
    shifted, again = audio_features(raw * scale[voice] + shift[voice], voice)
    assert shifted == pytest.approx(plain, abs=1e-8) and missing.tolist() == again.tolist()
    for each in range(voices):
        assert plain[voice == each, :3].mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    for place, column in enumerate(missing):
        assert (plain[:, 3 + place] == np.isnan(raw[:, column])).all()
    assert plain[:, :3][np.isnan(raw)].tolist() == [0] * int(np.isnan(raw).sum())


def test_words_are_learnt_from_the_training_rows_alone() -> None:
    texts = ["good film", "bad film", "good new unseen words", "what?", ""]
    features = text_features(texts)
    few, more = features(np.array([0, 1])), features(np.array([0, 1, 2]))
    assert more.shape[1] > few.shape[1]
    # good, film, bad, and the two pairs; with the two lengths.
    assert few.shape == (5, 7)
    assert features(np.array([3, 4])).shape[1] == 5, "what, ?, and their pair"
    assert np.asarray(features(np.array([4]))).shape == (5, 2), "without words there is still the length"


def test_a_label_that_lies_in_the_pitch_is_found(made: dict[str, Any], root: Path) -> None:
    measured = json.loads((root / "forward.json").read_text())
    # Eight sentences are too few for an interval, but all exchanges find less.
    assert (
        measured["verdict"] == "apparent" and measured["surplus"]["value"] > max(measured["permuted"]["values"]) + 0.5
    )
    assert measured["surplus"]["low"] is None and "too few" in measured["surplus"]["reason"]
    assert measured["text"]["value"] == pytest.approx(0, abs=0.01), "each sentence is read both ways"
    assert (measured["rows"], measured["groups"], measured["texts"]) == (32, 8, 8)
    assert (measured["voices"], measured["transcript"]) == (["one", "two"], "whisper")
    assert measured["features"][: len(FEATURES)] == list(FEATURES)
    assert (root / "backward.json").read_text() == (root / "forward.json").read_text()


def test_readings_of_a_sentence_are_drawn_together_and_stay(root: Path) -> None:
    items = [Item(id=f"{i}{s}", text=f"t{i}", label=s, group=str(i)) for i in range(9) for s in "ab"]
    few, more = (sample_items(items, "mustard", count, 3) for count in (3, 6))
    assert len(few) == 6 and {item.id for item in few} < {item.id for item in more}
    assert all(sum(other.text == item.text for other in few) == 2 for item in few)
    assert sample_items(items, "mustard", 100, 3) == items
    assert {item.id for item in sample_items(items[::-1], "mustard", 3, 3)} == {item.id for item in few}
    assert {item.id for item in sample_items(items, "mustard", 3, 4)} != {item.id for item in few}


def test_what_does_not_fit_together_is_named(root: Path, tmp_path: Path) -> None:
    speech = [root / "one.parquet", root / "two.parquet"]
    transcripts = root / "whisper" / "mustard" / "clean.parquet"
    stale = tmp_path / "whisper" / "mustard" / "clean.parquet"
    stale.parent.mkdir(parents=True)
    pl.read_parquet(transcripts).with_columns(audio_sha256=pl.lit("other")).write_parquet(stale)
    longer = tmp_path / "items.parquet"
    write_items([Item(id="new", text="not spoken", label="sincere", group="new")], longer, "mustard")

    def measure(task: str = "mustard", heard: Path = transcripts, items: Path = root / "items.parquet") -> None:
        config = SurplusConfig(folds=2, permutations=1)
        measure_surplus(speech, heard, items, task, config, StatisticsConfig(), tmp_path / "out.json")

    with pytest.raises(StudyError, match="trivia_qa has open answers"):
        measure("trivia_qa")
    with pytest.raises(StudyError, match="no transcript of item 0-sarcastic as voice one speaks it now"):
        measure(heard=stale)
    with pytest.raises(StudyError, match="There are no clips"):
        measure(items=longer)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("clip", [np.zeros(0), np.array([0.1, np.nan])])
def test_a_clip_without_numbers_is_an_error(clip: np.ndarray) -> None:
    with pytest.raises(StudyError, match="make or record it again"):
        prosody(clip, 1, LOW, HIGH)
