"""Music, stationary noise and rooms, on real speech; the music is made up."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.conditions import RT60, Condition, parse_condition
from cascade_equivalence.config.speech import EspeakVoice, NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech import babble as babble_module
from cascade_equivalence.speech.babble import Talker, clip_babble, clip_talkers
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.kinds import make_condition
from cascade_equivalence.speech.music import clip_music, excerpt
from cascade_equivalence.speech.noise import noise_generator
from cascade_equivalence.speech.reverb import (
    DISTANCES,
    FROM_WALLS,
    LARGEST,
    ROOMS,
    SMALLEST,
    ImpulseResponse,
    draw_room,
    impulse_response,
    reverberate,
)
from cascade_equivalence.speech.stationary import FRAME, long_term_spectrum, shaped_noise
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

SEED = 3
CONFIG = NoiseConfig(seed=SEED)
ITEMS = [
    Utterance(f"item-{n}", text)
    for n, text in enumerate(
        [
            "The mayor spoke about a new library.",
            "Nobody asked for the old bridge.",
            "Here come two more trains.",
            "No.",
        ]
    )
]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return synthesize_clips(ITEMS, "us", EspeakVoice(provider="espeak"), 30.0, tmp_path_factory.mktemp("store"), 1)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chords that come and go, of three lengths: longer than any clip, and shorter."""
    folder = tmp_path_factory.mktemp("music")
    for n, seconds in enumerate((12.0, 70.0, 0.7)):
        times = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
        chord = sum(np.sin(2 * np.pi * pitch * 2 ** (n / 12) * times) for pitch in (220, 277, 330))
        (folder / f"set-{n}").mkdir()
        soundfile.write(
            folder / f"set-{n}" / f"music-{n}.wav", 0.2 * chord * np.sin(2 * np.pi * 0.3 * times) ** 2, SAMPLING_RATE
        )
    return folder


def heard(clean: list[Clip], name: str, music: Path | None = None, config: NoiseConfig = CONFIG) -> list[Clip]:
    return list(make_condition(clean, "sst2", parse_condition(name), config, folder=music))


def test_kinds_and_clips_share_no_random_numbers(clean: list[Clip]) -> None:
    draws = {
        noise_generator(seed, task, clip, kind).random()
        for seed in (0, 1)
        for task in ("sst2", "ag_news")
        for clip in (clean[0], clean[1], replace(clean[0], voice="gb"))
        for kind in ("", "music", "stationary", "reverb")
    }
    assert len(draws) == 2 * 2 * 3 * 4


# -- music -------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 99))
def test_an_excerpt_is_one_stretch_or_the_whole_again_and_again(length: int, samples: int, seed: int) -> None:
    sound = np.arange(length, dtype=np.float32)
    found = excerpt(sound, samples, np.random.default_rng(seed))
    assert found.shape == (samples,)
    steps = np.diff(found)
    assert ((steps == 1) | (steps == 1 - length)).all()
    assert samples > length or (steps == 1).all()


def test_rests_are_passed_over_and_silence_is_no_music(clean: list[Clip], tmp_path: Path) -> None:
    times = np.arange(60 * SAMPLING_RATE)
    piece = np.where(times < 30 * SAMPLING_RATE, 0.0, 0.1 * np.sin(times))
    soundfile.write(tmp_path / "half.wav", piece, SAMPLING_RATE)
    for seed in range(12):
        assert rms(clip_music(clean[3], [tmp_path / "half.wav"], "sst2", seed)) > 1e-3
    soundfile.write(tmp_path / "none.wav", np.zeros(SAMPLING_RATE), SAMPLING_RATE)
    with pytest.raises(StudyError, match="all silent"):
        clip_music(clean[3], [tmp_path / "none.wav"], "sst2", 0)


def test_music_needs_a_folder_with_music(clean: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"holds no sound files .* to make music of"):
        heard(clean, "music5", tmp_path)
    with pytest.raises(StudyError, match="music has no folder"):
        heard(clean, "music5")
    with pytest.raises(StudyError, match="is no noise"):
        list(make_condition(clean, "sst2", Condition(), CONFIG))


# -- stationary noise --------------------------------------------------------------------------------------------------


def bands(sound: Waveform) -> np.ndarray:
    """Power in octaves from 125 Hz to 8 kHz, in dB."""
    power = np.abs(np.fft.rfft(sound.astype(np.float64))) ** 2
    frequencies = np.fft.rfftfreq(sound.size, 1 / SAMPLING_RATE)
    edges = [125 * 2**n for n in range(7)]
    sums = [power[(frequencies >= low) & (frequencies < high)].sum() for low, high in pairwise(edges)]
    return 10 * np.log10(np.array(sums) / power.sum())


def frame_levels(sound: Waveform) -> np.ndarray:
    """Level of each 50 ms, in dB."""
    length = SAMPLING_RATE // 20
    frames = sound[: sound.size // length * length].reshape(-1, length).astype(np.float64)
    return 10 * np.log10((frames**2).mean(axis=1) + 1e-12)


def test_stationary_noise_is_the_same_everywhere_and_speech_is_not(clean: list[Clip]) -> None:
    noise = shaped_noise(long_term_spectrum(clean), 20 * SAMPLING_RATE, np.random.default_rng(0))
    first, last = noise[: noise.size // 2], noise[noise.size // 2 :]
    assert np.abs(bands(first) - bands(last)).max() < 1
    assert frame_levels(noise).std() < 2
    speech = np.concatenate([decode(clip) for clip in clean])
    assert frame_levels(speech).std() > 5
    # Gaussian: no impulses, no tones
    assert np.mean((noise / noise.std()) ** 4) == pytest.approx(3, abs=0.3)


def test_stationary_noise_has_the_spectrum_of_the_voice(clean: list[Clip]) -> None:
    noise = shaped_noise(long_term_spectrum(clean), 20 * SAMPLING_RATE, np.random.default_rng(0))
    speech = np.concatenate([decode(clip) for clip in clean])
    assert np.abs(bands(noise) - bands(speech)).max() < 1.5
    white = np.random.default_rng(0).standard_normal(noise.size).astype(np.float32)
    assert np.abs(bands(white) - bands(speech)).max() > 10


def test_the_spectrum_weighs_clips_by_their_power_and_leaves_silent_ones_out(clean: list[Clip]) -> None:
    spectrum = long_term_spectrum(clean)
    assert spectrum.shape == (FRAME // 2 + 1,) and spectrum.sum() == pytest.approx(1)
    silent = replace(clean[0], id="silent", flac=b"", problem="silent")
    assert np.array_equal(long_term_spectrum([silent, *clean[::-1]]), spectrum)
    with pytest.raises(StudyError, match="No clip can be heard"):
        long_term_spectrum([silent])


# -- rooms -------------------------------------------------------------------------------------------------------------


def schroeder(samples: np.ndarray, decay_db: float) -> float:
    """Reverberation time in ms by the line through the decay from -5 dB on (ISO 3382), written anew."""
    energy = np.cumsum(samples[::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    there = (level <= -5) & (level >= -5 - decay_db)
    slope = np.polyfit(np.flatnonzero(there) / SAMPLING_RATE, level[there], 1)[0]
    return -60_000 / slope


@pytest.mark.parametrize("rt60_ms", [RT60.least, 300, 500])
def test_reverberation_time_is_near_the_one_asked_for(rt60_ms: float) -> None:
    for number in range(6):
        response = impulse_response(draw_room(SEED, number), rt60_ms)
        assert response.rt60_ms == pytest.approx(rt60_ms, rel=0.05)
        assert schroeder(response.samples, 30) == pytest.approx(rt60_ms, rel=0.08)
        assert schroeder(response.samples, 20) == pytest.approx(rt60_ms, rel=0.25)


def test_rooms_lie_within_their_bounds_and_differ() -> None:
    rooms = [draw_room(SEED, number) for number in range(ROOMS)]
    assert len(set(rooms)) == ROOMS and rooms == [draw_room(SEED, number) for number in range(ROOMS)]
    for room in rooms:
        assert all(low <= side <= high for low, side, high in zip(SMALLEST, room.size, LARGEST, strict=True))
        for place in (room.source, room.microphone):
            assert all(FROM_WALLS <= at <= side - FROM_WALLS for at, side in zip(place, room.size, strict=True))
        assert DISTANCES[0] <= room.distance <= DISTANCES[1]


def test_a_room_keeps_the_level_of_a_clip(clean: list[Clip]) -> None:
    levels = {}
    for before, after in zip(clean, heard(clean, "reverb400"), strict=True):
        if np.abs(decode(after)).max() < 0.98:
            levels[after.id] = rms(decode(after)) / rms(decode(before))
    assert levels and all(level == pytest.approx(1, rel=2e-3) for level in levels.values())


@pytest.mark.parametrize("number", range(4))
def test_the_direct_sound_of_a_click_is_where_the_click_was(number: int) -> None:
    response = impulse_response(draw_room(SEED, number), 300)
    click = np.zeros(SAMPLING_RATE, dtype=np.float32)
    click[4000] = 0.5
    sound = reverberate(click, response).astype(np.float64)
    assert sound.shape == click.shape and rms(sound) == pytest.approx(rms(click), rel=1e-4)
    # Nothing comes before it but the foot of the filter that places it between two samples; with it, much does.
    assert np.sum(sound[: 4000 - 42] ** 2) < 1e-12 * np.sum(sound**2)
    assert np.abs(sound[3998:4003]).max() > 5 * np.abs(sound[:3990]).max()


def test_sound_decays_after_the_clip_and_is_cut_at_its_end() -> None:
    response = impulse_response(draw_room(SEED, 0), 500)
    burst = np.zeros(2 * SAMPLING_RATE, dtype=np.float32)
    burst[:8000] = np.random.default_rng(0).standard_normal(8000)
    sound = reverberate(burst, response)
    levels = [rms(sound[start : start + 1600]) for start in range(8000, 24_000, 1600)]
    assert sound.size == burst.size and levels == sorted(levels, reverse=True) and levels[0] > 30 * levels[-1]


def test_an_identity_room_changes_nothing(clean: list[Clip]) -> None:
    speech = decode(clean[0])
    assert np.allclose(reverberate(speech, ImpulseResponse(np.array([0.0, 0.3]), 1, 0.0)), speech, atol=1e-6)


def test_a_room_is_the_same_at_every_reverberation_time() -> None:
    room = draw_room(SEED, 1)
    short, long = impulse_response(room, 250), impulse_response(room, 500)
    assert short.delay == long.delay
    # The direct sound is equally loud; what follows is not.
    near = slice(short.delay - 5, short.delay + 6)
    assert np.abs(short.samples[near]).max() == pytest.approx(np.abs(long.samples[near]).max(), rel=0.05)
    assert np.sum(long.samples**2) > 1.3 * np.sum(short.samples**2)


def test_a_room_that_cannot_be_is_explained() -> None:
    with pytest.raises(StudyError, match=r"No walls give a room of .* a reverberation time of 20 ms"):
        impulse_response(draw_room(SEED, 0), 20)


# -- how many talkers --------------------------------------------------------------------------------------------------


def test_the_number_of_talkers_is_drawn_within_its_bounds_by_the_seed(
    clean: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = clip_talkers([replace(clean[1], id=f"other-{n}", voice="gb", text=f"words {n}") for n in range(9)])
    asked: list[int] = []
    choose = babble_module.choose_talkers

    def counting(pool: list[Talker], count: int, *rest: object) -> list[Talker]:
        asked.append(count)
        return choose(pool, count, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(babble_module, "choose_talkers", counting)
    drawn = NoiseConfig(talkers=3, max_talkers=7, seed=SEED)
    clips = [replace(clean[3], id=f"item-{n}") for n in range(60)]
    for clip in clips:
        clip_babble(clip, pool, "sst2", drawn)
    assert set(asked) == {3, 4, 5, 6, 7}
    again, asked[:] = list(asked), []
    for clip in clips[::-1]:
        clip_babble(clip, pool, "sst2", drawn)
    assert asked[::-1] == again
    asked[:] = []
    clip_babble(clips[0], pool, "sst2", NoiseConfig(talkers=5, seed=SEED))
    assert asked == [5]
