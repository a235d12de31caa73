"""One file with what a paper's supplement needs: numbers, answers and how they were made.

Models, states and sound are left out: they are large, and others' or made again. So are the words of published items,
whose licences are their sets' own: hashes stand in their place.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.models.sources.manifest import FileRecord
from cascade_equivalence.provenance.record import (
    CONFIGS,
    ENVIRONMENTS,
    RECORDS,
    Record,
    plugin_file,
    read_records,
    read_shared,
    shared_file,
)
from cascade_equivalence.provenance.supplement import MANIFEST, Supplement
from cascade_equivalence.provenance.verify import CRATE, counts, made_by, verify
from cascade_equivalence.publish.crate import describe, workflow_sources
from cascade_equivalence.publish.redact import item_echoes, quotes, redacted
from cascade_equivalence.publish.results_read import dataset_of, is_published
from cascade_equivalence.tasks.sources.resources import read_resources

OWN_ITEMS = "the project's own items, Apache-2.0"
PLUGIN_ITEMS = "not stated: items of the study's own"
REPORT = "report.html"
README = "README.md"
SOUND = "sound: large, and made again by the study"
STATES = "states of models, and what is fitted to them: large, and made again by the study"
WEIGHTS = "weights: each has its source and licence, see the records"
WORDS = "it quotes published items, whose licences are their sets' own"
LEFT_OUT: Mapping[str, str] = {
    "speech": SOUND,
    "states": STATES,
    "moments": STATES,
    "connectors": WEIGHTS,
    "shares": "answers in parts, all of which are in `answers`",
}
"""Folders that are never in a supplement, and why."""
FITTED = ".safetensors"
QUOTING = (
    "lens/",
    *(f"tables/{name}.{kind}" for name in ("shared_errors", "similarity") for kind in ("md", "tex")),
    "paper/table3.",
)
"""Outputs full of items' words, which hashes would make useless."""
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say


@dataclass(frozen=True)
class Packed:
    """A supplement that was written.

    Attributes:
        file: The zip file.
        listed: What it holds and what it leaves out.
        bytes: Its length.
    """

    file: Path
    listed: Supplement
    bytes: int

    def text(self) -> str:
        """The same for a reader."""
        reasons = sorted(set(self.listed.left_out.values()))
        lines = [f"{self.file}: {len(self.listed.files):,} files, {self.bytes / 1e6:,.2f} MB"]
        if self.listed.altered:
            lines.append(f"Hashes in the place of items' words: {len(self.listed.altered)} files")
        for reason in reasons:
            count = sum(each == reason for each in self.listed.left_out.values())
            lines.append(f"Left out: {count} files ({reason})")
        lines += [f"Items of {task}: {licence}" for task, licence in self.listed.licences.items()]
        return "\n".join(lines)


def pack(
    folder: Path, output: Path, *, force: bool = False, include_report: bool = False, licence: str | None = None
) -> Packed:
    """Pack a results folder; the same results give the same bytes.

    Args:
        folder: The results folder of a study.
        output: The zip file to write.
        force: Pack also what is not as recorded.
        include_report: Put the report in although it quotes published items and plays their sound.
        licence: URL of the licence of the results, for the crate.

    Returns:
        What was packed.

    Raises:
        StudyError: The folder is not as recorded, or holds no records.
    """
    checked = verify(folder)
    if not checked.ok and not force:
        found = ", ".join(f"{number} {kind}" for kind, number in counts(checked.findings).items())
        raise StudyError(
            f"{folder} is not as recorded ({found}): `cascade-equivalence verify {folder}` says what to do; --force "
            "packs it as it is"
        )
    records = read_records(folder)
    latest = max(records.values(), key=lambda record: record.ended)
    contents = _Contents(folder, list(records.values()), read_shared(folder, CONFIGS, latest.config), include_report)
    files = contents.files()
    for path in [*records, *_shared_files(folder, list(records.values()))]:
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    files |= {name: path.read_bytes() for name, path in workflow_sources().items()}
    crate = describe(folder, records, files.__contains__, licence)
    _rehash(crate, files)
    files[CRATE] = _json(crate)
    files[README] = contents.readme(sorted(files), latest).encode()
    listed = contents.listed(files)
    files[MANIFEST] = _json(listed.model_dump(mode="json"))
    return Packed(_write(files, f"{folder.resolve().name}-supplement", output), listed, output.stat().st_size)


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write(files: Mapping[str, bytes], top: str, output: Path) -> Path:
    """Write a zip file that depends on its contents alone."""
    with replacing(output) as part, zipfile.ZipFile(part, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(f"{top}/{name}", FIRST_DAY)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, wherever it is made
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name], compresslevel=9)
    return output


def _shared_files(folder: Path, records: list[Record]) -> Iterator[Path]:
    """Configs, environments and code of plugins that the records name."""
    names = {(CONFIGS, record.config) for record in records} | {
        (ENVIRONMENTS, record.environment) for record in records
    }
    shared = {shared_file(folder, kind, name) for kind, name in names}
    plugins = {plugin_file(folder, use) for record in records for use in record.plugins}
    yield from (file for file in sorted(shared | plugins) if file.is_file())


def _rehash(crate: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Give the files that were altered for the supplement the hash they have in it."""
    for entity in crate["@graph"]:
        if (data := files.get(entity["@id"])) is not None and "sha256" in entity:
            entity["sha256"], entity["contentSize"] = sha256(data).hexdigest(), str(len(data))


def _of_plugin(task: str) -> bool:
    """Whether a task is not the package's."""
    known = TASKS.get(task)
    return known is None or known.beside is not None or known.file is not None


class _Contents:
    """What of a results folder goes into a supplement."""

    def __init__(self, folder: Path, records: list[Record], config: Mapping[str, Any], include_report: bool) -> None:
        self._folder = folder
        self._made = made_by(records)
        self._report = include_report
        self._plugins = sorted(
            {
                (plugin_file(Path(), use).as_posix(), f"{use.place}/{use.path}")
                for record in records
                for use in record.plugins
            }
        )
        self._tasks = sorted({path.parts[1] for path in map(Path, self._made) if path.parts[0] == "tasks"})
        self._config, self._published = config, is_published(config)
        self._altered: dict[str, str] = {}
        self._left_out: dict[str, str] = {}

    def files(self) -> dict[str, bytes]:
        """Outputs of nodes to share, by path, without others' words."""
        found: dict[str, bytes] = {}
        echoes = item_echoes(self._folder) if self._published else None
        # A task of a plugin that is not at hand may have open answers.
        open_tasks = [task for task in self._tasks if (known := TASKS.get(task)) is None or not known.labels]
        for path in sorted(self._made):
            file = self._folder / path
            if reason := self._reason(path):
                self._left_out[path] = reason
            elif echoes and path != REPORT and file.is_file() and quotes(path, file, echoes):
                self._left_out[path] = WORDS
            elif file.is_file():
                data = file.read_bytes()
                changed = redacted(path, file, echoes, open_tasks) if echoes else None
                if changed is not None and changed != data:
                    self._altered[path] = sha256(data).hexdigest()
                found[path] = data if changed is None else changed
        return found

    def _reason(self, path: str) -> str | None:
        """Why a file is left out; None if it is not."""
        top = path.partition("/")[0]
        if top in LEFT_OUT:
            return LEFT_OUT[top]
        if path.endswith(FITTED):
            return STATES
        if self._published and (path.startswith(QUOTING) or (path == REPORT and not self._report)):
            return WORDS
        return None

    def listed(self, files: Mapping[str, bytes]) -> Supplement:
        """The list of what is in the supplement."""
        hashes = {
            name: FileRecord(sha256=sha256(data).hexdigest(), bytes=len(data)) for name, data in sorted(files.items())
        }
        return Supplement(
            study=self._folder.resolve().name,
            files=hashes,
            altered=self._altered,
            left_out=self._left_out,
            licences=self._licences(),
        )

    def _licences(self) -> dict[str, str]:
        return {task: self._licence(task) for task in self._tasks}

    def _licence(self, task: str) -> str:
        if dataset := dataset_of(self._config, task):
            return f"as https://huggingface.co/datasets/{dataset['repo']} says, at {dataset['revision']}"
        known = TASKS.get(task)
        # Of a plugin that is not at hand nothing is known.
        if known is None or known.file is not None:
            return PLUGIN_ITEMS
        if self._published:
            return read_resources(task, known.resources).pin.licence
        return PLUGIN_ITEMS if _of_plugin(task) else OWN_ITEMS

    def readme(self, names: list[str], latest: Record) -> str:
        """What a reader of the supplement has to know."""
        commit = latest.code.commit or "not known (the study was run outside a git checkout)"
        words = (
            "The items are published sets' own. Their words are not here: in their place stands `sha256:` and the hash "
            "of the text, and answers that quote five words in a row of an item are hashed as well. Who fetches the "
            "sets (their versions are in the project's `resources/sets.yaml`) can compare all the same."
            if self._published
            else "The items are the project's and the study's own and are included."
            if any(map(_of_plugin, self._tasks))
            else "The items are the project's own and are included."
        )
        report = (
            "`report.html` is included. It quotes published items and plays speech of them: mind their licences."
            if self._published and REPORT in names
            else f"`{REPORT}` is left out: it quotes published items and plays speech of them."
            if self._published
            else "`report.html` is included."
        )
        models = {name: model for record, _ in self._made.values() for name, model in record.models.items()}
        return "\n".join(
            [
                f"# Supplement: results of the study {self._folder.resolve().name}",
                "",
                f"Made by cascade-equivalence {latest.code.version}, commit {commit}. Finished {latest.ended}.",
                "",
                f"- `{MANIFEST}`: each file's SHA-256; which have words replaced; what is left out, and why",
                f"- `{RECORDS}/`: of each node inputs, outputs, parameters, code, config, packages, machine, times",
                *(f"- `{name}`: code of the study's own, `{path}`" for name, path in self._plugins),
                f"- `{CRATE}`: the same as a Workflow Run RO-Crate",
                "- `tables/`, `figures/`, `paper/`, `comparison.csv`, `claims.csv`, `replication.csv`: what it ends in",
                "- `answers/`, `transcripts/`, `agreement/` and the rest: what that was made from",
                "",
                words,
                report,
                "",
                "To check it, and to compare a run of your own with it, from a checkout of the project at that commit:",
                "",
                "```sh",
                f"cascade-equivalence verify {self._folder.resolve().name}-supplement",
                f"cascade-equivalence compare {self._folder.resolve().name}-supplement results/...",
                "```",
                "",
                "## Licences of the items",
                "",
                *(f"- {task}: {licence}" for task, licence in self._licences().items()),
                "",
                "## Models",
                "",
                *(f"- {name}: {model.licence}; revision `{model.revision}`" for name, model in sorted(models.items())),
                "",
            ]
        )
