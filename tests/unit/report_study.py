"""Small made-up studies on disk, for the tests of the report: one of cascades alone, one with speech LLMs."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.statistics import ContrastSpec, PairSpec, StatisticsConfig
from cascade_equivalence.config.study import CascadeSpec, E2ESpec, ImplicitSpec, SystemSpec
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.report.build import NOTHING_OPENED, build_tables
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.table import Table
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.contrast import contrast
from cascade_equivalence.stats.numbers import OF, numbers_of, write_comparison
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS

LABELS = {
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
    "sst2": ["negative", "positive"],
    "trivia_qa": [],
    "mustard": ["sarcastic", "sincere"],
}
SKILL = {"ag_news": 0.85, "sst2": 0.0, "trivia_qa": 0.4, "mustard": 0.0}  # share of items known, the rest is guessed
VOICES = ["heart", "us", "gb"]
NOISE_VOICES = ["heart", "us"]
SYSTEMS: dict[str, SystemSpec] = {
    "base-qwen": CascadeSpec(kind="cascade", asr="base", llm="qwen"),
    "tiny-qwen": CascadeSpec(kind="cascade", asr="tiny", llm="qwen"),
    "base-smol": CascadeSpec(kind="cascade", asr="base", llm="smol"),
}
OUTLINE = Outline(
    systems=SYSTEMS,
    pairs=[
        PairSpec(system="base-qwen", reference="tiny-qwen", label="ASR changed | ceiling"),
        PairSpec(system="base-smol", reference="base-qwen", label="LLM changed"),
    ],
    tasks=list(LABELS),
)
SPEECH_SYSTEMS: dict[str, SystemSpec] = {
    "talker": E2ESpec(kind="e2e", model="talker-llm"),
    "mumbler": E2ESpec(kind="e2e", model="mumbler-llm"),
    "talker-own": CascadeSpec(kind="cascade", asr="talker-llm", llm="talker-llm"),
    "talker-oracle": CascadeSpec(kind="cascade", asr="oracle", llm="talker-llm"),
    **SYSTEMS,
}
SPEECH_OUTLINE = Outline(
    systems=SPEECH_SYSTEMS,
    pairs=[
        *OUTLINE.pairs,
        PairSpec(system="talker", reference="base-qwen", label="speech LLM and the cascade with its LLM"),
        PairSpec(system="talker", reference="talker-own", label="speech LLM and its LLM on its own transcription"),
        PairSpec(system="talker", reference="talker-oracle", label="speech LLM and its LLM on the true text"),
        PairSpec(system="talker", reference="base-smol", label="speech LLM and a cascade with another LLM"),
        PairSpec(system="base-smol", reference="mumbler", label="a speech LLM that heard nothing"),
    ],
    tasks=list(LABELS),
    contrasts=[
        ContrastSpec(system="talker", first="base-qwen", second="base-smol", label="backbone confound"),
        ContrastSpec(system="base-qwen", first="tiny-qwen", second="talker", label="gap to the ceiling"),
        ContrastSpec(system="mumbler", first="base-smol", second="base-qwen", label="confound, unheard"),
    ],
)
IMPLICIT_SYSTEMS: dict[str, SystemSpec] = {
    **SPEECH_SYSTEMS,
    "talker-implicit": ImplicitSpec(kind="implicit", model="talker-llm"),
    "mumbler-implicit": ImplicitSpec(kind="implicit", model="mumbler-llm"),
}
IMPLICIT_OUTLINE = Outline(
    systems=IMPLICIT_SYSTEMS,
    pairs=[
        *SPEECH_OUTLINE.pairs,
        PairSpec(system="talker", reference="talker-implicit", label="speech LLM and its implicit cascade"),
    ],
    tasks=list(LABELS),
    contrasts=[
        *SPEECH_OUTLINE.contrasts,
        ContrastSpec(system="talker", first="base-qwen", second="talker-implicit", label="does the text suffice?"),
    ],
)
BACKBONES = {"talker-llm": "qwen", "mumbler-llm": "smol"}
LOSS = {"clean": 0.03, "snr10": 0.1, "snr0": 0.3, "snr-5": 0.5}
DEAFNESS = {
    "talker": 0.3,
    "mumbler": 1.0,
    "talker-own": 0.2,
    "talker-oracle": 0.0,
    "talker-implicit": 0.6,
}  # at least this share is not heard
STATISTICS = StatisticsConfig()
PLANTED = "<script>alert('planted')</script> & \"more\""
CONDITIONS = ["clean", "snr10", "snr0", "snr-5"]
ITEMS = 60
MINUS_FIVE = "\N{MINUS SIGN}5\N{NO-BREAK SPACE}dB"


@dataclass
class Study:
    """Files of a study on disk."""

    answers: list[Path]
    agreement: list[Path]
    contrasts: list[Path]
    transcripts: list[Path]
    root: Path
    outline: Outline


def backbone(system: str) -> str:
    """The text LLM inside a system."""
    spec = IMPLICIT_SYSTEMS[system]
    name = spec.model if isinstance(spec, E2ESpec) else spec.llm
    return BACKBONES.get(name, name)


def match(system: str, reference: str) -> str:
    """Match of two systems."""
    return "exact" if backbone(system) == backbone(reference) else "none"


def answer(task: str, item: int, system: str, voice: str, condition: str) -> tuple[str, str]:
    """Gold label and answer: systems with one LLM share what they know, noise and the ASR take some of it away."""
    labels = LABELS[task] or [f"answer {i}" for i in range(ITEMS)]
    gold = labels[item % len(labels)]
    if task == "mustard":
        return gold, "sincere"  # the same answer to everything
    if (task, system) == ("trivia_qa", "mumbler"):
        return gold, "invalid"
    llm = np.random.default_rng([len(task), item, *map(ord, backbone(system))])
    heard = np.random.default_rng([item, *map(ord, system + voice + condition)])
    loss = 0.0 if system == "talker-oracle" else max(LOSS[condition], DEAFNESS.get(system, 0))
    if heard.random() < loss:
        return gold, str(heard.choice([*labels[:8], "invalid"]))
    skill = 0.9 if (task, system) == ("sst2", "base-smol") else SKILL[task]
    return gold, gold if llm.random() < skill else str(llm.choice(labels))


def write_study(root: Path, outline: Outline = OUTLINE) -> Study:
    """Write answers, transcripts, agreement and contrasts of every node."""
    study = Study([], [], [], [], root, outline)
    for task in LABELS:
        for condition in CONDITIONS if task in ("ag_news", "sst2") else ["clean"]:
            frames = {}
            for system in outline.systems:
                frames[system] = frame = answers_of(system, task, condition)
                study.answers.append(save(frame, root / "answers" / system / task / f"{condition}.parquet"))
            write_comparisons(study, frames, task, condition)
            for asr in sorted({spec.asr for spec in outline.systems.values() if isinstance(spec, CascadeSpec)}):
                errors = {"oracle": 0, "base": 1, "tiny": 3, "talker-llm": 5}[asr]
                heard = frame.select(
                    "id",
                    "voice",
                    text=pl.lit("heard as <b>"),
                    reference_words=pl.lit(12),
                    word_errors=pl.lit(wrong := errors + (condition != "clean" and asr != "oracle")),
                    substituted=pl.lit(wrong // 2),
                    deleted=pl.lit(0),
                    inserted=pl.lit(wrong - wrong // 2),
                    looped=pl.lit(wrong > 3),
                )
                study.transcripts.append(save(heard, root / "transcripts" / asr / task / f"{condition}.parquet"))
    return study


def answers_of(system: str, task: str, condition: str) -> pl.DataFrame:
    """One answers table."""
    rows = []
    for item in range(ITEMS):
        for voice in VOICES if condition == "clean" else NOISE_VOICES:
            gold, parsed = answer(task, item, system, voice, condition)
            rows.append(
                {
                    "id": f"{item:03}",
                    "voice": voice,
                    "group": f"{item:03}",
                    "label": gold,
                    "raw": PLANTED,
                    "parsed": parsed,
                    "correct": gold == parsed,
                }
            )
    return pl.DataFrame(rows)


_found: dict[Any, tuple[dict[str, Any], object]] = {}


def found_once(function: Callable[..., dict[str, Any]], frames: list[pl.DataFrame], task: str) -> dict[str, Any]:
    """What a comparison finds; files of tests compare the same answers, which takes most of their time."""
    statistics = list(PAIR_STATISTICS.items())
    key = (
        function,
        *(frame.write_csv() for frame in frames),
        *LABELS[task],
        *((name, id(own)) for name, own in statistics),
    )
    if key not in _found:
        # With the statistics, so that no other object takes their place in memory.
        _found[key] = (function(*frames, LABELS[task]), statistics)
    return deepcopy(_found[key][0])


def write_comparisons(study: Study, frames: dict[str, pl.DataFrame], task: str, condition: str) -> None:
    """Write the agreement and contrast nodes of one task and condition."""
    for pair in study.outline.pairs:
        found = found_once(compare, [frames[pair.system], frames[pair.reference]], task)
        found["match"] = match(pair.system, pair.reference)
        of = {"system": pair.system, "reference": pair.reference, "task": task, "condition": condition}
        path = study.root / f"agreement/{pair.system}~{pair.reference}/{task}/{condition}.csv"
        write_comparison(found, of, path)
        study.agreement.append(path)
    for each in study.outline.contrasts:
        names = (each.system, each.first, each.second)
        found = found_once(contrast, [frames[name] for name in names], task)
        found |= {f"match_{which}": match(each.system, getattr(each, which)) for which in ("first", "second")}
        path = study.root / f"contrasts/{'~'.join(names)}/{task}/{condition}.csv"
        write_comparison(found, dict(zip(OF, (*names, task, condition), strict=True)), path)
        study.contrasts.append(path)


def cells_of(table: Table, found: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a table of pairs beside ``PAIR``, from what a comparison finds."""
    numbers = dict(numbers_of(found))
    return {name: cell.read(numbers) for name, cell in (table.columns or {}).items()}


def save(table: pl.DataFrame, path: Path, of: Names | None = None) -> Path:
    """Write a parquet file and its folder; without more it is of a system or an ASR, a task and a condition."""
    who, task = path.parts[-3:-1]
    write_table(table, path, of or {"system": who, "asr": who, "task": task, "condition": path.stem})
    return path


def build(study: Study, *, mechanism: MechanismFiles = NOTHING_OPENED, **changed: list[Path]) -> Tables:
    """The tables of a study."""
    files = {
        "answer_files": study.answers,
        "agreement_files": study.agreement,
        "contrast_files": study.contrasts,
        "transcript_files": study.transcripts,
    }
    return build_tables(
        **(files | changed), labels=LABELS, outline=study.outline, statistics=STATISTICS, mechanism=mechanism
    )
