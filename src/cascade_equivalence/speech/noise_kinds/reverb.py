"""Simulated rooms."""

from typing import TYPE_CHECKING

from cascade_equivalence.conditions import RT60
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade_equivalence.speech.clips import Clip


def _mix(asked: Mixing) -> "Iterator[Clip]":
    from cascade_equivalence.speech.reverb import add_reverberation

    return add_reverberation(asked.clean, asked.task, asked.level, asked.noise.seed)


REVERB = NoiseKind(
    name="reverb",
    prefix="reverb",
    scale=RT60,
    mix=_mix,
    title="reverberation",
    axis="Reverberation time (ms)",
    key="reverb_rt60_ms",
    modules=("speech/noise_kinds/reverb.py", "speech/reverb.py"),
)
