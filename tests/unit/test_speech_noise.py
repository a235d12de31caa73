"""Babble and mixing, on real speech."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.speech import EspeakVoice, HibariVoice, NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.babble import (
    add_babble,
    babble,
    choose_talkers,
    clip_babble,
    clip_talkers,
    file_talkers,
    load_talker,
    normalise_words,
)
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.noise import mix
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

CONFIG = NoiseConfig(talkers=4, seed=3)
ITEMS = [
    Utterance(f"item-{n}", f"{start} {end}.")
    for n, (start, end) in enumerate(
        (start, end)
        for start in ("The mayor spoke about", "Nobody asked for", "Here comes")
        for end in ("a new library", "the old bridge", "two more trains", "plenty of rain")
    )
]
VOICES = {
    "heart": HibariVoice(provider="hibari"),
    "us": EspeakVoice(provider="espeak"),
    "f5": EspeakVoice(provider="espeak", name="en-us+f5"),
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Clip]]:
    store = tmp_path_factory.mktemp("store")
    return {name: synthesize_clips(ITEMS, name, spec, 30.0, store, 2) for name, spec in VOICES.items()}


@pytest.fixture(scope="module")
def pool(speech: dict[str, list[Clip]]) -> list[Clip]:
    return [clip for clips in speech.values() for clip in clips]


def decibels(ratio: float) -> float:
    return 20 * np.log10(ratio)


def parts(clip: Clip, speech: Waveform, noise: Waveform) -> tuple[float, float, float]:
    """Gains of speech and noise in a mix by least squares, and what is left over (RMS)."""
    mixture = decode(clip).astype(np.float64)
    both = np.stack([speech, noise], axis=1).astype(np.float64)
    gains = np.linalg.lstsq(both, mixture, rcond=None)[0]
    return float(gains[0]), float(gains[1]), rms(mixture - both @ gains)


def test_loud_noise_scales_the_mix_down_and_light_noise_leaves_the_speech_alone(
    speech: dict[str, list[Clip]], pool: list[Clip]
) -> None:
    clean = speech["us"][0]
    noise = clip_babble(clean, clip_talkers(pool), "sst2", CONFIG)
    loud, light = (next(add_babble([clean], pool, "sst2", snr, CONFIG)) for snr in (-20, 20))
    assert parts(light, decode(clean), noise)[0] == pytest.approx(1, abs=1e-4)
    assert parts(loud, decode(clean), noise)[0] < 0.9
    assert np.abs(decode(loud)).max() == pytest.approx(0.99, abs=1e-3)


def test_each_clip_task_voice_and_seed_has_its_own_babble(speech: dict[str, list[Clip]], pool: list[Clip]) -> None:
    talkers = clip_talkers(pool)
    first, second = speech["heart"][:2]
    length = min(decode(first).size, decode(second).size)
    sounds = [
        clip_babble(first, talkers, "sst2", CONFIG),
        clip_babble(first, talkers, "ag_news", CONFIG),
        clip_babble(first, talkers, "sst2", CONFIG.model_copy(update={"seed": 4})),
        clip_babble(replace(first, voice="other"), talkers, "sst2", CONFIG),
        clip_babble(second, talkers, "sst2", CONFIG),
    ]
    for n, one in enumerate(sounds):
        for other in sounds[n + 1 :]:
            assert abs(np.corrcoef(one[:length], other[:length])[0, 1]) < 0.9


def test_nobody_in_the_background_says_the_same(speech: dict[str, list[Clip]], pool: list[Clip]) -> None:
    talkers = clip_talkers(pool)
    for clip in speech["us"]:
        for seed in range(20):
            rng = np.random.default_rng(seed)
            chosen = choose_talkers(talkers, 4, clip.text.upper(), clip.id, clip.voice, rng)
            words = [talker.words for talker in chosen]
            assert len({*words, normalise_words(clip.text)}) == 5
            assert {talker.voice for talker in chosen} == {"heart", "f5"}  # both of the other voices, never the own
            assert clip.id not in {talker.id for talker in chosen}


def test_every_talker_is_chosen_some_time(pool: list[Clip]) -> None:
    talkers = clip_talkers(pool)
    seen: set[tuple[str, str]] = set()
    for seed in range(60):
        chosen = choose_talkers(talkers, 4, "other words", "x", "us", np.random.default_rng(seed))
        seen |= {(talker.voice, talker.id) for talker in chosen}
    assert len(seen) == 2 * len(ITEMS)


def test_pool_that_is_too_small_is_explained(speech: dict[str, list[Clip]]) -> None:
    with pytest.raises(StudyError, match=r"needs 4 talkers .* of 12 recordings only 0"):
        list(add_babble(speech["us"], speech["us"], "sst2", 5, CONFIG))
    with pytest.raises(StudyError, match=r"needs 4 talkers .* of 4 recordings only 3"):
        list(add_babble(speech["us"][:1], speech["heart"][:4], "sst2", 5, CONFIG))
    # Two voices that say the same words are one talker's worth
    with pytest.raises(StudyError, match="of 8 recordings only 3"):
        list(add_babble(speech["us"][:1], speech["heart"][:4] + speech["f5"][:4], "sst2", 5, CONFIG))


def test_silent_clips_are_neither_mixed_nor_talkers(speech: dict[str, list[Clip]], pool: list[Clip]) -> None:
    silent = replace(speech["heart"][0], problem="silent")
    assert clip_talkers([silent, pool[1]]) == clip_talkers([pool[1]])
    with pytest.raises(StudyError, match="clip item-0 in voice heart is silent"):
        list(add_babble([replace(silent, flac=b"")], pool, "sst2", 5, CONFIG))


def test_ratio_that_16_bits_cannot_hold_is_refused(speech: dict[str, list[Clip]], pool: list[Clip]) -> None:
    for snr_db in (95, 300):
        with pytest.raises(StudyError, match="16-bit audio holds no finer noise"):
            list(add_babble(speech["us"][:1], pool, "sst2", snr_db, CONFIG))


def test_talkers_come_from_a_folder_of_sound_files(speech: dict[str, list[Clip]], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "more").mkdir()
    for n in range(3):
        soundfile.write(tmp_path / f"mono-{n}.wav", 0.1 * rng.standard_normal(22_050), 22_050)
        soundfile.write(tmp_path / "more" / f"stereo-{n}.flac", 0.1 * rng.standard_normal((80_000, 2)), 44_100)
    (tmp_path / "notes.txt").write_text("no sound")
    mixed = list(add_babble(speech["heart"], tmp_path, "sst2", 0, CONFIG))
    assert all(clip.snr_db == pytest.approx(0, abs=0.1) for clip in mixed)
    assert mixed == list(add_babble(speech["heart"], tmp_path, "sst2", 0, CONFIG))
    assert len(file_talkers(tmp_path)) == 6
    with pytest.raises(StudyError, match=r"needs 7 talkers .* of 6"):
        list(add_babble(speech["heart"], tmp_path, "sst2", 0, CONFIG.model_copy(update={"talkers": 7})))
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(StudyError, match=r"broken.wav cannot be read"):
        list(add_babble(speech["heart"], tmp_path, "sst2", 0, CONFIG.model_copy(update={"talkers": 7})))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StudyError, match="holds no sound files"):
        file_talkers(empty)


def test_of_a_long_file_a_random_minute_is_read(tmp_path: Path) -> None:
    times = np.arange(200 * 8000) / 8000
    soundfile.write(tmp_path / "long.wav", (0.5 * times / 200).astype(np.float32), 8000)  # louder by the second
    talker = file_talkers(tmp_path)[0]
    windows = [load_talker(talker, np.random.default_rng(seed)) for seed in range(5)]
    assert {window.size for window in windows} == {60 * SAMPLING_RATE}
    assert len({round(float(window.mean()), 3) for window in windows}) > 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(1, 2000), st.integers(0, 2**32))
def test_babble_is_the_sum_of_rotated_unit_recordings(lengths: list[int], samples: int, seed: int) -> None:
    source = np.random.default_rng(seed)
    talkers = [source.standard_normal(length).astype(np.float32) * 10.0**n for n, length in enumerate(lengths)]
    made = babble(talkers, samples, np.random.default_rng(seed))
    # The same by another road: tile, roll, add
    draws = np.random.default_rng(seed)
    expected = np.zeros(samples)
    for talker in talkers:
        start = int(draws.integers(talker.size))
        tiled = np.tile(talker, 1 + (start + samples) // talker.size)
        expected += tiled[start : start + samples] / np.sqrt(np.mean(talker.astype(np.float64) ** 2))
    assert made.shape == (samples,)
    assert np.allclose(made, expected, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(1600, 40_000), st.floats(-30, 40), st.integers(0, 1000))
def test_mix_is_the_formula(samples: int, snr_db: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech, noise = (rng.standard_normal((2, samples)) * np.array([[0.1], [3.0]])).astype(np.float32)
    gain = rms(speech) / rms(noise) / 10 ** (snr_db / 20)
    assert np.allclose(mix(speech, noise, snr_db), speech + gain * noise, rtol=1e-4, atol=1e-5)


def test_mix_loses_no_sample_at_lengths_where_the_library_would() -> None:
    lengths = [n for n in range(16_000, 20_000) if int(n / SAMPLING_RATE * SAMPLING_RATE) != n][:5]
    assert lengths
    rng = np.random.default_rng(0)
    for samples in lengths:
        speech, noise = rng.standard_normal((2, samples)).astype(np.float32)
        assert np.allclose(mix(speech, noise, 0.0) - speech, noise * rms(speech) / rms(noise), atol=1e-4)


def test_words_are_compared_without_case_punctuation_and_spacing() -> None:
    assert normalise_words("  It\u2019s FINE, really!\n") == normalise_words("it's fine -- really")
    assert normalise_words("one two") != normalise_words("onetwo")
