"""Neural voices of hibari-tts."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from cascade_equivalence.config.speech import HibariVoice
from cascade_equivalence.speech.provider import Provider, VoiceProvider


@contextmanager
def _open(spec: HibariVoice, _: Event | None) -> Iterator[Provider]:
    from cascade_equivalence.speech.hibari_voice import HibariProvider

    yield HibariProvider(spec)


HIBARI = VoiceProvider(
    name="hibari",
    spec=HibariVoice,
    open=_open,
    packages=("hibari-tts",),
    modules=("speech/hibari*.py",),
)
