"""One spoken word taken away: silenced in the sound, or left out of the text that is read.

Leave-one-out attribution (Li, Monroe & Jurafsky 2016): what a word is to an answer is by how much the log-odds of the
label fall without it. Open this for how a word is taken out of a clip, and which word of a transcript it is.
"""

import hashlib
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cascade_equivalence.models.recording import Recording

if TYPE_CHECKING:
    from cascade_equivalence.models.transcription.alignment import Aligner

WORDS_OUT_FORMAT = 1
"""Raised when the same clip and span would give another sound."""
RATE, FADE = 16_000, 0.005
"""Samples a second; seconds in which the sound goes down to silence and comes back, inside the span."""
WINDOW, FRAMES_A_SECOND = 30.0, 50
"""What Whisper's encoder takes in, in seconds, and its frames in a second."""
Span = tuple[float, float]


def silenced(audio: np.ndarray, span: Span) -> np.ndarray:
    """A clip with silence in the place of a span; it stays as long as it is.

    Args:
        audio: Samples at 16 kHz, (n,).
        span: Start and end in seconds; an empty one changes nothing.
    """
    first, last = (min(len(audio), max(0, round(at * RATE))) for at in span)
    fade = min(round(FADE * RATE), (last - first) // 2)
    gain = np.ones(len(audio), dtype=np.float32)
    gain[first:last] = 0
    if fade:
        down = np.linspace(1, 0, fade, endpoint=False, dtype=np.float32)
        gain[first : first + fade], gain[last - fade : last] = down, down[::-1]
    return np.asarray(audio * gain, dtype=np.float32)


def without_span(recording: Recording, span: Span) -> Recording:
    """The recording of such a clip, under a hash of its own."""
    name = f"silenced {WORDS_OUT_FORMAT} {recording.sha256} {span[0]:.4f} {span[1]:.4f}"
    return Recording(hashlib.sha256(name.encode()).hexdigest(), recording.seconds, partial(_decoded, recording, span))


def _decoded(recording: Recording, span: Span) -> np.ndarray:
    return silenced(recording.decode(), span)


def widened(span: Span, by: float, seconds: float) -> Span:
    """A span that begins earlier and ends later by so many seconds, within a clip of so many."""
    return max(0.0, span[0] - by), min(seconds, span[1] + by)


def word_spans(aligner: "Aligner", recording: Recording, text: str) -> list[Span] | None:
    """When each space-separated word of a text is spoken, by Whisper's cross-attention (``models.transcription``).

    Args:
        aligner: An open Whisper.
        recording: The clip.
        text: What is said in it.

    Returns:
        Start and end of each word in seconds; None where the words cannot be found, or the clip is longer than Whisper
        hears at once.
    """
    import torch
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    if recording.seconds > WINDOW or not text.split():
        return None
    frames = int(recording.seconds * FRAMES_A_SECOND)
    padded = pad_or_trim(torch.from_numpy(np.array(recording.decode(), dtype=np.float32)))
    with torch.inference_mode():
        states = aligner.model.encoder(log_mel_spectrogram(padded, aligner.model.dims.n_mels)[None])
    (starts,) = aligner.starts(states, [frames], [text])
    if starts is None:
        return None
    times = [start / FRAMES_A_SECOND for start in starts]
    return list(pairwise(times))


def places_in(text: str, transcript: str) -> list[int | None]:
    """Which word of a transcript stands for each word of a text; None where none does.

    Words are the same whatever their case and punctuation; where as many others stand between the same neighbours, they
    are taken in turn.

    Args:
        text: What was said.
        transcript: What was heard.
    """
    said, heard = ([_bare(word) for word in each.split()] for each in (text, transcript))
    places: list[int | None] = [None] * len(said)
    for kind, first, last, start, end in SequenceMatcher(None, said, heard, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and last - first == end - start):
            places[first:last] = range(start, end)
    return places


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum()) or word


def without_word(text: str, place: int) -> str:
    """A text without one of its space-separated words."""
    words = text.split()
    return " ".join([*words[:place], *words[place + 1 :]])


def log_odds(scores: Mapping[str, float], label: str) -> float:
    """Log-odds in nats of a label against all others, from log-likelihoods."""
    others = np.array([score for name, score in scores.items() if name != label])
    return float(scores[label] - np.logaddexp.reduce(others))
