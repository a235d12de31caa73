"""Styles: audible in the voice, not in the words."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import STYLES, apply_prosody, find_style
from cascade_equivalence.speech.provider import open_provider
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

TEXTS = ["My cousin is coming to stay with us again.", "You did a wonderful job parking the car."]
EMOTIONS = ["neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust"]


def spread_of_pitch(clip: Waveform) -> tuple[float, float]:
    """Median F0 in Hz, and the distance of its 10 % and 90 % points in semitones; of the louder half of the frames.

    F0 is the first strong peak of the autocorrelation, each lag weighed by the number of samples behind it.
    """
    length, hop = 1024, 256
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), length)[::hop]
    loud = np.sqrt(np.mean(frames**2, axis=1))
    frames = frames[loud > np.median(loud)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(frames, 2 * length, axis=1)) ** 2
    correlation = np.fft.irfft(power, axis=1)[:, :length] / (length - np.arange(length))
    lags = np.arange(SAMPLING_RATE // 500, SAMPLING_RATE // 50)
    candidates = correlation[:, lags]
    strong = candidates >= 0.85 * candidates.max(axis=1, keepdims=True)
    first = strong.argmax(axis=1)
    # From the first strong lag up to the top of its peak.
    for row, values in enumerate(candidates):
        while first[row] + 1 < lags.size and values[first[row] + 1] > values[first[row]]:
            first[row] += 1
    f0 = SAMPLING_RATE / lags[first]
    low, middle, high = np.percentile(f0, [10, 50, 90])
    return float(middle), float(12 * np.log2(high / low))


Measures = dict[str, dict[str, float]]


@pytest.fixture(scope="module", params=["en-us", "en-us+f5", "en-gb"])
def measured(request: pytest.FixtureRequest) -> Measures:
    """Seconds, loudness in dB, median F0 and its spread, peak: of each style in one voice."""
    measures: Measures = {}
    with open_provider(EspeakVoice(provider="espeak", name=request.param)) as provider:
        clips = {style: np.concatenate([provider.speak(text, style) for text in TEXTS]) for style in STYLES}
    found = {style: spread_of_pitch(clip) for style, clip in clips.items()}
    for style, clip in clips.items():
        measures[style] = {
            "seconds": clip.size / SAMPLING_RATE,
            "loudness": 20 * np.log10(rms(clip)),
            "pitch": found[style][0],
            "spread": found[style][1],
            "peak": float(np.abs(clip).max()),
        }
    return measures


def test_every_emotion_is_told_from_every_other_by_ear(measured: Measures) -> None:
    # What listeners notice: 10 % of tempo, 3 dB, 2 semitones of pitch or of its spread
    for one, other in combinations(EMOTIONS, 2):
        a, b = measured[one], measured[other]
        cues = [
            abs(np.log(a["seconds"] / b["seconds"])) > np.log(1.1),
            abs(a["loudness"] - b["loudness"]) > 3,
            abs(12 * np.log2(a["pitch"] / b["pitch"])) > 2,
            abs(a["spread"] - b["spread"]) > 2,
        ]
        assert sum(cues) >= 1, (one, other, a, b)


def test_directions_are_those_of_the_literature(measured: Measures) -> None:
    neutral = measured["neutral"]

    def than_neutral(style: str, cue: str) -> float:
        return measured[style][cue] - neutral[cue]

    assert than_neutral("anger", "seconds") < 0
    assert than_neutral("anger", "loudness") > 3
    assert than_neutral("anger", "pitch") > 0
    assert than_neutral("joy", "pitch") > 0
    assert than_neutral("joy", "loudness") > 0
    assert than_neutral("sadness", "seconds") > 0
    assert than_neutral("sadness", "loudness") < -3
    assert than_neutral("sadness", "pitch") < 0
    assert than_neutral("sadness", "spread") < 0
    assert than_neutral("fear", "seconds") < 0
    assert than_neutral("fear", "pitch") > 0
    assert than_neutral("surprise", "pitch") > 0
    assert than_neutral("disgust", "seconds") > 0
    assert than_neutral("disgust", "pitch") < 0


def test_sarcasm_is_lower_slower_louder_and_flatter_than_sincerity(measured: Measures) -> None:
    sarcastic, sincere = measured["sarcastic"], measured["sincere"]
    assert sarcastic["pitch"] < 0.85 * sincere["pitch"]
    assert sarcastic["seconds"] > 1.2 * sincere["seconds"]
    assert sarcastic["loudness"] > sincere["loudness"]
    assert sarcastic["spread"] < sincere["spread"]


def test_no_style_reaches_full_scale(measured: Measures) -> None:
    assert max(measures["peak"] for measures in measured.values()) < 0.95


def test_no_style_leaves_the_voice_as_it_is() -> None:
    voice = EspeakVoice(provider="espeak", name="en-gb", rate=150, pitch=40, volume=90)
    assert apply_prosody(voice, None) == voice


@given(
    st.sampled_from(sorted(STYLES)), st.integers(80, 450), st.integers(0, 99), st.integers(0, 99), st.integers(0, 200)
)
def test_settings_stay_in_range_and_other_settings_stay(
    style: str, rate: int, pitch: int, width: int, volume: int
) -> None:
    voice = EspeakVoice(provider="espeak", name="en-us+m3", rate=rate, pitch=pitch, range=width, volume=volume)
    styled = apply_prosody(voice, find_style(style))  # the config type refuses what is out of range
    assert styled.name == voice.name
    if STYLES[style].pitch > 0:
        assert styled.pitch >= voice.pitch
    if STYLES[style].rate < 1:
        assert styled.rate <= voice.rate


def test_unknown_style_suggests_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"'suprise'.*'surprise'"):
        find_style("suprise")
    with pytest.raises(StudyError, match="neutral, joy"):
        find_style("qqqq")
