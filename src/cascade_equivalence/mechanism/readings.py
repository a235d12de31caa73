"""Utterances that models are watched on where voices are compared: each item in every voice, split by what is said."""

from collections.abc import Sequence

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.utterances import TEST, TRAIN, TaskClips
from cascade_equivalence.tasks.rank import hash_rank


def draw_readings(spoken: Sequence[TaskClips], per_task: int, test_share: float, seed: int) -> pl.DataFrame:
    """Draw items of each task in all voices, and the texts that only test.

    The items are those that :func:`~.utterances.draw_utterances` draws. All readings of a text, and all items that say
    it, train, or all test.

    Args:
        spoken: Clips by task.
        per_task: Items a task; fewer where it has fewer.
        test_share: Share of the texts that only test.
        seed: Seed.

    Returns:
        Table with task, id, voice, text, split, seconds and sha256, a task after the other.

    Raises:
        StudyError: A clip of a drawn item is missing, or too few texts are left to train and test.
    """
    rows = []
    for source in spoken:
        ids = sorted({item for _, item in source.clips}, key=lambda item: hash_rank(seed, "item", source.task, item))
        for item in ids[:per_task]:
            for voice in source.voices:
                if (voice, item) not in source.clips:
                    raise StudyError(
                        f"voice {voice} does not speak item {item} of {source.task}: run the speech stage again, or "
                        "name voices that do in mechanism.states.voices"
                    )
                text, seconds, sha256 = source.clips[voice, item]
                rows.append((source.task, item, voice, text, seconds, sha256))
    first: dict[str, tuple[str, str]] = {}
    for task, item, _, text, *_ in rows:
        first.setdefault(text, (task, item))
    order = sorted(first, key=lambda text: hash_rank(seed, "split", *first[text]))
    tests = set(order[: min(max(1, round(test_share * len(order))), len(order) - 1)])
    if not tests:
        raise StudyError(f"{len(order)} texts leave none to train or none to test: raise mechanism.states.per_task")
    table = pl.DataFrame(rows, schema=["task", "id", "voice", "text", "seconds", "sha256"], orient="row")
    split = [TEST if text in tests else TRAIN for text in table["text"]]
    return table.with_columns(pl.Series("split", split)).select(
        "task", "id", "voice", "text", "split", "seconds", "sha256"
    )
