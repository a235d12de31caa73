"""Write the record of a node, when it has made what it had to make."""

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cascade_equivalence import __version__
from cascade_equivalence.config.model_files import MANIFEST
from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.files import write_bytes, write_text
from cascade_equivalence.plugins import added_files
from cascade_equivalence.provenance import made
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.provenance.places import Places
from cascade_equivalence.provenance.record import (
    CONFIGS,
    ENVIRONMENTS,
    HASHES,
    RECORDS,
    Code,
    FileUse,
    Model,
    Record,
    plugin_file,
    shared_file,
)
from cascade_equivalence.provenance.surroundings import (
    Commit,
    all_named,
    canonical,
    device,
    environment,
    first,
    machine,
)

SNAKEMAKES_OWN = ".snakemake_timestamp"
FINGERPRINTS = ("code", "check")


class RecordWriter:
    """A node's record in the making: it begins when the node does.

    Args:
        spent: Processor seconds that this process had spent on other nodes.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._spent = spent
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._commit = Commit()
        self._plugins: dict[Path, bytes] = {}

    def begin(self, job: Any, config: StudyConfig) -> None:
        """Look at a node's inputs before it starts.

        Args:
            job: The ``snakemake`` object of the script.
            config: The study.

        Raises:
            StudyError: An input is not what its node made.
        """
        folders, places = made.bases(config), Places(config)
        # Read now: a plugin may be edited while the node is at work.
        self._plugins = {file: file.read_bytes() for file in added_files()}
        made.check(folders, places, _files(job.input))
        made.forget(folders, places, _files(job.output))

    def write(self, job: Any, config: StudyConfig) -> Path | None:
        """Write the record of a node whose outputs are complete.

        A record that cannot be written is missed later, and said so; what the node made is worth more than that.

        Args:
            job: The ``snakemake`` object of the script.
            config: The study.

        Returns:
            Where the record is; None if it could not be written.
        """
        places, log = Places(config), Path(job.log[0])
        base = places.base(log)
        try:
            if base is None:
                raise OSError(f"{log} lies in no logs folder of the study")
            file = base / RECORDS / log.absolute().relative_to(base / "logs").with_suffix(".json")
            record = self._record(job, config, places, base)
            write_text(file, json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
            made.note(made.bases(config), record)
            return file
        except (OSError, ValueError) as error:
            print(f"Warning: the node's record could not be written ({error})", file=sys.stderr)
            return None

    def _record(self, job: Any, config: StudyConfig, places: Places, base: Path) -> Record:
        ended, seconds = datetime.now(UTC), time.monotonic() - self._clock
        hashes = FileHashes(base / RECORDS / HASHES)
        params = {str(name): places.portable(value) for name, value in job.params.items()}
        resolved = places.portable(config.model_dump(mode="python"))
        commit, modified = self._commit.read()
        fingerprints = {path: str(value) for key in FINGERPRINTS for path, value in all_named(params, key).items()}
        return Record(
            rule=job.rule,
            wildcards={str(name): str(value) for name, value in job.wildcards.items()},
            outputs=_uses(job.output, places, hashes),
            inputs=_uses(job.input, places, hashes),
            params=params,
            code=Code(version=__version__, commit=commit, modified=modified, fingerprints=fingerprints),
            config=_shared(base, CONFIGS, resolved),
            environment=_shared(base, ENVIRONMENTS, environment()),
            plugins=[_kept(base, places, file, data) for file, data in self._plugins.items()],
            seeds={path: value for path, value in all_named(resolved, "seed").items() if isinstance(value, int)},
            models=_models(job, config),
            engine=named if isinstance(named := first(params, "engine"), str) else None,
            device=device(params),
            machine=machine(),
            threads=job.threads,
            started=_iso(self._started),
            ended=_iso(ended),
            seconds=round(seconds, 3),
            # A fork's own time begins at nought: Snakemake's benchmark files see its waiting parent alone.
            cpu_seconds=round(sum(os.times()[:4]) - self._spent, 3),
        )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def files_below(path: Path) -> list[Path]:
    """A file itself, or all files of a folder but Snakemake's own."""
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file() and each.name != SNAKEMAKES_OWN)


def _files(paths: Iterable[str]) -> list[Path]:
    return [file for path in dict.fromkeys(map(str, paths)) for file in files_below(Path(path))]


def _uses(paths: Iterable[str], places: Places, hashes: FileHashes) -> list[FileUse]:
    uses = []
    for file in _files(paths):
        place, name = places.name(file)
        digest, size = hashes.of(file)
        uses.append(FileUse(place=place, path=name, sha256=digest, bytes=size))
    return uses


def _shared(base: Path, kind: str, content: object) -> str:
    """Keep what many records share once, and return its hash."""
    data = canonical(content)
    digest = sha256(data).hexdigest()
    file = shared_file(base, kind, digest)
    if not file.is_file():
        write_bytes(file, data)
    return digest


def _kept(base: Path, places: Places, file: Path, data: bytes) -> FileUse:
    """Keep the text of a plugin's file, once for all records that name it."""
    place, name = places.name(file)
    use = FileUse(place=place, path=name, sha256=sha256(data).hexdigest(), bytes=len(data))
    kept = plugin_file(base, use)
    if not kept.is_file():
        write_bytes(kept, data)
    return use


def _models(job: Any, config: StudyConfig) -> dict[str, Model]:
    """Weights among a node's inputs, and what it resolved itself, from their manifests."""
    found: dict[str, Model] = {}
    for path in map(Path, dict.fromkeys(map(str, [*job.input, *job.output]))):
        if path.name != MANIFEST or path.parent.parent != config.models_folder:
            continue
        # The manifest is hashed as a file in any case; here its words are shown.
        with suppress(ValueError, KeyError):
            read = json.loads(path.read_bytes())
            found[read["name"]] = Model(revision=read["revision"], commit=read["commit"], licence=read["licence"])
    return found
