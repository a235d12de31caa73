"""What a voice can do, whichever engine speaks."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Protocol

from cascade_equivalence.config.speech import EdgeVoice, EspeakVoice, HibariVoice, RecordingsVoice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import find_style
from cascade_equivalence.speech.waveform import Waveform


class Provider(Protocol):
    """A voice, ready to speak. Not for use by several threads at once."""

    @property
    def name(self) -> str:
        """Engine: `hibari`, `espeak` or `edge`."""

    def identity(self) -> str:
        """Engine, voice and their versions: all that can change the sound beside the voice's own settings."""

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text; the same call gives the same samples, but for a service, which nothing can be held to.

        Args:
            text: What to say.
            style: A name of ``prosody.STYLES``, or None for the voice as it is.

        Returns:
            Samples at 16 kHz, shape (n,); none, or a few of silence, if nothing in the text can be spoken.

        Raises:
            StudyError: If the style is unknown or beyond the engine, or the engine fails on the text.
        """


@contextmanager
def open_provider(spec: VoiceSpec, stop: Event | None = None) -> Iterator[Provider]:
    """Start a voice, and stop it at the end of the block.

    Args:
        spec: The voice.
        stop: Set once nobody waits for the voice any more: one that pauses between requests then gives up.

    Yields:
        The voice, ready to speak.

    Raises:
        StudyError: If the engine is not installed, the voice does not exist or cannot be fetched, or it is a folder
            of recordings, which say what they say (``recordings_voice.read_recordings``).
    """
    # Each engine is imported only where it speaks: none is needed for another.
    match spec:
        case HibariVoice():
            from cascade_equivalence.speech.hibari_voice import HibariProvider

            yield HibariProvider(spec)
        case EspeakVoice():
            from cascade_equivalence.speech.espeak_voice import EspeakProvider

            with closing(EspeakProvider(spec)) as provider:
                yield provider
        case EdgeVoice():
            from cascade_equivalence.speech.edge_voice import EdgeProvider

            yield EdgeProvider(spec, stop)
        case RecordingsVoice():
            raise StudyError(
                f"The recordings in {spec.folder} are of a study's items; they cannot say anything else: choose a "
                "voice of another provider."
            )


def workers(spec: VoiceSpec, threads: int) -> int:
    """How many of a voice speak side by side: a service's connections, or the processor's threads.

    Args:
        spec: The voice.
        threads: Threads that the job has.
    """
    return spec.connections if isinstance(spec, EdgeVoice) else threads


def controls_prosody(spec: VoiceSpec) -> bool:
    """Whether the voice can speak in a style; a recording was spoken in it.

    A style is rate, pitch, pitch range and loudness. The read-aloud service takes no pitch range, which alone tells
    some styles apart, and its pitch is in Hz, whose size depends on the voice.
    """
    return isinstance(spec, EspeakVoice | RecordingsVoice)


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
    if wanted and not controls_prosody(spec):
        raise StudyError(
            f"Voice {voice_name} ({spec.provider}) cannot speak in a style ({', '.join(wanted)}): "
            "choose an espeak voice or recordings for items that carry their label in the voice (`prosody_voices`)."
        )
