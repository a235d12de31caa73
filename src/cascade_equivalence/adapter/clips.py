"""Training clips of a voice adapter: what the base's connector makes of each, and the statistics of its sound."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cascade_equivalence.adapter.draws import Planned
from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.espeak_voice import EspeakProvider
from cascade_equivalence.speech.provider import Provider, open_provider

SPOKEN_AT_ONCE = 128
"""Clips whose sound is in memory at once."""


@dataclass(frozen=True)
class VoicedClip:
    """One clip.

    Attributes:
        id: Its name.
        text: What is said.
        voice: Name of the voice.
        style: Style that it is spoken in; None for a voice as it is.
        words: Vectors (n, text width) that the connector makes of it, float16.
        sound: Statistics (features,) that a voice path takes, float32.
        depths: Depths of the encoder that they are of.
    """

    id: str
    text: str
    voice: str
    style: str | None
    words: torch.Tensor
    sound: torch.Tensor
    depths: int


def make_shard(draws: Sequence[Planned], voices: Mapping[str, VoiceSpec], encoder: AudioEncoder, target: Path) -> int:
    """Speak and hear clips, and write them as one shard.

    Args:
        draws: What to say, who and how.
        voices: The voices by name.
        encoder: Encoder and connector of the base.
        target: File to write (safetensors): ``words`` (vectors of all clips, text width) in float16, ``sound``
            (clips, features), and in its metadata the clips as JSON.

    Returns:
        Clips written; those without any sound are left out, as are those longer than the encoder takes at once.

    Raises:
        StudyError: A voice cannot be had, or none of the texts could be spoken.
    """
    words: list[torch.Tensor] = []
    sounds: list[torch.Tensor] = []
    clips: list[dict[str, object]] = []
    dtype = resolve_dtype("auto", "cpu")
    with ExitStack() as stack, progress(f"clips of a voice adapter, {target.stem}", len(draws)) as advance:
        opened = {
            name: stack.enter_context(open_provider(voices[name])) for name in sorted({draw.voice for draw in draws})
        }
        for first in range(0, len(draws), SPOKEN_AT_ONCE):
            some = draws[first : first + SPOKEN_AT_ONCE]
            spoken = [(draw, audio) for draw in some if (audio := _speak(draw, opened[draw.voice])).any()]
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                heard = encoder.words_and_voice([audio for _, audio in spoken])
            for (draw, _), pieces in zip(spoken, heard, strict=True):
                if len(pieces) == 1:
                    words.append(pieces[0][0].half())
                    sounds.append(pieces[0][1].float())
                    said = {"id": draw.id, "text": draw.text, "voice": draw.voice, "style": draw.style}
                    clips.append({**said, "vectors": len(pieces[0][0])})
            advance(len(some))
    if not clips:
        raise StudyError(f"none of the {len(draws)} texts of {target.name} could be spoken")
    tensors = {"words": torch.cat(words), "sound": torch.stack(sounds)}
    told = {"clips": json.dumps(clips), "depths": str(int(encoder.audio_tower.config.encoder_layers) + 1)}
    with replacing(target) as part:
        save_file(tensors, part, metadata=told)
    return len(clips)


def _speak(draw: Planned, voice: Provider) -> np.ndarray:
    """The sound of a clip."""
    if draw.prosody is None:
        return voice.speak(draw.text, None)
    assert isinstance(voice, EspeakProvider), "only formant voices are drawn with a prosody"
    return voice.speak_as(draw.text, draw.prosody)


def read_shard(path: Path) -> Iterator[VoicedClip]:
    """Read a shard.

    Raises:
        StudyError: The file is no shard.
    """
    try:
        with safe_open(path, "pt") as file:
            clips, depths = json.loads(file.metadata()["clips"]), int(file.metadata()["depths"])
            words, sound = file.get_tensor("words"), file.get_tensor("sound")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path} is no shard of a voice adapter ({error}): remove it and run again") from error
    at = 0
    for clip, own in zip(clips, sound, strict=True):
        end = at + clip["vectors"]
        yield VoicedClip(clip["id"], clip["text"], clip["voice"], clip["style"], words[at:end], own, depths)
        at = end
