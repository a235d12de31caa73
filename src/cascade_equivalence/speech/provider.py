"""What a voice can do, whichever engine speaks."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol

from cascade_equivalence.config.speech import EspeakVoice, HibariVoice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import find_style
from cascade_equivalence.speech.waveform import Waveform


class Provider(Protocol):
    """A voice, ready to speak. Not for use by several threads at once."""

    @property
    def name(self) -> str:
        """Engine: `hibari` or `espeak`."""

    def identity(self) -> str:
        """Engine, voice and their versions: all that can change the sound beside the voice's own settings."""

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text; the same call always gives the same samples.

        Args:
            text: What to say.
            style: A name of ``prosody.STYLES``, or None for the voice as it is.

        Returns:
            Samples at 16 kHz, shape (n,); none, or a few of silence, if nothing in the text can be spoken.

        Raises:
            StudyError: If the style is unknown or beyond the engine, or the engine fails on the text.
        """


@contextmanager
def open_provider(spec: VoiceSpec) -> Iterator[Provider]:
    """Start a voice, and stop it at the end of the block.

    Args:
        spec: The voice.

    Yields:
        The voice, ready to speak.

    Raises:
        StudyError: If the engine is not installed, or the voice does not exist or cannot be fetched.
    """
    # Each engine is imported only where it speaks: neither is needed for the other.
    match spec:
        case HibariVoice():
            from cascade_equivalence.speech.hibari_voice import HibariProvider

            yield HibariProvider(spec)
        case EspeakVoice():
            from cascade_equivalence.speech.espeak_voice import EspeakProvider

            with closing(EspeakProvider(spec)) as provider:
                yield provider


def controls_prosody(spec: VoiceSpec) -> bool:
    """Whether the voice can speak in a style."""
    return isinstance(spec, EspeakVoice)


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
            "choose an espeak voice for items that carry their label in the voice (`prosody_voices`)."
        )
