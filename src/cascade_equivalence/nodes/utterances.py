"""The node that draws the utterances models are opened on, from clips. Imports no torch, as librosa needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.mechanism import MechanismConfig
from cascade_equivalence.files import replacing
from cascade_equivalence.mechanism.acoustics import acoustic_targets
from cascade_equivalence.mechanism.readings import draw_readings
from cascade_equivalence.mechanism.utterances import TaskClips, draw_utterances
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip, decode


def write_utterances(
    spoken: Mapping[str, Sequence[Clip]], voices: Mapping[str, Sequence[str]], config: MechanismConfig, path: Path
) -> None:
    """Draw utterances, measure how they sound and write them.

    Args:
        spoken: Clips of each task, all voices.
        voices: Voices that take turns in each task, or all speak each of its items.
        config: Sample, split and pitch range.
        path: The Parquet file: task, id, voice, text, split, seconds, sha256, energy_db, log_f0 (null where nothing is
            voiced) and voiced_share.

    Raises:
        StudyError: Too few utterances, or a clip that is missing or broken.
    """
    by_name = {(task, clip.voice, clip.id): clip for task, clips in spoken.items() for clip in clips}
    sources = [
        TaskClips(task, voices[task], {(clip.voice, clip.id): (clip.text, clip.seconds, clip.sha256) for clip in clips})
        for task, clips in spoken.items()
    ]
    probes, states = config.probes, config.states
    draw = draw_readings if states.every_voice else draw_utterances
    table = draw(sources, states.per_task, probes.test_share, states.seed)
    found = []
    with progress("pitch and energy", table.height) as advance:
        for task, item, voice in table.select("task", "id", "voice").iter_rows():
            found.append(acoustic_targets(decode(by_name[task, voice, item]), probes.pitch_low, probes.pitch_high))
            advance()
    measured = {
        "energy_db": [each.energy_db for each in found],
        "log_f0": [each.log_f0 for each in found],
        "voiced_share": [each.voiced_share for each in found],
    }
    with replacing(path) as part:
        table.hstack(pl.DataFrame(measured, schema=dict.fromkeys(measured, pl.Float64))).write_parquet(part)
