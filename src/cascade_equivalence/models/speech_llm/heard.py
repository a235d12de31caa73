"""What a speech LLM's ear makes of a clip, kept on disk: each clip is heard once, whatever is asked about it.

Tasks, prompts, repeats, own transcripts, the lens, captured states and erasure all begin with the same vectors: those
that audio tower and connector give the text LLM. Open this if hearing takes long, or too much disk.

A file holds some clips by the hash of their sound, in a folder an ear. It appears whole or not at all and is never
changed, so any number of processes may hear at once; what is damaged is thrown away and heard again. What is kept is
what hearing the clip anew would give, with as many threads to the last bit: the folder's name is a hash of the weights,
the arithmetic and, of an ear that a plugin has added, its code; and ears hear each clip by itself.
"""

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cascade_equivalence.config.engine_choice import AMX, processor_flags
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.files import replacing
from cascade_equivalence.models.device import resolve_device
from cascade_equivalence.models.packing import PLAIN
from cascade_equivalence.models.question import ModelFiles
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.audio_encoder import check_audio
from cascade_equivalence.models.store import key_of

if TYPE_CHECKING:
    from cascade_equivalence.models.speech_llm.model import SpeechModel

HEARD_FORMAT = 1
"""Raised when the same weights and sound would give other vectors."""
HEARD_IN_A_FILE = 64
"""Clips that are heard before they are written: what a kill can lose."""


@dataclass(frozen=True, eq=False)
class Hearing:
    """What an ear made of a clip.

    Attributes:
        vectors: What the text LLM reads, (vectors, text width), in the model's arithmetic.
        seconds: What it took when the clip was heard.
    """

    vectors: torch.Tensor
    seconds: float


class EarStore:
    """A folder of safetensors files, each with some clips' vectors by the SHA-256 of their sound.

    Args:
        folder: The folder; it is made when something is put there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: set[Path] = set()
        self._places: dict[str, tuple[Path, str]] = {}

    def get(self, sounds: Iterable[str]) -> dict[str, Hearing]:
        """What is kept of some sounds, as far as it is what was written."""
        self._look()
        wanted: dict[Path, list[str]] = {}
        for sound in sounds:
            if sound in self._places:
                wanted.setdefault(self._places[sound][0], []).append(sound)
        found: dict[str, Hearing] = {}
        for path, names in wanted.items():
            try:
                with safe_open(path, "pt") as file:
                    found |= {name: self._read(file, name) for name in names}
            except (OSError, SafetensorError, ValueError) as error:
                self._drop(path, error)
        return found

    def _read(self, file: Any, sound: str) -> Hearing:
        check, seconds = self._places[sound][1].split()
        vectors = file.get_tensor(sound)
        if _checksum(sound, vectors, seconds) != check:
            raise ValueError(f"{sound} was changed")
        return Hearing(vectors, float(seconds))

    def put(self, heard: Mapping[str, Hearing]) -> None:
        """Keep what was heard."""
        tensors, said = {}, {}
        for sound, hearing in heard.items():
            tensors[sound], seconds = hearing.vectors.cpu().clone(), f"{hearing.seconds:.6f}"
            said[sound] = f"{_checksum(sound, tensors[sound], seconds)} {seconds}"
        with replacing(self.folder / f"{uuid.uuid4().hex}.safetensors") as part:
            save_file(tensors, part, said)

    def _look(self) -> None:
        """Read what the files hold that have come since."""
        for path in set(self.folder.glob("*.safetensors")) - self._seen:
            self._seen.add(path)
            try:
                with safe_open(path, "pt") as file:
                    self._places |= {sound: (path, said) for sound, said in (file.metadata() or {}).items()}
            except (OSError, SafetensorError) as error:
                self._drop(path, error)

    def _drop(self, path: Path, error: Exception) -> None:
        """Look for nothing in a file any more, and throw it away if it is damaged and not only out of reach."""
        self._places = {sound: place for sound, place in self._places.items() if place[0] != path}
        if not isinstance(error, OSError):
            with suppress(OSError):
                path.unlink()


def _checksum(sound: str, vectors: torch.Tensor, seconds: str) -> str:
    digest = hashlib.sha256(f"{sound} {seconds} {vectors.dtype} {tuple(vectors.shape)}".encode())
    if vectors.numel():
        digest.update(vectors.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def ear_store(kept: Path | None, model: "SpeechModel", files: ModelFiles, config: AnswerConfig) -> EarStore | None:
    """Where a speech LLM's hearings are kept; None where they are not.

    Args:
        kept: Folder of all ears; None keeps nothing.
        model: The open speech LLM.
        files: Its resolved weights.
        config: Arithmetic, and whether to keep.
    """
    width = int(model.text.model.get_input_embeddings().weight.shape[1])
    if kept is None or not config.keeps_heard(width):
        return None
    parts = {"kind": "heard", "format": HEARD_FORMAT, **files.identity(config), **_arithmetic(config)}
    return EarStore(kept / key_of(parts)[:32])


def _arithmetic(config: AnswerConfig) -> dict[str, object]:
    """What, beside weights and dtype, decides the last bits of a product; many ears are modules of transformers."""
    libraries: dict[str, object] = {"torch": torch.__version__, "transformers": version("transformers")}
    if resolve_device(config.device) != "cpu":
        return libraries | {"device": torch.cuda.get_device_name()}
    units = processor_flags() >= AMX
    processor = [platform.machine(), torch.backends.cpu.get_cpu_capability(), *(["amx"] if units else [])]
    return libraries | {"device": processor, "plain": bool(os.environ.get(PLAIN))}


def hear(model: "SpeechModel", recordings: Sequence[Recording], store: EarStore | None) -> list[Hearing]:
    """Hear clips, taking from the store what it has.

    Args:
        model: An open speech LLM.
        recordings: The clips.
        store: Where its hearings are kept, from :func:`ear_store`; None hears all of them now.

    Returns:
        One hearing a clip, in order.

    Raises:
        StudyError: A waveform cannot be heard.
    """
    if store is None:
        return _heard_now(model, recordings)
    by_sound = {recording.sha256: recording for recording in recordings}
    names = list(by_sound)
    found: dict[str, Hearing] = {}
    for start in range(0, len(names), HEARD_IN_A_FILE):
        some = names[start : start + HEARD_IN_A_FILE]
        found |= store.get(some)
        if missing := [name for name in some if name not in found]:
            fresh = dict(zip(missing, _heard_now(model, [by_sound[name] for name in missing]), strict=True))
            store.put(fresh)
            found |= fresh
    return [found[recording.sha256] for recording in recordings]


def _heard_now(model: "SpeechModel", recordings: Sequence[Recording]) -> list[Hearing]:
    """Hear each clip by itself: its vectors depend on no other, and one waveform is in memory."""
    heard = []
    for number, recording in enumerate(recordings, start=1):
        audio = recording.decode()
        check_audio(audio, f"clip {number} of {len(recordings)}")
        began = time.perf_counter()
        (vectors,) = model.encoder.embed([audio])
        heard.append(Hearing(vectors, time.perf_counter() - began))
    return heard


def heard_rows(
    model: "SpeechModel", prompts: Sequence[str], recordings: Sequence[Recording], store: EarStore | None
) -> tuple[list[list[int]], list[torch.Tensor], float]:
    """Token rows of rendered prompts, the vectors of each row's sound, and what hearing took, in seconds a clip.

    Args:
        model: An open speech LLM.
        prompts: Rendered prompts, each with one ``PLACEHOLDER``.
        recordings: The sound of each.
        store: As for :func:`hear`.

    Raises:
        StudyError: A prompt does not hold the placeholder once, or a waveform cannot be heard.
    """
    heard = hear(model, recordings, store)
    vectors = [each.vectors for each in heard]
    seconds = sum(each.seconds for each in heard) / max(1, len(heard))
    return model.token_rows(prompts, vectors), vectors, seconds
