"""Sound files that noise is made of: which there are in a folder, and a stretch of one."""

from pathlib import Path

import numpy as np
import soundfile

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.waveform import Waveform, resample

SOUND_FILES = {".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav"}
LONGEST_SECONDS = 60.0
"""Of a longer sound file only a window of this length, at a random place, is read."""


def find_sound_files(folder: Path, what: str) -> list[Path]:
    """Find the sound files in a folder and the folders in it.

    Args:
        folder: The folder.
        what: What they are to be made into, for the message.

    Returns:
        Their paths, sorted.

    Raises:
        StudyError: If there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND_FILES and path.is_file())
    if not paths:
        raise StudyError(f"{folder} holds no sound files ({', '.join(sorted(SOUND_FILES))}) to make {what} of.")
    return paths


def read_window(path: Path, rng: np.random.Generator) -> Waveform:
    """Samples of a file at 16 kHz, all channels mixed, shape (n,): all of it, or 60 s from a random place.

    Raises:
        StudyError: If the file cannot be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            window = int(LONGEST_SECONDS * file.samplerate)
            file.seek(int(rng.integers(max(0, file.frames - window) + 1)))
            audio = file.read(window, dtype="float32", always_2d=True)
            return resample(audio.mean(axis=1), file.samplerate)
    except soundfile.LibsndfileError as error:
        raise StudyError(f"{path} cannot be read as sound ({error}): mend it or take it away.") from error
