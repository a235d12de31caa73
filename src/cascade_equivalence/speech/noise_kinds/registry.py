"""The kinds of noise of the package, the paper's first. A new one is a file beside this one and a line here."""

from cascade_equivalence.speech.noise_kinds.babble import BABBLE
from cascade_equivalence.speech.noise_kinds.base import NoiseKind
from cascade_equivalence.speech.noise_kinds.music import MUSIC
from cascade_equivalence.speech.noise_kinds.reverb import REVERB
from cascade_equivalence.speech.noise_kinds.stationary import STATIONARY

KIND = NoiseKind
OWN: tuple[NoiseKind, ...] = (BABBLE, MUSIC, STATIONARY, REVERB)
