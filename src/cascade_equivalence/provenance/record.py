"""The record of a node: what it made, from what, with what, when.

A record lies outside the declared outputs, where its node's log lies: ``logs/answer/mini/sst2/clean.log`` and
``records/answer/mini/sst2/clean.json``. Making, losing or changing it makes no node run again. It names no machine, no
user and no path of the machine: files are named from the folder they belong to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cascade_equivalence.errors import StudyError

RECORDS = "records"
CONFIGS = "configs"
ENVIRONMENTS = "environments"
PLUGINS = "plugins"
HASHES = ".hashes"
NO_NODES = (CONFIGS, ENVIRONMENTS, PLUGINS, HASHES)
DIGITS = 16
SHA256 = r"^[0-9a-f]{64}$"

Place = Literal["results", "models", "sets", "project", "elsewhere"]


class Frozen(BaseModel):
    """A record is written once."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_DRIVE = re.compile(r"[A-Za-z]:")


def _inside(path: str) -> str:
    """A path that stays in the folder it starts from: whoever unpacks what it names gets no file anywhere else."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or _DRIVE.match(path):
        raise ValueError("the path leads out of its folder")
    return path


InsidePath = Annotated[str, AfterValidator(_inside)]


class FileUse(Frozen):
    """A file that a node read or wrote."""

    place: Place = Field(description="The folder that `path` starts from; of a file `elsewhere` only the name is kept.")
    path: InsidePath = Field(description="Path below that folder.")
    sha256: str = Field(description="SHA-256 as hexadecimal digits.")
    bytes: int = Field(description="Length in bytes.")


class Code(Frozen):
    """What ran."""

    version: str = Field(description="Version of the package.")
    commit: str | None = Field(description="Commit of the project; null outside a git checkout.")
    modified: bool | None = Field(description="Whether code, rules or pins differed from the commit; null if unknown.")
    fingerprints: dict[str, str] = Field(description="Hashes of the source of the node's stages, by parameter.")


class Model(Frozen):
    """Weights that a node used."""

    revision: str = Field(description="Hash over the names and hashes of the weight files.")
    commit: str | None = Field(description="Commit of a hub repository.")
    licence: str = Field(description="Licence of the weights.")


class Device(Frozen):
    """What a model ran on, for the nodes that run one."""

    asked: str = Field(description="The config's word: `auto`, `cpu` or `cuda`.")
    used: str | None = Field(description="What that meant; null where no torch was there to ask.")
    gpus: list[str] = Field(description="Names of the GPUs; none on a CPU.")
    cuda: str | None = Field(description="CUDA version that torch was built for.")
    fast_bfloat16: bool | None = Field(description="Whether bfloat16 is fast there: what `dtype: auto` goes by.")


class Machine(Frozen):
    """The kind of machine; never its name."""

    processor: str = Field(description="Model of the processor.")
    architecture: str = Field(description="Its architecture.")
    cores: int = Field(description="Cores that the process may use.")
    memory_bytes: int = Field(description="Memory of the machine.")
    system: str = Field(description="Operating system and kernel.")
    distribution: str | None = Field(description="Linux distribution.")


class Record(Frozen):
    """One node, made once."""

    version: Literal[1] = Field(default=1, description="Version of this record's layout.")
    rule: str = Field(description="Rule of the node.")
    wildcards: dict[str, str] = Field(description="Its wildcards.")
    outputs: list[FileUse] = Field(description="Files it made.")
    inputs: list[FileUse] = Field(description="Files it was made from.")
    params: dict[str, Any] = Field(description="Its parameters, as Snakemake compares them.")
    code: Code = Field(description="What ran.")
    config: str = Field(pattern=SHA256, description=f"SHA-256 of the resolved config, kept in `{RECORDS}/{CONFIGS}`.")
    environment: str = Field(
        pattern=SHA256, description=f"SHA-256 of the installed packages, kept in `{RECORDS}/{ENVIRONMENTS}`."
    )
    plugins: list[FileUse] = Field(
        default=[], description=f"Python files of the study's plugins, their text kept in `{RECORDS}/{PLUGINS}`."
    )
    seeds: dict[str, int] = Field(description="Every seed of the config, by its key.")
    models: dict[str, Model] = Field(description="Weights it used, by name.")
    engine: str | None = Field(description="The engine that its parameters name.")
    device: Device | None = Field(description="What its models ran on.")
    machine: Machine = Field(description="The kind of machine.")
    threads: int = Field(description="Threads it was given.")
    started: str = Field(description="When it began: ISO 8601, UTC.")
    ended: str = Field(description="When it ended, its outputs complete.")
    seconds: float = Field(description="Time between, by a clock that nobody sets.")
    cpu_seconds: float | None = Field(
        default=None,
        description="Processor time of its process and of those it started, imports of a process of its own included.",
    )

    @property
    def name(self) -> str:
        """The node as a reader knows it: `answer mini sst2 clean`."""
        return " ".join([self.rule, *self.wildcards.values()])


def record_files(folder: Path) -> Iterator[Path]:
    """Records of nodes in a results folder, in the order of their paths."""
    root = folder / RECORDS
    for path in sorted(root.rglob("*.json")):
        if path.relative_to(root).parts[0] not in NO_NODES:
            yield path


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        StudyError: It is damaged, or another version of this project wrote it.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StudyError(
            f"{path} is not a record of this version ({error.error_count()} problems): remove it; its node counts as "
            "unrecorded until it is made again"
        ) from error


def read_records(folder: Path) -> dict[Path, Record]:
    """Read all records of a results folder, by their files.

    Raises:
        StudyError: There is no such folder, or a record is damaged.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder} is no folder: give the results folder of a study, such as results/demo")
    return {path: read_record(path) for path in record_files(folder)}


def latest_config(folder: Path, key: str) -> dict[str, Any]:
    """The config that the node made last was made with, of those that are kept and have a key; empty where none has.

    A study that grew has older records beside it, whose config knows nothing of what was added.

    Raises:
        StudyError: There is no such folder, or a record is damaged.
    """
    for record in sorted(read_records(folder).values(), key=lambda record: record.ended, reverse=True):
        if key in (held := read_shared(folder, CONFIGS, record.config)):
            return held
    return {}


def shared_file(folder: Path, kind: str, sha256: str) -> Path:
    """Where what many records share is kept: a config or an environment, named by its hash."""
    return folder / RECORDS / kind / f"{sha256[:DIGITS]}.json"


def plugin_file(folder: Path, use: FileUse) -> Path:
    """Where the text of a plugin's file is kept, named by its hash."""
    return folder / RECORDS / PLUGINS / f"{use.sha256[:DIGITS]}.py"


def read_shared(folder: Path, kind: str, sha256: str) -> dict[str, Any]:
    """Read a config or an environment that records name; empty where it is not kept."""
    try:
        content: Any = json.loads(shared_file(folder, kind, sha256).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
