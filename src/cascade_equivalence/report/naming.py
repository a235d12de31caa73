"""Names of systems, tasks and conditions: what files are of, and titles for a reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cascade_equivalence.conditions import NOISE_KINDS, Condition, parse_condition, sort_conditions
from cascade_equivalence.config.dial import Dial
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.config.statistics import ContrastSpec, PairSpec
from cascade_equivalence.config.study import GIVEN, LENS, PRIOR, ByItself, SystemSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about

E2E, API, CASCADE = "e2e", "api", "cascade"
HEARING = (E2E, API)
"""Kinds of systems that hear the audio themselves: the speech LLMs."""
SPEECH_LLM = "speech-llm"
LENS_TEXT = "lens"
DEGRADED = "degraded"
ASR_KINDS = ["asr", SPEECH_LLM, LENS_TEXT, DEGRADED, *GIVEN]


@dataclass(frozen=True)
class Outline:
    """What a report shows, and in which order.

    Attributes:
        systems: Systems by name, in the order of the tables.
        pairs: Pairs in the order of the tables, but those with a speech LLM come first.
        tasks: Tasks in any order; they are shown in the registry's.
        contrasts: Contrasts in the order of the tables.
        dials: Adapters that are asked at several scales.
        recorded: Voices whose clips are recordings.
        degraded: Recognisers that are others with errors added.
    """

    systems: Mapping[str, SystemSpec]
    pairs: Sequence[PairSpec]
    tasks: Sequence[str]
    contrasts: Sequence[ContrastSpec] = ()
    dials: Sequence[Dial] = ()
    recorded: Sequence[str] = ()
    degraded: Mapping[str, DegradedSource] = field(default_factory=dict)

    def ordered_tasks(self) -> list[str]:
        """The tasks in the order of the registry: the paper's first."""
        return in_order(self.tasks)

    def ordered_pairs(self) -> list[PairSpec]:
        """The pairs, those with a speech LLM first."""
        return sorted(self.pairs, key=lambda pair: self.speech_llms.isdisjoint((pair.system, pair.reference)))

    @property
    def speech_llms(self) -> set[str]:
        """Names of the systems that are speech LLMs, behind an API or not."""
        return {name for name, spec in self.systems.items() if spec.kind in HEARING}

    def pair_label(self, system: str, reference: str) -> str:
        """What a comparison is for, as the config says it."""
        for pair in self.pairs:
            if (pair.system, pair.reference) == (system, reference):
                return pair.label
        raise StudyError(f"the comparison {system}~{reference} is not among the study's pairs")

    def contrast_label(self, system: str, first: str, second: str) -> str:
        """What a contrast is for, as the config says it."""
        for contrast in self.contrasts:
            if (contrast.system, contrast.first, contrast.second) == (system, first, second):
                return contrast.label
        raise StudyError(f"the contrast {system}~{first}~{second} is not among the study's contrasts")

    def parts(self, system: str) -> dict[str, str | None]:
        """What a system is made of: ``kind``, and ``asr`` and ``llm`` of a cascade or ``model`` of a speech LLM.

        The kind of a cascade that reads no transcript is ``prior``, of one to which errors were added ``degraded``.
        """
        spec = self.systems[system]
        made = {} if isinstance(spec, ByItself) else {"asr": spec.asr, "llm": spec.llm}
        parts = {"kind": None, "asr": None, "llm": None, "model": None}
        # Without a transcript it is no cascade to hold others against, and a floor to all.
        kind = {"kind": PRIOR} if made.get("asr") == PRIOR else {}
        if made.get("asr") in self.degraded:
            kind = {"kind": DEGRADED}
        return parts | made | spec.model_dump(include=set(parts)) | kind

    def asr_kind(self, asr: str) -> str:
        """Where transcripts come from: one of ``ASR_KINDS``, ``speech-llm`` for a speech LLM's own transcription.

        A speech LLM is known by a system that answers through it: from audio, or from its own transcripts.
        """
        if asr in GIVEN:
            return asr
        if asr.endswith(LENS):
            return LENS_TEXT
        if asr in self.degraded:
            return DEGRADED
        specs = self.systems.values()
        answers = {spec.model if isinstance(spec, ByItself) else spec.llm for spec in specs}
        return SPEECH_LLM if asr in answers else "asr"

    def check(self, found: Iterable["NodeFile"]) -> None:
        """Refuse nodes that are not part of the study.

        Raises:
            StudyError: A node names a system, ASR or task that the study does not have.
        """
        asrs = (spec.asr for spec in self.systems.values() if not isinstance(spec, ByItself))
        known = {*self.systems, *asrs}
        for node in found:
            for name, names in ((node.who, known), (node.task, self.tasks)):
                if name not in names:
                    raise StudyError(f"{name} (found with {node.task}, {node.condition}) is not part of this study")

    def sort(self, table: pl.DataFrame) -> pl.DataFrame:
        """Sort a table by pair, contrast, system or ASR, then task, condition and voice, in a reader's order."""
        keys = [_ranked(pl.col("task"), self.ordered_tasks())]
        if "reference" in table.columns:
            pairs = [f"{pair.system}~{pair.reference}" for pair in self.ordered_pairs()]
            keys.insert(0, _ranked(pl.concat_str("system", "reference", separator="~"), pairs))
        elif "first" in table.columns:
            contrasts = [f"{each.system}~{each.first}~{each.second}" for each in self.contrasts]
            keys.insert(0, _ranked(pl.concat_str("system", "first", "second", separator="~"), contrasts))
        elif "system" in table.columns:
            keys.insert(0, _ranked(pl.col("system"), list(self.systems)))
        elif "asr" in table.columns:
            keys = [_ranked(pl.col("kind"), ASR_KINDS), pl.col("asr"), *keys]
        keys.append(_ranked(pl.col("condition"), sort_conditions(table["condition"])))
        if "voice" in table.columns:
            keys.append(pl.col("voice"))
        return table.sort(*keys)


class NodeFile(NamedTuple):
    """What a file is of.

    Attributes:
        who: System, or origin of transcripts.
        task: Task.
        condition: ``clean``, ``snr<dB>`` or another name that ``conditions.py`` knows.
    """

    who: str
    task: str
    condition: str


def nodes(paths: Iterable[Path], who: str) -> dict[NodeFile, Path]:
    """Files by what they are of.

    Args:
        paths: The files.
        who: What they say of whom they are: ``system`` or ``asr``.

    Raises:
        StudyError: A file does not say it, or two are of the same.
    """
    return {NodeFile(*of): path for of, path in files_about(paths, (who, "task", "condition")).items()}


def _ranked(name: pl.Expr, order: Sequence[str]) -> pl.Expr:
    return name.replace_strict({value: rank for rank, value in enumerate(order)}, return_dtype=pl.Int64)


def condition_title(condition: str) -> str:
    """A condition as a reader sees it: ``clean``, ``10 dB`` for the paper's babble, ``music 10 dB``."""
    known = parse_condition(condition)
    if known.kind is None:
        return "silence" if known.is_silent else "clean"
    heading = NOISE_KINDS[known.kind].heading
    return f"{known.kind if heading is None else heading} {level_title(known)}".strip()


def level_title(condition: Condition) -> str:
    """A noise's level as a reader sees it: ``10 dB``, ``600 ms``."""
    unit = condition.scale.unit if condition.scale else ""
    return f"{condition.level:g}\N{NO-BREAK SPACE}{unit}".replace("-", "\N{MINUS SIGN}")


def task_title(task: str) -> str:
    """A task as a reader sees it."""
    return (TASKS[task].title if task in TASKS else "") or task


def short_title(task: str) -> str:
    """A task where there is little room."""
    return (TASKS[task].short_title if task in TASKS else "") or task_title(task)


def in_order(tasks: Iterable[str]) -> list[str]:
    """Tasks in the order of the registry; any that it does not have come last, by name."""
    asked = set(tasks)
    return [*(task for task in TASKS if task in asked), *sorted(asked - set(TASKS))]
