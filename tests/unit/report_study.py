"""A small made-up study on disk, for the tests of the report."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from cascade_equivalence.config.study import CascadeSpec, PairSpec, StatisticsConfig
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.tables import Tables, build_tables
from cascade_equivalence.stats.compare import compare

LABELS = {
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
    "sst2": ["negative", "positive"],
    "trivia_qa": [],
    "mustard": ["sarcastic", "sincere"],
}
SKILL = {"ag_news": 0.85, "sst2": 0.0, "trivia_qa": 0.4, "mustard": 0.0}  # share of items known, the rest is guessed
VOICES = ["heart", "us", "gb"]
NOISE_VOICES = ["heart", "us"]
SYSTEMS = {
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
STATISTICS = StatisticsConfig(draws=300)
PLANTED = "<script>alert('planted')</script> & \"more\""
CONDITIONS = ["clean", "snr10", "snr0", "snr-5"]
ITEMS = 60
MINUS_FIVE = "\N{MINUS SIGN}5\N{NO-BREAK SPACE}dB"


@dataclass
class Study:
    """Files of a study on disk."""

    answers: list[Path]
    agreement: list[Path]
    transcripts: list[Path]
    root: Path


def answer(task: str, item: int, system: str, voice: str, condition: str) -> tuple[str, str]:
    """Gold label and answer: systems with one LLM share what they know, noise and the ASR take some of it away."""
    labels = LABELS[task] or [f"answer {i}" for i in range(ITEMS)]
    gold = labels[item % len(labels)]
    if task == "mustard":
        return gold, "sincere"  # the same answer to everything
    llm = np.random.default_rng([len(task), item, len(SYSTEMS[system].llm)])
    heard = np.random.default_rng([item, *map(ord, system + voice + condition)])
    loss = {"clean": 0.03, "snr10": 0.1, "snr0": 0.3, "snr-5": 0.5}[condition]
    if heard.random() < loss:
        return gold, str(heard.choice([*labels[:8], "invalid"]))
    skill = 0.9 if (task, system) == ("sst2", "base-smol") else SKILL[task]
    return gold, gold if llm.random() < skill else str(llm.choice(labels))


def write_study(root: Path) -> Study:
    """Write answers, transcripts and agreement of every node."""
    study = Study([], [], [], root)
    frames = {}
    for task, labels in LABELS.items():
        for condition in CONDITIONS if task in ("ag_news", "sst2") else ["clean"]:
            voices = VOICES if condition == "clean" else NOISE_VOICES
            for system in SYSTEMS:
                rows = []
                for item in range(ITEMS):
                    for voice in voices:
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
                frames[system, task, condition] = frame = pl.DataFrame(rows)
                study.answers.append(save(frame, root / "answers" / system / task / f"{condition}.parquet"))
            for pair in OUTLINE.pairs:
                node = compare(
                    frames[pair.system, task, condition], frames[pair.reference, task, condition], labels, draws=300
                )
                path = root / f"agreement/{pair.system}~{pair.reference}/{task}/{condition}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(node))
                study.agreement.append(path)
            for asr, errors in (("base", 1), ("tiny", 3)):
                heard = frame.select(
                    "id",
                    "voice",
                    text=pl.lit("heard as <b>"),
                    reference_words=pl.lit(12),
                    word_errors=pl.lit(errors + (condition != "clean")),
                )
                study.transcripts.append(save(heard, root / "transcripts" / asr / task / f"{condition}.parquet"))
    return study


def save(table: pl.DataFrame, path: Path) -> Path:
    """Write a parquet file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
    return path


def build(study: Study, **changed: list[Path]) -> Tables:
    """The tables of a study."""
    files = {"answer_files": study.answers, "agreement_files": study.agreement, "transcript_files": study.transcripts}
    return build_tables(**(files | changed), labels=LABELS, outline=OUTLINE, statistics=STATISTICS)
