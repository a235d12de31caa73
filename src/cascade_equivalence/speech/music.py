"""Music behind speech: a stretch of one recording a clip, such as those of MUSAN's `music`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.noise import mix_clips, noise_generator
from cascade_equivalence.speech.sound_files import find_sound_files, read_window
from cascade_equivalence.speech.waveform import Waveform, rms

QUIETEST = 1e-3
"""-60 dB: what is quieter is a rest."""
ATTEMPTS = 20
"""Stretches that are drawn before music counts as silent: pieces fade in and out, and have rests."""


def clip_music(clip: Clip, files: Sequence[Path], task: str, seed: int) -> Waveform:
    """Music for one clip, of its length; depends on the ratio in nothing.

    Args:
        clip: The clip to be covered.
        files: Recordings to choose from, sorted.
        task: Task of the clip.
        seed: The study's seed.

    Returns:
        Samples at 16 kHz, as many as the clip has, one stretch of one recording; a shorter recording is repeated. The
        gain is free.

    Raises:
        StudyError: If a recording cannot be read, or all that are drawn are silent.
    """
    rng = noise_generator(seed, task, clip, "music")
    samples = decode(clip).size
    for _ in range(ATTEMPTS):
        music = excerpt(read_window(files[int(rng.integers(len(files)))], rng), samples, rng)
        if rms(music) >= QUIETEST:
            return music
    raise StudyError(
        f"{task}: {ATTEMPTS} stretches of music for clip {clip.id} in voice {clip.voice} are all silent: are the "
        f"{len(files)} files music?"
    )


def excerpt(sound: Waveform, samples: int, rng: np.random.Generator) -> Waveform:
    """A stretch of a recording from a random point, shape (samples,); one that is too short is repeated."""
    if sound.size >= samples:
        start = int(rng.integers(sound.size - samples + 1))
        return sound[start : start + samples]
    return np.resize(sound, samples)


def add_music(clean: Sequence[Clip], folder: Path, task: str, snr_db: float, seed: int) -> Iterator[Clip]:
    """Clips of one voice with music behind them.

    Args:
        clean: The clips.
        folder: Folder with the music.
        task: Task of the clips.
        snr_db: Signal-to-noise ratio in dB.
        seed: The study's seed.

    Yields:
        The clips with music, in the same order, each with its measured ratio.

    Raises:
        StudyError: If a clip is empty or silent, there is no music, or 16 bits cannot hold the ratio.
    """
    files = find_sound_files(folder, "music")
    return mix_clips(clean, lambda clip: clip_music(clip, files, task, seed), task, snr_db)
