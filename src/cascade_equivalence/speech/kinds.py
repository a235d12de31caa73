"""Clips in any condition: which module makes which kind of noise."""

from collections.abc import Sequence
from pathlib import Path

from cascade_equivalence.conditions import Condition
from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip


def make_condition(
    clean: Sequence[Clip],
    task: str,
    condition: Condition,
    config: NoiseConfig,
    pool: Sequence[Clip] = (),
    folder: Path | None = None,
) -> list[Clip]:
    """Clips of one voice as they are heard in a condition.

    Args:
        clean: The clips.
        task: Task of the clips.
        condition: What the audio goes through.
        config: Talkers and seed.
        pool: Clean clips whose voices babble, where no folder is given.
        folder: Folder with the sound files of the talkers, or of the music.

    Returns:
        The clips in the same order, with what was measured: ``snr_db``, or ``rt60_ms`` in a room.

    Raises:
        StudyError: If a clip or the noise for it cannot be used, or the condition is clean.
    """
    match condition:
        case Condition("babble", float(snr_db)):
            from cascade_equivalence.speech.babble import add_babble

            return add_babble(clean, pool if folder is None else folder, task, snr_db, config)
        case Condition("music", float(snr_db)) if folder is not None:
            from cascade_equivalence.speech.music import add_music

            return add_music(clean, folder, task, snr_db, config.seed)
        case Condition("stationary", float(snr_db)):
            from cascade_equivalence.speech.stationary import add_stationary

            return add_stationary(clean, task, snr_db, config.seed)
        case Condition("reverb", float(rt60_ms)):
            from cascade_equivalence.speech.reverb import add_reverberation

            return add_reverberation(clean, task, rt60_ms, config.seed)
    raise StudyError(f"{task}: {condition} is no noise, or its music has no folder.")
