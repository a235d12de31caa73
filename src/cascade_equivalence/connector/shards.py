"""Training clips as the connector needs them: encoder states, and when each word begins. The sound is not kept."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import save_file

from cascade_equivalence.config.training import ConnectorSpec, TrainingVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.openai_whisper import encoder_weights
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.models.speech_llm.audio_tower import AudioTower
from cascade_equivalence.models.speech_llm.settings import tower_config
from cascade_equivalence.models.transcription.alignment import Aligner
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.provider import Provider, open_provider

BATCH = 16
"""Clips encoded at once."""
SPOKEN_AT_ONCE = 256
"""Clips whose sound is in memory at once."""


@dataclass(frozen=True)
class EncodedClip:
    """One training clip.

    Attributes:
        id: Text.
        text: What is said.
        voice: Name of the voice.
        states: Encoder states (frames, width), float16.
        starts: First frame of each space-separated word, and the frame where the last one ends.
    """

    id: str
    text: str
    voice: str
    states: np.ndarray
    starts: list[int]


def voice_of(name: str, voices: Mapping[str, TrainingVoice], seed: int) -> str:
    """Draw the voice of a text by the voices' shares; the text's id and the seed decide."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    point = int.from_bytes(digest[:6]) / 2**48 * sum(voice.share for voice in voices.values())
    for voice, spec in voices.items():
        point -= spec.share
        if point < 0:
            return voice
    return list(voices)[-1]


def shard_texts(texts: pl.DataFrame, shard: str, spec: ConnectorSpec) -> list[tuple[str, str, str]]:
    """Texts and voices of a shard.

    Args:
        texts: All texts, from :func:`~.texts.prepare_texts`.
        shard: ``train-0007``, or ``held-heart`` for the held-out texts in one voice.
        spec: The connector.

    Returns:
        Id, text and voice of each clip.
    """
    kind, _, which = shard.partition("-")
    if kind == "train":
        own = texts.filter(pl.col("split") == "train").slice(int(which) * spec.shard_clips, spec.shard_clips)
        return [
            (name, text, voice_of(name, spec.voices, spec.texts.seed)) for name, text in own["id", "text"].iter_rows()
        ]
    held_out = texts.filter(pl.col("split") == "held_out")
    return [(name, text, which) for name, text in held_out["id", "text"].iter_rows()]


def make_shard(
    texts: Sequence[tuple[str, str, str]],
    voices: Mapping[str, TrainingVoice],
    encoder: AudioEncoder,
    aligner: Aligner,
    target: Path,
) -> int:
    """Speak, encode and align texts, and write them as one shard.

    Args:
        texts: Id, text and voice of each clip.
        voices: The voices by name.
        encoder: The audio tower, from :func:`open_encoder`.
        aligner: Finds the words, with the decoder of the same Whisper model.
        target: File to write (safetensors): ``states`` (frames of all clips, width) in float16, and in its metadata the
            clips as JSON.

    Returns:
        Clips written; the few that cannot be spoken or aligned are left out.

    Raises:
        StudyError: A voice cannot be had.
    """
    states: list[torch.Tensor] = []
    clips: list[dict[str, object]] = []
    with ExitStack() as stack, progress(f"training clips, {target.stem}", len(texts)) as advance:
        spoken_by = {name: stack.enter_context(open_provider(voices[name].voice)) for name in {row[2] for row in texts}}
        for first in range(0, len(texts), SPOKEN_AT_ONCE):
            some = texts[first : first + SPOKEN_AT_ONCE]
            for clip, own in _encoded(list(_spoken(some, spoken_by)), encoder, aligner):
                states.append(own)
                clips.append(clip)
            advance(len(some))
    if not clips:
        raise StudyError(f"none of the {len(texts)} texts of {target.name} could be spoken and aligned")
    with replacing(target) as part:
        save_file({"states": torch.cat(states)}, part, metadata={"clips": json.dumps(clips)})
    return len(clips)


Spoken = tuple[tuple[str, str, str], np.ndarray]


def _spoken(texts: Sequence[tuple[str, str, str]], voices: Mapping[str, Provider]) -> Iterator[Spoken]:
    """Texts with their sound; one without any sound is left out."""
    for row in texts:
        audio = voices[row[2]].speak(row[1], None)
        if len(audio) and float(np.abs(audio).max()) > 0:
            yield row, audio


@torch.inference_mode()
def _encoded(
    spoken: list[Spoken], encoder: AudioEncoder, aligner: Aligner
) -> Iterator[tuple[dict[str, object], torch.Tensor]]:
    """Encode and align clips, batched by length."""
    dtype = resolve_dtype("auto", "cpu")
    spoken = sorted(spoken, key=lambda clip: len(clip[1]))
    for first in range(0, len(spoken), BATCH):
        batch = spoken[first : first + BATCH]
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            states = [own.float() for own in encoder.encode([audio for _, audio in batch], BATCH)]
        frames = [len(own) for own in states]
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        starts = aligner.starts(padded, frames, [row[1] for row, _ in batch])
        for (row, _), own, found in zip(batch, states, starts, strict=True):
            if found is not None:
                clip = dict(zip(("id", "text", "voice"), row, strict=True))
                yield {**clip, "frames": len(own), "starts": found}, own.half()


def open_encoder(folder: Path) -> AudioEncoder:
    """The audio tower of a resolved Whisper model, in float32 on the processor, with nothing behind it."""
    weights, dimensions = encoder_weights(folder)
    tower = AudioTower(tower_config(dimensions))
    tower.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return AudioEncoder(tower.requires_grad_(False), torch.nn.Identity()).eval()


def read_shard(path: Path) -> Iterator[EncodedClip]:
    """Read a shard; its states stay on disk until they are used.

    Raises:
        StudyError: The file is no shard.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        clips, tensor = json.loads(header["__metadata__"]["clips"]), header["states"]
        # The library would copy the whole tensor into memory, for every shard of the training.
        start = 8 + size + tensor["data_offsets"][0]
        states = np.memmap(path, np.float16, "c", offset=start, shape=tuple(tensor["shape"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path} is no training shard ({error}): remove it and run again") from error
    at = 0
    for clip in clips:
        end = at + clip["frames"]
        yield EncodedClip(clip["id"], clip["text"], clip["voice"], states[at:end], clip["starts"])
        at = end
