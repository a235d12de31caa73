"""The sections `speech` and `noise`: voices, and the noise added to their clips."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from cascade_equivalence.conditions import NOISE_KINDS, RATIO, RT60, condition_name
from cascade_equivalence.config.base import LONGEST_PART, Closed
from cascade_equivalence.config.names import VOICES, TaskName
from cascade_equivalence.config.sources import Sha256
from cascade_equivalence.registry import OneOf


class Voice(Closed):
    """What every voice has."""

    provider: str = Field(description="Who speaks.")

    def sound(self) -> dict[str, Any]:
        """What of it decides how its clips sound: part of their names, and what their nodes depend on."""
        return self.model_dump(mode="json")


class HibariVoice(Voice):
    """A neural voice of hibari-tts (in process, CPU)."""

    provider: Literal["hibari"] = Field(description="Neural voices of hibari-tts.")
    name: str = Field(default="heart", description="The voice; `heart` is in the package, others are downloaded.")
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="Speaking rate, 1.0 is natural.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the vocoder's noise.")


class EspeakVoice(Voice):
    """A formant voice of espeak-ng (in a process of its own)."""

    provider: Literal["espeak"] = Field(description="Formant voices of espeak-ng.")
    name: str = Field(default="en-us", description="Voice and variant, such as `en-us` or `en-gb+f3`.")
    rate: int = Field(default=165, ge=80, le=450, description="Words a minute.")
    pitch: int = Field(default=50, ge=0, le=99, description="Base pitch, 50 is the voice's own.")
    range: int = Field(default=50, ge=0, le=99, description="Pitch range, 50 is the voice's own.")
    volume: int = Field(default=100, ge=0, le=200, description="Volume, 100 is the voice's own.")


class EdgeVoice(Voice):
    """A neural voice of Microsoft Edge's read-aloud service (over the network)."""

    provider: Literal["edge"] = Field(description="Neural voices of Microsoft Edge's read-aloud service.")
    name: str = Field(
        pattern=r"^[a-z]{2,3}-[A-Z]{2,}-[A-Za-z-]+Neural$",
        description="The voice, such as `en-US-JennyNeural`; `edge-tts --list-voices` lists them.",
    )
    rate: str = Field(
        default="+0%",
        pattern=r"^(\+(100|[0-9]{1,2})|-(50|[1-4]?[0-9]))%$",
        description="Change of the speaking rate, from -50% to +100%.",
    )
    volume: str = Field(
        default="+0%", pattern=r"^(\+(100|[0-9]{1,2})|-[0-9]{1,2})%$", description="Change of the volume, up to +100%."
    )
    pitch: str = Field(default="+0Hz", pattern=r"^[+-][0-9]{1,3}Hz$", description="Change of the pitch.")
    connections: PositiveInt = Field(
        default=2, le=8, description="Connections at once, in each job; the service throttles those who open many."
    )
    attempts: PositiveInt = Field(default=7, description="Requests for one clip before the run ends.")
    pause: PositiveFloat = Field(
        default=5.0,
        allow_inf_nan=False,
        description="Seconds before the second attempt; each further pause is twice as long, up to two minutes.",
    )
    timeout: PositiveFloat = Field(default=120.0, allow_inf_nan=False, description="Seconds that a clip may take.")

    def sound(self) -> dict[str, Any]:
        """What of it decides how its clips sound; how patiently they are asked for does not."""
        return self.model_dump(mode="json", exclude={"connections", "attempts", "pause", "timeout"})


class RecordingsVoice(Voice):
    """A folder with one recording an item: natural speech, or speech made elsewhere."""

    provider: Literal["recordings"] = Field(description="A folder with one recording an item.")
    folder: Path = Field(description="The folder; relative to where the study is run.")
    pattern: str = Field(
        default="{task}/{id}.{ext}",
        description="Path of an item's recording below it; `{ext}` is any of wav, flac, mp3, ogg, opus, aiff, aif.",
    )

    @field_validator("pattern")
    @classmethod
    def _stays_inside(cls, pattern: str) -> str:
        fields = [(name, how, kind) for _, name, how, kind in Formatter().parse(pattern) if name is not None]
        if not {name for name, _, _ in fields} <= {"task", "id", "ext"} or any(how or kind for _, how, kind in fields):
            raise ValueError("only {task}, {id} and {ext} stand for something")
        if "id" not in {name for name, _, _ in fields}:
            raise ValueError("it must hold {id}, or all items have the same recording")
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("it must lead to files below the folder")
        if not pattern.isprintable() or max(map(len, path.parts)) > LONGEST_PART:
            raise ValueError(f"it must be a path that can be printed, of names with at most {LONGEST_PART} bytes")
        return pattern

    def sound(self) -> dict[str, Any]:
        """What of it decides how its clips sound: not where the recordings lie; each goes by its own hash."""
        return self.model_dump(mode="json", include={"provider"})


VoiceSpec = Annotated[Voice, OneOf(VOICES, "provider")]


class SpeechConfig(Closed):
    """Which voices speak the items."""

    voices: list[str] = Field(min_length=1, description="Voices for the tasks that ask about the words.")
    prosody_voices: list[str] = Field(
        default=[],
        description="Voices for items that carry their label in the voice; their provider must control prosody.",
    )
    silence: bool = Field(
        default=False,
        description="Ask every system also over silence, in clips as long as those of each task's first voice: what is "
        "right there, or agreed, is owed to the prompt.",
    )
    silence_items: PositiveInt | None = Field(
        default=None,
        description="Items of each task that are asked over silence, each text before another style of one; null "
        "takes all.",
    )
    max_seconds: float = Field(default=30.0, gt=0, description="Longer clips are reported (Whisper's window is 30 s).")


Talkers = Annotated[PositiveInt, Field(le=100)]
"""More are no babble but stationary noise."""
Decibels = list[Annotated[float, Field(ge=RATIO.least, le=RATIO.most)]]
ReverberationTime = Annotated[int, Field(ge=int(RT60.least), le=int(RT60.most))]


class MusanSource(Closed):
    """Speech and music of MUSAN (Snyder, Chen and Povey, 2015): its archive, or a folder laid out like it."""

    # MUSAN is published under CC BY 4.0 as a whole; its recordings are a mix of public domain and Creative Commons
    # licences that the LICENSE files beside them name.
    archive: str | None = Field(
        default=None,
        description="musan.tar.gz: its address (https://www.openslr.org/resources/17/musan.tar.gz, 11 GB), or its path "
        "on this machine.",
    )
    sha256: Sha256 | None = Field(default=None, description="SHA-256 that the archive must have.")
    md5: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{32}$",
        description="MD5 that the archive must have (the published one: 0c472d4fc0c5141eca47ad1ffeb2a7df).",
    )
    folder: Path | None = Field(
        default=None, description="Instead of an archive: a folder with `speech` and `music` in it."
    )
    parts: list[Literal["speech", "music"]] = Field(
        default=["speech", "music"],
        min_length=1,
        description="What is used: `speech` for the babble, `music` for music; without `speech` the voices go on "
        "babbling.",
    )

    @property
    def url(self) -> str | None:
        """The archive's address; None if it lies on this machine."""
        return self.archive if self.archive and "://" in self.archive else None


class AddedNoise(Closed):
    """Noise of a kind that was added."""

    levels: list[float] = Field(
        description="Its levels; each is a condition, whose name is the kind's prefix and the level."
    )
    folder: Path | None = Field(default=None, description="Sound files that it is made of, where it is made of any.")


class NoiseConfig(Closed):
    """Babble, music, stationary noise and rooms; each level of each kind is one condition."""

    snr_db: Decibels = Field(default=[], description="Babble: signal-to-noise ratios in dB (`snr10`).")
    music_snr_db: Decibels = Field(
        default=[], description="Music of MUSAN: signal-to-noise ratios in dB (`music10`); needs `musan`."
    )
    stationary_snr_db: Decibels = Field(
        default=[],
        description="Stationary noise with the long-term spectrum of the voice: signal-to-noise ratios in dB "
        "(`stationary10`).",
    )
    reverb_rt60_ms: list[ReverberationTime] = Field(
        default=[], description="Simulated rooms: reverberation times (RT60) in ms (`reverb600`)."
    )
    kinds: dict[str, AddedNoise] = Field(
        default={}, description="Kinds of noise that were added to the four above, by name: their levels."
    )
    voices: list[str] = Field(default=[], description="Voices whose clips are also heard in noise.")
    tasks: list[TaskName] = Field(default=[], description="Tasks that are also run in noise.")
    systems: list[str] = Field(
        default=[], description="Systems that are also run in noise; empty takes all. A pair needs both of its systems."
    )
    babble_voices: list[str] = Field(
        default=[],
        description="Voices that babble in the background, heard otherwise or not; empty takes every other voice of "
        "`speech.voices`.",
    )
    talkers: Talkers = Field(default=4, description="Talkers in the babble (3 to 7 of MUSAN's).")
    max_talkers: Talkers | None = Field(
        default=None,
        description="Draw each clip's number of talkers from `talkers` to this; null has the same for all.",
    )
    folder: Path | None = Field(
        default=None, description="Take the talkers from the sound files here instead of from the other voices."
    )
    musan: MusanSource | None = Field(
        default=None,
        description="Take talkers and music from MUSAN; null: the talkers are voices, and there is no music.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed; with (task, item, voice) it fixes a clip's noise.")

    def babbles(self) -> Literal["voices", "folder", "musan"]:
        """Where the talkers come from."""
        if self.folder is not None:
            return "folder"
        return "musan" if self.musan is not None and "speech" in self.musan.parts else "voices"

    def levels(self) -> dict[str, Sequence[float]]:
        """Levels of each kind, in a reader's order of the kinds."""
        found: dict[str, Sequence[float]] = {}
        for name, kind in NOISE_KINDS.items():
            if kind.key is not None:
                found[name] = getattr(self, kind.key)
            else:
                found[name] = self.kinds[name].levels if name in self.kinds else []
        return found

    def folder_of(self, kind: str) -> Path | None:
        """The user's folder with the sound files of a kind of noise; None where none is named."""
        if NOISE_KINDS[kind].key is not None:
            return self.folder
        return self.kinds[kind].folder if kind in self.kinds else None

    def conditions(self) -> list[str]:
        """Names of the noisy conditions."""
        return [condition_name(level, kind) for kind, levels in self.levels().items() for level in levels]
