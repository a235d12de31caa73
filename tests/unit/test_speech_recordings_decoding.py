"""Whatever the sound library opens is read, or refused by name; headers are not believed."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.recordings_decoding import LONGEST_SECONDS, decode_recording
from cascade_equivalence.speech.recordings_files import find_recordings, list_recordings
from cascade_equivalence.speech.recordings_voice import EXPLAINED, read_recordings
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform

RATE = 16_000
TIMES = np.arange(2 * RATE) / RATE
SOUND = (0.3 * np.sin(2 * np.pi * 300 * TIMES) * (1 + np.sin(2 * np.pi * 2 * TIMES)) / 2).astype(np.float32)


def state(voice: RecordingsVoice, task: str) -> str:
    """What a node depends on, of the recordings of a task."""
    nowhere = voice.folder / "nowhere"
    return FileHashes(nowhere, within=nowhere).of_set(list_recordings(voice, task))


def encode(
    sound: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE, endian: str | None = None
) -> bytes:
    file = BytesIO()
    soundfile.write(file, sound, rate, format=kind, subtype=subtype, endian=endian)
    return file.getvalue()


def codecs() -> dict[str, bytes]:
    """The sound in every container and codec that the library writes and opens again without being told what it is."""
    found = {}
    # SD2 is two files: the library would write the second one, "._", into the working folder.
    for kind in sorted(soundfile.available_formats().keys() - {"SD2"}):
        for subtype in sorted(soundfile.available_subtypes(kind)):
            try:
                content = encode(SOUND, kind, subtype)
                with soundfile.SoundFile(BytesIO(content)):
                    found[f"{kind}-{subtype}"] = content
            except soundfile.LibsndfileError:
                continue
    return found


CODECS = codecs()


def read(folder: Path, contents: dict[str, bytes], pattern: str = "{id}.wav") -> list[Clip]:
    folder.mkdir(exist_ok=True)
    voice = RecordingsVoice(provider="recordings", folder=folder, pattern=pattern)
    for name, content in contents.items():
        (folder / pattern.format(id=name)).write_bytes(content)
    return read_recordings([Utterance(name, "Ah.") for name in contents], "sst2", "natural", voice, 30.0, folder / "s")


def refusal(folder: Path, contents: dict[str, bytes]) -> str:
    with pytest.raises(StudyError) as caught:
        read(folder, contents)
    return str(caught.value)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(tmp_path: Path, codec: str) -> None:
    with soundfile.SoundFile(BytesIO(CODECS[codec])) as file:
        slower = RATE / file.samplerate  # Some containers know one rate only.
    (clip,) = read(tmp_path, {"a": CODECS[codec]})
    sound = decode(clip)
    assert clip.seconds == pytest.approx(2.0 * slower, rel=0.05)
    # Lossy or not, it is the same sound: 300 Hz in one octave above and below.
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequencies = np.fft.rfftfreq(sound.size, 1 / SAMPLING_RATE) * slower
    assert power[(frequencies > 150) & (frequencies < 600)].sum() > 0.7 * power[1:].sum()


def damaged(content: bytes, count: int) -> list[bytes]:
    """Cut and with one byte changed, at as many places, half of them in the first 200 bytes."""
    rng = np.random.default_rng(len(content))
    cuts = [content[: int(place)] for place in rng.integers(0, len(content), count)]
    places = [*rng.integers(0, min(200, len(content)), count), *rng.integers(0, len(content), count)]
    flips = [
        content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :]
        for place in map(int, places)
    ]
    return cuts + flips


def check_outcomes(content: bytes, count: int) -> None:
    for number, broken in enumerate(damaged(content, count)):
        try:
            sound = decode_recording(broken)
        except StudyError as error:
            assert " it" in f" {error}", (number, error)
        else:
            assert sound.dtype == np.float32 and np.isfinite(sound).all(), number


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_files_are_sound_or_one_error(codec: str) -> None:
    check_outcomes(CODECS[codec], 4)


@pytest.mark.long
@pytest.mark.parametrize("codec", CODECS)
def test_damaged_files_are_sound_or_one_error_in_full(codec: str) -> None:
    check_outcomes(CODECS[codec], 150)


# -- counts and sizes --------------------------------------------------------------------------------------------------


def flac_of(samples: int) -> bytes:
    """A FLAC file that says how many samples it has; 0 stands for "unknown"."""
    content = bytearray(encode(SOUND, "FLAC"))
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content)


def mp3_of(frames: int) -> bytes:
    content = encode(SOUND, "MP3")
    place = max(content.find(b"Xing"), content.find(b"Info"))
    assert place > 0
    return content[: place + 8] + frames.to_bytes(4, "big") + content[place + 12 :]


def wav_of(size: int, body: int | None = None) -> bytes:
    content = encode(SOUND)
    assert content[36:40] == b"data"
    return (
        b"".join(
            (content[:4], struct.pack("<I", size), content[8:40], struct.pack("<I", size if body is None else body)),
        )
        + content[44:]
    )


COUNTED: dict[str, Callable[[], bytes]] = {
    "FLAC of 2^36 - 1": lambda: flac_of(2**36 - 1),
    "FLAC unknown": lambda: flac_of(0),
    "MP3 of 2^31 - 1": lambda: mp3_of(2**31 - 1),
    "WAV of 0": lambda: wav_of(0),
    "WAV of 36": lambda: wav_of(36, 0),
    "WAV of 0x7FFFFFFF": lambda: wav_of(0x7FFFFFFF),
    "WAV of 0xFFFFFFFF": lambda: wav_of(0xFFFFFFFF),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_count_that_nobody_knew_does_no_harm(tmp_path: Path, name: str) -> None:
    (clip,) = read(tmp_path, {"a": COUNTED[name]()})
    assert clip.seconds == pytest.approx(2.0, abs=0.15)


def test_a_file_without_samples_is_no_unfinished_header(tmp_path: Path) -> None:
    for content in (encode(SOUND[:0]), encode(SOUND[:0]) + b"LIST\x04\0\0\0INFO"):
        assert "a.wav: it holds no speech" in refusal(tmp_path, {"a": content})


def test_a_count_that_is_only_too_large_is_a_break(tmp_path: Path) -> None:
    for samples in (SOUND.size * 2, RATE * LONGEST_SECONDS * 2):
        assert "a.wav: it breaks off" in refusal(tmp_path, {"a": flac_of(samples)})


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "FLAC", "MP3"])
def test_a_file_that_was_cut_is_told(tmp_path: Path, kind: str) -> None:
    content = encode(np.tile(SOUND, 4), kind)
    for part in (0.3, 0.6, 0.9):
        message = refusal(tmp_path, {"a": content[: int(part * len(content))]})
        assert "a.wav: it breaks off" in message or "a.wav: it cannot be read" in message


def test_an_hour_is_no_recording_of_an_item(tmp_path: Path) -> None:
    content = encode(np.tile(SOUND, LONGEST_SECONDS // 2 + 1), "FLAC")
    assert f"a.wav: it is longer than {LONGEST_SECONDS} s" in refusal(tmp_path, {"a": content})


@pytest.mark.parametrize("kind", ["OPUS", "VORBIS"])
def test_ogg_must_have_its_last_page(tmp_path: Path, kind: str) -> None:
    content = encode(np.tile(SOUND, 4), "OGG", kind)
    last = content.rfind(b"OggS")
    for cut in (content[:last], content[:-3], content[: len(content) * 6 // 10]):
        assert "a.wav: it breaks off" in refusal(tmp_path, {"a": cut})
    assert decode_recording(content).size == pytest.approx(8 * RATE, rel=0.05)


# -- samples -----------------------------------------------------------------------------------------------------------


def with_sample(value: float) -> bytes:
    sound = SOUND.copy()
    sound[100] = value
    return encode(sound, subtype="FLOAT")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encode(np.stack([SOUND, -SOUND], 1)), "its 2 channels cancel"),
        (encode(np.stack([SOUND, -SOUND, 0 * SOUND], 1)), "its 3 channels cancel"),
        (encode(SOUND * 10_922, subtype="FLOAT"), "full scale is 1"),
        (encode(SOUND * 2.0**31, subtype="DOUBLE"), "full scale is 1"),
        (with_sample(np.nan), "1 of its samples are not numbers"),
        (with_sample(-np.inf), "1 of its samples are not numbers"),
        (encode(SOUND[:10]), "it holds no speech"),
        (encode(0 * SOUND), "it is silent"),
        (b"", "cannot be read as sound"),
        (b"RIFF", "cannot be read as sound"),
    ],
)
def test_samples_that_are_no_speech_are_told_of_the_recording(tmp_path: Path, content: bytes, said: str) -> None:
    message = refusal(tmp_path, {"a": content, "b": encode(SOUND)})
    assert "sst2, voice natural: 1 of 2 recordings" in message
    (line,) = [line for line in message.splitlines() if "a.wav" in line]
    assert said in line
    assert " text" not in message


@pytest.mark.parametrize("gains", [(1, 1), (1, 0), (1, -0.5), (0, 0, 0, 0, 0, 0, 0, 1)])
def test_other_channels_are_mixed(gains: tuple[float, ...]) -> None:
    mixed: Waveform = decode_recording(encode(np.stack([gain * SOUND for gain in gains], 1), subtype="FLOAT"))
    assert np.allclose(mixed, np.mean(gains) * SOUND, atol=1e-6)


def test_peaks_that_a_codec_can_overshoot_by_are_read() -> None:
    assert np.abs(decode_recording(encode(SOUND * 5, subtype="FLOAT"))).max() > 1.4


def test_all_bad_files_are_named_in_one_message(tmp_path: Path) -> None:
    contents = {f"bad-{n}": b"no sound" for n in range(EXPLAINED + 7)} | {"good": encode(SOUND)}
    message = refusal(tmp_path, contents)
    assert all(f"bad-{n}.wav" in message for n in range(EXPLAINED + 7)) and "good.wav" not in message


# -- files -------------------------------------------------------------------------------------------------------------


def test_hidden_files_of_the_system_do_not_count(tmp_path: Path) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path, pattern="{id}.{ext}")
    (tmp_path / "a.wav").write_bytes(encode(SOUND))
    before = state(voice, "sst2")
    for name in ("._a.wav", ".DS_Store", "._a.flac"):
        (tmp_path / name).write_bytes(b"system")
    assert state(voice, "sst2") == before
    assert find_recordings(voice, "sst2", ["a"]) == {"a": tmp_path / "a.wav"}
    with pytest.raises(StudyError, match=r"'\._a'.*hidden"):
        find_recordings(voice, "sst2", ["._a"])


def test_a_folder_of_that_name_is_told(tmp_path: Path) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path, pattern="{id}.{ext}")
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(StudyError, match=r"a\.wav is a folder"):
        find_recordings(voice, "sst2", ["a"])
    assert state(voice, "sst2")


def test_an_id_that_is_too_long_for_a_file_is_named(tmp_path: Path) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path)
    (tmp_path / "sst2").mkdir()
    with pytest.raises(StudyError, match=r"sst2/xxx.*cannot be looked for"):
        find_recordings(voice, "sst2", ["x" * 300])


def test_a_file_that_may_not_be_read_is_named_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "a.wav":
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    message = refusal(tmp_path, {"a": encode(SOUND), "b": b"", "c": encode(SOUND)})
    assert "a.wav: it cannot be read (Permission denied)" in message and "b.wav: it" in message
    assert "c.wav" not in message


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.wav").open("wb") as file:
        file.truncate(2**31)
    voice = RecordingsVoice(provider="recordings", folder=tmp_path, pattern="{id}.wav")
    with pytest.raises(StudyError, match=r"a\.wav: it has 2,147,483,648 bytes"):
        read_recordings([Utterance("a", "Ah.")], "sst2", "natural", voice, 30.0, tmp_path / "s")
