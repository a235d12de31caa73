"""Pools of noise with bad files and stretches in them: drawn again, always the same, or named; else as without them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.babble import (
    add_babble,
    babble,
    choose_talkers,
    clip_babble,
    file_talkers,
    hear_talker,
    load_talker,
)
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.music import add_music, clip_music, excerpt
from cascade_equivalence.speech.noise import mix, noise_generator
from cascade_equivalence.speech.sound_files import find_sound_files, read_window
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac

CONFIG = NoiseConfig(talkers=3, seed=5)


def sound(seconds: float, seed: int, rate: int = SAMPLING_RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))).astype(np.float32)


def clip(number: int = 0) -> Clip:
    flac = encode_flac(sound(1.0, 100 + number))
    return Clip(f"item-{number}", "us", flac, SAMPLING_RATE, 1.0, "test", f"text {number}", hash_audio(flac))


CLIPS = [clip(number) for number in range(12)]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Six good files of half a second to 80 s."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for number, seconds in enumerate((0.5, 1, 2, 3, 65, 80)):
        soundfile.write(folder / f"good-{number}.wav", sound(seconds, number), SAMPLING_RATE, subtype="PCM_16")
    return folder


def test_a_pool_without_bad_files_gives_the_first_draw(pool: Path) -> None:
    talkers, files = file_talkers(pool), find_sound_files(pool, "music")
    for one in CLIPS:
        rng = noise_generator(CONFIG.seed, "sst2", one)
        chosen = choose_talkers(talkers, CONFIG.talkers, one.text, one.id, one.voice, rng)
        expected = babble([load_talker(talker, rng) for talker in chosen], SAMPLING_RATE, rng)
        assert np.array_equal(clip_babble(one, talkers, "sst2", CONFIG), expected)
        rng = noise_generator(5, "sst2", one, "music")
        music = excerpt(read_window(files[int(rng.integers(len(files)))], rng), SAMPLING_RATE, rng)
        assert np.array_equal(clip_music(one, files, "sst2", 5), music)


def test_hidden_files_are_no_talkers(pool: Path) -> None:
    before = list(add_babble(CLIPS[:2], pool, "sst2", 5, CONFIG))
    (pool / ".trash").mkdir()
    for name in ("._good-0.wav", ".DS_Store", ".trash/old.wav"):
        (pool / name).write_bytes(b"system")
    assert len(file_talkers(pool)) == len(find_sound_files(pool, "music")) == 6
    assert list(add_babble(CLIPS[:2], pool, "sst2", 5, CONFIG)) == before


def test_a_folder_with_the_name_of_a_sound_file_is_none(pool: Path) -> None:
    (pool / "folder.wav").mkdir()
    assert len(find_sound_files(pool, "music")) == 6


def test_silent_files_are_drawn_again_the_same_every_time(pool: Path) -> None:
    for number in range(6):
        soundfile.write(pool / f"silent-{number}.wav", np.zeros(SAMPLING_RATE), SAMPLING_RATE)
    talkers = file_talkers(pool)
    made = [clip_babble(one, talkers, "sst2", CONFIG) for one in CLIPS]
    again = [clip_babble(one, talkers[::-1], "sst2", CONFIG) for one in CLIPS]
    assert all(np.array_equal(first, second) for first, second in zip(made, again, strict=True))
    assert all(np.isfinite(one).all() and one.any() for one in made)
    with pytest.raises(StudyError, match=r"needs 7 talkers .*silent-0\.wav"):
        list(add_babble(CLIPS[:1], pool, "sst2", 5, CONFIG.model_copy(update={"talkers": 7})))


def test_a_silent_minute_of_a_long_file_is_drawn_again(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.concatenate([np.zeros(150 * 8000), sound(60, 1, 8000)]), 8000)
    (talker,) = file_talkers(tmp_path)
    heard = hear_talker(talker, np.random.default_rng(3))
    assert heard is not None and heard.any()
    assert np.array_equal(heard, hear_talker(talker, np.random.default_rng(3)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers_name_the_file(tmp_path: Path, value: float) -> None:
    bad = sound(2, 0)
    bad[50] = value
    for number in range(3):
        soundfile.write(tmp_path / f"bad-{number}.wav", bad, SAMPLING_RATE, subtype="FLOAT")
    with pytest.raises(StudyError, match=r"bad-\d\.wav holds samples that are not numbers"):
        list(add_babble(CLIPS[:1], tmp_path, "sst2", 5, CONFIG))
    with pytest.raises(StudyError, match=r"bad-\d\.wav holds samples that are not numbers"):
        list(add_music(CLIPS[:1], tmp_path, "sst2", 5, 0))


def test_files_that_cannot_be_sought_in_are_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "telephone.wav", sound(70, 0, 8000), 8000, subtype="GSM610")
    windows = [read_window(tmp_path / "telephone.wav", np.random.default_rng(seed)) for seed in range(3)]
    assert {window.size for window in windows} == {60 * SAMPLING_RATE}
    assert not np.array_equal(windows[0], windows[1])


def test_damaged_files_are_a_stretch_or_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("WAV", "FLAC", "MP3", "OGG", "AIFF"):
        path = tmp_path / f"a.{kind.lower()}"
        soundfile.write(path, sound(2, 1), SAMPLING_RATE, format=kind)
        content = path.read_bytes()
        for place in map(int, rng.integers(0, 300, 30)):
            changed = content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :]
            for damaged in (changed, content[:place]):
                path.write_bytes(damaged)
                try:
                    window = read_window(path, np.random.default_rng(0))
                except StudyError as error:
                    assert path.name in str(error)
                else:
                    assert np.isfinite(window).all()


def test_a_full_folder_for_temporary_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(2, "System error.")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(StudyError, match="TMPDIR"):
        mix(sound(1, 0), sound(1, 1), 5.0)
