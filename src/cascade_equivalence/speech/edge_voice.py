"""Neural voices of Microsoft Edge's read-aloud service; a clip that is not whole is asked for again.

The service gives no guarantees: it throttles, drops connections and now and then leaves words out. A clip is asked for
again until it is whole, and what is finished is in the store of clips, so that nothing is asked for twice. The service
may also change a voice from one day to the next without a new name: the clips in the store are the data set.
"""

import random
from collections.abc import Callable
from difflib import get_close_matches
from io import BytesIO
from threading import Event

import numpy as np
import soundfile

from cascade_equivalence.config.speech import EdgeVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.audit import find_problem
from cascade_equivalence.speech.edge_service import EdgeSpeech, UnspokenError, list_voices, request_speech
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, resample

FORMAT = "audio-24khz-48kbitrate-mono-mp3"
"""The only one that edge-tts asks for."""
BITS_PER_SECOND = 48_000

FASTEST, SLOWEST = 20.0, 1.0
"""Letters and digits a second. People read 12 to 15; digits are read slowly, a number of four takes up to 2 s."""
PAUSES = 5.0
"""Seconds that a clip may be longer than its slowest reading: the service adds about 1 s of silence."""
TOLERANCE = 0.1
"""Seconds by which lengths may differ; an MP3 frame of this format takes 0.024 s."""

LONGEST_PAUSE, LONGEST_HOLD = 120.0, 600.0
JITTER = 0.5


class EdgeProvider:
    """A voice of the read-aloud service. Each request has a connection of its own."""

    name = "edge"

    def __init__(
        self, spec: EdgeVoice, stop: Event | None = None, wait: Callable[[float], object] | None = None
    ) -> None:
        """Take a voice; nothing is asked of the service yet.

        Args:
            spec: The voice.
            stop: Set once nobody waits for the voice any more; pauses then end in an error.
            wait: Waits some seconds; for tests.
        """
        self._spec, self._stop = spec, stop or Event()
        self._wait = wait or self._stop.wait
        self._chance = random.Random()  # noqa: S311 - jitter
        self._listed = False

    def identity(self) -> str:
        """Service, voice and format. Without the library's version: that a new one gets in again changes no sound."""
        return f"Microsoft Edge read aloud, voice {self._spec.name}, {FORMAT}"

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text; see ``Provider.speak``.

        Raises:
            StudyError: If a style is asked for, the service has no such voice, or no attempt gave a whole clip.
        """
        if style is not None:
            raise StudyError(f"edge voices cannot speak in a style ({style}): choose an espeak voice or recordings.")
        if not any(character.isalnum() for character in text):
            # The service would be silent, as it is when it throttles.
            return np.zeros(0, dtype=np.float32)
        attempt = 1
        while True:
            try:
                return check_speech(request_speech(self._spec, text), text, self._spec)
            except UnspokenError as error:
                if error.empty:
                    self._check_voice()
                if attempt == self._spec.attempts:
                    raise self._gives_up(error) from error
                self._pause(attempt, error)
                attempt += 1

    def _pause(self, attempt: int, error: UnspokenError) -> None:
        seconds = min(LONGEST_PAUSE, self._spec.pause * 2 ** (attempt - 1)) * self._chance.uniform(1, 1 + JITTER)
        seconds = max(seconds, min(error.retry_after or 0.0, LONGEST_HOLD))
        print(
            f"The edge voice {self._spec.name}: {error.reason}; attempt {attempt + 1} of {self._spec.attempts} in "
            f"{seconds:.0f} s"
        )
        self._wait(seconds)
        if self._stop.is_set():
            raise StudyError(f"the edge voice {self._spec.name} was stopped while it waited for the service.")

    def _gives_up(self, error: UnspokenError) -> StudyError:
        times = "once" if self._spec.attempts == 1 else f"{self._spec.attempts} times"
        what = f"the edge voice {self._spec.name} was asked {times} in vain; at last {error.reason}."
        kept = "The clips that are finished are kept: run again to go on from there."
        return StudyError(" ".join(filter(None, [what, error.advice, kept])))

    def _check_voice(self) -> None:
        """Refuse a voice that the service does not list; asked once, and only if the voice has given cause."""
        if self._listed:
            return
        try:
            names = list_voices()
        except UnspokenError:
            return
        self._listed = True
        if self._spec.name not in names:
            near = get_close_matches(self._spec.name, names, n=5, cutoff=0.4)
            raise StudyError(
                f"the read-aloud service has no voice {self._spec.name!r}; near it are {', '.join(near) or 'none'}. "
                "`edge-tts --list-voices` lists them all."
            )


def check_speech(reply: EdgeSpeech, text: str, spec: EdgeVoice) -> Waveform:
    """Decode a reply and refuse what cannot be the whole text.

    Args:
        reply: What the service sent.
        text: What it was to say.
        spec: The voice, for its rate.

    Returns:
        Samples at 16 kHz, shape (n,).

    Raises:
        UnspokenError: If the MP3 is damaged, the sound ends before the last word does, there is none, or its length is
            not one that the words could take.
    """
    try:
        audio, rate = soundfile.read(BytesIO(reply.mp3), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnspokenError("the service sent something that is no whole MP3") from error
    seconds = len(audio) / rate
    if abs(seconds - len(reply.mp3) * 8 / BITS_PER_SECOND) > TOLERANCE:
        raise UnspokenError(f"the service sent a damaged MP3 (only {seconds:.1f} s can be decoded)")
    if seconds < reply.spoken - TOLERANCE:
        raise UnspokenError(f"the sound is cut off at {seconds:.1f} s of {reply.spoken:.1f} s")
    speech = resample(audio.mean(axis=1), rate)
    if (problem := find_problem(speech, max_seconds=float("inf"))) in ("empty", "silent"):
        raise UnspokenError(f"the sound is {problem}")
    letters = sum(character.isalnum() for character in text)
    faster = 1 + int(spec.rate.removesuffix("%")) / 100
    shortest, longest = letters / (FASTEST * faster), letters / (SLOWEST * faster) + PAUSES
    if not shortest <= speech.size / SAMPLING_RATE <= longest:
        raise UnspokenError(f"{seconds:.1f} s of sound cannot be a text that takes {shortest:.1f} to {longest:.1f} s")
    return speech
