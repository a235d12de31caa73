"""Recorded speech: each item has its own file, a changed file is another clip, and no id leads out of the folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from study_config import ROOT

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.speech import recordings_voice
from cascade_equivalence.speech.audit import report_problems
from cascade_equivalence.speech.clips import Clip, decode, hash_audio, read_clips, write_clips
from cascade_equivalence.speech.recordings_decoding import decode_recording
from cascade_equivalence.speech.recordings_files import EXTENSIONS, SHOWN, find_recordings, list_recordings
from cascade_equivalence.speech.recordings_voice import read_recordings
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, rms
from cascade_equivalence.tasks.registry import get_task

SUBTYPES = {"ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "aif": ("AIFF", "PCM_16")}
ITEMS = [Utterance(f"dia0_utt{n}", "Okay.") for n in range(7)]


def state(voice: RecordingsVoice, task: str) -> str:
    """What a node depends on, of the recordings of a task."""
    nowhere = voice.folder / "nowhere"
    return FileHashes(nowhere, within=nowhere).of_set(list_recordings(voice, task))


@pytest.fixture
def natural(tmp_path: Path) -> RecordingsVoice:
    """A folder with recordings of one task."""
    voice = RecordingsVoice(provider="recordings", folder=tmp_path / "natural")
    for number, item in enumerate(ITEMS):
        record(voice, f"meld/{item.id}.wav", 200.0 + 50 * number)
    return voice


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was really decoded."""
    contents: list[bytes] = []

    def noted(content: bytes) -> np.ndarray:
        contents.append(content)
        return decode_recording(content)

    monkeypatch.setattr(recordings_voice, "decode_recording", noted)
    return contents


def tone(pitch: float, seconds: float, rate: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def record(
    voice: RecordingsVoice, name: str, pitch: float, seconds: float = 1.0, rate: int = 48_000, channels: int = 1
) -> Path:
    path = voice.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, subtype = SUBTYPES.get(path.suffix[1:].lower(), (None, None))
    # The other channels are silent.
    audio = np.zeros((int(seconds * rate), channels), dtype=np.float32)
    audio[:, 0] = tone(pitch, seconds, rate)
    soundfile.write(path, audio, rate, format=kind or path.suffix[1:].upper(), subtype=subtype)
    return path


def read(voice: RecordingsVoice, store: Path, items: list[Utterance] = ITEMS, task: str = "meld") -> list[Clip]:
    return read_recordings(items, task, "natural", voice, 30.0, store)


def pitch_of(audio: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(audio)).argmax() * SAMPLING_RATE / audio.size)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2), (8_000, 1)])
def test_any_format_rate_and_channels_become_16_khz_mono(
    tmp_path: Path, extension: str, rate: int, channels: int
) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path)
    record(voice, f"meld/a.{extension}", 440.0, 2.0, rate, channels)
    (clip,) = read(voice, tmp_path / "store", [Utterance("a", "Ah.")])
    audio = decode(clip)
    assert clip.seconds == pytest.approx(2.0, abs=0.1)
    assert pitch_of(audio) == pytest.approx(440, abs=2)
    assert rms(audio) == pytest.approx(0.3 / np.sqrt(2) / channels, rel=0.1)
    assert (clip.voice, clip.text, clip.sampling_rate) == ("natural", "Ah.", 16_000)
    assert clip.problem == ("upsampled" if rate < SAMPLING_RATE else None)


def test_items_with_the_same_words_have_their_own_clips(natural: RecordingsVoice, tmp_path: Path) -> None:
    clips = read(natural, tmp_path / "store", ITEMS[::-1])
    assert [clip.id for clip in clips] == [item.id for item in ITEMS[::-1]]
    assert [round(pitch_of(decode(clip))) for clip in clips] == [500, 450, 400, 350, 300, 250, 200]


def test_a_clip_names_its_recording_and_the_hash_of_it(natural: RecordingsVoice, tmp_path: Path) -> None:
    clips = read(natural, tmp_path / "store")
    for clip in clips:
        content = (natural.folder / "meld" / f"{clip.id}.wav").read_bytes()
        assert clip.provider == f"recording {hash_audio(content)}, meld/{clip.id}.wav"
    write_clips(clips, tmp_path / "clean.parquet", {})
    assert read_clips(tmp_path / "clean.parquet") == clips


def test_only_what_has_changed_is_read_anew(natural: RecordingsVoice, tmp_path: Path, decoded: list[bytes]) -> None:
    first = read(natural, tmp_path / "store")
    assert len(decoded) == len(ITEMS)
    assert read(natural, tmp_path / "store") == first
    assert len(decoded) == len(ITEMS)
    path = natural.folder / "meld" / f"{ITEMS[2].id}.wav"
    status = path.stat()
    record(natural, f"meld/{ITEMS[2].id}.wav", 999.0)
    # Neither size nor time tells; the bytes do.
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = read(natural, tmp_path / "store")
    assert len(decoded) == len(ITEMS) + 1
    assert [a.sha256 == b.sha256 for a, b in zip(first, second, strict=True)] == [n != 2 for n in range(len(ITEMS))]
    assert round(pitch_of(decode(second[2]))) == 999


def test_missing_recordings_are_listed_before_anything_is_read(
    natural: RecordingsVoice, tmp_path: Path, decoded: list[bytes]
) -> None:
    strangers = [Utterance(f"new-{n}", "Hello.") for n in range(SHOWN + 4)]
    with pytest.raises(StudyError) as caught:
        read(natural, tmp_path / "store", [*ITEMS, *strangers])
    said = str(caught.value)
    assert (
        f"9 of {len(ITEMS) + 9} items of meld have no recording: new-0, new-1, new-2, new-3, new-4 and 4 more" in said
    )
    assert "meld/{id}.{ext}" in said
    assert "opus" in said
    assert not decoded
    assert not (tmp_path / "store").exists()


def test_videos_are_not_read_but_explained(natural: RecordingsVoice) -> None:
    (natural.folder / "meld" / "dia1_utt0.mp4").write_bytes(b"video")
    with pytest.raises(StudyError, match=r"There is meld/dia1_utt0\.mp4: .*ffmpeg -i dia1_utt0\.mp4 .*dia1_utt0\.wav"):
        find_recordings(natural, "meld", ["dia1_utt0"])


def test_two_recordings_of_an_item_are_refused(natural: RecordingsVoice) -> None:
    record(natural, f"meld/{ITEMS[0].id}.flac", 100.0)
    with pytest.raises(StudyError, match=r"dia0_utt0 of meld has two recordings, .*\.wav and .*\.flac"):
        find_recordings(natural, "meld", [ITEMS[0].id])


def test_extensions_may_be_in_capitals(tmp_path: Path) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path)
    path = record(voice, "meld/a.WAV", 300.0)
    assert find_recordings(voice, "meld", ["a"])["a"].samefile(path)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{id}.{ext}", "a.b {c}.ogg"),
        ("{id}.wav", "a.b {c}.wav"),
        ("audio/{task}/clip-{id}/{task}.{ext}", "audio/meld/clip-a.b {c}/meld.flac"),
        ("{ext}/{id}.{ext}", "mp3/a.b {c}.mp3"),
    ],
)
def test_patterns_say_where_recordings_are(tmp_path: Path, pattern: str, name: str) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path, pattern=pattern)
    path = record(voice, name, 300.0)
    before = state(voice, "meld")
    assert find_recordings(voice, "meld", ["a.b {c}"]) == {"a.b {c}": path}
    path.unlink()
    assert state(voice, "meld") != before


ELSEWHERE = ("{task}.wav", "../{id}.wav", "/data/{id}.wav", "a/../../{id}.wav", "{id.__class__}.wav", "{0}.wav")
MALFORMED = ("{id!r}.wav", "{id:>99}.wav", "{name}/{id}.wav", "{id", "{id}}")


@pytest.mark.parametrize("pattern", [*ELSEWHERE, *MALFORMED])
def test_patterns_that_lead_elsewhere_are_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        RecordingsVoice(provider="recordings", folder=Path("natural"), pattern=pattern)


@pytest.mark.parametrize("item", ["../secret", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "a\0b", "..."])
def test_ids_that_lead_out_of_the_folder_are_refused(tmp_path: Path, item: str) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path / "in", pattern="{id}.{ext}")
    record(voice, "../secret.wav", 300.0)
    with pytest.raises(StudyError, match="may lead out of the folder"):
        find_recordings(voice, "meld", [item])


@given(st.text(alphabet="ab./\\\0{} \u00e9-", max_size=6))
def test_no_id_is_looked_for_outside(item: str) -> None:
    looked: list[Path] = []

    class Noted(type(Path())):
        def is_file(self) -> bool:
            looked.append(Path(self))
            return False

    folder = Noted("/recordings")
    Noted.is_dir = lambda self: self == folder
    voice = RecordingsVoice(provider="recordings", folder=Path("x")).model_copy(update={"folder": folder})
    with pytest.raises(StudyError):
        find_recordings(voice, "meld", [item])
    assert all(path.parent == Path("/recordings/meld") for path in looked)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path / "none")
    for ask in (lambda: find_recordings(voice, "meld", ["a"]), lambda: state(voice, "meld")):
        with pytest.raises(StudyError, match=r"no folder .*none"):
            ask()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("extension", ["wav", "aiff", "flac", "mp3", "ogg", "opus"])
def test_recordings_that_break_off_are_refused(tmp_path: Path, extension: str) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path)
    cut(record(voice, f"meld/a.{extension}", 300.0, 3.0))
    with pytest.raises(StudyError, match=rf"1 of 1 .*\n.*a\.{extension}: it (breaks off|cannot be read)"):
        read(voice, tmp_path / "store", [Utterance("a", "Ah.")])


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x24\xf0\xff\x7f"])
def test_sizes_that_nobody_knew_are_no_break(tmp_path: Path, size: bytes) -> None:
    voice = RecordingsVoice(provider="recordings", folder=tmp_path)
    content = record(voice, "meld/a.wav", 300.0).read_bytes()
    streamed = content[:4] + size + content[8:40] + size + content[44:]
    assert decode_recording(streamed).size == pytest.approx(SAMPLING_RATE, abs=2)


def test_all_broken_recordings_are_told_at_once_and_the_rest_is_kept(
    natural: RecordingsVoice, tmp_path: Path, decoded: list[bytes]
) -> None:
    (natural.folder / "meld" / "dia0_utt1.wav").write_bytes(b"")
    (natural.folder / "meld" / "dia0_utt3.wav").write_bytes(b"no sound" * 100)
    cut(natural.folder / "meld" / "dia0_utt5.wav")
    with pytest.raises(StudyError) as caught:
        read(natural, tmp_path / "store")
    assert f"3 of {len(ITEMS)} recordings" in str(caught.value)
    assert all(f"dia0_utt{n}.wav: it " in str(caught.value) for n in (1, 3, 5))
    decoded.clear()
    for number in (1, 3, 5):
        record(natural, f"meld/dia0_utt{number}.wav", 300.0 + number)
    assert len(read(natural, tmp_path / "store")) == len(ITEMS)
    assert len(decoded) == 3


def test_short_and_upsampled_recordings_are_remarked_on_also_when_the_store_has_them(
    natural: RecordingsVoice, tmp_path: Path
) -> None:
    record(natural, "meld/dia0_utt0.wav", 200.0, seconds=0.4)
    record(natural, "meld/dia0_utt1.wav", 250.0, rate=8_000)
    for _ in range(2):
        clips = read(natural, tmp_path / "store")
        assert [clip.problem for clip in clips] == ["short", "upsampled", *[None] * 5]
        short, upsampled = report_problems(clips, "meld")
        assert short.endswith("dia0_utt0") and upsampled.endswith("dia0_utt1")


def test_the_example_of_the_docs_fits_a_task_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "config" / "README.md").read_text(encoding="utf-8").partition("## Recordings")[2]
    block = section.partition("```yaml")[2].partition("```")[0]
    registry = ["config/models.yaml", "config/systems.yaml", "config/voices.yaml", "config/tasks.yaml"]
    study = load_study({"registry": registry, "systems": ["tiny-smollm2"], **yaml.safe_load(block)}, ROOT)
    (task,) = study.tasks
    ids = [item.id for item in get_task(task).load_demo(RESOURCES / "items")]
    assert len(ids) >= study.items.per_task
    monkeypatch.chdir(tmp_path)
    heard = set()
    for line in block.splitlines():
        if "recordings" in line and "#" in line:
            voice, shown = line.split()[0].rstrip(":"), line.partition("# ")[2]
            Path(shown).parent.mkdir(parents=True, exist_ok=True)
            Path(shown).touch()
            spec = study.definitions.voices[voice]
            assert isinstance(spec, RecordingsVoice)
            # The file that the comment shows is the recording of an item.
            found = {item for item in ids if Path(shown) in _files_of(spec, task, item)}
            assert len(found) == 1
            heard.add(voice)
    assert heard == set(study.speech.voices)


def _files_of(spec: RecordingsVoice, task: str, item: str) -> set[Path]:
    try:
        return set(find_recordings(spec, task, [item]).values())
    except StudyError:
        return set()


CHANGES: dict[str, Callable[[RecordingsVoice], object]] = {
    "other speech": lambda voice: record(voice, "meld/dia0_utt0.wav", 777.0),
    "one more": lambda voice: record(voice, "meld/dia9_utt9.wav", 777.0),
    "one less": lambda voice: (voice.folder / "meld" / "dia0_utt0.wav").unlink(),
    "renamed": lambda voice: (voice.folder / "meld" / "dia0_utt0.wav").rename(voice.folder / "meld" / "x.wav"),
    "cut": lambda voice: cut(voice.folder / "meld" / "dia0_utt0.wav"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_recordings_change_what_a_node_depends_on(
    natural: RecordingsVoice, change: Callable[[RecordingsVoice], object]
) -> None:
    # A clock that ticks too seldom must not hide a change.
    for path in natural.folder.rglob("*.wav"):
        os.utime(path, (1e9, 1e9))
    before = state(natural, "meld")
    change(natural)
    assert state(natural, "meld") != before


def test_recordings_that_only_look_newer_or_lie_elsewhere_change_nothing(
    natural: RecordingsVoice, tmp_path: Path
) -> None:
    before = state(natural, "meld")
    for path in natural.folder.rglob("*.wav"):
        path.touch()
    copy = shutil.copytree(natural.folder, tmp_path / "copied elsewhere")
    assert state(natural, "meld") == before == state(natural.model_copy(update={"folder": copy}), "meld")


def test_other_files_do_not_change_what_a_node_depends_on(natural: RecordingsVoice) -> None:
    before = state(natural, "meld")
    record(natural, "mustard/1_60.wav", 300.0)
    (natural.folder / "meld" / "README.md").write_text("where these are from")
    (natural.folder / "meld" / "dia0_utt0.mp4").write_bytes(b"video")
    assert state(natural, "meld") == before
    assert state(natural, "mustard") != before


def test_the_graph_needs_no_sound_library_to_look() -> None:
    code = (
        "import sys, cascade_equivalence.speech.recordings_files\n"
        "assert not {'numpy', 'soundfile', 'soxr', 'torch'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
