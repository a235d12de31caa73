"""A few items of each task to look at: what was heard and what was answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import LENS, ORACLE, E2ESpec, SystemSpec
from cascade_equivalence.report.naming import Node, Outline, nodes
from cascade_equivalence.stats.join import join_pair

BY_ITSELF = "the audio, by itself"
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
        origin: What ``heard`` is, as a heading.
        heard: The transcript it read; of a speech LLM, which hears by itself, its own transcription if it gave one.
        raw: Its answer, word for word.
        parsed: What the answer was read as.
        correct: Whether that is right.
    """

    system: str
    origin: str
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
    """Draw examples of each task from clean speech, for the first pair that answered it, if one has with a speech LLM.

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
        for pair in outline.ordered_pairs():
            files = [answers.get(Node(name, task, CLEAN)) for name in (pair.system, pair.reference)]
            if files[0] is None or files[1] is None:
                continue
            system, reference = (pl.read_parquet(path) for path in files if path)
            joined = join_pair(system, reference)
            sides = [
                _side(name, table, outline.systems[name], task, transcripts)
                for name, table in ((pair.system, system), (pair.reference, reference))
            ]
            for kind, rule in KINDS.items():
                rows = joined.filter(rule)
                for row in rows.sample(min(per_kind, rows.height), seed=seed).iter_rows(named=True):
                    key = row["id"], row["voice"]
                    found.append(Example(task, *key, kind, row["label"], (sides[0][key], sides[1][key])))
            break
    return found


def _side(
    system: str, answers: pl.DataFrame, spec: SystemSpec, task: str, transcripts: Mapping[Node, Path]
) -> Mapping[tuple[str, str], Side]:
    speaks = isinstance(spec, E2ESpec)
    source = spec.model if isinstance(spec, E2ESpec) else spec.asr
    path = transcripts.get(Node(source, task, CLEAN))
    heard: dict[tuple[str, str], str] = {}
    if path is not None:
        table = pl.read_parquet(path, columns=["id", "voice", "text"])
        heard = {(item, voice): text for item, voice, text in table.iter_rows()}
    if speaks:
        origin = "Own transcription, asked for separately" if heard else "Heard"
    else:
        origins = {ORACLE: "Read, as it was spoken"}
        origin = origins.get(source, "Read off the last layer" if source.endswith(LENS) else "Heard")
    missing = BY_ITSELF if speaks else None
    return {
        (item, voice): Side(system, origin, heard.get((item, voice), missing), raw, parsed, correct)
        for item, voice, raw, parsed, correct in answers.select("id", "voice", "raw", "parsed", "correct").iter_rows()
    }
