"""The list of what a supplement holds, and of what it leaves out."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.manifest import FileRecord
from cascade_equivalence.provenance.record import Frozen, InsidePath

MANIFEST = "MANIFEST.json"


class Supplement(Frozen):
    """`MANIFEST.json` of a supplement."""

    version: Literal[1] = Field(default=1, description="Version of this list's layout.")
    study: str = Field(default="", description="Name of the results folder that it was packed from.")
    files: dict[InsidePath, FileRecord] = Field(default={}, description="Every file in it but this list, by path.")
    altered: dict[str, str] = Field(
        default={}, description="Files with licensed texts replaced by their hashes: the SHA-256 each had before."
    )
    left_out: dict[str, str] = Field(default={}, description="Recorded files that are not in it, and why.")
    licences: dict[str, str] = Field(default={}, description="Licence of each task's items.")


def read_supplement(folder: Path) -> Supplement | None:
    """Read the list of an unpacked supplement; None where a folder is none.

    Raises:
        StudyError: The list is damaged.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return None
    try:
        return Supplement.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise StudyError(f"{file} is damaged: unpack the supplement again") from error
