"""The utterances that models are watched on: drawn from the study's clips, split by item within each voice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.rank import hash_rank

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class TaskClips:
    """Clips of one task.

    Attributes:
        task: The task.
        voices: Voices that take turns.
        clips: Voice and item: text, seconds and hash of the audio.
    """

    task: str
    voices: Sequence[str]
    clips: Mapping[tuple[str, str], tuple[str, float, str]]


def draw_utterances(spoken: Sequence[TaskClips], per_task: int, test_share: float, seed: int) -> pl.DataFrame:
    """Draw items of each task, a voice for each, and the items that only test, their share of every voice.

    An item's place depends on its own id, its voice and the seed alone, so that more items a task keep those that were
    there.

    Args:
        spoken: Clips by task.
        per_task: Items a task; fewer where it has fewer.
        test_share: Share of the items that only test.
        seed: Seed.

    Returns:
        Table with task, id, voice, text, split, seconds and sha256, a task after the other.

    Raises:
        StudyError: A clip of a drawn item is missing, or too few utterances are left to train and test.
    """
    rows = []
    for source in spoken:
        ids = sorted({item for _, item in source.clips}, key=lambda item: hash_rank(seed, "item", source.task, item))
        for turn, item in enumerate(ids[:per_task]):
            voice = source.voices[turn % len(source.voices)]
            if (voice, item) not in source.clips:
                raise StudyError(
                    f"voice {voice} does not speak item {item} of {source.task}: run the speech stage again"
                )
            text, seconds, sha256 = source.clips[voice, item]
            rows.append((source.task, item, voice, text, seconds, sha256))
    by_voice: dict[str, list[int]] = {}
    for row, (_, _, voice, *_) in enumerate(rows):
        by_voice.setdefault(voice, []).append(row)
    tests: set[int] = set()
    for mine in by_voice.values():
        # By rank and not by a threshold: the share is kept however few there are.
        order = sorted(mine, key=lambda row: hash_rank(seed, "split", rows[row][0], rows[row][1]))
        tests |= set(order[: min(max(1, round(test_share * len(mine))), len(mine) - 1)])
    if not tests:
        raise StudyError(f"{len(rows)} utterances leave none to train or none to test: raise mechanism.states.per_task")
    table = pl.DataFrame(rows, schema=["task", "id", "voice", "text", "seconds", "sha256"], orient="row")
    split = [TEST if row in tests else TRAIN for row in range(len(rows))]
    return table.with_columns(pl.Series("split", split)).select(
        "task", "id", "voice", "text", "split", "seconds", "sha256"
    )
