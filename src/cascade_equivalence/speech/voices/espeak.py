"""Formant voices of espeak-ng."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event

from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.speech.provider import Provider, VoiceProvider


@contextmanager
def _open(spec: EspeakVoice, _: Event | None) -> Iterator[Provider]:
    from cascade_equivalence.speech.espeak_voice import EspeakProvider

    with closing(EspeakProvider(spec)) as provider:
        yield provider


ESPEAK = VoiceProvider(
    name="espeak",
    spec=EspeakVoice,
    open=_open,
    prosody=True,
    packages=("espeakng-loader",),
    modules=("speech/espeak*.py",),
)
