"""Clips in babble at a fixed signal-to-noise ratio.

The ratio is that of the RMS of the whole clip, pauses included, to the RMS of the whole noise under it. One clip's
babble (talkers, starting points, waveform) is the same at every ratio but for its gain, so conditions differ in nothing
else.

``audiomentations.AddBackgroundNoise`` mixes. It takes noise from files only and computes the length to read with a
division, so that for one length in a hundred the last sample goes missing; with its parameter ``duration`` set to None
it reads the whole file. Measured so on 200 random clips, the ratio is exact to 0.00002 dB and the mix equal to the
formula to the last bits of float32, for 7 ms a clip. It draws from Python's global random numbers, but with equal
bounds and a file of the clip's own length nothing depends on them.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.babble import (
    Talker,
    babble,
    babble_generator,
    choose_talkers,
    clip_talkers,
    file_talkers,
    load_talker,
)
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, decode_flac, encode_flac, rms

PEAK = 0.99
TOLERANCE_DB = 0.1


def clip_babble(clip: Clip, pool: Sequence[Talker], task: str, config: NoiseConfig) -> Waveform:
    """Babble for one clip, of its length; depends on the ratio in nothing.

    Args:
        clip: The clip to be covered.
        pool: Talkers to choose from; their order does not matter.
        task: Task of the clip.
        config: Number of talkers and seed.

    Returns:
        Samples at 16 kHz, as many as the clip has; the gain is free.

    Raises:
        StudyError: If the pool is too small or a talker cannot be heard.
    """
    rng = babble_generator(config.seed, task, clip.id, clip.voice)
    talkers = choose_talkers(pool, config.talkers, clip.text, clip.id, clip.voice, rng)
    return babble([load_talker(talker, rng) for talker in talkers], decode(clip).size, rng)


def mix(speech: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise to speech at a signal-to-noise ratio.

    Args:
        speech: Samples at 16 kHz, shape (n,).
        noise: Noise of the same shape, at any gain.
        snr_db: Ratio of RMS to RMS, in dB.

    Returns:
        Speech with its gain unchanged, plus scaled noise: shape (n,), possibly beyond full scale.
    """
    from audiomentations import AddBackgroundNoise

    with TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        soundfile.write(path, noise, SAMPLING_RATE, subtype="FLOAT")
        add_noise = AddBackgroundNoise(path, min_snr_db=snr_db, max_snr_db=snr_db, p=1.0)
        add_noise.randomize_parameters(speech, SAMPLING_RATE)
        add_noise.parameters["duration"] = None
        add_noise.freeze_parameters()
        return np.asarray(add_noise(speech, sample_rate=SAMPLING_RATE), dtype=np.float32)


def mix_condition(
    clean: Sequence[Clip], pool: Sequence[Clip], task: str, snr_db: float, config: NoiseConfig
) -> list[Clip]:
    """Clips of one voice in babble.

    A mix whose peak exceeds 0.99 is scaled down as a whole, which leaves the ratio as it is.

    Args:
        clean: The clips.
        pool: Clean clips to take the talkers from (those in the voice of a clip are passed over); not used where
            ``config.folder`` is set.
        task: Task of the clips.
        snr_db: Signal-to-noise ratio in dB.
        config: Talkers, folder and seed.

    Returns:
        The clips with noise, in the same order, each with its measured ratio.

    Raises:
        StudyError: If a clip is empty or silent, talkers are missing, or 16 bits cannot hold the ratio.
    """
    talkers = clip_talkers(pool) if config.folder is None else file_talkers(config.folder)
    mixed = []
    with progress(f"{task} at {snr_db:g} dB", total=len(clean)) as advance:
        for clip in clean:
            mixed.append(_mix_clip(clip, talkers, task, snr_db, config))
            advance()
    return mixed


def _mix_clip(clip: Clip, talkers: Sequence[Talker], task: str, snr_db: float, config: NoiseConfig) -> Clip:
    speech = decode(clip)
    if rms(speech) == 0:
        raise StudyError(f"{task}: clip {clip.id} in voice {clip.voice} is silent, so noise has no ratio to it.")
    mixture = mix(speech, clip_babble(clip, talkers, task, config), snr_db)
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
    return Clip(
        id=clip.id,
        voice=clip.voice,
        flac=flac,
        sampling_rate=SAMPLING_RATE,
        seconds=clip.seconds,
        provider=clip.provider,
        text=clip.text,
        sha256=hash_audio(flac),
        snr_db=measured,
        problem=clip.problem,
    )
