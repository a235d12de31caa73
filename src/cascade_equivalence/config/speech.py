"""Voices and noise."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from cascade_equivalence.config.base import Closed


class HibariVoice(Closed):
    """A neural voice of hibari-tts (in process, CPU)."""

    provider: Literal["hibari"] = Field(description="Neural voices of hibari-tts.")
    name: str = Field(default="heart", description="The voice; `heart` is in the package, others are downloaded.")
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate, 1.0 is natural.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the vocoder's noise.")


class EspeakVoice(Closed):
    """A formant voice of espeak-ng (in a process of its own)."""

    provider: Literal["espeak"] = Field(description="Formant voices of espeak-ng.")
    name: str = Field(default="en-us", description="Voice and variant, such as `en-us` or `en-gb+f3`.")
    rate: int = Field(default=165, ge=80, le=450, description="Words a minute.")
    pitch: int = Field(default=50, ge=0, le=99, description="Base pitch, 50 is the voice's own.")
    range: int = Field(default=50, ge=0, le=99, description="Pitch range, 50 is the voice's own.")
    volume: int = Field(default=100, ge=0, le=200, description="Volume, 100 is the voice's own.")


VoiceSpec = Annotated[HibariVoice | EspeakVoice, Field(discriminator="provider")]


class SpeechConfig(Closed):
    """Which voices speak the items."""

    voices: list[str] = Field(min_length=1, description="Voices for the tasks that ask about the words.")
    prosody_voices: list[str] = Field(
        default=[],
        description="Voices for items that carry their label in the voice; their provider must control prosody.",
    )
    max_seconds: float = Field(default=30.0, gt=0, description="Longer clips are reported (Whisper's window is 30 s).")


class NoiseConfig(Closed):
    """Multi-talker babble at fixed signal-to-noise ratios."""

    snr_db: list[float] = Field(default=[], description="Signal-to-noise ratios in dB; each is one condition.")
    voices: list[str] = Field(default=[], description="Voices whose clips are also heard in noise.")
    tasks: list[str] = Field(default=[], description="Tasks that are also run in noise.")
    systems: list[str] = Field(
        default=[], description="Systems that are also run in noise; empty takes all. A pair needs both of its systems."
    )
    babble_voices: list[str] = Field(
        default=[], description="Voices that babble in the background; empty takes every other voice of the study."
    )
    talkers: PositiveInt = Field(default=4, description="Talkers in the babble (the paper's source uses 3 to 7).")
    folder: Path | None = Field(
        default=None, description="Take the talkers from the sound files here instead of from the other voices."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed; with (task, item, voice) it fixes a clip's babble.")
