"""From video clips in archives of the published layouts to one recording an item."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_tasks_archives import meld_raw, tar, zipped

from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.speech import set_recordings, video_sound
from cascade_equivalence.speech.recordings_voice import read_recordings
from cascade_equivalence.speech.set_recordings import RecordingEntry, extract_recordings
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.video_sound import UnreadableError, find_ffmpeg, read_sound
from cascade_equivalence.speech.waveform import Waveform, decode_flac
from cascade_equivalence.tasks.sources.exclusions import Exclusion, Exclusions, read_exclusions
from cascade_equivalence.tasks.sources.pins import Recordings

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
EXCLUSIONS = RESOURCES / "exclusions"
RATE = 16_000
CLIPS = "output_repeated_splits_test"
PICTURE = ("-f", "lavfi", "-i", "color=size=16x16:rate=5")
ENCODED = ("-c:v", "mpeg4", "-c:a", "aac", "-shortest")


def make(path: Path, *arguments: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True)
    return path


def tone(hertz: int, seconds: float, layout: str = "stereo") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine={hertz}:sample_rate=44100:duration={seconds},aformat=channel_layouts={layout}")


@cache
def video(kind: str, folder: Path) -> bytes:
    """The bytes of a small clip with picture and sound, as the sets have them."""
    path = folder / f"{kind}.mp4"
    match kind:
        case "long":
            make(path, *tone(440, 33), "-c:a", "aac")
        case "surround":
            # Speech stands in the middle, as on television.
            middle = "sine=600:sample_rate=48000:duration=1,pan=5.1|FC=c0"
            make(path, *PICTURE, "-f", "lavfi", "-i", middle, *ENCODED)
        case "silent":
            make(path, *PICTURE, "-f", "lavfi", "-i", "anullsrc=r=44100:d=1", *ENCODED)
        case "mute":
            make(path, *PICTURE, "-t", "1", "-c:v", "mpeg4")
        case "half":
            return video("tone", folder)[:400]
        case _:
            make(path, *PICTURE, *tone(440, 1), *ENCODED)
    return path.read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


def pitch(audio: Waveform) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * RATE / audio.size)


def recordings(kind: str, folder: str, inner: str | None = None) -> Recordings:
    archive = {"kind": "hub", "repo": "owner/set", "revision": "main", "file": f"a.{kind}", "sha256": "0" * 64}
    return Recordings.model_validate({"archive": archive, "inner": inner, "folder": folder, "split": "test"})


MELD = recordings("tar.gz", CLIPS, "test.tar.gz")


def pack_meld(path: Path, videos: dict[str, bytes]) -> Path:
    """MELD.Raw.tar.gz with these clips, and with what else the published one has beside them."""
    beside = {"final_videos_testdia0_utt0": b"final", "dia108_utt2": b"without annotation", "._dia0_utt0": b"macOS"}
    members = {f"{CLIPS}/{name}.mp4": content for name, content in (beside | videos).items()}
    path.write_bytes(meld_raw(tar(members)))
    return path


def run(
    archive: Path, items: list[str], folder: Path, exclusions: Exclusions | None = None
) -> dict[str, RecordingEntry]:
    known = exclusions or read_exclusions(EXCLUSIONS / "meld.csv", "test")
    return extract_recordings("meld", items, archive, MELD, known, folder, 30.0)


# -- one clip -----------------------------------------------------------------------------------------------------


@needs_ffmpeg
@pytest.mark.parametrize(("kind", "hertz"), [("tone", 440), ("surround", 600)])
def test_all_channels_are_heard_at_16_khz(kind: str, hertz: int, made: Path) -> None:
    video(kind, made)
    audio, amiss = read_sound(made / f"{kind}.mp4", 30)
    assert audio.dtype == np.float32
    assert audio.size == pytest.approx(RATE, abs=0.1 * RATE)
    assert pitch(audio) == pytest.approx(hertz, abs=5)
    assert 0.01 < np.abs(audio).max() < 1
    assert amiss == ""


@needs_ffmpeg
def test_no_more_is_decoded_than_is_asked_for(made: Path) -> None:
    video("tone", made)
    audio, _ = read_sound(made / "tone.mp4", 0.25)
    assert audio.size == pytest.approx(0.25 * RATE, abs=1)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("kind", "message"), [("mute", "no sound track"), ("half", "cannot be decoded"), ("text", "cannot be decoded")]
)
def test_a_clip_that_cannot_be_heard_says_why(kind: str, message: str, made: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no video" if kind == "text" else video(kind, made))
    with pytest.raises(UnreadableError, match=message) as refused:
        read_sound(clip, 30)
    assert str(tmp_path) not in str(refused.value)


@needs_ffmpeg
def test_a_playlist_in_the_place_of_a_clip_opens_no_other_file(made: Path, tmp_path: Path) -> None:
    video("tone", made)
    clip = tmp_path / "clip.mp4"
    for text in (f"ffconcat version 1.0\nfile '{made}/tone.mp4'\n", f"#EXTM3U\n#EXTINF:1,\n{made}/tone.mp4\n"):
        clip.write_text(text)
        with pytest.raises(UnreadableError):
            read_sound(clip, 30)


def test_without_ffmpeg_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_ffmpeg.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(StudyError, match="apt-get install ffmpeg"):
            run(tmp_path / "archive", ["dia0_utt0"], tmp_path / "recordings")
        assert not (tmp_path / "recordings").exists()
    finally:
        find_ffmpeg.cache_clear()


# -- a whole archive ----------------------------------------------------------------------------------------------


@needs_ffmpeg
def test_meld_becomes_one_recording_an_item(made: Path, tmp_path: Path) -> None:
    archive = pack_meld(
        tmp_path / "MELD.Raw.tar.gz", {"dia0_utt0": video("tone", made), "dia38_utt4": video("long", made)}
    )
    found = run(archive, ["dia38_utt4", "dia0_utt0"], tmp_path / "recordings")
    assert list(found) == ["dia38_utt4", "dia0_utt0"]
    folder = tmp_path / "recordings" / "meld"
    assert sorted(path.name for path in folder.glob("[!.]*")) == ["dia0_utt0.flac", "dia38_utt4.flac", "manifest.json"]
    for item, recording in found.items():
        audio, rate = soundfile.read(folder / f"{item}.flac")
        assert (rate, audio.ndim) == (RATE, 1)
        assert recording.seconds == audio.size / RATE
        assert pitch(audio) == pytest.approx(440, abs=5)
    assert (found["dia38_utt4"].seconds, found["dia38_utt4"].cut, found["dia0_utt0"].cut) == (30.0, True, False)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["clips"]) == set(found)
    assert manifest["clips"]["dia38_utt4"]["cut"] is True
    assert manifest["max_seconds"] == 30.0


@needs_ffmpeg
def test_mustard_is_read_from_a_zip_file(made: Path, tmp_path: Path) -> None:
    members = {
        "utterances_final/1_60.mp4": video("tone", made),
        "__MACOSX/utterances_final/._1_60.mp4": b"macOS",
        "context_final/1_60_c.mp4": b"context",
    }
    (tmp_path / "mmsd_raw_data.zip").write_bytes(zipped(members))
    pin = recordings("zip", "utterances_final")
    known = read_exclusions(EXCLUSIONS / "mustard.csv", "test")
    found = extract_recordings("mustard", ["1_60"], tmp_path / "mmsd_raw_data.zip", pin, known, tmp_path, 30.0)
    assert found["1_60"].seconds == pytest.approx(1, abs=0.1)
    assert (tmp_path / "mustard" / "1_60.flac").is_file()


@needs_ffmpeg
def test_a_voice_of_recordings_reads_what_was_made(made: Path, tmp_path: Path) -> None:
    archive = pack_meld(
        tmp_path / "MELD.Raw.tar.gz", {"dia0_utt0": video("tone", made), "dia38_utt4": video("long", made)}
    )
    found = run(archive, ["dia0_utt0", "dia38_utt4"], tmp_path / "recordings")
    voice = RecordingsVoice(provider="recordings", folder=tmp_path / "recordings")
    spoken = [Utterance(item, "Hello.") for item in found]
    clips = read_recordings(spoken, "meld", "natural", voice, 30.0, tmp_path / "store")
    assert [(clip.id, clip.seconds, clip.problem) for clip in clips] == [
        (item, recording.seconds, None) for item, recording in found.items()
    ]


@needs_ffmpeg
def test_all_useless_clips_are_named_at_once_and_the_others_kept(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = {
        "dia0_utt0": video("tone", made),
        "dia1_utt0": video("silent", made),
        "dia1_utt1": video("mute", made),
        "dia2_utt0": video("half", made),
        "dia5_utt5": video("tone", made),
    }
    archive = pack_meld(tmp_path / "MELD.Raw.tar.gz", videos)
    items = [*videos, "dia3_utt0"]
    list_path = tmp_path / "meld.csv"
    with pytest.raises(StudyError) as refused:
        run(archive, items, tmp_path, Exclusions(list_path))
    for part in (
        "4 recordings of meld",
        "dia1_utt0: it is silent",
        "dia1_utt1: there is no sound track",
        "dia2_utt0: it cannot be decoded",
        "dia3_utt0: the archive does not have it",
        f"{list_path}, such as\n  test,dia1_utt0,drop,it is silent",
    ):
        assert part in str(refused.value)
    assert sorted(path.name for path in (tmp_path / "meld").glob("*.flac")) == ["dia0_utt0.flac", "dia5_utt5.flac"]
    assert not (tmp_path / "meld" / "manifest.json").exists()
    # The list is filled in as the message says; nothing is decoded a second time.
    monkeypatch.setattr(set_recordings, "read_sound", lambda *_: pytest.fail("decoded again"))
    found = run(archive, ["dia0_utt0", "dia5_utt5"], tmp_path, Exclusions(list_path))
    assert list(found) == ["dia0_utt0", "dia5_utt5"]


@needs_ffmpeg
def test_an_interrupted_extraction_goes_on_and_remembers_what_it_cut(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = {"dia0_utt0": video("long", made), "dia0_utt1": video("tone", made), "dia0_utt2": video("tone", made)}
    archive = pack_meld(tmp_path / "MELD.Raw.tar.gz", videos)
    decoded = []

    def interrupted(path: Path, seconds: float) -> tuple[Waveform, str]:
        decoded.append(path)
        if len(decoded) == 2:
            raise KeyboardInterrupt
        return read_sound(path, seconds)

    monkeypatch.setattr(set_recordings, "read_sound", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(archive, list(videos), tmp_path / "one")
    found = run(archive, list(videos), tmp_path / "one")
    assert len(decoded) == 4
    assert [recording.cut for recording in found.values()] == [True, False, False]
    monkeypatch.setattr(set_recordings, "read_sound", read_sound)
    assert run(archive, list(videos), tmp_path / "two") == found


@needs_ffmpeg
def test_other_settings_begin_anew_and_foreign_recordings_are_never_touched(made: Path, tmp_path: Path) -> None:
    archive = pack_meld(tmp_path / "MELD.Raw.tar.gz", {"dia0_utt0": video("tone", made)})
    run(archive, ["dia0_utt0"], tmp_path)
    known = Exclusions(tmp_path / "meld.csv")
    shorter = extract_recordings("meld", ["dia0_utt0"], archive, MELD, known, tmp_path, 0.5)
    assert (shorter["dia0_utt0"].seconds, shorter["dia0_utt0"].cut) == (0.5, True)
    (tmp_path / "own" / "meld").mkdir(parents=True)
    mine = tmp_path / "own" / "meld" / "dia0_utt0.flac"
    mine.write_bytes(b"mine")
    with pytest.raises(StudyError, match="not made from the set's archive"):
        run(archive, ["dia0_utt0"], tmp_path / "own")
    assert mine.read_bytes() == b"mine"


@needs_ffmpeg
def test_the_same_archive_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    archive = pack_meld(tmp_path / "MELD.Raw.tar.gz", {"dia0_utt0": video("surround", made)})
    first, second = (run(archive, ["dia0_utt0"], tmp_path / name)["dia0_utt0"] for name in ("one", "two"))
    assert first == second
    assert decode_flac((tmp_path / "one" / "meld" / "dia0_utt0.flac").read_bytes()).size == first.seconds * RATE


@needs_ffmpeg
def test_strange_names_and_repeated_clips_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"names of files: \.\./dia0"):
        run(tmp_path / "archive", ["../dia0"], tmp_path)
    members = {f"{place}/{CLIPS}/dia0_utt0.mp4": video("tone", made) for place in "ab"}
    (tmp_path / "archive").write_bytes(meld_raw(tar({**members, f"c/{CLIPS}/dia0_utt1.mp4": b""})))
    with pytest.raises(StudyError, match="dia0_utt0 twice"):
        run(tmp_path / "archive", ["dia0_utt0", "dia0_utt1"], tmp_path)


@needs_ffmpeg
def test_an_ignored_clip_is_not_read_even_if_an_item_has_its_name(made: Path, tmp_path: Path) -> None:
    archive = pack_meld(tmp_path / "MELD.Raw.tar.gz", {"dia0_utt0": video("tone", made)})
    ignored = Exclusions(tmp_path / "meld.csv", (Exclusion("test", "dia0_utt*", "ignore", "for the test"),))
    with pytest.raises(StudyError, match="dia0_utt0: the archive does not have it"):
        run(archive, ["dia0_utt0"], tmp_path, ignored)


@needs_ffmpeg
def test_the_version_of_ffmpeg_is_known() -> None:
    assert video_sound.ffmpeg_version()[0].isalnum()
