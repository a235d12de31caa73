"""Sets the times of files after a copy, so that Snakemake makes nothing again whose contents are unchanged.

Snakemake compares times, and makes again what is older than its inputs. A copy has the times of copying, in any order.
Records know the contents that each node read and wrote: where they are there unchanged, the outputs are as new as the
inputs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.provenance.made import bases
from cascade_equivalence.provenance.record import HASHES, RECORDS, FileUse, Place, Record, read_record, record_files
from cascade_equivalence.provenance.recording import SNAKEMAKES_OWN


def settle(config: StudyConfig) -> list[Path]:
    """Give outputs that are older than their inputs, and were made of just these, the inputs' time.

    A file is read only where times are in the wrong order. Whatever differs from its record keeps its time: Snakemake
    then makes it again.

    Args:
        config: The study.

    Returns:
        The files whose time was set.
    """
    folders = bases(config)
    hashes = {place: FileHashes(folder / RECORDS / HASHES, within=folder) for place, folder in folders.items()}
    settled: list[Path] = []
    for record in sorted(_records(folders.values()), key=lambda record: record.ended):
        inputs = list(_paths(record.inputs, folders))
        outputs = list(_paths(record.outputs, folders))
        try:
            newest = max((path.stat().st_mtime_ns for path in _with_stamps(inputs)), default=0)
            made = _with_stamps(outputs)
            late = [path for path in made if path.stat().st_mtime_ns < newest]
            if not late or any(hashes[use.place].of(path)[0] != use.sha256 for use, path in (*inputs, *outputs)):
                continue
            for path in late:
                os.utime(path, ns=(newest, newest))
                settled.append(path)
        except OSError:
            continue  # a file is missing, or its folder may only be read: Snakemake says so
    return settled


def _with_stamps(files: Iterable[tuple[FileUse, Path]]) -> set[Path]:
    """Files, and what Snakemake dates the folders by that are outputs themselves."""
    paths = {path for _, path in files}
    return paths | {stamp for path in paths if (stamp := path.parent / SNAKEMAKES_OWN).is_file()}


def _records(folders: Iterable[Path]) -> Iterator[Record]:
    for folder in dict.fromkeys(folders):
        for path in record_files(folder):
            with suppress(StudyError, OSError):
                yield read_record(path)


def _paths(uses: Iterable[FileUse], folders: Mapping[Place, Path]) -> Iterator[tuple[FileUse, Path]]:
    """The files that nodes make; others count by the parameters."""
    return ((use, folders[use.place] / use.path) for use in uses if use.place in folders)
