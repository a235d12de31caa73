"""The providers of voices of the package. A new one is a file beside this one and a line here."""

from cascade_equivalence.speech.provider import VoiceProvider
from cascade_equivalence.speech.voices.edge import EDGE
from cascade_equivalence.speech.voices.espeak import ESPEAK
from cascade_equivalence.speech.voices.hibari import HIBARI
from cascade_equivalence.speech.voices.recordings import RECORDINGS

KIND = VoiceProvider
OWN: tuple[VoiceProvider, ...] = (HIBARI, ESPEAK, EDGE, RECORDINGS)
