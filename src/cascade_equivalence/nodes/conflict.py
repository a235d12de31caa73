"""The node in which what is heard and what is typed disagree: its prompts, and the table of what was answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.config.conflict import ConflictConfig
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.models.question import Answer, Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.pairs import pair_items
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.registry import get_task

SCHEMA = {
    "variant": pl.Int64,
    "cluster": pl.String,
    "source_id": pl.String,
    "target_id": pl.String,
    "heard_label": pl.String,
    "typed_label": pl.String,
    "raw": pl.String,
    "parsed": pl.String,
    "log_odds": pl.Float64,
    "seconds": pl.Float64,
}
"""Columns of a node's table: place of the wording, the item that is heard (source) and the one that is typed (target),
and log-odds of the typed text's label against the heard one's, in nats."""


@dataclass(frozen=True)
class Conflict:
    """One prompt in which two texts disagree.

    Attributes:
        wording: Place of the wording in the config.
        heard: The item that is heard, or whose transcript is read.
        typed: The item whose text is typed.
        cluster: Group of pairs that share a text.
    """

    wording: int
    heard: Item
    typed: Item
    cluster: str


def build_conflicts(
    task: str,
    spec: TaskSpec,
    system_prompt: str,
    items: Sequence[Item],
    said: Mapping[str, str],
    config: ConflictConfig,
    sounds: Mapping[str, Recording] | None = None,
) -> tuple[list[Conflict], list[Question]]:
    """The prompts: every pair of items with different labels and texts, in every wording.

    Args:
        task: The task.
        spec: How it is asked.
        system_prompt: The system prompt.
        items: Its items.
        said: By item, what stands for what is heard: its transcript, or the audio placeholder.
        config: How many pairs, wordings and the seed.
        sounds: For a speech LLM, the clip of each item.

    Raises:
        StudyError: An item that was paired is not heard.
    """
    asked, conflicts, found = get_task(task), [], []
    for one, other, cluster in pair_items(items, config.per_task, task, config.seed, other_words=True):
        if one.id not in said:
            raise StudyError(f"item {one.id} is not heard: run its speech or its transcripts again")
        for place, wording in enumerate(config.wordings):
            before, _, after = wording.partition("{speech}")
            # Each part by itself, so that braces in what was said stay what they are.
            before, after = (part.replace("{typed}", other.text) for part in (before, after))
            text = f"{before}{said[one.id]}{after}"
            conflicts.append(Conflict(place, one, other, cluster))
            found.append(
                Question(
                    messages=tuple(build_messages(spec, system_prompt, text, ())),
                    answer_prefix=spec.answer_prefix,
                    candidates=candidate_answers(asked, spec, ()),
                    audio=sounds[one.id] if sounds else None,
                )
            )
    return conflicts, found


def write_conflicts(
    task: str,
    spec: TaskSpec,
    mode: str,
    conflicts: Sequence[Conflict],
    answers: Sequence[Answer],
    scored: Sequence[Answer],
    target: Path,
    of: Names,
) -> None:
    """Write what was answered; see ``SCHEMA``.

    Args:
        task: The task.
        spec: How it was asked.
        mode: How the study answers: ``generate`` or ``forced_choice``.
        conflicts: What was asked.
        answers: Its answers, in that mode.
        scored: The same with scores of the labels.
        target: The Parquet file.
        of: ``system`` and ``task``.
    """
    asked, rows = get_task(task), []
    for each, answer, scores in zip(conflicts, answers, scored, strict=True):
        free = mode != "forced_choice"
        parsed = asked.parse(answer.text, (), spec.label_words, spec.answer_prefix) if free else answer.text
        odds = scores.scores[each.typed.label] - scores.scores[each.heard.label]
        names = (each.heard.id, each.typed.id, each.heard.label, each.typed.label)
        rows.append((each.wording, each.cluster, *names, answer.text, parsed, odds, answer.seconds))
    write_table(pl.DataFrame(rows, schema=SCHEMA, orient="row"), target, of)
