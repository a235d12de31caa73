"""Babble: several people who talk at once, the paper's noise."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cascade_equivalence.conditions import RATIO
from cascade_equivalence.speech.noise_kinds.base import Mixing, NoiseKind

if TYPE_CHECKING:
    from cascade_equivalence.config.speech import NoiseConfig
    from cascade_equivalence.speech.clips import Clip

TALKERS_OF_MUSAN = (3, 7)
"""Fewest and most talkers in babble of MUSAN's speech, as in the recipe that the paper's source follows."""


def _mix(asked: Mixing) -> "Iterator[Clip]":
    from cascade_equivalence.speech.babble import add_babble

    pool = asked.pool if asked.folder is None else asked.folder
    return add_babble(asked.clean, pool, asked.task, asked.level, asked.noise)


def _params(noise: "NoiseConfig") -> dict[str, Any]:
    return {"talkers": [noise.talkers, noise.max_talkers or noise.talkers], "pool": []}


def _problems(noise: "NoiseConfig") -> Iterator[str]:
    if noise.max_talkers is not None and noise.max_talkers < noise.talkers:
        yield f"noise.max_talkers: {noise.max_talkers} is below noise.talkers ({noise.talkers})"
    if noise.musan is None or "speech" not in noise.musan.parts:
        return
    least, most = TALKERS_OF_MUSAN
    for key in ("talkers", "max_talkers") if noise.snr_db else ():
        count = getattr(noise, key)
        if count is not None and not least <= count <= most:
            yield f"noise.{key}: babble of MUSAN has {least} to {most} talkers, not {count}"
    for key in ("folder", "babble_voices"):
        if getattr(noise, key):
            yield (
                f"noise.{key}: the talkers come from noise.musan already; leave one of them out, or set "
                "noise.musan.parts to [music]"
            )


BABBLE = NoiseKind(
    name="babble",
    prefix="snr",
    scale=RATIO,
    mix=_mix,
    heading="",
    axis_alone="Signal-to-noise ratio (dB)",
    key="snr_db",
    made_of=lambda noise: noise.babbles(),
    musan="speech",
    params=_params,
    problems=_problems,
    modules=("speech/noise_kinds/babble.py", "speech/babble.py"),
)
