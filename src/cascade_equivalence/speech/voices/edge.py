"""Neural voices of Microsoft Edge's read-aloud service."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from cascade_equivalence.config.speech import EdgeVoice
from cascade_equivalence.speech.provider import Provider, VoiceProvider


@contextmanager
def _open(spec: EdgeVoice, stop: Event | None) -> Iterator[Provider]:
    from cascade_equivalence.speech.edge_voice import EdgeProvider

    yield EdgeProvider(spec, stop)


# Without prosody: the service takes no pitch range, which alone tells some styles apart, and its pitch is in Hz, whose
# size depends on the voice.
EDGE = VoiceProvider(
    name="edge",
    spec=EdgeVoice,
    open=_open,
    connections=lambda spec: spec.connections,
    modules=("speech/edge*.py",),
)
