"""Compares every file of a results folder with its record."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from cascade_equivalence.config.model_files import MANIFEST as WEIGHTS_MANIFEST
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.files import hash_files
from cascade_equivalence.models.sources.manifest import verify as verify_weights
from cascade_equivalence.models.store import UNANSWERED, damaged_lines
from cascade_equivalence.provenance.places import folders_of
from cascade_equivalence.provenance.record import CONFIGS, RECORDS, FileUse, Record, read_records, read_shared
from cascade_equivalence.provenance.recording import files_below
from cascade_equivalence.provenance.supplement import MANIFEST, Supplement, read_supplement

CRATE = "ro-crate-metadata.json"
WORKFLOW = "workflow"
STORE = "store"
NO_RECORDS = ("ledger.jsonl", "curve.jsonl")
"""Files of a store folder whose lines are no records of a store."""
SHOWN_LINES = 5
FOLDERS = ("paper",)
"""Outputs that are folders: Snakemake knows them as a whole."""
UNRECORDED_BY_DESIGN = frozenset(
    {RECORDS, STORE, "logs", "benchmarks", CRATE, WORKFLOW, MANIFEST, "README.md", "snakemake-report.html"}
)
"""What a results folder holds beside the outputs of nodes: stores and logs, and what is made of the records."""

Kind = Literal["missing", "changed", "stale", "unrecorded"]
KINDS: dict[Kind, str] = {
    "missing": "recorded, and not there",
    "changed": "not what its node made",
    "stale": "made from something that has changed since",
    "unrecorded": "there, and no record says what made it",
}


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as recorded.

    Attributes:
        kind: One of ``KINDS``.
        path: The file, from the results folder.
        node: The node that made it; empty where none did.
        advice: What to do.
    """

    kind: Kind
    path: str
    node: str
    advice: str


@dataclass
class Verification:
    """What was found.

    Attributes:
        folder: The results folder.
        nodes: Records read.
        files: Files whose bytes were compared.
        bytes: Their length in all.
        findings: What is not as recorded, by kind and path.
        left_out: Files that a supplement leaves out on purpose.
        unchecked: Inputs outside the folder that are not at hand.
        stored: Stores whose lines were checked.
    """

    folder: Path
    nodes: int = 0
    files: int = 0
    bytes: int = 0
    findings: list[Mismatch] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    stored: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything is as recorded."""
        return not self.findings

    def content(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self) | {"folder": self.folder.as_posix(), "ok": self.ok}

    def text(self) -> str:
        """The same for a reader."""
        head = f"{self.folder}: {self.nodes:,} nodes, {self.files:,} files, {self.bytes / 1e6:,.1f} MB read"
        lines = [head, *([f"stores whose lines were checked: {self.stored}"] if self.stored else [])]
        for kind, meaning in KINDS.items():
            mine = [finding for finding in self.findings if finding.kind == kind]
            if mine:
                lines.append(f"\n{kind} ({meaning}): {len(mine)}")
            for finding in mine:
                made = f" [{finding.node}]" if finding.node else ""
                lines += [f"  {finding.path}{made}", f"    {finding.advice}"]
        if self.left_out:
            lines.append(f"\nleft out of this supplement, and so not checked: {len(self.left_out)} files")
        if self.unchecked:
            lines.append(f"\nnot at hand, and so not checked: {len(self.unchecked)} inputs outside the folder")
            lines += [f"  {name}" for name in self.unchecked]
        count = len(self.findings)
        lines.append("\nas recorded" if self.ok else f"\n{count} finding{'s' * (count > 1)}")
        return "\n".join(lines)


def verify(folder: Path, *, weights: bool = False) -> Verification:
    """Compare a results folder, or a supplement, with its records.

    Args:
        folder: The results folder, or an unpacked supplement.
        weights: Also read the weights of the models again and compare them with their manifests.

    Raises:
        StudyError: There is no such folder, it holds no records, or one is damaged.
    """
    records = list(read_records(folder).values())
    if not records:
        raise StudyError(
            f"{folder / RECORDS} holds no record of a node: this is no results folder, or a version without records "
            "made it. `snakemake --forceall --configfile ...` makes it again with records; what models answered comes "
            "from the store and is not computed again"
        )
    checking = _Checking(folder, records)
    checking.outputs()
    checking.inputs()
    checking.strangers()
    checking.listed()
    checking.stores()
    if weights:
        checking.weights()
    done = checking.done
    done.findings.sort(key=lambda finding: (list(KINDS).index(finding.kind), finding.path, finding.node))
    done.unchecked = sorted(set(done.unchecked))
    return done


def made_by(records: Iterable[Record]) -> dict[str, tuple[Record, FileUse]]:
    """The node that made each file last, and what it made of it."""
    made: dict[str, tuple[Record, FileUse]] = {}
    for record in sorted(records, key=lambda record: record.ended):
        made |= {use.path: (record, use) for use in record.outputs}
    return made


class _Checking:
    def __init__(self, folder: Path, records: list[Record]) -> None:
        self.done = Verification(folder, nodes=len(records))
        self._folder = folder
        self._made = made_by(records)
        self._config = read_shared(folder, CONFIGS, max(records, key=lambda record: record.ended).config)
        self._folders = folders_of(folder, self._config)
        # Of files that two nodes made, the later one's counts.
        latest = {id(record): record for record, _ in self._made.values()}
        self._records = [record for record in records if id(record) in latest]
        self._supplement = read_supplement(folder) or Supplement()
        self._hashes: dict[Path, str | None] = {}

    def outputs(self) -> None:
        """Every recorded output is there, and is what was made."""
        known = {path: self._folder / path for path in self._made if (self._folder / path).is_file()}
        for path, (digest, size) in hash_files(known, f"verifying {self._folder.name}").items():
            self._hashes[known[path]] = digest
            self.done.files += 1
            self.done.bytes += size
        for path, (record, use) in self._made.items():
            if path in self._supplement.left_out:
                self.done.left_out.append(path)
            elif path not in known:
                rest = f"delete {self._target(path)} and " if path.partition("/")[0] in FOLDERS else ""
                advice = f"{rest}{self._again(path)}: it is made again, from the store as far as that goes"
                self._add("missing", path, record.name, advice)
            elif self._hashes[known[path]] != self._expected(path, use):
                advice = f"delete {self._target(path)} and {self._again(path)}; a change made by hand belongs elsewhere"
                self._add("changed", path, record.name, advice)

    def inputs(self) -> None:
        """Every output was made from the inputs as they are now."""
        for record in self._records:
            for use in record.inputs:
                current = self._current(use)
                if current is None:
                    self._absent(use)
                elif current != self._expected(use.path, use):
                    first = record.outputs[0].path if record.outputs else record.name
                    advice = (
                        f"{use.place}/{use.path} is not what it was made from: delete {self._target(first)} and "
                        f"{self._again(first)}"
                    )
                    self._add("stale", first, record.name, advice)

    def strangers(self) -> None:
        """Every file among the outputs was made by a node."""
        for top in sorted(self._folder.iterdir()):
            # A folder with logs of its own belongs to another study, or to models or sets that studies share.
            if top.name in UNRECORDED_BY_DESIGN or top.name.startswith(".") or (top / "logs").is_dir():
                continue
            for file in files_below(top):
                path = file.relative_to(self._folder).as_posix()
                if path not in self._made:
                    advice = (
                        "remove it if a node did not make it; else an interrupted or older version did: delete it and "
                        f"{self._again(path)}"
                    )
                    self._add("unrecorded", path, "", advice)

    def listed(self) -> None:
        """What a supplement lists beside outputs (records, descriptions) is as it was packed."""
        rest = {path: record for path, record in self._supplement.files.items() if path not in self._made}
        there = {path: self._folder / path for path in rest if (self._folder / path).is_file()}
        hashes = hash_files(there, f"verifying {self._folder.name}")
        for path, record in rest.items():
            if path not in there:
                self._add("missing", path, "", "unpack the supplement again")
            elif hashes[path] != (record.sha256, record.bytes):
                self._add("changed", path, "", "unpack the supplement again")

    def weights(self) -> None:
        """The weights of every model are what its manifest says."""
        models = self._folders.get("models")
        for name in sorted({name for record in self._records for name in record.models}):
            if models is None or not (models / name).is_dir():
                self.done.unchecked.append(f"weights of {name}")
                continue
            for problem in verify_weights(models / name):
                manifest = models / name / WEIGHTS_MANIFEST
                advice = f"delete {models / name} and give {manifest} to snakemake as the target: it is resolved again"
                self._add("changed", problem, f"resolve_model {name}", advice)

    def stores(self) -> None:
        """Every line of the stores, from which nodes are made again, is as it was written."""
        for file in sorted((self._folder / STORE).rglob("*.jsonl")):
            if file.name in NO_RECORDS or file.name.endswith(UNANSWERED):
                continue
            self.done.stored += 1
            if lines := damaged_lines(file):
                numbers = ", ".join(map(str, lines[:SHOWN_LINES])) + (" ..." if len(lines) > SHOWN_LINES else "")
                path = file.relative_to(self._folder).as_posix()
                made = file.relative_to(self._folder / STORE).with_suffix(".parquet").as_posix()
                then = f"delete {self._target(made)} and {self._again(made)}"
                if not (self._folder / made).is_file():
                    then = "delete what was made of it, and name that to snakemake as the target"
                advice = (
                    f"remove line{'s' * (len(lines) > 1)} {numbers} of {file}, {then}: only these records are "
                    "computed, or asked for, again"
                )
                self._add("changed", path, "", advice)

    def _target(self, path: str) -> str:
        """The output a file belongs to, as Snakemake knows it from the folder that the study was run in."""
        own = PurePosixPath(str(self._config.get("results", "")))
        base = self._folder if own.is_absolute() or not own.parts else own
        top = path.partition("/")[0]
        return (base / (top if top in FOLDERS else path)).as_posix()

    def _again(self, path: str) -> str:
        # By itself Snakemake makes nothing again that lies between outputs which are all there.
        return f"run snakemake with the study's config and the target {self._target(path)}, then once more without it"

    def _expected(self, path: str, use: FileUse) -> str:
        """The hash a file should have: as recorded, or of what a supplement made of it."""
        altered = self._supplement.altered.get(path) if use.place == "results" else None
        return self._supplement.files[path].sha256 if altered == use.sha256 else use.sha256

    def _current(self, use: FileUse) -> str | None:
        """The hash of an input as it is now; None where it is not at hand."""
        folder = self._folders.get(use.place)
        if folder is None or (use.place == "results" and use.path in self._supplement.left_out):
            return None
        file = folder / use.path
        if file not in self._hashes:
            found = hash_files({use.path: file}, use.path)[use.path][0] if file.is_file() else None
            self._hashes[file] = found
        return self._hashes[file]

    def _absent(self, use: FileUse) -> None:
        # An output of a node is missed there.
        if use.place == "results" and use.path in self._made:
            return
        self.done.unchecked.append(f"{use.place}/{use.path}")

    def _add(self, kind: Kind, path: str, node: str, advice: str) -> None:
        self.done.findings.append(Mismatch(kind, path, node, advice))


def counts(findings: Iterable[Mismatch]) -> Mapping[str, int]:
    """How many findings there are of each kind that occurs."""
    kinds = [finding.kind for finding in findings]
    return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}
