"""What a node runs on: commit, packages, processor, GPU. Imports none of the packages, and reads no machine's name."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.record import Device, Machine
from cascade_equivalence.resources import IS_CHECKOUT, REPOSITORY

CODE = ("workflow", "src", "requirements")
INSTALLED = (".dist-info", ".egg-info")
LOCK = REPOSITORY / "requirements" / "locks" / "run.txt"
HEAD = "# branch.oid "
FIRST_PROCESSOR = 8192  # bytes of /proc/cpuinfo, which is long where there are many


class Commit:
    """The project's commit, asked for while the node works.

    Args:
        repository: The project; None where the package is installed without it. Whatever repository an environment
            lies in is not asked.
    """

    def __init__(self, repository: Path | None = REPOSITORY if IS_CHECKOUT else None) -> None:
        self._git: subprocess.Popen[str] | None = None
        if repository is None:
            return
        command = ["git", "--no-optional-locks", "-C", str(repository), "status", "--porcelain=v2", "--branch", "--"]
        # Without git the commit is not known, and nothing else is amiss.
        try:
            self._git = subprocess.Popen(
                [*command, *CODE],
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return

    def read(self) -> tuple[str | None, bool | None]:
        """The commit, and whether code, rules or pins differ from it; None and None where that is not known."""
        if self._git is None:
            return None, None
        lines = self._git.communicate()[0].splitlines()
        heads = [line.removeprefix(HEAD) for line in lines if line.startswith(HEAD)]
        if self._git.returncode or not heads or heads[0].startswith("("):
            return None, None
        return heads[0], any(not line.startswith("#") for line in lines)


def environment() -> dict[str, Any]:
    """The installed packages: Python, each package with its version, the hash of the lock.

    Versions are read off the names of the packages' records, so that nothing has to be opened.
    """
    packages: dict[str, str] = {}
    for folder in map(Path, filter(None, sys.path)):
        try:
            # By name first: most of what lies there is no record, and this is done for every node.
            with os.scandir(folder) as entries:
                found = sorted(entry.name for entry in entries if entry.name.endswith(INSTALLED))
        except OSError:
            continue
        for name in found:
            package, _, version = name.rpartition(".")[0].partition("-")
            if package:
                packages.setdefault(package.lower().replace("_", "-"), version or "not stated")
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.is_file() else None
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": dict(sorted(packages.items())),
        "lock_sha256": lock,
    }


def canonical(value: object) -> bytes:
    """JSON that is the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


@cache
def machine() -> Machine:
    """The kind of machine this process runs on."""
    try:
        release: str | None = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        release = None
    return Machine(
        processor=_processor(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()}",
        distribution=release,
    )


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            lines = file.read(FIRST_PROCESSOR).splitlines()
    except OSError:
        return platform.processor() or "not known"
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or "not known"


def device(settings: Mapping[str, Any]) -> Device | None:
    """What the models of a node ran on.

    Args:
        settings: The node's parameters.

    Returns:
        None if no parameter is called ``device``: the node runs no model of its own.
    """
    asked = first(settings, "device")
    if not isinstance(asked, str):
        return None
    torch = sys.modules.get("torch")
    if torch is None:
        return Device(asked=asked, used=None, gpus=[], cuda=None, fast_bfloat16=None)
    from cascade_equivalence.models.device import has_fast_bfloat16, resolve_device

    try:
        used = resolve_device(asked)
    except StudyError:
        return Device(asked=asked, used=None, gpus=[], cuda=None, fast_bfloat16=None)
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if used == "cuda" else []
    return Device(
        asked=asked,
        used=used,
        gpus=gpus,
        cuda=torch.version.cuda if used == "cuda" else None,
        fast_bfloat16=has_fast_bfloat16(used),
    )


def first(value: object, key: str) -> object:
    """What stands under a key, at any depth; None where it does not occur."""
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            if (found := first(each, key)) is not None:
                return found
    return None


def all_named(value: object, key: str, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every value under a key, at any depth, by its dotted path."""
    found: dict[str, Any] = {}
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == key and not isinstance(each, Mapping | list):
                found[".".join([*path, str(name)])] = each
            else:
                found |= all_named(each, key, (*path, str(name)))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found |= all_named(each, key, (*path, str(number)))
    return found
