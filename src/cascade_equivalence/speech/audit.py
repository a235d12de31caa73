"""Finds clips that are empty, silent, too long or clipped, and lists them for the user."""

from collections.abc import Iterable

import numpy as np

from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

SHORTEST_SECONDS = 0.05
"""Shorter audio holds no word: the shortest English vowel takes about this long."""

FRAME_SECONDS = 0.025
SILENCE = 1e-3
"""-60 dB: 33 of 32,768 steps. The voices speak at -20 to -27 dB, a whisper in a recording stays above -50 dB."""

FULL_SCALE = 0.999
SHORT_SECONDS = 0.5
"""Of a recording of an item: a word or two. Recognisers make words up for what is shorter, or miss it."""
CLIPPED_SAMPLES = 3
"""A peak may touch full scale once or twice by chance; three samples up there mean that tops are cut off."""

NAMES_SHOWN = 20


def find_problem(audio: Waveform, max_seconds: float) -> str | None:
    """Say what is wrong with a clip; the gravest problem if there are several.

    Args:
        audio: Samples at 16 kHz, shape (n,).
        max_seconds: Longest clip that the models hear whole, in seconds.

    Returns:
        "empty" (shorter than 0.05 s), "silent" (no 25 ms reach an RMS of -60 dB), "too long", "clipped" (three or
        more samples at full scale), or None.
    """
    if audio.size < SHORTEST_SECONDS * SAMPLING_RATE:
        return "empty"
    if _loudest_frame(audio) < SILENCE:
        return "silent"
    if audio.size > max_seconds * SAMPLING_RATE:
        return "too long"
    if np.count_nonzero(np.abs(audio) >= FULL_SCALE) >= CLIPPED_SAMPLES:
        return "clipped"
    return None


def remark_on_recording(seconds: float, rate: int) -> str | None:
    """Say what a recording without a problem lacks nevertheless, which the speech of a voice does not.

    Args:
        seconds: Its length.
        rate: Sampling rate in Hz that it was kept in.

    Returns:
        "short" (less than 0.5 s), "upsampled" (below 16 kHz), or None.
    """
    if seconds < SHORT_SECONDS:
        return "short"
    return "upsampled" if rate < SAMPLING_RATE else None


def report_problems(clips: Iterable[Clip], task: str) -> list[str]:
    """Refuse clips without speech, and name those to be careful with.

    Args:
        clips: Clips with their ``problem``.
        task: Task they belong to, for the message.

    Returns:
        One warning line for each problem and voice.

    Raises:
        StudyError: If any clip is empty or silent.
    """
    found: dict[tuple[str, str], list[str]] = {}
    count = 0
    for clip in clips:
        count += 1
        if clip.problem is not None:
            found.setdefault((clip.problem, clip.voice), []).append(clip.id)
    lines = {
        (
            problem,
            voice,
        ): f"{task}, voice {voice}: {len(ids)} of {count} clips {_said(problem)}: " + some_of(sorted(ids), NAMES_SHOWN)
        for (problem, voice), ids in sorted(found.items())
    }
    useless = [line for (problem, _), line in lines.items() if problem in ("empty", "silent")]
    if useless:
        raise StudyError("\n".join([*useless, "Give these items a text that can be spoken, or leave them out."]))
    return list(lines.values())


def _loudest_frame(audio: Waveform) -> float:
    length = int(FRAME_SECONDS * SAMPLING_RATE)
    return max(rms(audio[start : start + length]) for start in range(0, audio.size, length))


_SAID = {
    "too long": "are too long and will be cut",
    "short": f"are shorter than {SHORT_SECONDS} s",
    "upsampled": f"were recorded below {SAMPLING_RATE} Hz and hold nothing of what lies above half their rate",
}


def _said(problem: str) -> str:
    return _SAID.get(problem, f"are {problem}")
