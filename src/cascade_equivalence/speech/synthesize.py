"""Speaking the items of a task in one voice."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import Advance, progress
from cascade_equivalence.speech.audit import find_problem
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.provider import Provider, check_styles, open_provider
from cascade_equivalence.speech.store import ClipStore, clip_key
from cascade_equivalence.speech.waveform import SAMPLING_RATE, decode_flac, encode_flac


@dataclass(frozen=True)
class Utterance:
    """What is to be said.

    Attributes:
        id: Item.
        text: The words.
        style: A name of ``prosody.STYLES``, or None for the voice as it is.
    """

    id: str
    text: str
    style: str | None = None


def synthesize_clips(
    items: Sequence[Utterance], voice_name: str, spec: VoiceSpec, max_seconds: float, store: Path, workers: int
) -> list[Clip]:
    """Speak items, each distinct text and style once; clips in the store are not spoken again.

    Args:
        items: What to say; ids must differ.
        voice_name: Name of the voice in the config, for the record.
        spec: The voice.
        max_seconds: Longest clip that the models hear whole; longer ones get a ``problem``.
        store: Folder that keeps finished clips. Any number of runs may share it.
        workers: Voices that speak side by side, each in a thread. The clips are the same for any number.

    Returns:
        One clip an item, in the order of the items, problems noted but not yet reported.

    Raises:
        StudyError: If ids repeat, a style is unknown or beyond the voice, the voice does not exist or fails on a text.
    """
    _check_ids(items)
    check_styles(spec, voice_name, (item.style for item in items))
    shelf = ClipStore(store)
    stop = Event()
    with open_provider(spec, stop) as provider:
        identity = provider.identity()
        keys = [clip_key(identity, spec, item.text, item.style) for item in items]
        wanted = dict(zip(keys, items, strict=True))
        kept = {key: shelf.get(key) for key in wanted}
        flacs = {key: flac for key, flac in kept.items() if flac is not None}
        missing = {key: item for key, item in wanted.items() if key not in flacs}
        with progress(f"Speech, voice {voice_name}", total=len(wanted), done=len(flacs)) as advance:
            flacs |= _speak(missing, spec, provider, shelf, max(1, workers), advance, stop)
    # Equal audio is decoded and judged once, as it is spoken once.
    judged = {key: _judge(flac, max_seconds) for key, flac in flacs.items()}
    return [
        Clip(
            id=item.id,
            voice=voice_name,
            flac=flacs[key],
            sampling_rate=SAMPLING_RATE,
            seconds=judged[key][0],
            provider=identity,
            text=item.text,
            sha256=hash_audio(flacs[key]),
            problem=judged[key][1],
        )
        for key, item in zip(keys, items, strict=True)
    ]


def _check_ids(items: Sequence[Utterance]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise StudyError(f"The id {item.id} occurs twice among the items to speak; ids must be unique.")
        seen.add(item.id)


def _speak(
    missing: dict[str, Utterance],
    spec: VoiceSpec,
    first: Provider,
    shelf: ClipStore,
    workers: int,
    advance: Advance,
    stop: Event,
) -> dict[str, bytes]:
    """Speak what is missing with ``workers`` voices, the first of which is running already."""
    flacs: dict[str, bytes] = {}
    idle: SimpleQueue[Provider] = SimpleQueue()
    idle.put(first)

    def speak_one(key: str, item: Utterance) -> bytes:
        voice = idle.get()
        try:
            flac = encode_flac(voice.speak(item.text, item.style))
        except StudyError as error:
            raise StudyError(f"Item {item.id}: {error}") from error
        finally:
            idle.put(voice)
        shelf.put(key, flac)
        return flac

    with ExitStack() as stack:
        for _ in range(min(workers, len(missing)) - 1):
            idle.put(stack.enter_context(open_provider(spec, stop)))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        jobs = {pool.submit(speak_one, key, item): key for key, item in missing.items()}
        try:
            for job in as_completed(jobs):
                flacs[jobs[job]] = job.result()
                advance()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return flacs


def _judge(flac: bytes, max_seconds: float) -> tuple[float, str | None]:
    audio = decode_flac(flac)
    return audio.size / SAMPLING_RATE, find_problem(audio, max_seconds)
