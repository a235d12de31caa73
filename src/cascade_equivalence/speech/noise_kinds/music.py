"""Music behind the speech."""

from typing import TYPE_CHECKING

from cascade_equivalence.conditions import RATIO
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade_equivalence.speech.clips import Clip


def _mix(asked: Mixing) -> "Iterator[Clip]":
    from cascade_equivalence.speech.music import add_music

    if asked.folder is None:
        raise StudyError(f"{asked.task}: music has no folder: there are no sound files to make it of.")
    return add_music(asked.clean, asked.folder, asked.task, asked.level, asked.noise.seed)


MUSIC = NoiseKind(
    name="music",
    prefix="music",
    scale=RATIO,
    mix=_mix,
    key="music_snr_db",
    made_of=lambda _: "musan",
    musan="music",
    modules=("speech/noise_kinds/music.py", "speech/music.py"),
)
