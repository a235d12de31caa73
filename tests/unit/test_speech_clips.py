"""Clips as FLAC and as Parquet."""

import hashlib
import json
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import ROWS_A_GROUP, Clip, decode, hash_audio, read_clips, write_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac, encode_flac, resample, rms

OF = {"task": "sst2", "voice": "heart", "condition": "clean"}


def tone(seconds: float = 0.5, frequency: float = 440, rate: int = SAMPLING_RATE) -> np.ndarray:
    times = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def clip(name: str = "a", voice: str = "heart", **changes: object) -> Clip:
    flac = encode_flac(tone())
    made = Clip(
        id=name,
        voice=voice,
        flac=flac,
        sampling_rate=SAMPLING_RATE,
        seconds=0.5,
        provider="test 1.0",
        text="na\u00efve \U0001f600",
        sha256=hashlib.sha256(flac).hexdigest(),
    )
    return replace(made, **changes)


@given(arrays(np.int16, st.integers(1, 400)))
def test_sixteen_bit_samples_survive_flac(steps: np.ndarray) -> None:
    audio = steps.astype(np.float32) / 32768
    assert np.array_equal(decode_flac(encode_flac(audio)), audio)


@given(arrays(np.float32, st.integers(1, 400), elements=st.floats(-1, 1 - 2**-15, width=32)))
def test_flac_is_right_to_half_a_step(audio: np.ndarray) -> None:
    assert np.abs(decode_flac(encode_flac(audio)) - audio).max() <= 0.5 / 32768 + 1e-9


def test_flac_is_flac_and_cuts_what_is_too_loud() -> None:
    flac = encode_flac(np.array([2.0, -2.0] * 50, dtype=np.float32))
    info = soundfile.info(BytesIO(flac))
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", SAMPLING_RATE, 1)
    assert decode_flac(flac).max() == 32767 / 32768
    assert decode_flac(flac).min() == -1


def test_no_samples_are_no_bytes() -> None:
    assert encode_flac(np.zeros(0, dtype=np.float32)) == b""
    assert decode_flac(b"").size == 0


def test_broken_audio_is_refused() -> None:
    with pytest.raises(StudyError, match="not numbers"):
        encode_flac(np.array([0.0, np.nan], dtype=np.float32))
    with pytest.raises(StudyError, match=r"Clip a in voice heart: .*cannot be decoded"):
        decode(clip(flac=b"no flac"))
    stereo = BytesIO()
    soundfile.write(stereo, np.zeros((100, 2)), 44_100, format="FLAC")
    with pytest.raises(StudyError, match="44100 Hz"):
        decode_flac(stereo.getvalue())


@pytest.mark.parametrize("rate", [22_050, 24_000, 44_100, 8_000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    audio = resample(tone(1.0, 1000, rate), rate)
    middle = audio[2000:-2000]
    assert abs(audio.size - SAMPLING_RATE) <= 1
    assert rms(middle) == pytest.approx(0.3 / np.sqrt(2), rel=1e-3)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.argmax(spectrum) * SAMPLING_RATE / middle.size == pytest.approx(1000, abs=2)


def test_resampling_removes_what_16_khz_cannot_hold() -> None:
    assert rms(resample(tone(1.0, 10_000, 24_000), 24_000)[2000:-2000]) < 1e-4


def test_clips_round_trip(tmp_path: Path) -> None:
    clips = [clip("a"), clip("a", "us", snr_db=2.5, problem="clipped"), clip("b/c", problem=None)]
    path = tmp_path / "speech" / "clean.parquet"
    write_clips(clips, path, OF)
    assert read_clips(path) == clips
    assert [entry.name for entry in path.parent.iterdir()] == ["clean.parquet"]
    write_clips([], path, OF)
    assert read_clips(path) == []


@pytest.mark.parametrize("together", [1, 3, 256])
def test_sound_is_read_when_it_is_asked_for(tmp_path: Path, together: int) -> None:
    """In any order, however many were written together, in another process, and after the file is replaced."""
    path = tmp_path / "clean.parquet"
    clips = [clip(str(number), flac=(flac := bytes([number]) * 9), sha256=hash_audio(flac)) for number in range(10)]
    write_clips(clips, path, OF)
    pq.write_table(pq.read_table(path), path, row_group_size=together)
    read = read_clips(path)
    assert not any(isinstance(held, bytes) for each in read for held in vars(each).values())
    order = np.random.default_rng(together).permutation(len(clips))
    assert [read[place].flac for place in order] == [clips[place].flac for place in order]
    assert pickle.loads(pickle.dumps(read)) == clips
    write_clips([], path, OF)
    assert read == clips
    louder = replace(read[3], flac=b"else")
    assert (louder.flac, read[3].flac) == (b"else", clips[3].flac)


def test_clips_lie_in_small_groups_and_none_is_without_sound_or_changed(tmp_path: Path) -> None:
    path = tmp_path / "clean.parquet"
    write_clips((clip(str(number)) for number in range(3 * ROWS_A_GROUP)), path, OF)
    assert pq.ParquetFile(path).num_row_groups == 3
    read = read_clips(path)
    with pytest.raises(FrozenInstanceError):
        read[0].flac = b""  # type: ignore[misc]
    with pytest.raises(TypeError, match="flac"):
        Clip("a", "heart", sampling_rate=SAMPLING_RATE, seconds=0, provider="", text="", sha256="")  # type: ignore[call-arg]


def test_same_clips_are_the_same_file(tmp_path: Path) -> None:
    write_clips([clip("a"), clip("b")], tmp_path / "one", OF)
    write_clips([clip("a"), clip("b")], tmp_path / "two", OF)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_repeated_item_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "clean.parquet"
    write_clips([clip("a")], path, OF)
    with pytest.raises(StudyError, match="item b occurs twice in voice heart"):
        write_clips([clip("b"), clip("b")], path, OF)
    assert read_clips(path) == [clip("a")]


def test_broken_files_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "clean.parquet"
    with pytest.raises(StudyError, match="missing"):
        read_clips(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(StudyError, match="delete it"):
        read_clips(path)
    write_clips([clip("a"), clip("b", sha256="0" * 64)], path, OF)
    with pytest.raises(StudyError, match="item b is corrupt"):
        read_clips(path)
    pq.write_table(pq.read_table(path).drop_columns(["text"]), path)
    with pytest.raises(StudyError, match="lacks the columns text"):
        read_clips(path)


def test_datasets_library_reads_clips_as_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "clean.parquet"
    clips = [clip("a"), clip("b", snr_db=5.0, problem="too long")]
    write_clips(clips, path, OF)
    loaded = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["audio"] == datasets.Audio(sampling_rate=SAMPLING_RATE)
    # Our description of the columns is the one that the library itself writes for these features
    ours = json.loads(pq.read_schema(path).metadata[b"huggingface"])
    theirs = json.loads(loaded.features.arrow_schema.metadata[b"huggingface"])
    assert ours["info"]["features"] == theirs["info"]["features"]
    stored = loaded.cast_column("audio", datasets.Audio(decode=False))
    for row, written in zip(stored, clips, strict=True):
        assert row["audio"]["bytes"] == written.flac
        assert row["snr_db"] == written.snr_db
    if datasets.config.TORCHCODEC_AVAILABLE:
        samples = loaded[0]["audio"].get_all_samples()
        assert samples.sample_rate == SAMPLING_RATE
        assert np.allclose(samples.data.numpy()[0], decode(clips[0]), atol=1e-4)


def test_a_clip_whose_file_holds_something_else_by_now_is_refused(tmp_path: Path) -> None:
    """What a process passed on opens the file by itself; another file of that name has another sound."""
    path = tmp_path / "clips.parquet"
    of = {"task": "sst2", "voice": "us", "condition": "clean"}
    flacs = [encode_flac(np.full(400, level, np.float32)) for level in (0.1, 0.2)]
    made = [
        Clip("a", "us", flac, SAMPLING_RATE, 400 / SAMPLING_RATE, "test", "words", hash_audio(flac)) for flac in flacs
    ]
    write_clips(made[:1], path, of)
    passed_on = deepcopy(read_clips(path)[0])
    assert passed_on.flac == flacs[0]
    passed_on = deepcopy(read_clips(path)[0])
    write_clips(made[1:], path, of)
    with pytest.raises(StudyError, match=r"clips\.parquet no longer holds the sound of a in voice us"):
        passed_on.flac  # noqa: B018 - reading it is what fails
