"""Two results folders, number by number: a reviewer's reproduction against the published study."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.cells import Difference, flat
from cascade_equivalence.provenance.compare_files import Tally, compared_files
from cascade_equivalence.provenance.record import CONFIGS, ENVIRONMENTS, Record, read_records, read_shared
from cascade_equivalence.provenance.supplement import read_supplement

WHERE = ("results", "models_folder", "items.sets_folder", "registry")
"""Keys of a config that say where things are, not what they are."""
ALWAYS_SHOWN = frozenset({"raw", "parsed", "text", "audio_sha256"})
SHOWN = 20
LONG = 60


@dataclass(frozen=True)
class Comparison:
    """What two studies have in common.

    Attributes:
        a: The first results folder.
        b: The second.
        setup: In what the two were made differently, a line each: config, models, code, packages, machine.
        tally: What was compared, what was measured, and what differs, biggest first.
        left_out: Files that one lacks because it is a supplement that leaves them out.
    """

    a: Path
    b: Path
    setup: list[str]
    tally: Tally
    left_out: list[str]

    @property
    def equal(self) -> bool:
        """Whether no number differs by more than the tolerance, and neither has what the other lacks."""
        return not self.tally.differences

    def content(self) -> dict[str, Any]:
        """The same as JSON; an infinite size is null."""
        found = asdict(self.tally)
        for each in found["differences"]:
            each["size"] = each["size"] if math.isfinite(each["size"]) else None
        names = {"a": self.a.as_posix(), "b": self.b.as_posix(), "equal": self.equal}
        return names | {"setup": self.setup, "left_out": self.left_out} | found

    def text(self, shown: int = SHOWN) -> str:
        """The same for a reader.

        Args:
            shown: How many differences are listed.
        """
        tally = self.tally
        lines = [f"A: {self.a}", f"B: {self.b}", ""]
        lines += ["Made differently:", *(f"  {line}" for line in self.setup), ""] if self.setup else []
        lines.append(f"Compared: {tally.tables} tables and {tally.documents} documents ({tally.numbers:,} values)")
        for folder, rows in tally.rows.items():
            shares = (
                f"{column} the same in {_share(same, rows)}"
                for column, same in tally.same[folder].items()
                if column in ALWAYS_SHOWN or same != rows
            )
            lines.append(f"  {rows:,} rows of {folder}: {', '.join(shares)}")
        if tally.seconds:
            lines.append("Measured, and never counted as a difference:")
            lines += [f"  {name}: {a:,.2f} s in A, {b:,.2f} s in B" for name, (a, b) in tally.seconds.items()]
        if self.left_out:
            lines.append(f"Left out of a supplement, and so not compared: {len(self.left_out)} files")
        if self.equal:
            return "\n".join([*lines, "", "equal"])
        lines += ["", f"{len(tally.differences):,} differences, biggest first:"]
        lines += [f"  {_line(difference)}" for difference in tally.differences[:shown]]
        if len(tally.differences) > shown:
            lines.append(f"  and {len(tally.differences) - shown:,} more: --json lists them all")
        return "\n".join(lines)


def compare(a: Path, b: Path, tolerance: float = 0.0) -> Comparison:
    """Compare two results folders, or supplements.

    Args:
        a: The first.
        b: The second.
        tolerance: Numbers that differ by no more than this, absolutely or by the larger of the two, are the same.

    Raises:
        StudyError: One is no results folder, or a file in it cannot be read.
    """
    files = []
    for folder in (a, b):
        if not folder.is_dir():
            raise StudyError(f"{folder} is no folder: give the results folder of a study, such as results/demo")
        files.append(dict(compared_files(folder)))
        if not files[-1]:
            raise StudyError(f"{folder} holds no tables and no answers: it is no results folder of a study")
    tally, left_out = Tally(), []
    supplements = [read_supplement(folder) for folder in (a, b)]
    for file in sorted(files[0].keys() | files[1].keys()):
        there = [file in found for found in files]
        if all(there):
            files[0][file](file, a / file, b / file, tolerance, tally)
            continue
        lacking = supplements[there.index(False)]
        if lacking and file in lacking.left_out:
            left_out.append(file)
            continue
        one, other = ("there" if each else None for each in there)
        tally.differences.append(Difference(file, "", "the file", one, other, math.inf))
    tally.differences.sort(key=lambda each: (-each.size, each.file, each.row, each.what))
    return Comparison(a, b, _setup(a, b), tally, left_out)


def _setup(a: Path, b: Path) -> list[str]:
    """In what two studies were made differently, by their records."""
    records = [list(read_records(folder).values()) for folder in (a, b)]
    if missing := [str(folder) for folder, found in zip((a, b), records, strict=True) if not found]:
        return [f"not known: {' and '.join(missing)} has no records"]
    last = [max(found, key=lambda record: record.ended) for found in records]
    configs, environments = (
        [
            dict(flat(read_shared(folder, kind, getattr(record, name))))
            for folder, record in zip((a, b), last, strict=True)
        ]
        for kind, name in ((CONFIGS, "config"), (ENVIRONMENTS, "environment"))
    )
    models = [
        _each((name, model.revision[:16]) for each in found for name, model in each.models.items()) for found in records
    ]
    code, machines = ([_facts(record, part) for record in last] for part in ("code", "machine"))
    # Fingerprints of the code that nodes of each rule ran.
    ran = [
        _each((each.rule, value) for each in found for value in each.code.fingerprints.values()) for found in records
    ]
    return [
        *_unequal("config", *({key: v for key, v in c.items() if not key.startswith(WHERE)} for c in configs)),
        *_unequal("model", *models),
        *_unequal("code", *code),
        *_unequal("code of the nodes", *ran),
        *_unequal("environment", *environments),
        *_unequal("machine", *machines),
    ]


def _facts(record: Record, part: str) -> dict[str, Any]:
    dumped: dict[str, Any] = getattr(record, part).model_dump(mode="json")
    return {key: value for key, value in dumped.items() if key != "fingerprints"}


def _each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All values of each name, each once."""
    found: dict[str, set[str]] = {}
    for name, value in pairs:
        found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def _unequal(part: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]
    lines = [f"{part}: {key} is {_short(a.get(key))} in A, {_short(b.get(key))} in B" for key in keys[:SHOWN]]
    return [*lines, f"{part}: {len(keys) - SHOWN} more"] if len(keys) > SHOWN else lines


def _short(value: Any) -> str:
    if value is None or value == "":
        return "not there"
    text = " ".join(str(value).split())
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _share(same: int, rows: int) -> str:
    # Never rounded up to all.
    return "all" if same == rows else f"{math.floor(1000 * same / rows) / 10:.1f} %"


def _line(difference: Difference) -> str:
    place = " / ".join(filter(None, (difference.file, difference.row, difference.what)))
    size = f" (by {100 * difference.size:.3g} %)" if math.isfinite(difference.size) else ""
    return f"{place}: {_short(difference.a)} in A, {_short(difference.b)} in B{size}"
