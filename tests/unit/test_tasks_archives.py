"""Clips are read out of archives of the published layouts, and nothing else ever is."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.sources import archives
from cascade_equivalence.tasks.sources.archives import read_clip_files

CLIPS = "output_repeated_splits_test"
MELD = {
    f"./{CLIPS}/dia0_utt0.mp4": b"first",
    f"./{CLIPS}/._dia0_utt0.mp4": b"macOS",
    f"./{CLIPS}/final_videos_testdia0_utt0.mp4": b"final",
    f"./{CLIPS}/dia10_utt2.mp4": b"second" * 30_000,
    f"./{CLIPS}/notes.txt": b"no clip",
    "./elsewhere/dia1_utt0.mp4": b"no clip of this folder",
}
MUSTARD = {
    "utterances_final/1_60.mp4": b"first",
    "__MACOSX/utterances_final/._1_60.mp4": b"macOS",
    "context_final/1_60_c.mp4": b"context",
}


def tar(members: Mapping[str, bytes], mode: str = "w:gz", *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("./folder")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        for info in extra:
            file.addfile(info)
    return buffer.getvalue()


def meld_raw(test: bytes) -> bytes:
    """The layout of MELD.Raw.tar.gz: an archive a split, and the annotations, inside one archive."""
    others = {f"MELD.Raw/{split}.tar.gz": tar({f"{split}_splits/dia0_utt0.mp4": b"x"}) for split in ("train", "dev")}
    return tar({**others, "MELD.Raw/README.txt": b"", "MELD.Raw/test.tar.gz": test, "MELD.Raw/test_sent_emo.csv": b""})


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def read(folder: Path, content: bytes, *, clips: str = CLIPS, inner: str | None = None) -> dict[str, bytes]:
    (folder / "archive").write_bytes(content)
    found = {}
    for clip in read_clip_files(folder / "archive", clips, inner):
        clip.copy_to(folder / "clip")
        found[clip.name] = (folder / "clip").read_bytes()
    assert {path.name for path in folder.iterdir()} <= {"archive", "clip"}
    return found


def test_the_layout_of_meld(tmp_path: Path) -> None:
    assert read(tmp_path, meld_raw(tar(MELD)), inner="test.tar.gz") == {
        "dia0_utt0": b"first",
        "._dia0_utt0": b"macOS",
        "final_videos_testdia0_utt0": b"final",
        "dia10_utt2": b"second" * 30_000,
    }


def test_the_layout_of_mustard(tmp_path: Path) -> None:
    expected = {"1_60": b"first", "._1_60": b"macOS"}
    assert read(tmp_path, zipped(MUSTARD), clips="utterances_final") == expected
    # As it is when somebody packs it again, in a folder.
    packed = {f"mmsd_raw_data/{name}": content for name, content in MUSTARD.items()}
    assert read(tmp_path, zipped(packed), clips="utterances_final") == expected


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_file_without_another_inside(mode: str, tmp_path: Path) -> None:
    assert read(tmp_path, tar(MELD, mode))["dia0_utt0"] == b"first"


def test_clips_may_be_passed_over(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(meld_raw(tar(MELD)))
    clips = read_clip_files(tmp_path / "archive", CLIPS, "test.tar.gz")
    assert [clip.name for clip in clips][-1] == "dia10_utt2"


LEAVING = ["/etc/passwd", "../clip.mp4", f"{CLIPS}/../../clip.mp4", "C:/clip.mp4", "a\\..\\clip.mp4"]


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_names_that_lead_elsewhere_are_refused(
    name: str, pack: Callable[[Mapping[str, bytes]], bytes], tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="leads out of the folder"):
        read(tmp_path, pack({f"{CLIPS}/a.mp4": b"a", name: b"evil", f"{CLIPS}/b.mp4": b"b"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE], ids=str
)
def test_links_and_devices_in_tar_files_are_refused(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo(f"{CLIPS}/dia1_utt0.mp4")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(StudyError, match=r"dia1_utt0\.mp4' is a link or a device"):
        read(tmp_path, tar(MELD, "w:gz", info))
    with pytest.raises(StudyError, match="is a link or a device"):
        read(tmp_path, meld_raw(tar(MELD, "w:gz", info)), inner="test.tar.gz")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip_files_are_refused(kind: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(f"{CLIPS}/a.mp4", b"a")
        info = zipfile.ZipInfo(f"{CLIPS}/b.mp4")
        info.external_attr = (kind | 0o644) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(StudyError, match=r"b\.mp4' is a link or a device"):
        read(tmp_path, buffer.getvalue())


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({f"{CLIPS}/a.mp4": b"a"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(StudyError, match="is encrypted"):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("MAX_CLIP_BYTES", "more than a clip may have"),
        ("MAX_TOTAL_BYTES", "unpacks to more"),
        ("MAX_MEMBERS", "more than 3"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(
    limit: str,
    message: str,
    pack: Callable[[Mapping[str, bytes]], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, limit, 3)
    with pytest.raises(StudyError, match=message):
        read(tmp_path, pack({f"{CLIPS}/{n}.mp4": bytes(100 if n == 5 else 0) for n in range(6)}))


@pytest.mark.parametrize(
    ("content", "inner", "message"),
    [
        (b"no archive", None, "is broken"),
        (b"", None, "is broken"),
        (tar({"a.txt": b""}), None, f"no .mp4 files in a folder {CLIPS}"),
        (zipped({"a.txt": b""}), None, f"no .mp4 files in a folder {CLIPS}"),
        (tar({"MELD.Raw/train.tar.gz": b""}), "test.tar.gz", r"no test\.tar\.gz; it has MELD\.Raw/train\.tar\.gz"),
        (tar({"test.tar.gz": b"no archive"}), "test.tar.gz", "is broken"),
        (gzip.compress(tar(MELD, "w"))[:-900], None, "is broken"),
        (meld_raw(tar(MELD)[:-200]), "test.tar.gz", "is broken"),
    ],
)
def test_what_is_broken_or_another_archive_is_explained(
    content: bytes, inner: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=message) as refused:
        read(tmp_path, content, inner=inner)
    assert str(tmp_path / "archive") in str(refused.value)


def test_a_wrong_byte_in_a_zip_file_is_noticed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr(f"{CLIPS}/a.mp4", b"content")
    with pytest.raises(StudyError, match="is broken"):
        read(tmp_path, buffer.getvalue().replace(b"content", b"c0ntent"))
