"""Keeps Snakemake's metadata beside the results, so that a copy of them is not made again.

Snakemake keeps the parameters that a file was made with in `.snakemake`, beside the results. Without them it would take
a file for finished that was made with other parameters.
"""

import shutil
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.files import replacing
from cascade_equivalence.provenance.made import bases
from cascade_equivalence.provenance.record import HASHES, RECORDS

SNAKEMAKES = Path(".snakemake") / "metadata"
KEPT = Path(RECORDS) / HASHES / "snakemake"


def carry_metadata(config: StudyConfig, project: Path = Path()) -> None:
    """Keep what Snakemake remembers of the study's files with them; where it remembers nothing, give it back.

    Args:
        config: The study.
        project: The folder that Snakemake runs in.
    """
    for folder in set(bases(config).values()):
        remembered = dict(_entries(project / SNAKEMAKES, folder.as_posix()))
        kept = project / folder / KEPT
        if remembered:
            if (project / folder).is_dir():
                _copy(remembered, kept)
        elif kept.is_dir():
            _copy(dict(_entries(kept, folder.as_posix())), project / SNAKEMAKES)


def _entries(root: Path, folder: str) -> Iterator[tuple[str, Path]]:
    """Entries on files of a folder, by their names below the root: the file's path in base 64, cut where it is long."""
    for file in root.rglob("*") if root.is_dir() else ():
        name = file.relative_to(root).as_posix()
        with suppress(ValueError, OSError):
            path = urlsafe_b64decode("".join(part.removeprefix("@") for part in name.split("/"))).decode()
            if path.startswith(f"{folder}/") and file.is_file():
                yield name, file


def _copy(entries: dict[str, Path], target: Path) -> None:
    for name, file in entries.items():
        with suppress(OSError):  # a folder that may only be read: nothing is made in it either
            there = target / name
            if there.is_file() and there.stat().st_mtime_ns >= file.stat().st_mtime_ns:
                continue
            with replacing(there) as part:
                shutil.copyfile(file, part)
