"""Clips that cannot be used."""

from dataclasses import replace

import numpy as np
import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.audit import NAMES_SHOWN, find_problem, report_problems
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac, encode_flac

CLIP = Clip("a", "heart", b"", SAMPLING_RATE, 1.0, "test", "text", "")


def noise(seconds: float, level: float) -> Waveform:
    samples = np.random.default_rng(0).standard_normal(int(seconds * SAMPLING_RATE))
    return (level * samples).astype(np.float32)


def test_speech_has_no_problem() -> None:
    assert find_problem(noise(2, 0.05), 30) is None


def test_quiet_speech_between_long_pauses_is_not_silent() -> None:
    audio = np.concatenate(
        [np.zeros(5 * SAMPLING_RATE, np.float32), noise(0.2, 0.003), np.zeros(SAMPLING_RATE, np.float32)]
    )
    assert find_problem(audio, 30) is None


@pytest.mark.parametrize(
    ("audio", "problem"),
    [
        (np.zeros(0, dtype=np.float32), "empty"),
        (noise(0.02, 0.1), "empty"),
        (np.zeros(SAMPLING_RATE, dtype=np.float32), "silent"),
        (noise(1, 0.0002), "silent"),  # the dither of a recorder
        (noise(3, 0.05), "too long"),
        (np.clip(noise(1, 0.8), -1, 1), "clipped"),
    ],
)
def test_problems_are_found_before_and_after_flac(audio: Waveform, problem: str) -> None:
    assert find_problem(audio, 2.0) == problem
    assert find_problem(decode_flac(encode_flac(audio)), 2.0) == problem


def test_one_peak_at_full_scale_is_no_clipping() -> None:
    audio = noise(1, 0.05)
    audio[100] = 1.0
    assert find_problem(audio, 30) is None


def test_useless_clips_are_named() -> None:
    clips = [CLIP, replace(CLIP, id="b", problem="silent"), replace(CLIP, id="c", voice="us", problem="empty")]
    with pytest.raises(StudyError) as caught:
        report_problems(clips, "sst2")
    assert "sst2, voice heart: 1 of 3 clips are silent: b" in str(caught.value)
    assert "sst2, voice us: 1 of 3 clips are empty: c" in str(caught.value)


def test_doubtful_clips_are_warned_of_and_long_lists_are_cut() -> None:
    clips = [replace(CLIP, id=f"{n:03}", problem="clipped") for n in range(NAMES_SHOWN + 7)]
    clips.append(replace(CLIP, id="x", problem="too long"))
    clipped, long = report_problems(clips, "meld")
    assert clipped.endswith("019 and 7 more")
    assert long.startswith("meld, voice heart: ") and f"1 of {len(clips)}" in long and long.endswith(": x")
    assert report_problems([CLIP], "meld") == []
