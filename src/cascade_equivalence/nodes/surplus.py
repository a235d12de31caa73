"""The node of a task's acoustic surplus, from clips, transcripts and items. Imports no torch, as librosa needs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import ORACLE
from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.identity import OF, about
from cascade_equivalence.mechanism.surplus_features import FEATURES, audio_features, prosody, text_features
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip, decode, read_clips
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.nested import Sample
from cascade_equivalence.stats.surplus import surplus
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import read_items
from cascade_equivalence.tasks.rank import hash_rank
from cascade_equivalence.tasks.registry import get_task

NAME = ["id", "voice"]


def measure_surplus(
    clips: Sequence[Path],
    transcripts: Path | None,
    items: Path,
    task: str,
    config: SurplusConfig,
    statistics: StatisticsConfig,
    target: Path,
) -> None:
    """Measure what the audio of a task tells of its labels beyond the transcripts; equal seeds give equal files.

    Args:
        clips: Clean speech, a file a voice.
        transcripts: Transcripts of it; None reads the text that was spoken.
        items: The items, with labels and groups.
        task: The task.
        config: Sample, folds and pitch range.
        statistics: Draws and level of the intervals.
        target: The JSON file: what :func:`surplus` gives, ``transcript`` (whose), ``texts``, ``voices`` (names) and
            ``features`` (names of the audio features, and ``no <name>`` for those that tell what is missing).

    Raises:
        StudyError: The task has open answers, or clips, transcripts and items do not fit together.
    """
    if not get_task(task).labels:
        raise StudyError(f"{task} has open answers: without a closed label set no surplus can be measured")
    chosen = sample_items(read_items(items), task, config.per_task, config.seed)
    heard = _clips_of(clips, chosen)
    texts = _texts(heard, transcripts)
    voices = sorted({clip.voice for clip in heard})
    raw = np.empty((len(heard), len(FEATURES)))
    with progress("how clips sound", len(heard)) as advance:
        for row, (clip, text) in enumerate(zip(heard, texts, strict=True)):
            found = prosody(decode(clip), len(text.split()), config.pitch_low, config.pitch_high)
            raw[row] = [found[name] for name in FEATURES]
            advance()
    by_id = {item.id: item for item in chosen}
    labels = sorted({item.label for item in chosen})
    voice_of = _numbers([clip.voice for clip in heard])
    audio, missing = audio_features(raw, voice_of)
    sample = Sample(
        text=text_features(texts),
        audio=audio,
        gold=np.array([labels.index(by_id[clip.id].label) for clip in heard], dtype=np.intp),
        clusters=Clusters.of([by_id[clip.id].group for clip in heard]),
        items=_numbers([clip.id for clip in heard]),
        voices=voice_of,
    )
    measured: dict[str, Any] = surplus(
        sample,
        folds=config.folds,
        permutations=config.permutations,
        confidence=statistics.confidence,
        seed=config.seed,
    )
    measured |= {
        OF: {"task": task},
        "transcript": ORACLE if transcripts is None else about(transcripts, ["asr"])[0],
        "texts": len({item.text for item in chosen}),
        "voices": voices,
        "features": [*FEATURES, *(f"no {FEATURES[column]}" for column in missing)],
    }
    write_text(target, json.dumps(measured, indent=2, sort_keys=True, allow_nan=False) + "\n")


def sample_items(items: Sequence[Item], task: str, per_task: int, seed: int) -> list[Item]:
    """Draw texts, and all items that speak them: the readings of one sentence stay together.

    A text's place depends on the text and the seed alone, so that more texts keep those that were there.

    Args:
        items: All items of the task.
        task: The task.
        per_task: Texts; fewer where there are fewer.
        seed: Seed.
    """
    texts = sorted({item.text for item in items}, key=lambda text: hash_rank(seed, "text", task, text))
    kept = set(texts[:per_task])
    return [item for item in items if item.text in kept]


def _clips_of(paths: Sequence[Path], items: Sequence[Item]) -> list[Clip]:
    """The clips of some items, in the order of items and voices."""
    wanted = {item.id for item in items}
    found = [clip for path in paths for clip in read_clips(path) if clip.id in wanted]
    found.sort(key=lambda clip: (clip.id, clip.voice))
    for voice in {clip.voice for clip in found}:
        spoken = {clip.id for clip in found if clip.voice == voice}
        if lacking := sorted(wanted - spoken):
            raise StudyError(f"voice {voice} does not speak item {lacking[0]}: run the speech stage again")
    if not found:
        raise StudyError("There are no clips to measure a surplus on: run the speech stage first.")
    return found


def _texts(clips: Sequence[Clip], transcripts: Path | None) -> list[str]:
    """What is read of each clip.

    Raises:
        StudyError: A clip has no transcript, or one of other audio.
    """
    if transcripts is None:
        return [clip.text for clip in clips]
    table = pl.read_parquet(transcripts, columns=[*NAME, "text", "audio_sha256"])
    known = {(item, voice): (text, sha256) for item, voice, text, sha256 in table.iter_rows()}
    texts = []
    for clip in clips:
        text, sha256 = known.get((clip.id, clip.voice), (None, None))
        if text is None or sha256 != clip.sha256:
            raise StudyError(f"{transcripts} has no transcript of item {clip.id} as voice {clip.voice} speaks it now")
        texts.append(text)
    return texts


def _numbers(names: Sequence[str]) -> np.ndarray:
    """Names as numbers, in their alphabetical order."""
    return np.unique(names, return_inverse=True)[1].astype(np.intp)
