"""The node of answers under erasure: which items are asked, heard and read, and the table of what was answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.mechanism import DRAWN
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.eraser_files import eraser_hash, read_erasers
from cascade_equivalence.mechanism.erasure import ALL, ErasureVariant, Outcome
from cascade_equivalence.mechanism.utterances import TRAIN
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.nodes.answers import questions, spoken_rows
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.rank import hash_rank
from cascade_equivalence.tasks.registry import get_task

AUDIO_ARM, TEXT_ARM = "audio", "text"

SCHEMA = {
    "concept": pl.String,
    "variant": pl.String,
    "positions": pl.String,
    "arm": pl.String,
    "id": pl.String,
    "voice": pl.String,
    "group": pl.String,
    "label": pl.String,
    "raw": pl.String,
    "parsed": pl.String,
    "correct": pl.Boolean,
    "forced": pl.String,
    "forced_correct": pl.Boolean,
    "loss": pl.Float64,
    "kl": pl.Float64,
    "seconds": pl.Float64,
    "seen": pl.Boolean,
}
"""Columns of a node's answers; ``loss``: negative log-likelihood of the right label's words, in nats, null for open
answers; ``seen``: the item is among the utterances that the erasers were fitted on."""


def chosen_clips(clips: Sequence[Clip], task: str, count: int, seed: int) -> list[Clip]:
    """The clips of the items that are answered, the same in every condition."""
    return sorted(clips, key=lambda clip: hash_rank(seed, "erasure", task, clip.id))[:count]


def build_arms(
    task: str, spec: TaskSpec, system_prompt: str, items: Sequence[Item], clips: Sequence[Clip], text_arm: bool
) -> dict[str, list[Question]]:
    """The questions of each arm: the clip heard, and its true text typed.

    Raises:
        StudyError: Clips and items do not join one to one.
    """
    wanted = {clip.id for clip in clips}
    own = [item for item in items if item.id in wanted]
    heard = spoken_rows(clips)
    arms = {AUDIO_ARM: questions(task, spec, system_prompt, own, heard, recordings(clips))}
    if text_arm:
        typed = heard.with_columns(pl.Series("text", [clip.text for clip in clips]))
        arms[TEXT_ARM] = questions(task, spec, system_prompt, own, typed)
    return arms


def write_outcomes(
    model: str,
    concept: str,
    task: str,
    spec: TaskSpec,
    items: Sequence[Item],
    clips: Sequence[Clip],
    outcomes: Mapping[tuple[str, str, str], Sequence[Outcome]],
    utterances: pl.DataFrame,
    path: Path,
) -> None:
    """Parse and score what a model answered without a concept, and write it; see ``SCHEMA``."""
    asked = get_task(task)
    known = {item.id: item for item in items}
    seen = fitted_ids(utterances, task)
    rows = []
    for (variant, positions, arm), found in outcomes.items():
        for clip, outcome in zip(clips, found, strict=True):
            item = known[clip.id]
            parsed = asked.parse(outcome.text, item.options, spec.label_words, spec.answer_prefix)
            forced = max(outcome.scores, key=outcome.scores.__getitem__) if outcome.scores else None
            rows.append(
                {
                    "concept": concept,
                    "variant": variant,
                    "positions": positions,
                    "arm": arm,
                    "id": clip.id,
                    "voice": clip.voice,
                    "group": item.group,
                    "label": item.label,
                    "raw": outcome.text,
                    "parsed": parsed,
                    "correct": asked.score(parsed, item),
                    "forced": forced,
                    "forced_correct": None if forced is None else asked.score(forced, item),
                    "loss": None if item.label not in outcome.scores else -outcome.scores[item.label],
                    "kl": outcome.kl,
                    "seconds": outcome.seconds,
                    "seen": clip.id in seen,
                }
            )
    write_table(pl.DataFrame(rows, schema=SCHEMA), path, {"model": model, "concept": concept, "task": task})


def fitted_ids(utterances: pl.DataFrame, task: str) -> set[str]:
    """Items of a task among the utterances that erasers are fitted on."""
    return set(utterances.filter((pl.col("split") == TRAIN) & (pl.col("task") == task))["id"])


def variants_of(files: Mapping[int, Path], positions: Sequence[str]) -> list[ErasureVariant]:
    """Ways to erase that the erasers of a concept offer; without any, the model as it is.

    Draws of controls are answered from audio only: they are what a concept's effect there is held against.

    Args:
        files: Eraser file of each layer.
        positions: Where to erase.
    """
    if not files:
        return [ErasureVariant("none", ALL, {})]
    layers = {layer: read_erasers(path) for layer, path in files.items()}
    names = list(next(iter(layers.values())))
    own = {name: {layer: erasers[name] for layer, erasers in layers.items()} for name in names}
    identities = {name: eraser_hash(erasers) for name, erasers in own.items()}
    return [
        ErasureVariant(name, where, own[name], identities[name], heard_only=name.startswith(DRAWN))
        for where in positions
        for name in names
    ]
