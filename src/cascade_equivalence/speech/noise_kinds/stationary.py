"""Stationary noise with the spectrum of the voice."""

from typing import TYPE_CHECKING

from cascade_equivalence.conditions import RATIO
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade_equivalence.speech.clips import Clip


def _mix(asked: Mixing) -> "Iterator[Clip]":
    from cascade_equivalence.speech.stationary import add_stationary

    return add_stationary(asked.clean, asked.task, asked.level, asked.noise.seed)


STATIONARY = NoiseKind(
    name="stationary",
    prefix="stationary",
    scale=RATIO,
    mix=_mix,
    title="stationary noise",
    key="stationary_snr_db",
    modules=("speech/noise_kinds/stationary.py", "speech/stationary.py"),
)
