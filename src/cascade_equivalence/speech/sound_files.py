"""Sound files that noise is made of: which there are in a folder, and a stretch of one."""

from pathlib import Path

import numpy as np
import soundfile

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.waveform import Waveform, resample

SOUND_FILES = {".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav"}
LONGEST_SECONDS = 60.0
"""Of a longer sound file only a window of this length, at a random place, is read."""

# What soundfile raises for files that libsndfile opens but cannot read.
_FOREIGN = (soundfile.SoundFileError, OSError, ArithmeticError, AssertionError, MemoryError, TypeError, ValueError)


def find_sound_files(folder: Path, what: str) -> list[Path]:
    """Find the sound files in a folder and the folders in it.

    Args:
        folder: The folder.
        what: What they are to be made into, for the message.

    Returns:
        Their paths, sorted; without hidden ones, which systems put beside others ("._a.wav").

    Raises:
        StudyError: If there are none.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUND_FILES and not _is_hidden(path.relative_to(folder)) and path.is_file()
    )
    if not paths:
        raise StudyError(f"{folder} holds no sound files ({', '.join(sorted(SOUND_FILES))}) to make {what} of.")
    return paths


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_window(path: Path, rng: np.random.Generator) -> Waveform:
    """Samples of a file at 16 kHz, all channels mixed, shape (n,): all of it, or 60 s from a random place.

    Raises:
        StudyError: If the file cannot be read, ends before its header says, or holds samples that are not numbers; it
            is named.
    """
    try:
        with soundfile.SoundFile(path) as file:
            window = int(LONGEST_SECONDS * file.samplerate)
            start = int(rng.integers(max(0, file.frames - window) + 1))
            if file.seekable():
                file.seek(start)
            else:
                _pass_over(file, start)
            audio = file.read(window, dtype="float32", always_2d=True)
            if file.frames and not len(audio):
                raise StudyError(f"{path} breaks off before its header says: mend it or take it away.")
            if not np.isfinite(audio).all():
                raise StudyError(f"{path} holds samples that are not numbers (NaN): mend it or take it away.")
            return resample(audio.mean(axis=1), file.samplerate)
    except (
        soundfile.SoundFileError,
        OSError,
        ArithmeticError,
        AssertionError,
        MemoryError,
        TypeError,
        ValueError,
    ) as e:
        raise StudyError(f"{path} cannot be read as sound ({e}): mend it or take it away.") from e


def _pass_over(file: soundfile.SoundFile, frames: int) -> None:
    """Read on in a file that can only be read from its beginning, such as one of telephone speech (GSM 6.10)."""
    while frames:
        read = len(file.read(min(frames, file.samplerate), dtype="float32", always_2d=True))
        frames = frames - read if read else 0
