"""The record of a model folder: what lies in it, where it came from, which revision it is."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cascade_equivalence.config.model_files import MANIFEST, RECORD
from cascade_equivalence.config.sources import Source
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.models.sources.files import hash_files

Fact = str | int | float | bool | list[str] | list[int] | None


class FileRecord(BaseModel):
    """One file: its SHA-256 and its length."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(description="SHA-256 as hexadecimal digits.")
    bytes: int = Field(description="Length in bytes.")


class Manifest(BaseModel):
    """What is known of a resolved model; `manifest.json` in its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = Field(default=1, description="Version of this record's layout.")
    name: str = Field(description="Name of the model in the study.")
    role: Literal["asr", "llm", "speech-llm"] = Field(description="`asr`, `llm` or `speech-llm`.")
    licence: str = Field(description="Licence of the weights.")
    chat: bool = Field(description="Whether prompts use the tokenizer's chat template.")
    gguf: str | None = Field(description="The GGUF file that was converted, if any.")
    source: Source = Field(description="The source as the study gives it.")
    commit: str | None = Field(description="Commit that the revision of a hub source stood for.")
    revision: str = Field(description="SHA-256 over the sorted names and hashes of `files`.")
    files: dict[str, FileRecord] = Field(description="The files of the folder.")
    origin: dict[str, FileRecord] = Field(description="The files as the source gave them, before any conversion.")
    architecture: dict[str, Fact] = Field(description="Shape of the network, read from its files.")
    converters: dict[str, str] = Field(description="Versions of the libraries that converted, if any did.")
    adapts: dict[str, str] | None = Field(
        default=None, description="Of an adapter: revisions of its base and of that one's text LLM, and its scale."
    )


def record_files(files: dict[str, Path], label: str) -> dict[str, FileRecord]:
    """Hash files into records, sorted by name."""
    return {name: FileRecord(sha256=value, bytes=size) for name, (value, size) in hash_files(files, label).items()}


def revision_of(files: dict[str, FileRecord]) -> str:
    """One hash for a set of files: SHA-256 over the sorted lines `name<tab>sha256`."""
    lines = "".join(f"{name}\t{record.sha256}\n" for name, record in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_manifest(manifest: Manifest, file: Path) -> None:
    """Write a manifest in one step: readers see the old one or the new one, never a part."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    write_text(file, text + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a resolved model.

    Args:
        path: The model folder, or its `manifest.json`.

    Raises:
        StudyError: There is no manifest, or it cannot be read.
    """
    file = path / MANIFEST if path.is_dir() else path
    if not file.is_file():
        raise StudyError(f"{file} does not exist: the model was not resolved, or not to the end; resolve it again")
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        return Manifest.model_validate(content)
    except (ValueError, ValidationError) as error:
        raise StudyError(f"{file} is not a model manifest ({error}); delete the folder and resolve it again") from error


def says(file: Path, manifest: Manifest) -> bool:
    """Whether a file holds exactly this manifest."""
    try:
        return read_manifest(file) == manifest
    except StudyError:
        return False


def last_installed(folder: Path) -> Manifest | None:
    """Read what was last put into a folder, finished or not; None when nothing readable says so.

    The record repeats the manifest in a file of its own, because a workflow deletes the manifest, its declared output,
    before it runs the job again. Unlike the manifest it is written before the files, so it proves nothing by itself.
    """
    for file in (folder / RECORD, folder / MANIFEST):
        try:
            return read_manifest(file)
        except StudyError:
            continue
    return None


def differences(manifest: Manifest, folder: Path) -> list[str]:
    """Compare a folder with a manifest, reading every byte; one line for each file that is missing or differs."""
    present = {name: folder / name for name in manifest.files if (folder / name).is_file()}
    problems = [f"{folder / name} is missing" for name in manifest.files if name not in present]
    for name, path in list(present.items()):
        if (size := path.stat().st_size) != manifest.files[name].bytes:
            problems.append(f"{path} has {size} bytes instead of {manifest.files[name].bytes}")
            del present[name]
    for name, (value, _) in hash_files(present, f"checking {folder.name}").items():
        if value != manifest.files[name].sha256:
            problems.append(f"{folder / name} has SHA-256 {value} instead of {manifest.files[name].sha256}")
    return sorted(problems)


def verify(target: Path) -> list[str]:
    """Compare a resolved folder with its manifest, reading every byte.

    Args:
        target: The model folder.

    Returns:
        One line for each file that is missing or differs; empty when all is as recorded.

    Raises:
        StudyError: There is no readable manifest.
    """
    return differences(read_manifest(target), target)
