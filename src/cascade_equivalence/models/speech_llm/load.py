"""Load the audio part of an Ultravox checkpoint: every weight is found, none is left over, all shapes fit."""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import WhisperConfig

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_header, weight_files
from cascade_equivalence.models.openai_whisper import encoder_weights
from cascade_equivalence.models.packing import pack_linears
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder, build_connector
from cascade_equivalence.models.speech_llm.audio_tower import AudioTower
from cascade_equivalence.models.speech_llm.settings import (
    UltravoxSettings,
    read_settings,
    tower_config,
    tower_differences,
)

TOWER = "audio_tower."
CONNECTOR = "multi_modal_projector."
TEXT = "language_model."

Tensors = dict[str, torch.Tensor]


def contents(folder: Path, kind: str = "an Ultravox model") -> dict[str, Path]:
    """Tensor name to the file that holds it.

    Args:
        folder: The checkpoint.
        kind: What it should be, for messages.

    Raises:
        StudyError: The folder holds no safetensors weights of an audio tower, a connector or a text LLM, or others too.
    """
    files = weight_files({path.name: path for path in folder.iterdir()}, str(folder))
    names = {name: file for file in files for name in read_header(file).shapes}
    for name in sorted(names):
        if "lora_" in name:
            raise StudyError(f"{folder} holds {name}: its LoRA was not merged; merge it into the weights first")
        if not name.startswith((TOWER, CONNECTOR, TEXT)):
            raise StudyError(f"{folder} holds {name}, which is no part of {kind}")
    return names


def read_part(names: dict[str, Path], prefix: str) -> Tensors:
    """The tensors of one part, by their names within it; nothing else is read."""
    found: Tensors = {}
    for path in sorted({path for name, path in names.items() if name.startswith(prefix)}):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - a safetensors file is no dict
                if name.startswith(prefix):
                    found[name.removeprefix(prefix)] = file.get_tensor(name)
    return found


def has_text_weights(folder: Path) -> bool:
    """Whether a checkpoint ships a text LLM of its own (a tuned one), which then must be used.

    Raises:
        StudyError: The folder holds no safetensors weights of an Ultravox model.
    """
    return any(name.startswith(TEXT) for name in contents(folder))


def text_state_dict(folder: Path) -> Tensors:
    """The text LLM's weights that a checkpoint ships, by the names of its own library class; empty when it has none.

    Raises:
        StudyError: The folder holds no safetensors weights of an Ultravox model.
    """
    return read_part(contents(folder), TEXT)


def fill(part: nn.Module, weights: Tensors, prefix: str, source: str, text_width: int, dtype: torch.dtype) -> None:
    """Give a part its weights.

    Args:
        part: The part, on the meta device or not.
        weights: Tensors by their names within it.
        prefix: What stands before these names in the checkpoint, for messages.
        source: The checkpoint, for messages.
        text_width: Width of the text LLM's embeddings.
        dtype: Arithmetic.

    Raises:
        StudyError: They are not exactly the part's.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in part.state_dict().items()}
    if absent := sorted(wanted.keys() - weights.keys()):
        raise StudyError(f"{source}: {prefix}{absent[0]} {wanted[absent[0]]} is missing ({len(absent)} in all)")
    if extra := sorted(weights.keys() - wanted.keys()):
        raise StudyError(f"{source}: {prefix}{extra[0]} has no place in the model that config.json describes")
    for name, shape in sorted(wanted.items()):
        found = tuple(weights[name].shape)
        if found == shape:
            continue
        sides = [pair for pair in zip(shape, found, strict=False) if pair[0] != pair[1]]
        if prefix == CONNECTOR and len(shape) == len(found) and [side for side, _ in sides] == [text_width]:
            raise StudyError(
                f"{source}: this connector was made for a text model of width {sides[0][1]}, the given one has "
                f"{text_width}: pair it with the text model it was trained with ({prefix}{name})"
            )
        raise StudyError(f"{source}: {prefix}{name} has shape {found}, config.json asks for {shape}")
    whole = part.state_dict()
    for name, tensor in weights.items():
        if tensor.is_floating_point() != whole[name].is_floating_point():
            raise StudyError(f"{source}: {prefix}{name} is of type {tensor.dtype}: quantised weights are not supported")
    # Tables of token ids stay what they are.
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    part.load_state_dict(cast, assign=True)


def _empty(config: WhisperConfig, settings: UltravoxSettings) -> AudioTower:
    """A tower whose weights are given to it later, so that they need no storage now."""
    with torch.device("meta"):
        return AudioTower(config, settings.audio_latency_block_size)


def _tower(
    folder: Path, settings: UltravoxSettings, own: Tensors, audio_folder: Path | None
) -> tuple[AudioTower, Tensors]:
    """An audio tower without weights, and its weights: the checkpoint's own come before those of the base model."""
    config = settings.tower_config()
    tower = None if config is None else _empty(config, settings)
    if tower is not None and own.keys() >= tower.state_dict().keys():
        return tower, own
    model = settings.audio_model_id
    # A tower that was tuned in part is stored in part, and then the config names the model of the rest.
    if own and tower is not None and model is None:
        return tower, own
    if audio_folder is None:
        has = "has only a part" if own else "has no weights"
        raise StudyError(f"{folder} {has} of its audio tower: give {model or 'its Whisper model'} as its audio model")
    base, dimensions = encoder_weights(audio_folder)
    from_base = tower_config(dimensions)
    if config is not None and (differ := tower_differences(config, from_base)):
        raise StudyError(f"{audio_folder} is not the Whisper model of {folder}: {'; '.join(differ)}")
    return _empty(from_base, settings), base | own


def load_audio_encoder(
    folder: Path, audio_folder: Path | None, text_width: int, device: str, dtype: torch.dtype
) -> AudioEncoder:
    """Load audio tower and connector of an Ultravox checkpoint.

    Args:
        folder: ``config.json`` and safetensors with ``multi_modal_projector.*``, and with ``audio_tower.*`` unless the
            tower is a published Whisper's. Weights of a text LLM are left alone; see :func:`text_state_dict`.
        audio_folder: Folder of the Whisper model to take the tower from where the checkpoint has none. Weights that the
            checkpoint has are never replaced by this model's.
        text_width: Width of the text LLM's embeddings.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        StudyError: The checkpoint cannot be read, is not supported, or its weights are not exactly those of the model
            that its config describes; or the connector was made for a text model of another width.
    """
    settings, names = read_settings(folder), contents(folder)
    tower, weights = _tower(folder, settings, read_part(names, TOWER), audio_folder)
    fill(tower, weights, TOWER, str(folder), text_width, dtype)
    connector = build_connector(settings, tower.config.d_model, text_width)
    fill(connector, read_part(names, CONNECTOR), CONNECTOR, str(folder), text_width, dtype)
    encoder = AudioEncoder(tower.requires_grad_(False), connector).to(device).eval()
    pack_linears(encoder)
    return encoder
