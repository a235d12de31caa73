"""Whisper weights under openai-whisper's names, converted from every layout that this project reads.

Three layouts of a model folder lead to the same network: ``whisper.safetensors`` (written here), CTranslate2's
``model.bin``, and the transformers library's ``model.safetensors`` with its ``config.json``.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import INDEX, SINGLE, read_header, read_json, weight_files
from cascade_equivalence.models.ctranslate2_weights import read_tensors, whisper_state_dict
from cascade_equivalence.models.tensor_files import order_metadata

if TYPE_CHECKING:
    import torch
    from whisper.model import Whisper

WEIGHTS = "whisper.safetensors"
_CTRANSLATE2 = "model.bin"
_DIMENSIONS = "dimensions"

# Field of whisper.model.ModelDimensions -> key of the transformers config.
_CONFIG_KEYS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
# Part of a transformers name and of the openai-whisper name, replaced in this order, or back in the reverse order.
_RENAMES = (
    (".layers.", ".blocks."),
    (".self_attn_layer_norm.", ".attn_ln."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."),
    (".final_layer_norm.", ".mlp_ln."),
    (".self_attn.", ".attn."),
    (".encoder_attn.", ".cross_attn."),
    (".q_proj.", ".query."),
    (".k_proj.", ".key."),
    (".v_proj.", ".value."),
    (".out_proj.", ".out."),
    (".fc1.", ".mlp.0."),
    (".fc2.", ".mlp.2."),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    (".embed_tokens.", ".token_embedding."),
    (".embed_positions.weight", ".positional_embedding"),
)


def write_weights(state: dict[str, np.ndarray], dimensions: dict[str, int], path: Path) -> None:
    """Write a state dict as safetensors, with the dimensions in its metadata.

    Args:
        state: Arrays by openai-whisper's names, in the dtype to store.
        dimensions: Fields of ``whisper.model.ModelDimensions``.
        path: The file.
    """
    from safetensors.numpy import save_file

    # Split rows are views; safetensors writes whole buffers.
    arrays = {name: np.ascontiguousarray(value) for name, value in state.items()}
    save_file(arrays, path, metadata={"format": "pt", _DIMENSIONS: json.dumps(dimensions, sort_keys=True)})
    order_metadata(path)


def read_dimensions(path: Path) -> dict[str, int]:
    """Read the dimensions of a file that :func:`write_weights` wrote.

    Raises:
        StudyError: The file is not such a file, or is cut off.
    """
    try:
        content: dict[str, int] = json.loads(read_header(path).metadata[_DIMENSIONS])
    except (KeyError, ValueError) as error:
        raise StudyError(f"{path} does not hold Whisper's dimensions; resolve the model again") from error
    return content


def transformers_dimensions(config: dict[str, Any]) -> dict[str, int]:
    """Fields of ``whisper.model.ModelDimensions`` from a Whisper ``config.json`` of the transformers library.

    Raises:
        StudyError: The config is not of a Whisper model.
    """
    if config.get("model_type") != "whisper":
        raise StudyError(f"model type {config.get('model_type')!r} is not Whisper; give a Whisper checkpoint")
    try:
        return {field: int(config[key]) for field, key in _CONFIG_KEYS.items()}
    except KeyError as error:
        raise StudyError(f"config.json has no {error}, which a Whisper checkpoint needs") from error


def rename_transformers(name: str) -> str | None:
    """Rename one tensor of the transformers library's Whisper; None for the output layer, which is the embedding."""
    if name == "proj_out.weight":
        return None
    name = name.removeprefix("model.")
    for theirs, ours in _RENAMES:
        name = name.replace(theirs, ours)
    return name


def rename_openai(name: str) -> str:
    """Rename one tensor of openai-whisper's Whisper to the transformers library's name (without ``model.``)."""
    for theirs, ours in reversed(_RENAMES):
        name = name.replace(ours, theirs)
    return name


def _read(folder: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, int]]:
    """The state dict and the dimensions, from whichever layout the folder has."""
    import torch
    from safetensors.torch import load_file

    if (folder / WEIGHTS).is_file():
        return load_file(folder / WEIGHTS), read_dimensions(folder / WEIGHTS)
    if (folder / _CTRANSLATE2).is_file():
        arrays, dimensions = whisper_state_dict(read_tensors(folder / _CTRANSLATE2))
        return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, dimensions
    if not any((folder / name).is_file() for name in (SINGLE, INDEX)):
        raise StudyError(f"{folder} holds no Whisper weights ({WEIGHTS}, {_CTRANSLATE2} or {SINGLE})")
    dimensions = transformers_dimensions(read_json(folder / "config.json"))
    parts = weight_files({path.name: path for path in folder.iterdir()}, folder.name)
    tensors = {name: tensor for part in parts for name, tensor in load_file(part).items()}
    return {new: tensor for old, tensor in tensors.items() if (new := rename_transformers(old))}, dimensions


def encoder_weights(folder: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Read the encoder of a Whisper model folder for the transformers library.

    Args:
        folder: Model folder in one of the three layouts.

    Returns:
        Weights by the names within that library's ``WhisperEncoder``, in the dtype they are stored in, and the
        encoder's shape by the keys of that library's config.

    Raises:
        StudyError: The folder holds no Whisper weights.
    """
    state, dimensions = _read(folder)
    weights = {
        rename_openai(name).removeprefix("encoder."): tensor
        for name, tensor in state.items()
        if name.startswith("encoder.")
    }
    config = {key: dimensions[field] for field, key in _CONFIG_KEYS.items() if field.startswith("n_audio")}
    # openai-whisper has no other width of its feed-forward layers.
    return weights, config | {"num_mel_bins": dimensions["n_mels"], "encoder_ffn_dim": 4 * dimensions["n_audio_state"]}


def load_openai_whisper(folder: Path, device: str = "cpu", dtype: "torch.dtype | None" = None) -> "Whisper":
    """Load a Whisper model folder as an openai-whisper model.

    The text decoder's alignment heads are openai-whisper's default (the upper half of the layers), not the ones chosen
    for the checkpoint, so word timestamps are not to be relied on.

    Args:
        folder: Model folder in one of the three layouts.
        device: Where to put the model.
        dtype: Type of the weights, float32 by default. Layer norms stay in float32, as openai-whisper computes them.
            The log-mel input must have this type.

    Returns:
        The model, in evaluation mode. Every weight was found and none was left over.

    Raises:
        StudyError: The folder holds no Whisper weights, or they do not fit together.
    """
    import torch
    from whisper.model import LayerNorm, ModelDimensions, Whisper

    state, dimensions = _read(folder)
    model = Whisper(ModelDimensions(**dimensions))
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise StudyError(f"the weights in {folder} are not those of a whole Whisper model: {error}") from error
    model = model.to(device=device, dtype=dtype or torch.float32)
    for module in model.modules():
        if isinstance(module, LayerNorm):
            module.float()
    return model.eval()
