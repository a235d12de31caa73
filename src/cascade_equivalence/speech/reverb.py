"""Speech in simulated rooms: shoebox rooms by the image-source method of pyroomacoustics (MIT licence).

Rooms, sources and microphones are drawn by the study's seed, the same at every reverberation time: conditions differ in
how much the walls absorb and in nothing else. The absorption starts from the inverse of Sabine's formula. That formula
takes the sound field to be diffuse, which a shoebox's is not: measured so, RT60s were up to 45 % off. The absorption is
therefore corrected until the RT60 that is measured on the impulse response (Schroeder's integral, T30) is the one asked
for.

A clip keeps its length, its level and the places of its words: the way from source to microphone is taken out, and what
still sounds after the clip's last sample is cut, as Kaldi's `wav-reverberate --shift-output` does it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.noise import PEAK, noise_generator
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, encode_flac, rms

ROOMS = 32
"""Rooms of a study; each clip is heard in one of them, drawn by its seed."""
SMALLEST, LARGEST = (4.5, 3.5, 2.6), (8.0, 6.0, 3.5)
"""Lengths, widths and heights in m: from a living room to a small classroom."""
FROM_WALLS = 0.5
HEIGHTS = (1.0, 1.8)
DISTANCES = (1.0, 3.0)
"""Of source and microphone, in m: from the walls, above the floor, from each other."""

RUMBLE_HZ = 20.0
"""Reflections of the image-source method are all positive and add up to a rumble, which is filtered out below this."""
TOLERANCE = 0.05
ATTEMPTS = 20
MEASURED_DECAY_DB = 30
"""T30: the line through the decay from -5 to -35 dB."""


@dataclass(frozen=True)
class Room:
    """A shoebox room with a source and a microphone in it, all in m.

    Attributes:
        size: Length, width, height.
        source: Place of the mouth.
        microphone: Place of the microphone.
    """

    size: tuple[float, ...]
    source: tuple[float, ...]
    microphone: tuple[float, ...]

    @property
    def distance(self) -> float:
        """From the source to the microphone."""
        return float(np.linalg.norm(np.subtract(self.source, self.microphone)))


@dataclass(frozen=True)
class ImpulseResponse:
    """What a microphone hears of a click.

    Attributes:
        samples: At 16 kHz, shape (n,).
        delay: Sample at which the direct sound arrives.
        rt60_ms: Measured reverberation time.
    """

    samples: npt.NDArray[np.float64]
    delay: int
    rt60_ms: float


def draw_room(seed: int, number: int) -> Room:
    """Draw a study's room by its number."""
    rng = np.random.default_rng([seed, number])
    size = rng.uniform(SMALLEST, LARGEST)
    low = np.array([FROM_WALLS, FROM_WALLS, HEIGHTS[0]])
    high = np.array([size[0] - FROM_WALLS, size[1] - FROM_WALLS, HEIGHTS[1]])
    while True:
        source, microphone = rng.uniform(low, high), rng.uniform(low, high)
        room = Room(tuple(size.tolist()), tuple(source.tolist()), tuple(microphone.tolist()))
        if DISTANCES[0] <= room.distance <= DISTANCES[1]:
            return room


@cache
def impulse_response(room: Room, rt60_ms: float) -> ImpulseResponse:
    """Simulate a room with a given reverberation time.

    Args:
        room: The room.
        rt60_ms: RT60 in ms, to be met within 5 %.

    Raises:
        StudyError: If the room cannot have this reverberation time.
    """
    import pyroomacoustics as pra
    from pyroomacoustics.experimental import measure_rt60
    from scipy.signal import butter, sosfilt

    # More threads would add in another order, and the library's own high-pass filter sounds before the direct sound.
    pra.constants.set("num_threads", 1)
    pra.constants.set("rir_hpf_enable", False)
    above_rumble = butter(2, RUMBLE_HZ, "highpass", fs=SAMPLING_RATE, output="sos")
    wanted = asked = rt60_ms / 1000
    for _ in range(ATTEMPTS):
        try:
            absorption, order = pra.inverse_sabine(asked, room.size)
        except ValueError:
            break  # walls that take more than all of the sound
        simulated = pra.ShoeBox(room.size, fs=SAMPLING_RATE, materials=pra.Material(absorption), max_order=order)
        simulated.add_source(room.source)
        simulated.add_microphone(room.microphone)
        simulated.compute_rir()
        samples = np.asarray(sosfilt(above_rumble, simulated.rir[0][0]), dtype=np.float64)
        measured = float(measure_rt60(samples, SAMPLING_RATE, decay_db=MEASURED_DECAY_DB))
        if abs(measured / wanted - 1) <= TOLERANCE:
            # Half of the filter that places a reflection between two samples lies before it.
            early = pra.constants.get("frac_delay_length") // 2
            delay = round(room.distance / pra.constants.get("c") * SAMPLING_RATE) + early
            return ImpulseResponse(samples, delay, 1000 * measured)
        asked *= wanted / measured
    size = " x ".join(f"{side:.1f}" for side in room.size)
    raise StudyError(
        f"No walls give a room of {size} m a reverberation time of {rt60_ms:g} ms: take it out of noise.reverb_rt60_ms."
    )


def reverberate(speech: Waveform, response: ImpulseResponse) -> Waveform:
    """Let speech sound in a room.

    Args:
        speech: Samples at 16 kHz, shape (n,).
        response: The room's impulse response.

    Returns:
        Samples of the same shape and RMS: the direct sound of each is where the sample was, what sounds after the last
        one is cut. Possibly beyond full scale.
    """
    from scipy.signal import fftconvolve

    heard = fftconvolve(speech.astype(np.float64), response.samples)[response.delay : response.delay + speech.size]
    return np.asarray(heard * (rms(speech) / rms(heard)), dtype=np.float32)


def add_reverberation(clean: Sequence[Clip], task: str, rt60_ms: float, seed: int) -> Iterator[Clip]:
    """Clips of one voice in rooms.

    A clip whose peak exceeds 0.99 is scaled down as a whole.

    Args:
        clean: The clips.
        task: Task of the clips.
        rt60_ms: Reverberation time in ms.
        seed: The study's seed.

    Yields:
        The clips as they sound in a room, in the same order, each with the room's measured reverberation time.

    Raises:
        StudyError: If a clip is empty or silent, or a room cannot have this reverberation time.
    """
    with progress(f"{task} at {rt60_ms:g} ms", total=len(clean)) as advance:
        for clip in clean:
            number = int(noise_generator(seed, task, clip, "reverb").integers(ROOMS))
            yield _in_room(clip, impulse_response(draw_room(seed, number), rt60_ms), task)
            advance()


def _in_room(clip: Clip, response: ImpulseResponse, task: str) -> Clip:
    speech = decode(clip)
    if rms(speech) == 0:
        raise StudyError(f"{task}: clip {clip.id} in voice {clip.voice} is silent, so a room cannot be heard with it.")
    heard = reverberate(speech, response)
    heard *= np.float32(min(1.0, PEAK / float(np.abs(heard).max())))
    flac = encode_flac(heard)
    return replace(clip, flac=flac, sha256=hash_audio(flac), rt60_ms=response.rt60_ms)
