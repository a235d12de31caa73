"""What a study's nodes are called: in paths, and to a reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.conditions import parse_condition
from cascade_equivalence.config.study import CascadeSpec, PairSpec
from cascade_equivalence.errors import StudyError

TASK_TITLES = {
    "ag_news": "AG News",
    "sst2": "SST-2",
    "commonsense_qa": "CSQA",
    "meld": "MELD",
    "mustard": "MUStARD",
    "trivia_qa": "TriviaQA",
}


@dataclass(frozen=True)
class Outline:
    """What a report shows, and in which order.

    Attributes:
        systems: Systems by name, in the order of the tables.
        pairs: Pairs in the order of the tables.
        tasks: Tasks in any order; they are shown in the paper's.
    """

    systems: Mapping[str, CascadeSpec]
    pairs: Sequence[PairSpec]
    tasks: Sequence[str]

    def ordered_tasks(self) -> list[str]:
        """The tasks in the paper's order."""
        return [task for task in TASK_TITLES if task in self.tasks]

    def pair_label(self, system: str, reference: str) -> str:
        """What a comparison is for, as the config says it."""
        for pair in self.pairs:
            if (pair.system, pair.reference) == (system, reference):
                return pair.label
        raise StudyError(f"the comparison {system}~{reference} is not among the study's pairs")

    def same_llm(self, system: str, reference: str) -> bool:
        """Whether both are cascades with one LLM and two ASRs: a pair that shows how far the transcript matters."""
        first, second = self.systems[system], self.systems[reference]
        return first.kind == second.kind == "cascade" and first.llm == second.llm and first.asr != second.asr

    def check(self, found: Iterable["Node"]) -> None:
        """Refuse nodes that are not part of the study.

        Raises:
            StudyError: A node names a system, pair, ASR or task that the study does not have.
        """
        pairs = (f"{pair.system}~{pair.reference}" for pair in self.pairs)
        known = {*self.systems, *(system.asr for system in self.systems.values()), *pairs}
        for node in found:
            for name, names in ((node.who, known), (node.task, self.tasks)):
                if name not in names:
                    raise StudyError(f"{name} (found with {node.task}, {node.condition}) is not part of this study")

    def sort(self, table: pl.DataFrame) -> pl.DataFrame:
        """Sort a table by pair, system or ASR, then task, condition and voice, in the order shown to a reader."""
        keys = [_ranked(pl.col("task"), self.ordered_tasks())]
        if "reference" in table.columns:
            pairs = [f"{pair.system}~{pair.reference}" for pair in self.pairs]
            keys.insert(0, _ranked(pl.concat_str("system", "reference", separator="~"), pairs))
        elif "system" in table.columns:
            keys.insert(0, _ranked(pl.col("system"), list(self.systems)))
        if "asr" in table.columns:
            keys.insert(0, pl.col("asr"))
        keys.append(-pl.col("snr_db").fill_null(float("inf")))
        if "voice" in table.columns:
            keys.append(pl.col("voice"))
        return table.sort(*keys)


@dataclass(frozen=True)
class Node:
    """Where a file stands in the results folder, ``.../{what}/{who}/{task}/{condition}.*``.

    Attributes:
        who: System, ASR, or ``system~reference``.
        task: Task.
        condition: ``clean`` or ``snr<dB>``.
    """

    who: str
    task: str
    condition: str

    @classmethod
    def of(cls, path: Path) -> "Node":
        """Read the names from a path."""
        who, task, _ = path.parts[-3:]
        return cls(who, task, path.stem)

    @property
    def pair(self) -> tuple[str, str]:
        """The system and its reference."""
        system, _, reference = self.who.partition("~")
        return system, reference


def nodes(paths: Iterable[Path]) -> dict[Node, Path]:
    """Files by what they are about.

    Raises:
        StudyError: Two files are about the same.
    """
    found: dict[Node, Path] = {}
    for path in paths:
        other = found.setdefault(Node.of(path), path)
        if other != path:
            raise StudyError(f"{path} and {other} are about the same system, task and condition")
    return found


def _ranked(name: pl.Expr, order: Sequence[str]) -> pl.Expr:
    return name.replace_strict({value: rank for rank, value in enumerate(order)}, return_dtype=pl.Int64)


def condition_title(condition: str) -> str:
    """A condition as a reader sees it."""
    decibels = parse_condition(condition)
    return "clean" if decibels is None else f"{decibels:g}\N{NO-BREAK SPACE}dB".replace("-", "\N{MINUS SIGN}")


def task_title(task: str) -> str:
    """A task as a reader sees it."""
    return TASK_TITLES.get(task, task)
