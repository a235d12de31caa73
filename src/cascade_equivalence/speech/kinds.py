"""Makes the clips of any condition from clean ones, by the kind of noise."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from cascade_equivalence.conditions import NOISE_KINDS, Condition
from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.noise_kinds.base import Mixing


def make_condition(
    clean: Sequence[Clip],
    task: str,
    condition: Condition,
    config: NoiseConfig,
    pool: Sequence[Clip] = (),
    folder: Path | None = None,
) -> Iterator[Clip]:
    """Clips of one voice as they are heard in a condition.

    Args:
        clean: The clips.
        task: Task of the clips.
        condition: What the audio goes through.
        config: Talkers and seed.
        pool: Clean clips of other voices, where the noise is made of these.
        folder: Folder with the sound files that the noise is made of.

    Yields:
        The clips in the same order, with what was measured: ``snr_db``, or ``rt60_ms`` in a room. Where the kind gives
        them one at a time, the sound of one is in memory.

    Raises:
        StudyError: If a clip or the noise for it cannot be used, the condition is clean, or its kind loses clips.
    """
    if condition.kind is None or condition.level is None:
        raise StudyError(f"{task}: clean speech is no noise.")
    kind = NOISE_KINDS.find(condition.kind)
    made = kind.mix(Mixing(clean, task, condition.level, config, pool, folder))
    for given, clip in zip_longest(clean, made):
        if given is None or clip is None or (clip.id, clip.voice) != (given.id, given.voice):
            raise StudyError(f"{task}: {kind.source} gives other clips than it got; give each back, in the same order.")
        if hash_audio(clip.flac) != clip.sha256:
            raise StudyError(
                f"{task}: {kind.source} gives clip {clip.id} new sound and an old `sha256`: give it `hash_audio(flac)`."
            )
        yield clip
