"""Multi-talker babble: several recordings of other speech at once.

The talkers are equally loud and start at random points, as when babble is made of the read speech of a noise data set
such as MUSAN (Snyder, Chen and Povey, 2015). They come from the other voices' clips, or from sound files.

One clip's babble (talkers, starting points, waveform) is the same at every ratio but for its gain, so conditions differ
in nothing else.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.noise import mix_clips, noise_generator
from cascade_equivalence.speech.sound_files import LONGEST_SECONDS, find_sound_files, read_window
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

ATTEMPTS = 20
"""Places of a long sound file that are tried before it counts as silent."""
WINDOW = int(LONGEST_SECONDS * SAMPLING_RATE)


@dataclass(frozen=True)
class Talker:
    """A recording that babble can be made of.

    Attributes:
        voice: Voice of the clip, or the folder of the sound file.
        id: Item of the clip, or path of the sound file under that folder.
        words: The words said, without case and punctuation; for a sound file, whose words are unknown, its ``id``.
        source: The clip or the file.
    """

    voice: str
    id: str
    words: str
    source: Clip | Path


def normalise_words(text: str) -> str:
    """Words of a text without case, punctuation and spacing, to tell whether two clips say the same."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def clip_talkers(clips: Iterable[Clip]) -> list[Talker]:
    """Talkers from clips; those without sound are left out."""
    heard = (clip for clip in clips if clip.problem not in ("empty", "silent"))
    return [Talker(clip.voice, clip.id, normalise_words(clip.text), clip) for clip in heard]


def file_talkers(folder: Path) -> list[Talker]:
    """Talkers from the sound files in a folder and the folders in it.

    Raises:
        StudyError: If there are none.
    """
    paths = find_sound_files(folder, "babble")
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [Talker(str(folder), name, name, path) for name, path in zip(names, paths, strict=True)]


def choose_talkers(
    pool: Sequence[Talker], count: int, text: str, item_id: str, voice: str, rng: np.random.Generator
) -> list[Talker]:
    """Choose who speaks in the background of a clip.

    The voices of the pool take turns, so that the babble has as many voices as it can.

    Args:
        pool: Talkers to choose from; their order does not matter.
        count: How many.
        text: Text of the clip: nobody says it in the background.
        item_id: Item of the clip, which nobody says either.
        voice: Voice of the clip, which does not speak in the background.
        rng: Random numbers.

    Returns:
        ``count`` talkers, no two of them with the same words.

    Raises:
        StudyError: If the pool has too few.
    """
    used = {normalise_words(text)}
    fit = [
        talker
        for talker in sorted(pool, key=lambda talker: (talker.voice, talker.id))
        if talker.voice != voice and talker.id != item_id
    ]
    waiting: dict[str, list[Talker]] = {}
    for place in rng.permutation(len(fit)):
        waiting.setdefault(fit[place].voice, []).append(fit[place])
    chosen: list[Talker] = []
    while waiting and len(chosen) < count:
        for name in list(waiting):
            talker = next((talker for talker in waiting[name] if talker.words not in used), None)
            if talker is None:
                del waiting[name]
                continue
            waiting[name].remove(talker)
            used.add(talker.words)
            chosen.append(talker)
            if len(chosen) == count:
                break
    if len(chosen) < count:
        raise StudyError(
            f"Item {item_id} in voice {voice} needs {count} talkers for its babble; of {len(pool)} recordings only "
            f"{len(chosen)} are in another voice and say other words. Add voices or items, lower `noise.talkers` or "
            "`noise.max_talkers`, or take the talkers from `noise.folder` or `noise.musan`."
        )
    return chosen


def load_talker(talker: Talker, rng: np.random.Generator) -> Waveform:
    """Samples of a talker at 16 kHz, shape (n,): the whole clip, or at most 60 s of a sound file from a random place.

    Raises:
        StudyError: If the file cannot be read.
    """
    if isinstance(talker.source, Clip):
        return decode(talker.source)
    return read_window(talker.source, rng)


def hear_talker(talker: Talker, rng: np.random.Generator) -> Waveform | None:
    """Samples of a talker as `load_talker` gives them, from a place where something is heard; None if there is none.

    The first place is taken wherever it can be heard, so that a file without rests is heard where it always was.

    Raises:
        StudyError: If the file cannot be read.
    """
    for _ in range(ATTEMPTS):
        sound = load_talker(talker, rng)
        if rms(sound) > 0:
            return sound
        if sound.size < WINDOW:
            break
    return None


def babble(talkers: Sequence[Waveform], samples: int, rng: np.random.Generator) -> Waveform:
    """Let several recordings speak at once, equally loud.

    Args:
        talkers: Recordings; each is brought to an RMS of 1, started at a random point and repeated to the length.
        samples: Length of the babble.
        rng: Random numbers.

    Returns:
        The sum, shape (samples,); its RMS is about the square root of the number of talkers.

    Raises:
        StudyError: If a recording is silent.
    """
    total = np.zeros(samples)
    for talker in talkers:
        level = rms(talker)
        if level == 0:
            raise StudyError("A recording for the babble is silent: take it away.")
        start = int(rng.integers(talker.size))
        places = np.arange(start, start + samples)
        total += np.take(talker, places, mode="wrap") / level
    return total.astype(np.float32)


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
        StudyError: If the pool is too small without the talkers that cannot be heard, or a file cannot be read.
    """
    rng = noise_generator(config.seed, task, clip)
    count = config.talkers
    if config.max_talkers is not None:
        count = int(rng.integers(count, config.max_talkers + 1))
    silent: list[Talker] = []
    while True:
        # A talker that cannot be heard is passed over and all are drawn again; without any, it is the first draw.
        fit = [talker for talker in pool if talker not in silent]
        try:
            talkers = choose_talkers(fit, count, clip.text, clip.id, clip.voice, rng)
        except StudyError as error:
            names = ", ".join(f"{talker.voice}: {talker.id}" for talker in silent)
            raise StudyError(f"{error} Silent, and passed over: {names}." if silent else str(error)) from error
        sounds = [hear_talker(talker, rng) for talker in talkers]
        heard = [sound for sound in sounds if sound is not None]
        if len(heard) == count:
            return babble(heard, decode(clip).size, rng)
        silent += [talker for talker, sound in zip(talkers, sounds, strict=True) if sound is None]


def add_babble(
    clean: Sequence[Clip], pool: Sequence[Clip] | Path, task: str, snr_db: float, config: NoiseConfig
) -> Iterator[Clip]:
    """Clips of one voice in babble.

    Args:
        clean: The clips.
        pool: Clean clips to take the talkers from (those in the voice of a clip are passed over), or a folder with
            sound files.
        task: Task of the clips.
        snr_db: Signal-to-noise ratio in dB.
        config: Talkers and seed.

    Yields:
        The clips with noise, in the same order, each with its measured ratio.

    Raises:
        StudyError: If a clip is empty or silent, talkers are missing, or 16 bits cannot hold the ratio.
    """
    talkers = file_talkers(pool) if isinstance(pool, Path) else clip_talkers(pool)
    return mix_clips(clean, lambda clip: clip_babble(clip, talkers, task, config), task, snr_db)
