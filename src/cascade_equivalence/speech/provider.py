"""What a provider of voices is: how its entries in the config look, how a voice is opened, and what it can do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, get_args

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.speech import Voice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import find_style

if TYPE_CHECKING:
    from cascade_equivalence.speech.clips import Clip
    from cascade_equivalence.speech.synthesize import Utterance
    from cascade_equivalence.speech.waveform import Waveform


class Provider(Protocol):
    """A voice, ready to speak. Not for use by several threads at once."""

    @property
    def name(self) -> str:
        """Engine: the provider's name."""

    def identity(self) -> str:
        """Engine, voice and their versions: all that can change the sound beside the voice's own settings."""

    def speak(self, text: str, style: str | None) -> "Waveform":
        """Speak a text; the same call gives the same samples, but for a service, which nothing can be held to.

        Args:
            text: What to say.
            style: A name of ``prosody.STYLES``, or None for the voice as it is.

        Returns:
            Samples at 16 kHz, shape (n,); none, or a few of silence, if nothing in the text can be spoken.

        Raises:
            StudyError: If the style is unknown or beyond the engine, or the engine fails on the text.
        """


@dataclass(frozen=True)
class Reading:
    """Items whose recordings are to be read.

    Attributes:
        items: What is said.
        task: Their task.
        voice: Name of the voice in the config.
        spec: The voice.
        max_seconds: Longest clip that the models hear whole.
        store: Folder that keeps finished clips.
    """

    items: "Sequence[Utterance]"
    task: str
    voice: str
    spec: Any
    max_seconds: float
    store: Path


@dataclass(frozen=True)
class VoiceProvider:
    """A provider of voices.

    Attributes:
        name: What the config calls it, under ``provider``.
        spec: Class of its voices' entries in the config. Its key ``provider`` can be the name only.
        open: Starts a voice, given its entry and an event that is set once nobody waits for it any more; the voice
            stops where the context ends. Engines are imported in it.
        prosody: Whether it speaks in a style, which is rate, pitch, pitch range and loudness; or its recordings are
            spoken in one.
        connections: Connections that a job keeps open, given the entry: of a service that needs the network.
        read: Reads the clips of items instead of speaking them: of recordings.
        files: The user's own files that a task's clips are made of, given the entry and the task.
        packages: Python packages whose versions are recorded with the results.
        modules: Modules of the package that decide how its clips sound, as globs below the package.
    """

    name: str
    spec: type[Voice]
    open: Callable[[Any, Event | None], AbstractContextManager[Provider]]
    prosody: bool = False
    connections: Callable[[Any], int] | None = None
    read: "Callable[[Reading], list[Clip]] | None" = None
    files: Callable[[Any, str], Mapping[str, Path]] | None = None
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a class whose entries would not lead back here."""
        field = self.spec.model_fields["provider"]
        if get_args(field.annotation) != (self.name,):
            raise StudyError(
                f"the voice provider {self.name!r} needs `provider: Literal[{self.name!r}]` in {self.spec.__name__}"
            )

    def connections_of(self, voice: Voice) -> int:
        """Connections that a job in a voice keeps open; 0 unless a service speaks."""
        return 0 if self.connections is None else int(self.connections(voice))

    @property
    def is_service(self) -> bool:
        """Whether its clips are asked for over the network."""
        return self.connections is not None

    @property
    def is_recorded(self) -> bool:
        """Whether its clips are recordings of a study's items."""
        return self.read is not None


def open_provider(spec: VoiceSpec, stop: Event | None = None) -> AbstractContextManager[Provider]:
    """Start a voice, and stop it at the end of the block.

    Args:
        spec: The voice.
        stop: Set once nobody waits for the voice any more: one that pauses between requests then gives up.

    Returns:
        A context that holds the voice, ready to speak.

    Raises:
        StudyError: If the engine is not installed, the voice does not exist or cannot be fetched, or it is a folder
            of recordings, which say what they say (``recordings_voice.read_recordings``).
    """
    return VOICES.find(spec.provider).open(spec, stop)


def workers(spec: VoiceSpec, threads: int) -> int:
    """How many of a voice speak side by side: a service's connections, or the processor's threads.

    Args:
        spec: The voice.
        threads: Threads that the job has.
    """
    return VOICES.find(spec.provider).connections_of(spec) or threads


def check_styles(spec: VoiceSpec, voice_name: str, styles: Iterable[str | None]) -> None:
    """Refuse styles that a voice cannot speak in, before it is started.

    Args:
        spec: The voice.
        voice_name: Its name in the config, for the message.
        styles: Styles that will be asked for; None asks for nothing.

    Raises:
        StudyError: If a style is unknown, or any is asked of a voice without control of prosody.
    """
    wanted = sorted({style for style in styles if style is not None})
    for style in wanted:
        find_style(style)
    if wanted and not VOICES.find(spec.provider).prosody:
        able = " or ".join(name for name, provider in VOICES.items() if provider.prosody)
        raise StudyError(
            f"Voice {voice_name} ({spec.provider}) cannot speak in a style ({', '.join(wanted)}): choose a voice of "
            f"{able} for items that carry their label in the voice (`prosody_voices`)."
        )
