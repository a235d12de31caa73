"""Names of a model's files: which name a file in a model folder, and which name something that can run code."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from cascade_equivalence.config.base import LONGEST_PART, LONGEST_PATH

MANIFEST = "manifest.json"
RECORD = ".manifest.json"
CTRANSLATE2_WEIGHTS = "model.bin"
DATA_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".jinja", ".model"})
# Formats that run code while they are read. `model.bin` is CTranslate2's name and is checked by its content.
PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".dill"}
)
# Files that are code themselves, and archives that Python imports from.
CODE_SUFFIXES = frozenset(
    {".py", ".pyc", ".pyo", ".pyw", ".pyx", ".pyd", ".pth", ".so", ".dll", ".dylib", ".exe", ".sh", ".bash", ".bat"}
    | {".cmd", ".ps1", ".js", ".mjs", ".cjs", ".node", ".jar", ".class", ".wasm", ".whl", ".egg", ".ipynb"}
)
TAKEN_SUFFIXES = DATA_SUFFIXES | {".gguf"}
REFUSED_SUFFIXES = PICKLE_SUFFIXES | CODE_SUFFIXES
ADVICE = "name files in safetensors, GGUF or CTranslate2 format, or convert these to safetensors first"


def runs_code(name: str) -> bool:
    """Whether a file name belongs to code, or to a format that can run code when it is loaded."""
    path = PurePosixPath(name.rstrip(" ."))
    # A shared library may end in its version.
    while path.suffix[1:].isdecimal():
        path = path.with_suffix("")
    return path.suffix.lower() in REFUSED_SUFFIXES and path.name != CTRANSLATE2_WEIGHTS


def name_problem(name: str) -> str | None:
    """What makes a text no name of a file in a model folder; None if nothing does."""
    problem = _path_problem(name)
    if problem is None and PurePosixPath(name).name in (MANIFEST, RECORD):
        problem = f"{MANIFEST} is the study's own; choose another name"
    if problem is None and runs_code(name):
        problem = f"it can run code when loaded and is refused; {ADVICE}"
    return problem


def _path_problem(name: str) -> str | None:
    parts = name.split("/")
    if not name.isprintable() or "\\" in name:
        return "it must be a name that can be printed, without backslashes"
    if name.startswith("/") or any(part.strip() in ("", ".", "..") for part in parts):
        return "it must be the name of a file inside the model folder, such as config.json"
    if len(name) > LONGEST_PATH or any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"it must be a path of names with at most {LONGEST_PART} bytes"
    return None


def _pattern_problem(pattern: str) -> str | None:
    if (problem := _path_problem(pattern)) is not None:
        return problem
    last = pattern.rpartition("/")[2].lower()
    stem, dot, ending = last.rpartition(".")
    by_ending = f"*{dot}{ending}" if stem else last
    # A wildcard for CTranslate2's name would ask for pickles, too: it is given in full.
    useful = last == CTRANSLATE2_WEIGHTS or any(fnmatch(f"x{kind}", by_ending) for kind in TAKEN_SUFFIXES)
    if not useful and (runs_code(last) or any(fnmatch(f"x{kind}", by_ending) for kind in REFUSED_SUFFIXES)):
        return f"it asks for files that can run code when loaded and are refused; {ADVICE}"
    return None


def _folder_and_file(names: Iterable[str]) -> str | None:
    """The name of a file that is also a folder of another file; None if there is none."""
    every = set(names)
    return next((str(up) for name in sorted(every) for up in PurePosixPath(name).parents if str(up) in every), None)


def _checked_name(name: str) -> str:
    if (problem := name_problem(name)) is not None:
        raise ValueError(problem)
    return name


def _checked_pattern(pattern: str) -> str:
    if (problem := _pattern_problem(pattern)) is not None:
        raise ValueError(problem)
    return pattern


def _apart(files: dict[str, list[str]]) -> dict[str, list[str]]:
    if (both := _folder_and_file(files)) is not None:
        raise ValueError(f"{both!r} is a file, and the folder of another file; rename one of them")
    return files


def _printable(member: str) -> str:
    if not member.isprintable():
        raise ValueError("it must be a name that can be printed")
    return member


FileName = Annotated[str, AfterValidator(_checked_name)]
FilePattern = Annotated[str, AfterValidator(_checked_pattern)]
_Members = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_PATH), AfterValidator(_printable)]], Field(min_length=1)
]
JoinedFiles = Annotated[dict[FileName, _Members], AfterValidator(_apart)]
