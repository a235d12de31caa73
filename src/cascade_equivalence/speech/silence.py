"""Silence in the place of speech: clips of the same length in which nothing is said."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.waveform import encode_flac


def silenced(clips: Sequence[Clip], most: int | None = None) -> list[Clip]:
    """Clips of digital silence, each as long as the one in its place.

    Args:
        clips: Spoken clips.
        most: So many of them at most, each text once before any comes in another style; None takes all.

    Returns:
        The same items in the same order, without a text: all words that a recogniser writes are its own.

    Raises:
        StudyError: The audio of a clip is broken.
    """
    seen: Counter[str] = Counter()
    turns = []
    for clip in clips:
        turns.append(seen[clip.text])
        seen[clip.text] += 1
    kept = sorted(sorted(range(len(clips)), key=turns.__getitem__)[:most])
    made = []
    for clip in (clips[place] for place in kept):
        flac = encode_flac(np.zeros_like(decode(clip)))
        made.append(replace(clip, flac=flac, sha256=hash_audio(flac), text="", problem=None))
    return made
