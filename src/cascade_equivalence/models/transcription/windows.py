"""Whisper on windows as long as the clip needs, in place of its 30 s (`transcribe.window: clip`)."""

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from cascade_equivalence.speech.waveform import SAMPLING_RATE

SILENCE = 2.0
"""Seconds of nothing behind the sound, which Whisper was trained to hear at the end of a clip."""
STEP = 2.0
"""Windows are whole multiples of so many seconds, so that clips of like length are heard together."""
WHOLE = 30.0
"""Seconds of the window that Whisper was trained on."""
REPETITIVE = 1.9
"""Compression ratio above which a transcript repeats itself (openai-whisper's own check takes 2.4 of whole windows)."""
WORDS_A_SECOND, WORDS_SPARE = 5.5, 4.0
"""More words than anybody says: in a second of sound, and beside."""

Hears = Callable[[Sequence[np.ndarray], float], list[str]]
"""Transcribes waveforms in a window of so many seconds."""


class ClipWindows:
    """Hears each clip in a window of its own length, and once more in a whole one where the transcript is doubtful.

    The window depends on the clip alone, never on what is heard beside it: a transcript is the same in any batch.

    Args:
        hears: How a Whisper engine transcribes.
    """

    def __init__(self, hears: Hears) -> None:
        self.hears = hears

    def transcribe(self, audio: Sequence[np.ndarray]) -> list[str]:
        """Transcribe waveforms (16 kHz, float32), in order."""
        seconds = [len(clip) / SAMPLING_RATE for clip in audio]
        texts = self._heard(audio, [window_of(each) for each in seconds])
        # Of a clip in which nothing is said any transcript is as good as the next.
        again = [
            index for index, text in enumerate(texts) if doubtful(text, seconds[index]) and bool(audio[index].any())
        ]
        whole = self._heard([audio[index] for index in again], [WHOLE] * len(again))
        for index, text in zip(again, whole, strict=True):
            texts[index] = text
        return texts

    def _heard(self, audio: Sequence[np.ndarray], windows: Sequence[float]) -> list[str]:
        texts = [""] * len(audio)
        alike: dict[float, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            alike[window].append(index)
        for window, indices in alike.items():
            for index, text in zip(indices, self.hears([audio[index] for index in indices], window), strict=True):
                texts[index] = text
        return texts


def window_of(seconds: float) -> float:
    """Seconds of the window in which a clip of so many seconds is heard."""
    return min(WHOLE, STEP * math.ceil((seconds + SILENCE) / STEP))


def doubtful(text: str, seconds: float) -> bool:
    """Whether a transcript is empty, repeats itself, or has more words than anybody says in that time."""
    if not text:
        return True
    spelled = text.encode()
    repetitive = len(spelled) / len(zlib.compress(spelled)) > REPETITIVE
    return repetitive or len(text.split()) > WORDS_A_SECOND * seconds + WORDS_SPARE
