"""What numba has compiled, from one process to the next on the same machine: one archive a processor and its libraries.

A folder that processes share, as numba's own cache is, can crash them: two write into it at once, or another processor
or version left something there. So each process has a folder of its own. It begins with what the archive holds and, if
it has compiled more by its end, writes the archive anew, whole or not at all.

Kept because a node that measures sound takes 29 seconds of processor time instead of 47, and one that draws utterances
5 instead of 25 (``docs/results/speed.md``). A cache that cannot be written costs that time and nothing else.
"""

import hashlib
import io
import platform
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("numba", "llvmlite", "librosa", "numpy")
PROCESSOR = ("model name", "flags", "CPU implementer", "CPU part", "Features")
"""What of `/proc/cpuinfo` decides which code runs."""


def archive() -> Path:
    """The archive of this processor with these libraries, whether there is one or not."""
    from cascade_equivalence.models.sources.wheels import default_cache

    told = [platform.machine(), platform.python_version(), *_processor()]
    for library in LIBRARIES:
        with suppress(PackageNotFoundError, ValueError):
            spec = find_spec(library)
            told.append(f"{library} {version(library)} {spec.origin if spec else ''}")
    return default_cache() / "compiled" / f"{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:32]}.zip"


def _processor() -> list[str]:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return [platform.processor()]
    return [line for line in first.splitlines() if line.split(":")[0].strip() in PROCESSOR]


def bring(kept: Path, folder: Path) -> None:
    """Put what an archive holds into a folder; nothing where there is none that can be trusted and read."""
    from cascade_equivalence.files import others_may_write

    # Whatever is wrong with it: it is made anew. What it holds is run.
    with suppress(Exception):
        if others_may_write(kept):
            return
        with zipfile.ZipFile(kept) as packed:
            if packed.testzip() is None:
                packed.extractall(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def put_back(kept: Path, folder: Path, before: dict[str, bytes]) -> None:
    """Write the archive anew if its folder holds more than at first; that it cannot be written harms nobody."""
    from cascade_equivalence.files import write_bytes

    with suppress(Exception):
        now = contents(folder)
        if now == before:
            return
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in now.items():
                packed.writestr(name, content)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, data.getvalue())
        kept.chmod(0o600)
