"""A channel of two packages made from the running Python: python and pip, as conda's files of the project ask for."""

import asyncio
import json
import shlex
import sys
import sysconfig
import tarfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib import metadata
from io import BytesIO
from pathlib import Path

from rattler import Platform
from rattler.index import index_fs

COMMAND = Path(__file__).with_name("conda_command.py")
LEFT_OUT = ("site-packages", "test", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo")
ACTIVATE = """
export CONDA_PREFIX="$1"
export PATH="$1/bin:$PATH"
"""


def package(folder: Path, name: str, version: str, files: dict[str, Path], **described: object) -> None:
    """Write a package of conda: files by their places in an environment, and what describes them."""
    noarch = "noarch" in described
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "license": "test"}
    index |= {"subdir": "noarch" if noarch else str(Platform.current()), "timestamp": 1_700_000_000_000} | described
    paths = [
        {
            "_path": place,
            "path_type": "hardlink",
            "sha256": sha256(file.read_bytes()).hexdigest(),
            "size_in_bytes": file.stat().st_size,
        }
        for place, file in files.items()
    ]
    written = {"index.json": index, "paths.json": {"paths": paths, "paths_version": 1}}
    if noarch:
        written["link.json"] = {"noarch": {"type": "python"}, "package_metadata_version": 1}
    target = folder / str(index["subdir"]) / f"{name}-{version}-0.tar.bz2"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:bz2", compresslevel=1) as archive:
        for file_name, content in written.items():
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"info/{file_name}")
            entry.size = len(data)
            archive.addfile(entry, BytesIO(data))
        for place, file in files.items():
            archive.add(file.resolve(), place)


def python_files() -> dict[str, Path]:
    """The running interpreter and its library, by their places in an environment."""
    series = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sysconfig.get_path("stdlib"))
    found = {
        f"lib/{series}/{path.relative_to(library).as_posix()}": path
        for path in sorted(library.rglob("*"))
        if path.is_file() and not set(path.relative_to(library).parts) & set(LEFT_OUT)
    }
    program = Path(sys.base_prefix, "bin", series)
    found |= {f"bin/{name}": program for name in ("python", "python3", series)}
    shared = sysconfig.get_config_var("INSTSONAME")
    if shared and (path := Path(sysconfig.get_config_var("LIBDIR"), shared)).is_file():
        found[f"lib/{shared}"] = path
    return found


def pip_files() -> dict[str, Path]:
    """The installed pip, as a package for any Python."""
    listed = metadata.distribution("pip").files or []
    return {
        f"site-packages/{entry.as_posix()}": Path(str(entry.locate()))
        for entry in listed
        if not entry.as_posix().startswith("..") and "__pycache__" not in entry.parts
    }


def make_channel(folder: Path, python: str, pip: str) -> None:
    """Write the channel.

    Args:
        folder: Where.
        python: The version that the package of Python shall say. Its third number need not be the running one's.
        pip: The version that the package of pip shall say.
    """
    package(folder, "python", python, python_files())
    package(folder, "pip", pip, pip_files(), noarch="python", depends=["python >=3.11"])
    # In a thread of its own: a browser that other tests keep open runs a loop in this one.
    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(index_fs(folder))).result()


def install_command(root: Path, channel: Path) -> Path:
    """Put ``conda`` and its ``activate`` where an installation of conda has them; the folder of commands."""
    folder = root / "bin"
    folder.mkdir(parents=True)
    command = folder / "conda"
    words = ["CONDA_ROOT=" + str(root), "CHANNEL=" + str(channel), sys.executable, str(COMMAND)]
    command.write_text(f'#!/bin/sh\nexec env {shlex.join(words)} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (folder / "activate").write_text(ACTIVATE, encoding="utf-8")
    return folder
