"""The node of steering: which clips directions are fitted on, how states are changed, and the table of the answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.config.mechanism import AFFINE, LINEAR, RANDOM, SteeringConfig
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.eraser_files import eraser_hash, read_erasers
from cascade_equivalence.mechanism.erasure import ALL, ErasureVariant, Outcome, erased_outcomes
from cascade_equivalence.mechanism.steering import Shift, directions, drawn, first_directions, mean_states
from cascade_equivalence.mechanism.words_out import log_odds
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import ModelFiles, Question
from cascade_equivalence.models.speech_llm.heard import ear_store
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.nodes.answers import questions, spoken_rows
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.silence import silenced
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.rank import hash_rank

FITTING = 1 / 6
"""Share of the texts that directions are fitted on, and none is asked about; of twelve sentences ten are left, as many
as an interval takes."""
DIRECTION, NOTHING = "direction", "none"
SCHEMA = {
    "change": pl.String,
    "positions": pl.String,
    "layer": pl.Int64,
    "amount": pl.Float64,
    "whole": pl.Int64,
    "draw": pl.Int64,
    "id": pl.String,
    "group": pl.String,
    "label": pl.String,
    "forced": pl.String,
    "log_odds": pl.Float64,
    "seen": pl.Boolean,
}
"""Columns. ``change``: ``none``, ``direction`` (states moved along it) or the concept that is erased at this one layer;
``amount``: the strength, or how many directions are erased, of the ``whole`` number; ``draw``: of a random direction or
eraser in its place, else null; ``forced``: the likeliest label; ``log_odds``: of the right one against all others;
``seen``: of an eraser, whether it was fitted on the item, too; directions are fitted on others."""


@dataclass(frozen=True)
class SteeredBy:
    """One way in which states are changed; see ``SCHEMA``."""

    variant: ErasureVariant
    change: str
    layer: int | None
    amount: float
    whole: int | None = None
    draw: int | None = None


def split_clips(
    items: Sequence[Item], clips: Sequence[Clip], task: str, config: SteeringConfig
) -> tuple[list[Clip], list[Clip]]:
    """Clips that directions are fitted on, and clips that are asked about; they share no text.

    Args:
        items: The task's items.
        clips: Its clips in one voice.
        task: The task.
        config: How many of each, and the seed.
    """
    groups = {item.id: item.group for item in items}
    known = [clip for clip in clips if clip.id in groups]
    order = sorted(
        {groups[clip.id] for clip in known}, key=lambda group: hash_rank(config.seed, "steering", task, group)
    )
    fitting = set(order[: max(1, round(FITTING * len(order)))])
    ranked = sorted(known, key=lambda clip: hash_rank(config.seed, "steering item", task, clip.id))
    fitted = [clip for clip in ranked if groups[clip.id] in fitting][: config.fit]
    return fitted, [clip for clip in ranked if groups[clip.id] not in fitting][: config.per_task]


def asked(
    task: str, spec: TaskSpec, system_prompt: str, items: Sequence[Item], clips: Sequence[Clip]
) -> list[Question]:
    """The questions of some clips."""
    wanted = {clip.id for clip in clips}
    own = [item for item in items if item.id in wanted]
    return questions(task, spec, system_prompt, own, spoken_rows(clips), recordings(clips))


def fitted_directions(
    task: str,
    spec: TaskSpec,
    items: Sequence[Item],
    clips: Sequence[Clip],
    files: ModelFiles,
    layers: Sequence[int],
    config: AnswerConfig,
    kept: Path | None,
) -> dict[int, Any]:
    """The direction of each layer, (d,), from the clips and silence as long."""
    _, model = open_model(files, config)
    assert model is not None
    ears = ear_store(kept, model, files, config)
    means = [
        mean_states(model, asked(task, spec, config.system_prompt, items, some), layers, config.batch_size, ears)
        for some in (clips, list(silenced(clips)))
    ]
    return directions(*means)


def changes(
    found: Mapping[int, Any], erasers: Mapping[str, Mapping[int, Path]], config: SteeringConfig
) -> list[SteeredBy]:
    """All ways in which states are changed, nothing first.

    Args:
        found: The direction of each layer.
        erasers: By concept, the file of each layer's erasers.
        config: Strengths, ranks, draws and positions.
    """
    all_changes = [SteeredBy(ErasureVariant(NOTHING, ALL, {}), NOTHING, None, 0.0)]
    draws = [None, *range(config.draws)]
    for where in config.positions:
        for layer, direction in found.items():
            for draw in draws:
                own = direction if draw is None else drawn(direction, draw, config.seed)
                for strength in config.strengths:
                    shift = Shift(strength * own)
                    name = f"{DIRECTION}/{layer}/{strength:g}/{draw}"
                    variant = ErasureVariant(name, where, {layer: shift}, shift.digest(), heard_only=True)
                    all_changes.append(SteeredBy(variant, DIRECTION, layer, strength, None, draw))
        for concept, files in erasers.items():
            for layer, path in files.items():
                there = read_erasers(path)
                whole = there.get(LINEAR, there.get(AFFINE))
                if whole is None:
                    continue
                for draw in draws:
                    eraser = whole if draw is None else there.get(f"{RANDOM}{draw}")
                    if eraser is None:
                        continue
                    for rank in dict.fromkeys([*(each for each in config.ranks if each < whole.rank), whole.rank]):
                        one = {layer: first_directions(eraser, rank)}
                        name = f"{concept}/{layer}/{rank}/{draw}"
                        variant = ErasureVariant(name, where, one, eraser_hash(one), heard_only=True)
                        all_changes.append(SteeredBy(variant, concept, layer, rank, whole.rank, draw))
    return all_changes


def steer(
    ways: Sequence[SteeredBy],
    prompts: Sequence[Question],
    files: ModelFiles,
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> list[list[Outcome]]:
    """What is answered under each change, in the order of the prompts; see ``mechanism.erasure.erased_outcomes``."""
    # Only the forced choice is used: one token is written.
    outcomes = erased_outcomes({"audio": prompts}, files, [way.variant for way in ways], config, 1, store, label, kept)
    return [outcomes[way.variant.name, way.variant.positions, "audio"] for way in ways]


def write_steered(
    model: str,
    task: str,
    items: Sequence[Item],
    clips: Sequence[Clip],
    ways: Sequence[SteeredBy],
    found: Sequence[Sequence[Outcome]],
    fitted: Collection[str],
    path: Path,
) -> None:
    """Write what was answered; see ``SCHEMA``.

    Args:
        model: The model.
        task: The task.
        items: Its items.
        clips: The clips that were asked about.
        ways: How states were changed.
        found: What was answered under each, clip by clip.
        fitted: Ids of the items that erasers were fitted on.
        path: The file.
    """
    known = {item.id: item for item in items}
    rows = [
        (
            *(way.change, way.variant.positions, way.layer, way.amount, way.whole, way.draw),
            *(item.id, item.group, item.label),
            max(outcome.scores, key=outcome.scores.__getitem__),
            log_odds(outcome.scores, item.label),
            way.change not in (NOTHING, DIRECTION) and item.id in fitted,
        )
        for way, outcomes in zip(ways, found, strict=True)
        for item, outcome in zip((known[clip.id] for clip in clips), outcomes, strict=True)
    ]
    write_table(pl.DataFrame(rows, schema=SCHEMA, orient="row"), path, {"model": model, "task": task})
