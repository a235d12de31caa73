"""Where the published sets come from: sources at fixed versions, with the hash of every file and what is in it."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import TaskName
from cascade_equivalence.config.packages import Repository, Revision
from cascade_equivalence.config.sources import Sha256
from cascade_equivalence.errors import StudyError

MANIFEST = "manifest.json"
"""Written last into the folder of a fetched set: it stands for the whole."""


class _Pinned(Closed):
    """A file that is known to the byte."""

    repo: Repository
    file: str = Field(pattern=r"^\w[\w. -]*(/\w[\w. -]*)*$", description="The file's path inside the repository.")
    sha256: Sha256
    bytes: PositiveInt | None = Field(default=None, description="Length of the file, where it is known.")

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return PurePosixPath(self.file).name


class HubFile(_Pinned):
    """A file of a data set repository of the Hugging Face hub."""

    kind: Literal["hub"] = Field(description="Data set repository of the Hugging Face hub.")
    revision: Revision = Field(description="Commit, tag or branch; the hash holds the file fast in any case.")

    @property
    def page(self) -> str:
        """Where a person finds it."""
        return f"https://huggingface.co/datasets/{self.repo}/blob/{self.revision}/{self.file}"


class GitFile(_Pinned):
    """A file of a GitHub repository."""

    kind: Literal["git"] = Field(description="GitHub repository.")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="The commit, all 40 digits.")

    @property
    def page(self) -> str:
        """Where a person finds it."""
        return f"https://github.com/{self.repo}/blob/{self.commit}/{self.file}"


PinnedFile = Annotated[HubFile | GitFile, Field(discriminator="kind")]


class Expected(Closed):
    """What a complete set holds."""

    items: PositiveInt = Field(description="Items, each once.")
    rows: PositiveInt | None = Field(
        default=None,
        description="Rows of the file, where it has some items several times; the first row of each counts.",
    )
    labels: dict[str, PositiveInt] = Field(default={}, description="Items of each label; none where answers are free.")


class Recordings(Closed):
    """The archive with a set's recorded speech."""

    archive: PinnedFile
    inner: str | None = Field(
        default=None, description="Archive inside the archive that has the clips, if they are in one."
    )
    folder: str = Field(description="Folder inside the archive that has the clips; folders above it do not matter.")
    split: Literal["train", "dev", "test"] = Field(description="Part of the set that the clips belong to.")


class SetPin(Closed):
    """One published set."""

    licence: str = Field(description="Licence of the set.")
    texts: list[PinnedFile] = Field(min_length=1, description="Files with the items.")
    expected: list[Expected] = Field(
        min_length=1, description="What the complete set holds; further entries for its other editions."
    )
    recordings: Recordings | None = Field(default=None, description="Recorded speech, if the set has it.")


_PINS: TypeAdapter[dict[TaskName, SetPin]] = TypeAdapter(dict[TaskName, SetPin])


def read_set_pins(path: Path) -> dict[str, SetPin]:
    """Read the list of sources, by task.

    Args:
        path: YAML file with one :class:`SetPin` a task.

    Raises:
        StudyError: If the file is missing, or says something that is no source; with one line a problem.
    """
    if not path.is_file():
        raise StudyError(f"The list of the published sets' sources is missing: there is no file {path}.")
    try:
        pins = _PINS.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, line['loc']))}: {line['msg']}" for line in error.errors())
        raise StudyError(f"{path} is not a list of sources:\n" + "\n".join(f"  {line}" for line in lines)) from error
    for task, pin in pins.items():
        names = [file.name for file in pin.texts]
        if len(set(names)) < len(names):
            raise StudyError(
                f"{path}: two files of {task} have one name ({', '.join(names)}); one would replace the other"
            )
    return {str(task): pin for task, pin in pins.items()}


def pin_of(task: str, pins: dict[str, SetPin], path: Path) -> SetPin:
    """Look a set's source up.

    Raises:
        StudyError: If there is none.
    """
    if task not in pins:
        raise StudyError(f"{path} gives no source for {task}; it has {', '.join(pins) or 'none'}.")
    return pins[task]
