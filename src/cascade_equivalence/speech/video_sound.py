"""The sound of a video clip, through the program ffmpeg."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.waveform import SAMPLING_RATE, STEPS, Waveform

_TIMEOUT = 300
_MESSAGE = 300


class UnreadableError(Exception):
    """A clip without sound, or one that cannot be decoded; the text says why."""


@cache
def find_ffmpeg() -> str:
    """The program's path.

    Raises:
        StudyError: If it is not installed.
    """
    if program := shutil.which("ffmpeg"):
        return program
    raise StudyError(
        "The sound of recorded clips is taken from video by ffmpeg, which is not on the PATH: install it "
        "(`apt-get install ffmpeg`, `brew install ffmpeg` or `conda install -c conda-forge ffmpeg`)."
    )


@cache
def ffmpeg_version() -> str:
    """The program's version, for the record."""
    said = subprocess.run([find_ffmpeg(), "-version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"ffmpeg version (\S+)", said)
    return found[1] if found else "unknown"


def read_sound(clip: Path, seconds: float, form: str = "mov") -> tuple[Waveform, str]:
    """Decode the first sound track of an mp4 file, all its channels mixed into one.

    Args:
        clip: The file. Nothing but the file itself is read, whatever is in it.
        seconds: How much is decoded, from the beginning.
        form: What ffmpeg calls the format, where it is another.

    Returns:
        Samples at 16 kHz, shape (n,), in steps of 16 bits; and what ffmpeg found amiss, mostly nothing.

    Raises:
        UnreadableError: If there is no sound track, or it cannot be decoded.
        StudyError: If ffmpeg is not installed.
    """
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]
    # A playlist that is called .mp4 could make ffmpeg open other files and addresses.
    command += ["-protocol_whitelist", "file,pipe", "-f", form, "-i", f"file:{clip}"]
    command += ["-map", "0:a:0", "-vn", "-sn", "-dn", "-t", str(seconds)]
    command += ["-ac", "1", "-ar", str(SAMPLING_RATE), "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    try:
        outcome = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(f"ffmpeg did not end within {_TIMEOUT} s") from error
    said = " ".join(outcome.stderr.decode(errors="replace").replace(f"file:{clip}", "clip").split())
    if "matches no streams" in said:
        raise UnreadableError("there is no sound track in it")
    if outcome.returncode:
        raise UnreadableError(f"it cannot be decoded: {said[-_MESSAGE:] or f'exit status {outcome.returncode}'}")
    steps = np.frombuffer(outcome.stdout, dtype="<i2")
    return np.asarray(steps / STEPS, dtype=np.float32), said[:_MESSAGE]
