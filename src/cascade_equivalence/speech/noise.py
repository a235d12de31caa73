"""Noise under clips at a fixed signal-to-noise ratio.

The ratio is that of the RMS of the whole clip, pauses included, to the RMS of the whole noise under it.

``audiomentations.AddBackgroundNoise`` mixes. It takes noise from files only and computes the length to read with a
division, so that for one length in a hundred the last sample goes missing; with its parameter ``duration`` set to None
it reads the whole file. Measured so on 200 random clips, the ratio is exact to 0.00002 dB and the mix equal to the
formula to the last bits of float32, for 7 ms a clip. It draws from Python's global random numbers, but with equal
bounds and a file of the clip's own length nothing depends on them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac, encode_flac, rms

PEAK = 0.99
TOLERANCE_DB = 0.1


def noise_generator(seed: int, task: str, clip: Clip, kind: str = "") -> np.random.Generator:
    """Random numbers for one clip's noise: the same at every level, in any order of clips.

    Args:
        seed: The study's.
        task: Task of the clip.
        clip: The clip; its item and voice count.
        kind: Kind of noise, so that kinds do not share numbers; empty for babble.
    """
    parts = [seed, task, clip.id, clip.voice, *([kind] if kind else [])]
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def mix(speech: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise to speech at a signal-to-noise ratio.

    Args:
        speech: Samples at 16 kHz, shape (n,).
        noise: Noise of the same shape, at any gain.
        snr_db: Ratio of RMS to RMS, in dB.

    Returns:
        Speech with its gain unchanged, plus scaled noise: shape (n,), possibly beyond full scale.

    Raises:
        StudyError: If the folder for temporary files is full.
    """
    from audiomentations import AddBackgroundNoise

    with TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        try:
            soundfile.write(path, noise, SAMPLING_RATE, subtype="FLOAT")
        except (OSError, soundfile.SoundFileError) as error:
            raise StudyError(f"{folder} cannot be written to ({error}): make room there, or set TMPDIR.") from error
        add_noise = AddBackgroundNoise(path, min_snr_db=snr_db, max_snr_db=snr_db, p=1.0)
        add_noise.randomize_parameters(speech, SAMPLING_RATE)
        add_noise.parameters["duration"] = None
        add_noise.freeze_parameters()
        return np.asarray(add_noise(speech, sample_rate=SAMPLING_RATE), dtype=np.float32)


def mix_clips(
    clean: Sequence[Clip], make_noise: Callable[[Clip], Waveform], task: str, snr_db: float
) -> Iterator[Clip]:
    """Mix each clip with noise of its own.

    A mix whose peak exceeds 0.99 is scaled down as a whole, which leaves the ratio as it is.

    Args:
        clean: The clips.
        make_noise: Noise for a clip, of its length; the gain is free.
        task: Task of the clips.
        snr_db: Signal-to-noise ratio in dB.

    Yields:
        The clips with noise, in the same order, each with its measured ratio; one at a time, so that not all their
        sound is in memory.

    Raises:
        StudyError: If a clip is empty or silent, no noise can be made, or 16 bits cannot hold the ratio.
    """
    with progress(f"{task} at {snr_db:g} dB", total=len(clean)) as advance:
        for clip in clean:
            yield _mix_clip(clip, make_noise, task, snr_db)
            advance()


def _mix_clip(clip: Clip, make_noise: Callable[[Clip], Waveform], task: str, snr_db: float) -> Clip:
    speech = decode(clip)
    if rms(speech) == 0:
        raise StudyError(f"{task}: clip {clip.id} in voice {clip.voice} is silent, so noise has no ratio to it.")
    mixture = mix(speech, make_noise(clip), snr_db)
    gain = min(1.0, PEAK / float(np.abs(mixture).max()))
    flac = encode_flac(np.float32(gain) * mixture)
    # Measured on what is stored: whatever is not the (scaled) speech is noise, the rounding to 16 bits included.
    scaled = gain * speech.astype(np.float64)
    rest = rms(decode_flac(flac) - scaled)
    measured = 20 * math.log10(rms(scaled) / rest) if rest else math.inf
    if abs(measured - snr_db) > TOLERANCE_DB:
        raise StudyError(
            f"{task}: clip {clip.id} in voice {clip.voice} has {measured:.2f} dB of signal to noise instead of "
            f"{snr_db:g} dB, for 16-bit audio holds no finer noise: ask for a lower ratio."
        )
    return replace(clip, flac=flac, sha256=hash_audio(flac), snr_db=measured)
