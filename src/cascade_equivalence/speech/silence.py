"""Silence in the place of speech: clips of the same length in which nothing is said."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.waveform import encode_flac


def silenced(clips: Sequence[Clip]) -> list[Clip]:
    """Clips of digital silence, each as long as the one in its place.

    Args:
        clips: Spoken clips.

    Returns:
        The same items in the same order, without a text: all words that a recogniser writes are its own.

    Raises:
        StudyError: The audio of a clip is broken.
    """
    made = []
    for clip in clips:
        flac = encode_flac(np.zeros_like(decode(clip)))
        made.append(replace(clip, flac=flac, sha256=hash_audio(flac), text="", problem=None))
    return made
