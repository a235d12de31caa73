"""The node of activation patching: which items are paired, and the table of what their states carried over."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.mechanism import PatchingConfig
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.patched_runs import PatchedPair, Restored, TwoWays, read_place
from cascade_equivalence.nodes.erasure import AUDIO_ARM, TEXT_ARM, build_arms
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.pairs import pair_items

SCHEMA = {
    "arm": pl.String,
    "positions": pl.String,
    "layer": pl.Int64,
    "cluster": pl.String,
    "source_id": pl.String,
    "target_id": pl.String,
    "source": pl.Float64,
    "target": pl.Float64,
    "patched": pl.Float64,
}
"""Columns of a node's table: how the source was taken in (``audio``, ``text``), where its states were put, and log-odds
of its label against the target's in the source's run, the target's, and the target's with the states. At words the
target is the source's prompt with the words of the other item."""


def build_pairs(
    task: str,
    spec: TaskSpec,
    system_prompt: str,
    items: Sequence[Item],
    clips: Sequence[Clip],
    config: PatchingConfig,
) -> tuple[list[tuple[Item, Item, str]], dict[str, list[PatchedPair]]]:
    """Pairs of items with different labels, and by arm what is asked of them: the source heard or typed.

    Args:
        task: The task.
        spec: Its prompt.
        system_prompt: The system prompt.
        items: Its items.
        clips: Its clips in one voice.
        config: How many pairs, and the seed.

    Raises:
        StudyError: Clips and items do not join.
    """
    spoken = {clip.id for clip in clips}
    pairs = pair_items([item for item in items if item.id in spoken], config.per_task, task, config.seed)
    if not pairs:
        return [], {}
    used = {item.id for one, other, _ in pairs for item in (one, other)}
    chosen = [clip for clip in clips if clip.id in used]
    asked = build_arms(task, spec, system_prompt, items, chosen, text_arm=True)
    ways = {clip.id: TwoWays(*both) for clip, *both in zip(chosen, asked[AUDIO_ARM], asked[TEXT_ARM], strict=True)}
    return pairs, {
        arm: [PatchedPair(ways[one.id], ways[other.id], (one.label, other.label), heard) for one, other, _ in pairs]
        for arm, heard in ((AUDIO_ARM, True), (TEXT_ARM, False))
    }


def write_restored(
    model: str,
    task: str,
    pairs: Sequence[tuple[Item, Item, str]],
    found: Sequence[Mapping[str, Sequence[Restored]]],
    target: Path,
) -> None:
    """Write what was found, one row a pair, arm, layer and place; see ``SCHEMA``."""
    rows = [
        (arm, *read_place(place), cluster, one.id, other.id, each.source, each.target, patched)
        for kind in found
        for arm, restored in kind.items()
        for (one, other, cluster), each in zip(pairs, restored, strict=True)
        for place, patched in each.patched.items()
    ]
    write_table(pl.DataFrame(rows, schema=SCHEMA, orient="row"), target, {"model": model, "task": task})
