"""A provider of voices: espeak-ng over a telephone line, which carries 300 to 3,400 Hz."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Literal

from pydantic import Field

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.speech import EspeakVoice, Voice
from cascade_equivalence.speech.provider import Provider, VoiceProvider
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform


class TelephoneVoice(Voice):
    """A voice at the other end of a telephone line."""

    provider: Literal["telephone"] = Field(description="espeak-ng over a telephone line.")
    name: str = Field(default="en-us", description="Voice of espeak-ng.")
    low: float = Field(default=300.0, gt=0, description="Lowest frequency of the line in Hz.")
    high: float = Field(default=3400.0, lt=SAMPLING_RATE / 2, description="Highest frequency of the line in Hz.")


class Telephone:
    """Another voice, heard through the line."""

    name = "telephone"

    def __init__(self, voice: Provider, low: float, high: float) -> None:
        """Take the voice that speaks, and the band in Hz that is heard."""
        from scipy.signal import butter

        self._voice = voice
        self._band = butter(4, (low, high), "bandpass", fs=SAMPLING_RATE, output="sos")

    def identity(self) -> str:
        """The voice that speaks; the band is a setting of the entry."""
        return f"telephone line behind {self._voice.identity()}"

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text."""
        from scipy.signal import sosfilt

        return sosfilt(self._band, self._voice.speak(text, style)).astype("float32")


@contextmanager
def _open(spec: TelephoneVoice, _: Event | None) -> Iterator[Provider]:
    from cascade_equivalence.speech.espeak_voice import EspeakProvider

    with closing(EspeakProvider(EspeakVoice(provider="espeak", name=spec.name))) as voice:
        yield Telephone(voice, spec.low, spec.high)


VOICES.add(VoiceProvider(name="telephone", spec=TelephoneVoice, open=_open, packages=("espeakng-loader", "scipy")))
