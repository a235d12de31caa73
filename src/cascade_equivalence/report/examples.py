"""A few items of each task to look at: what was heard and what was answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.naming import Node, Outline, nodes
from cascade_equivalence.stats.join import join_pair

KINDS = {
    "both right": pl.col("system_correct") & pl.col("reference_correct"),
    "only the system right": pl.col("system_correct") & ~pl.col("reference_correct"),
    "only the reference right": ~pl.col("system_correct") & pl.col("reference_correct"),
    "both wrong": ~pl.col("system_correct") & ~pl.col("reference_correct"),
}


@dataclass(frozen=True)
class Side:
    """One system's part in an example.

    Attributes:
        system: The system.
        heard: Its transcript; None where it has none.
        raw: Its answer, word for word.
        parsed: What the answer was read as.
        correct: Whether that is right.
    """

    system: str
    heard: str | None
    raw: str
    parsed: str
    correct: bool


@dataclass(frozen=True)
class Example:
    """One clip and both answers to it.

    Attributes:
        task: The task.
        item: Id of the item.
        voice: Voice of the clip.
        kind: One of ``KINDS``.
        gold: The right answer.
        sides: The system and its reference.
    """

    task: str
    item: str
    voice: str
    kind: str
    gold: str
    sides: tuple[Side, Side]


def examples(
    answer_files: Iterable[Path], transcript_files: Iterable[Path], outline: Outline, per_kind: int = 2, seed: int = 0
) -> list[Example]:
    """Draw examples of each task from clean speech, for the first pair that answered it.

    Args:
        answer_files: ``.../{system}/{task}/{condition}.parquet``.
        transcript_files: ``.../{asr}/{task}/{condition}.parquet``.
        outline: Names, and what the systems are made of.
        per_kind: Most examples of each of the four kinds in ``KINDS``, a task.
        seed: Seed of the draw.

    Returns:
        Examples by task in the reader's order, then by kind.
    """
    answers, transcripts = nodes(answer_files), nodes(transcript_files)
    found: list[Example] = []
    for task in outline.ordered_tasks():
        for pair in outline.pairs:
            files = [answers.get(Node(name, task, CLEAN)) for name in (pair.system, pair.reference)]
            if files[0] is None or files[1] is None:
                continue
            system, reference = (pl.read_parquet(path) for path in files if path)
            joined = join_pair(system, reference)
            sides = [
                _side(name, table, transcripts.get(Node(outline.systems[name].asr, task, CLEAN)))
                for name, table in ((pair.system, system), (pair.reference, reference))
            ]
            for kind, rule in KINDS.items():
                rows = joined.filter(rule)
                for row in rows.sample(min(per_kind, rows.height), seed=seed).iter_rows(named=True):
                    key = row["id"], row["voice"]
                    found.append(Example(task, *key, kind, row["label"], (sides[0][key], sides[1][key])))
            break
    return found


def _side(system: str, answers: pl.DataFrame, transcripts: Path | None) -> Mapping[tuple[str, str], Side]:
    heard: dict[tuple[str, str], str] = {}
    if transcripts is not None:
        table = pl.read_parquet(transcripts, columns=["id", "voice", "text"])
        heard = {(item, voice): text for item, voice, text in table.iter_rows()}
    rows = answers.select("id", "voice", "raw", "parsed", "correct").iter_rows()
    return {
        (item, voice): Side(system, heard.get((item, voice)), raw, parsed, correct)
        for item, voice, raw, parsed, correct in rows
    }
