"""Speaking the items of a task in one voice."""

from collections.abc import Callable, Sequence
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
        finished = {}
        for key in wanted:
            if (flac := shelf.get(key)) is not None:
                finished[key] = _judge(flac, max_seconds)
        missing = {key: item for key, item in wanted.items() if key not in finished}
        with progress(f"Speech, voice {voice_name}", total=len(wanted), done=len(finished)) as advance:

            def keep(key: str, flac: bytes) -> _Judged:
                shelf.put(key, flac)
                return _judge(flac, max_seconds)

            finished |= _speak(missing, spec, provider, keep, max(1, workers), advance, stop)
    return [
        Clip(
            id=item.id,
            voice=voice_name,
            flac=shelf.place(key),  # type: ignore[arg-type]
            sampling_rate=SAMPLING_RATE,
            seconds=finished[key].seconds,
            provider=identity,
            text=item.text,
            sha256=finished[key].sha256,
            problem=finished[key].problem,
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
    keep: "Callable[[str, bytes], _Judged]",
    workers: int,
    advance: Advance,
    stop: Event,
) -> "dict[str, _Judged]":
    """Speak what is missing with ``workers`` voices, the first of which is running already."""
    found: dict[str, _Judged] = {}
    idle: SimpleQueue[Provider] = SimpleQueue()
    idle.put(first)

    def speak_one(key: str, item: Utterance) -> _Judged:
        voice = idle.get()
        try:
            flac = encode_flac(voice.speak(item.text, item.style))
        except StudyError as error:
            raise StudyError(f"Item {item.id}: {error}") from error
        finally:
            idle.put(voice)
        return keep(key, flac)

    with ExitStack() as stack:
        for _ in range(min(workers, len(missing)) - 1):
            idle.put(stack.enter_context(open_provider(spec, stop)))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        jobs = {pool.submit(speak_one, key, item): key for key, item in missing.items()}
        try:
            for job in as_completed(jobs):
                found[jobs[job]] = job.result()
                advance()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return found


@dataclass(frozen=True)
class _Judged:
    """What is known of a finished clip, which lies in the store: its sound need not stay in memory."""

    sha256: str
    seconds: float
    problem: str | None


def _judge(flac: bytes, max_seconds: float) -> _Judged:
    audio = decode_flac(flac)
    return _Judged(hash_audio(flac), audio.size / SAMPLING_RATE, find_problem(audio, max_seconds))
