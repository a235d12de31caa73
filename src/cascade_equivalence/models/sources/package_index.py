"""One file of the Python package index, by its hash: found on the index's pages, fetched, and only ever read.

pip builds what it is asked to download if that is no wheel, and so runs what is inside. Here nothing is: the pages are
those of the simple repository API (PEP 503, PEP 691), at the addresses and with the settings that pip is configured
with.
"""

import ast
import base64
import http.client
import json
import os
import re
import ssl
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.secrets import hidden

DEFAULT_INDEX = "https://pypi.org/simple"
LARGEST_PAGE = 1 << 26
LARGEST_FILE = 1 << 29

_SECTIONS = ("global", "download", ":env:")  # what comes later counts, as for pip
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_SETTING = re.compile(r"(global|download|:env:)\.([\w-]+)=(.*)")
_TIMEOUT = 60.0
_SHOWN = 5


@dataclass(frozen=True)
class Link:
    """A file that an index offers.

    Attributes:
        name: Its file name.
        url: Where it is.
        sha256: What the index says of it, if it does.
    """

    name: str
    url: str
    sha256: str | None


def pip_settings() -> dict[str, str]:
    """What pip is configured with, in its files and in the environment, for downloads.

    Raises:
        StudyError: pip does not say.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if outcome.returncode:
        raise StudyError(f"pip does not say how it is configured: {hidden(outcome.stderr.strip()[-300:])}")
    lines = [match.groups() for line in outcome.stdout.splitlines() if (match := _SETTING.fullmatch(line))]
    found: dict[str, str] = {}
    for section in _SECTIONS:
        found |= {name: str(ast.literal_eval(value)) for where, name, value in lines if where == section}
    return found


def fetch_file(name: str, version: str, digest: str, folder: Path) -> Path:
    """Fetch the file of a package that has a hash.

    Args:
        name: The package.
        version: Its version.
        digest: SHA-256 of the file.
        folder: Where to write it.

    Returns:
        The file; its hash is the one that was given.

    Raises:
        StudyError: No index that pip is configured with has such a file, or it cannot be had.
    """
    index = _Index(pip_settings())
    # What an index says of a file is only what leads to it: what counts is the file's own hash.
    links = [link for link in index.links(name) if link.sha256 in (None, digest) and _is_of(link.name, name, version)]
    found = []
    for link in sorted(links, key=lambda link: link.sha256 is None):
        content = index.read(link.url, LARGEST_FILE)
        if content is None:
            continue
        path = folder / "file"
        path.write_bytes(content)
        if (other := sha256(path)) == digest:
            return path
        path.unlink()
        found.append(f"{link.name} has SHA-256 {other}")
    seen = found or sorted({link.name for link in index.seen if _is_of(link.name, name, version)})
    told = f"it has {', '.join(seen[:_SHOWN])}" if seen else "it has no such version"
    failures = "".join(f"\n  {failure}" for failure in index.failures)
    raise StudyError(
        f"no file of {name} {version} with SHA-256 {digest}, expected by its entry, is in {', '.join(index.places)}: "
        f"{told}. Check the network and pip's settings (PIP_INDEX_URL, PIP_PROXY, PIP_CERT), or put the file into a "
        f"folder and name the folder in PIP_FIND_LINKS.{failures}"
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_of(file: str, name: str, version: str) -> bool:
    """Whether a file name is that of a version; of both, separators may differ."""
    begin = f"{_normal(name)}-{_normal(version)}"
    return re.fullmatch(rf"{re.escape(begin)}(-.*)?", _normal(file)) is not None


class _Index:
    """The pages of the indexes and folders that pip is configured with."""

    def __init__(self, settings: dict[str, str]) -> None:
        without = settings.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t")
        extra = settings.get("extra-index-url", "").split()
        self._indexes = [] if without else [settings.get("index-url", DEFAULT_INDEX).strip(), *extra]
        self._folders = settings.get("find-links", "").split()
        self._opener = _opener(settings)
        self.failures: list[str] = []
        self.seen: list[Link] = []
        self.places = [hidden(place) for place in (*self._folders, *self._indexes)] or ["nothing: no index is set"]

    def links(self, name: str) -> Iterator[Link]:
        """What is offered under the name of a package; folders first."""
        pages = [*self._folders, *(f"{index.rstrip('/')}/{_normal(name)}/" for index in self._indexes)]
        for page in pages:
            for link in self._page(page):
                self.seen.append(link)
                yield link

    def _page(self, place: str) -> Iterator[Link]:
        local = _local(place)
        if local is not None and local.is_dir() and not (local / "index.html").is_file():
            try:
                files = sorted(each for each in local.iterdir() if each.is_file())
            except OSError as error:
                self.failures.append(hidden(f"{place}: {error}"))
                return
            for path in files:
                yield Link(path.name, path.absolute().as_uri(), None)
            return
        if local is not None:
            local = local / "index.html" if local.is_dir() else local
            place = local.absolute().as_uri()
        content = self.read(place, LARGEST_PAGE)
        yield from _links_of(content, place) if content is not None else ()

    def read(self, url: str, largest: int) -> bytes | None:
        """The content of an address; None, and a line in ``failures``, if it cannot be had."""
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                content = _read_regular(Path(url2pathname(parts.path)), largest)
            elif parts.scheme in ("http", "https"):
                with self._opener.open(_request(url), timeout=_TIMEOUT) as answer:
                    content = answer.read(largest + 1)
            else:
                raise OSError(f"{parts.scheme or 'no'} address")
            if len(content) > largest:
                raise OSError(f"more than {largest >> 20} MiB")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.failures.append(hidden(f"{url}: {error}"))
            return None
        return content


def _local(place: str) -> Path | None:
    """The folder or file that a place of pip's settings is; None for an address of the network.

    Raises:
        StudyError: It is neither.
    """
    try:
        parts = urlsplit(place)
        if parts.scheme == "file":
            return Path(url2pathname(parts.path))
        return None if parts.scheme in ("http", "https") else Path(place).expanduser()
    except (ValueError, RuntimeError) as error:
        raise StudyError(
            f"pip's settings name {hidden(place)}, which is neither an address nor a folder ({error}); correct "
            "PIP_INDEX_URL, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS"
        ) from error


def _read_regular(path: Path, largest: int) -> bytes:
    """At most one byte more than ``largest`` of a regular file: a device or a pipe may never end."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError("no regular file")
        return stream.read(largest + 1)


def _opener(settings: dict[str, str]) -> urllib.request.OpenerDirector:
    proxy, certificates = settings.get("proxy"), settings.get("cert")
    proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
    try:
        context = ssl.create_default_context(cafile=certificates or None)
    except OSError as error:
        raise StudyError(f"pip's setting `cert` names {certificates}, which cannot be read ({error})") from error
    return urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=context))


def _request(url: str) -> urllib.request.Request:
    """A request; user and password of an address go into a header that no redirection takes along."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers={"Accept": _ACCEPT})  # noqa: S310
    if user:
        words = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {words}")
    return request


def _links_of(content: bytes, page: str) -> Iterator[Link]:
    """The files of a page, in JSON or in HTML."""
    base = page
    if content.lstrip()[:1] == b"{":
        try:
            files = json.loads(content)["files"]
            found = [(str(file["filename"]), str(file["url"]), file.get("hashes", {}).get("sha256")) for file in files]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        for name, url, digest in found:
            yield Link(name, _beside(base, url), digest)
        return
    parser = _Anchors()
    parser.feed(content.decode("utf-8", errors="replace"))
    for href in parser.hrefs:
        # Not taken apart as an address, which it may not be.
        url, _, fragment = href.partition("#")
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        yield Link(unquote(url.partition("?")[0].rpartition("/")[2]), _beside(base, url), digest)


def _beside(page: str, url: str) -> str:
    """The address of a link; on the page's own host with its user, and never a file of a page from the network."""
    try:
        whole, here = urlsplit(urljoin(page, url)), urlsplit(page)
    except ValueError:
        return ""
    if whole.scheme == "file" and here.scheme != "file":
        return ""
    if "@" in here.netloc and whole.netloc == here.netloc.rpartition("@")[2]:
        whole = whole._replace(netloc=here.netloc)
    return urlunsplit(whole)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]
