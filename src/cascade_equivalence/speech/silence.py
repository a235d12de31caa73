"""Silence in the place of speech: clips of the same length in which nothing is said."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.waveform import encode_flac


def silenced(clips: Sequence[Clip], most: int | None = None) -> Iterator[Clip]:
    """Clips of digital silence, each as long as the one in its place.

    Args:
        clips: Spoken clips.
        most: So many of them at most, each text once, in styles that take turns, before any in another; None takes all.

    Yields:
        The same items in the same order, without a text: all words that a recogniser writes are its own.

    Raises:
        StudyError: The audio of a clip is broken.
    """
    places: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        places.setdefault(clip.text, []).append(place)
    # Each text begins with another of its styles, so that some of them are of all styles.
    turns = {
        place: (turn - text) % len(mine) for text, mine in enumerate(places.values()) for turn, place in enumerate(mine)
    }
    kept = sorted(sorted(turns, key=turns.__getitem__)[:most])
    for clip in (clips[place] for place in kept):
        flac = encode_flac(np.zeros_like(decode(clip)))
        yield replace(clip, flac=flac, sha256=hash_audio(flac), text="", problem=None)
