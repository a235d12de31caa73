"""Models that a process has open already: those that the server of a run's forks keeps for the nodes to come.

A small model takes a node longer to open than to ask a few questions, and a study asks it in a hundred nodes. A fork
says what it has opened (:func:`take_notes`), the server opens the same once (:func:`keep`), and later forks begin with
it. What a node does to a model stays its own, as all of a fork's memory does. Nothing is kept in any other process.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_equivalence.models.architecture import own_text_in
from cascade_equivalence.models.packing import PackedLinear, pack_now
from cascade_equivalence.models.question import ModelFiles, SpeechFiles

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

SHARE = 0.25
"""Of the machine's memory that kept models may fill; what does not fit is opened by each node."""
Key = tuple[ModelFiles, str, str]
_kept: dict[Key, tuple["TextLLM", "SpeechLLM | None"]] = {}
_noted: list[Key] = []


def opened(files: ModelFiles, device: str, dtype: "torch.dtype") -> tuple["TextLLM", "SpeechLLM | None"]:
    """A text LLM and, of a speech LLM, the whole around it: as it is kept, or else opened now.

    Args:
        files: Resolved weights.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.
    """
    from cascade_equivalence.models.text_llm import TextLLM

    key = _key(files, device, dtype)
    if (found := _kept.get(key)) is not None:
        return found
    _noted.append(key)
    # Where the text LLM is one by itself, cascades may have opened it.
    alone = None if files.speech is not None and own_text_in(files.folder) else _kept.get(_without_ear(key))
    text = TextLLM(files.folder, device, dtype, files.chat) if alone is None else alone[0]
    if files.speech is None:
        return text, None
    from cascade_equivalence.models.speech_llm.model import open_speech_llm

    return text, open_speech_llm(files.speech, text, device, dtype)


def _key(files: ModelFiles, device: str, dtype: "torch.dtype") -> Key:
    return _absolute(files), device, str(dtype).removeprefix("torch.")


def _without_ear(key: Key) -> Key:
    files, device, dtype = key
    return ModelFiles(files.folder, files.revision, files.chat), device, dtype


def _absolute(files: ModelFiles) -> ModelFiles:
    speech = files.speech
    if speech is not None:
        audio = None if speech.audio_folder is None else speech.audio_folder.absolute()
        speech = SpeechFiles(speech.folder.absolute(), speech.revision, audio, speech.audio_revision)
    return ModelFiles(files.folder.absolute(), files.revision, files.chat, speech)


def take_notes() -> list[str]:
    """What this process has opened on a processor and nobody had kept, a line each for :func:`keep`; then forget it."""
    lines = [_line(key) for key in _noted if key[1] == "cpu"]
    _noted.clear()
    return lines


def _line(key: Key) -> str:
    files, device, dtype = key
    speech = files.speech
    ear = None if speech is None else [speech.folder, speech.revision, speech.audio_folder, speech.audio_revision]
    return json.dumps([files.folder, files.revision, files.chat, ear, device, dtype], default=str)


def _read(line: str) -> Key:
    folder, revision, chat, ear, device, dtype = json.loads(line)
    speech = None if ear is None else SpeechFiles(Path(ear[0]), ear[1], ear[2] and Path(ear[2]), ear[3])
    return ModelFiles(Path(folder), revision, chat, speech), device, dtype


def keep(line: str) -> bool:
    """Open a model in this process, for its forks.

    Args:
        line: From :func:`take_notes` of a fork, which has opened it without a fault.

    Returns:
        Whether it is kept now; not if it would fill too much of the memory.
    """
    import torch
    from tqdm import tqdm  # type: ignore[import-untyped]

    # A bar's monitor is a thread that stays, and a process with threads cannot be forked.
    tqdm.monitor_interval = 0
    key = _read(line)
    files, device, dtype = key
    if key in _kept:
        return True
    if _size(files) + _held() > SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        return False
    plain = files.speech is None or not own_text_in(files.folder)
    if files.speech is not None and plain:
        # Speech LLM and cascade share the text LLM.
        keep(_line(_without_ear(key)))
    text, speech = opened(files, device, getattr(torch, dtype))
    _noted.clear()
    for part in (text.model, getattr(speech, "encoder", None)):
        if isinstance(part, torch.nn.Module):
            pack_now(part)
    _kept[key] = text, speech
    return True


def _size(files: ModelFiles) -> int:
    """About the bytes of a model to be opened: its files, and as much again packed."""
    ear = files.speech
    folders = [files.folder, *([] if ear is None else [ear.folder, *([ear.audio_folder] if ear.audio_folder else [])])]
    return 2 * sum(path.stat().st_size for folder in folders for path in folder.glob("**/*.safetensors"))


def _held() -> int:
    """Bytes of the models that are kept, packed weights included."""
    import torch

    weights: dict[int, int] = {}
    for text, speech in _kept.values():
        for part in (text.model, getattr(speech, "encoder", None)):
            if isinstance(part, torch.nn.Module):
                for layer in part.modules():
                    packed = 2 if isinstance(layer, PackedLinear) else 1
                    for weight in layer.parameters(recurse=False):
                        size = packed * weight.numel() * weight.itemsize
                        weights[weight.data_ptr()] = max(size, weights.get(weight.data_ptr(), 0))
    return sum(weights.values())
