"""A voice adapter: a speech LLM whose connector and text LLM are another's, and that hears how something is said.

Its folder holds the adapter's own files and, in folders of their own, those of its base and of the text LLM. The change
to the text LLM is a LoRA in peft's files, added to the weights when they are loaded: what runs is a plain model, on
typed prompts as on heard ones. ``scale`` in its config says how much of the change is made.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import CONFIG
from cascade_equivalence.models.checkpoint import SINGLE, read_header, read_json
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.models.speech_llm.load import fill
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES
from cascade_equivalence.models.speech_llm.ultravox import open_ultravox
from cascade_equivalence.models.speech_llm.voice import VoicePath, build_voice
from cascade_equivalence.models.text_llm import TextLLM

BASE, TEXT = "base", "text"
VOICE = "voice."
PEFT = "base_model.model."
_UP, _DOWN = ".lora_B.weight", ".lora_A.weight"


class AdaptedText:
    """Opens the text LLM inside: the base's, with the adapter's change."""

    class config_class:
        """Reads its config."""

        @staticmethod
        def from_pretrained(folder: Path, *, trust_remote_code: bool = False) -> Any:
            """The config of the text LLM in an adapter's folder."""
            from transformers import AutoConfig

            assert not trust_remote_code, "no code of a checkpoint is run"
            return AutoConfig.from_pretrained(Path(folder) / TEXT, trust_remote_code=False)

    @staticmethod
    def from_pretrained(folder: Path, *, dtype: torch.dtype, trust_remote_code: bool = False, **more: Any) -> Any:
        """Load it, as the library's classes do; the change is made in float32, whatever the arithmetic.

        Raises:
            StudyError: The change does not fit the text LLM.
        """
        from transformers import AutoModelForCausalLM

        assert not trust_remote_code, "no code of a checkpoint is run"
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            Path(folder) / TEXT, dtype=torch.float32, trust_remote_code=False, **more
        )
        model, report = loaded
        # A config of the caller's may leave blocks out, as the lens does.
        change(model, Path(folder), whole="config" not in more)
        return model.to(dtype), report


@torch.no_grad()
def change(model: Any, folder: Path, whole: bool = True) -> None:
    """Add an adapter's LoRA to a model's weights, as far as its ``scale`` says.

    Args:
        model: The text LLM, in float32.
        folder: The adapter's folder.
        whole: Whether the model has all its blocks; else changes to those that it lacks are left out.

    Raises:
        StudyError: The LoRA is incomplete, is of another model, or changes nothing.
    """
    settings = read_json(folder / ADAPTER_FILES[0])
    weights = folder / ADAPTER_FILES[1]
    read_header(weights)
    tensors = {name.removeprefix(PEFT): tensor.float() for name, tensor in load_file(weights).items()}
    scale = scale_of(folder) * settings["lora_alpha"] / settings["r"]
    known = dict(model.named_parameters())
    names = sorted(name.removesuffix(_UP) for name in tensors if name.endswith(_UP))
    if wrong := sorted(tensors.keys() - {name + end for name in names for end in (_UP, _DOWN)}):
        raise StudyError(f"{weights} holds {wrong[0]}, which is no part of a LoRA on linear layers")
    for name in names:
        up, down = tensors[name + _UP], tensors.get(name + _DOWN)
        weight = known.get(f"{name}.weight")
        if weight is None and not whole:
            continue
        if down is None or weight is None or weight.shape != (up.shape[0], down.shape[1]):
            raise StudyError(f"{weights} does not fit the text LLM of its base ({name}): resolve the model again")
        weight += scale * (up @ down)
    if not any(bool(tensors[name + _UP].any()) for name in names):
        raise StudyError(f"{weights} changes nothing: its LoRA is all zeros; fetch the model again")


def scale_of(folder: Path) -> float:
    """How much of an adapter's change is made."""
    return float(read_json(folder / CONFIG).get("scale", 1.0))


def read_voice(folder: Path, encoder_width: int, text_width: int) -> VoicePath:
    """The voice path of an adapter's folder, in float32, its vectors scaled.

    Raises:
        StudyError: The folder does not hold exactly the voice path that its config describes.
    """
    voice = build_voice(read_json(folder / CONFIG).get("voice") or {}, encoder_width, text_width)
    found = load_file(folder / SINGLE)
    own = {name.removeprefix(VOICE): tensor for name, tensor in found.items() if name.startswith(VOICE)}
    fill(voice, own, VOICE, str(folder), text_width, torch.float32)
    voice.scale = scale_of(folder)
    return voice.requires_grad_(False).eval()


def open_voice_adapter(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> SpeechLLM:
    """Load a voice adapter around its text LLM, which is changed already.

    Args:
        files: The adapter's folder, and the Whisper model that hears where the base has no audio tower.
        text: The text LLM, from the same folder.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic of the encoder and the connector; the voice path computes in float32.

    Raises:
        StudyError: The folder is incomplete, or its parts do not fit together.
    """
    if not (files.folder / BASE).is_dir():
        raise StudyError(f"{files.folder} lacks the files of its base: name the speech LLM it adapts in `base`")
    base = SpeechFiles(files.folder / BASE, files.revision, files.audio_folder, files.audio_revision)
    speech = open_ultravox(base, text, device, dtype)
    encoder = speech.encoder
    assert isinstance(encoder, AudioEncoder)
    tower = encoder.audio_tower.config
    width = int(text.model.get_input_embeddings().weight.shape[1])
    encoder.voice = read_voice(files.folder, int(tower.d_model), width).to(device)
    if encoder.voice.shape.depths != int(tower.encoder_layers) + 1:
        raise StudyError(f"{files.folder}: its voice path was made for an audio tower of another depth")
    return speech
