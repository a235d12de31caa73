"""What the voice of each clip tells, as the tags of augmented cascades. Imports no torch, as librosa needs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.mechanism.surplus_features import FEATURES, audio_features, prosody
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.told import NOT_TOLD, told_labels
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.registry import get_task

LEVELS = ("low", "middle", "high")
MEASURES = {"pitch": "log_f0_mean", "energy": "energy_db_mean", "rate": "words_per_second"}
"""The feature that each tag is made of."""


def thirds(values: NDArray[np.float64]) -> list[str | None]:
    """The third that each value is in, by its rank; equal values are in one third, and those all equal in the middle.

    Args:
        values: One a clip, (clips,); NaN where there is none.
    """
    known = np.isfinite(values)
    places = np.full(len(values), np.nan)
    places[known] = (stats.rankdata(values[known]) - 0.5) / max(1, int(known.sum()))
    return [LEVELS[min(2, int(3 * place))] if np.isfinite(place) else None for place in places]


def describe_voices(
    clips: Sequence[Clip],
    transcripts: pl.DataFrame,
    items: Sequence[Item],
    task: str,
    config: SurplusConfig,
    target: Path,
    of: Names,
) -> None:
    """Write what the voice of each clip tells: id, voice, and a column a tag, null where it tells nothing.

    Args:
        clips: All clips of the task in one condition.
        transcripts: Their transcripts, for the words a second.
        items: The items, with labels and groups.
        task: The task.
        config: Folds, seed and pitch range.
        target: The Parquet file.
        of: Of what: ``asr``, ``task`` and ``condition``.

    Raises:
        StudyError: A clip has no transcript or no item.
    """
    words = {(name, voice): len(text.split()) for name, voice, text in transcripts["id", "voice", "text"].iter_rows()}
    by_id = {item.id: item for item in items}
    raw = np.empty((len(clips), len(FEATURES)))
    with progress("how clips sound", len(clips)) as advance:
        for row, clip in enumerate(clips):
            if clip.id not in by_id or (clip.id, clip.voice) not in words:
                raise StudyError(f"item {clip.id} in voice {clip.voice} has no transcript or no item: run both again")
            found = prosody(decode(clip), words[clip.id, clip.voice], config.pitch_low, config.pitch_high)
            raw[row] = [found[name] for name in FEATURES]
            advance()
    voices = np.array([clip.voice for clip in clips])
    columns: dict[str, list[str | None]] = {}
    for tag, feature in MEASURES.items():
        values, told = raw[:, FEATURES.index(feature)], np.full(len(clips), None, dtype=object)
        for voice in np.unique(voices):
            told[voices == voice] = thirds(values[voices == voice])
        columns[tag] = told.tolist()
    columns["label"] = _labels(raw, clips, by_id, task, config)
    table = pl.DataFrame({"id": [clip.id for clip in clips], "voice": voices.tolist()})
    write_table(table.with_columns(pl.Series(tag, told, pl.String) for tag, told in columns.items()), target, of)


def _labels(
    raw: NDArray[np.float64], clips: Sequence[Clip], items: dict[str, Item], task: str, config: SurplusConfig
) -> list[str | None]:
    """The label that each clip's sound suggests; none where labels are no words."""
    asked = get_task(task)
    if not asked.labels or asked.has_options:
        return [None] * len(clips)
    names, gold = np.unique([items[clip.id].label for clip in clips], return_inverse=True)
    numbers = np.unique([clip.voice for clip in clips], return_inverse=True)[1].astype(np.intp)
    clusters = Clusters.of([items[clip.id].group for clip in clips])
    told = told_labels(audio_features(raw, numbers)[0], gold.astype(np.intp), clusters, config.folds, config.seed)
    return [None if code == NOT_TOLD else str(names[code]) for code in told]
