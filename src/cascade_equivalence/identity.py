"""What a result is of, said in the file itself: its system, task, condition, layer and the like, by these names.

JSON has them under ``of``, Parquet in its metadata, so a file that is copied or renamed still says what it is. Open
this to write a result, or to find results by what they are of.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing

if TYPE_CHECKING:
    import polars as pl

OF = "of"
Names: TypeAlias = Mapping[str, str | int | bool]


def header(of: Names) -> dict[str, str]:
    """What the metadata of a Parquet file says."""
    return {OF: json.dumps(dict(of), sort_keys=True)}


def write_table(table: "pl.DataFrame", path: Path, of: Names) -> None:
    """Write a Parquet file, whole or not at all, that says what it is of."""
    with replacing(path) as part:
        table.write_parquet(part, metadata=header(of))


def names_in(path: Path) -> dict[str, Any]:
    """What a file says that it is of; empty where it says nothing.

    Raises:
        StudyError: The file is damaged.
    """
    import polars as pl

    try:
        if path.suffix == ".json":
            held = json.loads(path.read_text(encoding="utf-8"))
            found = held.get(OF, {}) if isinstance(held, dict) else {}
        else:
            found = json.loads(pl.read_parquet_metadata(path).get(OF, "{}"))
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error
    return found if isinstance(found, dict) else {}


def about(path: Path, names: Sequence[str]) -> tuple[Any, ...]:
    """What a file says that it is of, by some names.

    Raises:
        StudyError: It does not say it, or is damaged.
    """
    of = names_in(path)
    if missing := [name for name in names if name not in of]:
        raise StudyError(
            f"{path} does not say of which {' and '.join(missing)} it is: another version of this project made it; run "
            "again"
        )
    return tuple(of[name] for name in names)


def files_about(paths: Iterable[Path], names: Sequence[str]) -> dict[tuple[Any, ...], Path]:
    """Files by what they are of, in their order.

    Args:
        paths: The files.
        names: What tells them apart, such as ``system``, ``task`` and ``condition``.

    Returns:
        Files by the values of the names.

    Raises:
        StudyError: A file does not say it, or two are of the same.
    """
    found: dict[tuple[Any, ...], Path] = {}
    for path in paths:
        other = found.setdefault(about(path, names), path)
        if other != path:
            raise StudyError(
                f"{path} and {other} are about the same {', '.join(names)}; remove the one that is not the study's"
            )
    return found
