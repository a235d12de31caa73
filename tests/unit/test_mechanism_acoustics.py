"""Energy and pitch against signals whose energy and pitch are known."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.acoustics import acoustic_targets
from cascade_equivalence.speech.waveform import SAMPLING_RATE

LOW, HIGH = 65.0, 400.0
SECONDS = 1.5
RNG = np.random.default_rng(0)
# Just-in-time compiled code of librosa and torch do not get along in one process.
PROGRAM = f"""
import sys, json, dataclasses, numpy as np
from cascade_equivalence.mechanism.acoustics import acoustic_targets
clips = np.load(sys.argv[1])
found = {{name: dataclasses.asdict(acoustic_targets(clips[name], {LOW}, {HIGH})) for name in clips.files}}
print(json.dumps(found | {{"torch": "torch" in sys.modules}}))
"""


def voice(pitch: np.ndarray, harmonics: int = 8) -> np.ndarray:
    """A tone with falling harmonics whose pitch in Hz is given at each sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLING_RATE
    return 0.1 * sum(np.sin(number * phase) / number for number in range(1, harmonics + 1))


def pitches() -> dict[str, np.ndarray]:
    time = np.arange(round(SECONDS * SAMPLING_RATE)) / SAMPLING_RATE
    constant = {f"tone {hertz}": np.full(len(time), float(hertz)) for hertz in (80, 117, 203, 350)}
    return constant | {
        "glide up": 100 * 3 ** (time / SECONDS),
        "glide down": 300 * 3 ** (-time / SECONDS),
        "vibrato": 180 * 2 ** (0.15 * np.sin(2 * np.pi * 5 * time)),
    }


def clips() -> dict[str, np.ndarray]:
    made = {name: voice(pitch) for name, pitch in pitches().items()}
    sine = np.sin(2 * np.pi * 220 * np.arange(SAMPLING_RATE) / SAMPLING_RATE)
    return made | {
        "sine": 0.2 * sine,
        "sine, half as loud": 0.1 * sine,
        "half silent": np.concatenate([made["tone 117"], np.zeros(len(made["tone 117"]))]),
        "noisy": made["vibrato"] + 0.01 * RNG.standard_normal(len(made["vibrato"])),
        "noise": 0.1 * RNG.standard_normal(2 * SAMPLING_RATE),
        "silence": np.zeros(SAMPLING_RATE),
        "click": 0.1 * RNG.standard_normal(60),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is measured in each clip, in a process of its own."""
    path = tmp_path_factory.mktemp("clips") / "clips.npz"
    np.savez(path, **{name: clip.astype(np.float32) for name, clip in clips().items()})
    source = Path(__file__).resolve().parents[2] / "src"
    command = [sys.executable, "-c", PROGRAM, str(path)]
    alone = {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"]}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_measuring_needs_no_torch(found: dict[str, Any]) -> None:
    assert not found["torch"]


@pytest.mark.parametrize("name", [*pitches(), "noisy"])
def test_pitch_is_right_to_one_percent(found: dict[str, Any], name: str) -> None:
    true = np.log(pitches()["vibrato" if name == "noisy" else name]).mean()
    assert found[name]["log_f0"] == pytest.approx(true, abs=0.01)
    assert found[name]["voiced_share"] > 0.9


@pytest.mark.parametrize("name", ["noise", "silence"])
def test_what_has_no_pitch_is_unvoiced(found: dict[str, Any], name: str) -> None:
    assert found[name]["voiced_share"] < 0.1
    if found[name]["voiced_share"] == 0:
        assert found[name]["log_f0"] is None


def test_silence_has_the_lowest_level_and_no_pitch(found: dict[str, Any]) -> None:
    assert found["silence"] == {"energy_db": pytest.approx(-100), "log_f0": None, "voiced_share": 0}


def test_a_clip_shorter_than_a_frame_can_be_measured(found: dict[str, Any]) -> None:
    assert -60 < found["click"]["energy_db"] < -20


def test_only_voiced_frames_count_for_the_pitch(found: dict[str, Any]) -> None:
    assert found["half silent"]["log_f0"] == pytest.approx(found["tone 117"]["log_f0"], abs=0.005)
    assert found["half silent"]["voiced_share"] == pytest.approx(0.5, abs=0.05)


def test_energy_is_in_decibels_of_the_mean_level(found: dict[str, Any]) -> None:
    # The frames at both ends hold less of the sine.
    assert found["sine"]["energy_db"] == pytest.approx(20 * np.log10(0.2 / np.sqrt(2)), abs=0.3)
    assert found["sine"]["energy_db"] - found["sine, half as loud"]["energy_db"] == pytest.approx(6.0206, abs=1e-3)
    assert found["sine"]["log_f0"] == found["sine, half as loud"]["log_f0"]
    assert found["half silent"]["energy_db"] == pytest.approx(found["tone 117"]["energy_db"] - 6.02, abs=0.3)


@pytest.mark.parametrize("clip", [np.zeros(0), np.array([0.1, np.nan, 0.2])])
def test_a_clip_without_numbers_is_an_error(clip: np.ndarray) -> None:
    with pytest.raises(StudyError, match="make or record it again"):
        acoustic_targets(clip, LOW, HIGH)


@pytest.mark.parametrize(("low", "high"), [(400, 65), (0, 400), (65, 5000)])
def test_an_impossible_pitch_range_is_an_error(low: float, high: float) -> None:
    with pytest.raises(StudyError, match=f"between {low} and {high} Hz"):
        acoustic_targets(np.ones(100), low, high)
