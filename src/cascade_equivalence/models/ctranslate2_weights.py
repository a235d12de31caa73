"""Read a CTranslate2 Whisper folder as data and rename it to openai-whisper's state dict.

CTranslate2 writes one little-endian file, ``model.bin`` (format version 6, spec ``WhisperSpec``): a header, a list of
named tensors and a list of aliases. Nothing in it is executed, so reading it is as safe as reading safetensors.
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cascade_equivalence.errors import StudyError

Arrays = dict[str, np.ndarray]

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
FORMAT_VERSION = 6
SPEC = "WhisperSpec"
HEAD_WIDTH = 64  # of every published Whisper model; for files that do not record the number of heads

# CTranslate2 name inside one encoder or decoder layer -> openai-whisper name, in the order of the stacked rows.
ATTENTION = {
    "self_attention": ("attn", {"linear_0": ("query", "key", "value"), "linear_1": ("out",)}),
    "attention": ("cross_attn", {"linear_0": ("query",), "linear_1": ("key", "value"), "linear_2": ("out",)}),
}


def _bytes(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise StudyError(f"{stream.name} ends in the middle of a record: the file is cut off; fetch it again")
    return data


def _number(stream: BinaryIO, layout: str) -> int:
    return int(struct.unpack(layout, _bytes(stream, struct.calcsize(layout)))[0])


def _string(stream: BinaryIO) -> str:
    return _bytes(stream, _number(stream, "<H")).rstrip(b"\0").decode(errors="replace")


def _tensor(stream: BinaryIO) -> np.ndarray:
    shape = tuple(_number(stream, "<I") for _ in range(_number(stream, "<B")))
    code, size = _number(stream, "<B"), _number(stream, "<I")
    dtype = np.dtype(DTYPES.get(code, np.void))
    if size != math.prod(shape) * dtype.itemsize:
        raise StudyError(f"{stream.name}: a tensor of shape {shape} and type {code} in {size} bytes; fetch it again")
    return np.frombuffer(_bytes(stream, size), dtype.newbyteorder("<")).reshape(shape)


def read_tensors(path: Path) -> Arrays:
    """Read every tensor of a CTranslate2 Whisper ``model.bin``.

    Args:
        path: The file.

    Returns:
        Name to array (read-only), in the file's own dtypes; aliases appear under both names.

    Raises:
        StudyError: The file is not a Whisper model in version 6 of the format, or is cut off.
    """
    with path.open("rb") as stream:
        version = _number(stream, "<I")
        spec = _string(stream) if version == FORMAT_VERSION else ""
        if version != FORMAT_VERSION or spec != SPEC:
            raise StudyError(
                f"{path} is not a CTranslate2 Whisper file (format version {version}, spec {spec!r}; this reader knows "
                f"version {FORMAT_VERSION}, {SPEC}); a pickled PyTorch file of the same name is refused"
            )
        _number(stream, "<I")  # revision of the spec
        tensors = {}
        for _ in range(_number(stream, "<I")):
            name = _string(stream)
            tensors[name] = _tensor(stream)
        for _ in range(_number(stream, "<I")):
            alias, name = _string(stream), _string(stream)
            if name not in tensors:
                raise StudyError(f"{path}: {alias} stands for {name}, which the file does not hold; fetch it again")
            tensors[alias] = tensors[name]
    return tensors


def _norm(tensors: Arrays, source: str, target: str) -> Arrays:
    return {f"{target}.weight": tensors[f"{source}/gamma"], f"{target}.bias": tensors[f"{source}/beta"]}


def _linear(tensors: Arrays, source: str, target: str, parts: tuple[str, ...]) -> Arrays:
    """Split stacked rows (query, key, value) into one linear layer each; Whisper's key has no bias."""
    weights = np.split(tensors[f"{source}/weight"], len(parts))
    biases = np.split(tensors[f"{source}/bias"], len(parts))
    state = {}
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        name = f"{target}.{part}"
        state[f"{name}.weight"] = weight
        if part != "key":
            state[f"{name}.bias"] = bias
        elif np.any(bias):
            raise StudyError(f"{source}: the key bias is not zero, so this is not a Whisper checkpoint")
    return state


def _layer(tensors: Arrays, source: str, target: str) -> Arrays:
    state = _norm(tensors, f"{source}/ffn/layer_norm", f"{target}.mlp_ln")
    for index, name in ((0, "linear_0"), (2, "linear_1")):
        state |= {f"{target}.mlp.{index}.{kind}": tensors[f"{source}/ffn/{name}/{kind}"] for kind in ("weight", "bias")}
    for block, (name, linears) in ATTENTION.items():
        if f"{source}/{block}/linear_0/weight" not in tensors:
            continue
        state |= _norm(tensors, f"{source}/{block}/layer_norm", f"{target}.{name}_ln")
        for linear, parts in linears.items():
            state |= _linear(tensors, f"{source}/{block}/{linear}", f"{target}.{name}", parts)
    return state


def _rename(tensors: Arrays) -> tuple[Arrays, dict[str, int]]:
    """Rename all tensors; returns them and the number of layers of each side."""
    state: Arrays = {}
    layers = {"encoder": 0, "decoder": 0}
    for side in ("encoder", "decoder"):
        state[f"{side}.positional_embedding"] = tensors[f"{side}/position_encodings/encodings"]
        while f"{side}/layer_{layers[side]}/ffn/linear_0/weight" in tensors:
            state |= _layer(tensors, f"{side}/layer_{layers[side]}", f"{side}.blocks.{layers[side]}")
            layers[side] += 1
    for conv in ("conv1", "conv2"):
        state |= {f"encoder.{conv}.{kind}": tensors[f"encoder/{conv}/{kind}"] for kind in ("weight", "bias")}
    state |= _norm(tensors, "encoder/layer_norm", "encoder.ln_post") | _norm(
        tensors, "decoder/layer_norm", "decoder.ln"
    )
    state["decoder.token_embedding.weight"] = tensors["decoder/embeddings/weight"]
    return state, layers


def whisper_state_dict(tensors: Arrays) -> tuple[Arrays, dict[str, int]]:
    """Rename CTranslate2's tensors to openai-whisper's.

    Args:
        tensors: What :func:`read_tensors` returned.

    Returns:
        The state dict, in the dtypes of the file (float16 or float32), and the fields of
        ``whisper.model.ModelDimensions``.

    Raises:
        StudyError: The model is quantised to integers, or is not a Whisper model.
    """
    try:
        state, layers = _rename(tensors)
    except KeyError as error:
        raise StudyError(f"this CTranslate2 model has no tensor {error}, so it is not a Whisper checkpoint") from error
    if quantised := [name for name, value in state.items() if value.dtype.kind != "f"]:
        raise StudyError(
            f"this CTranslate2 model stores integers ({quantised[0]} and {len(quantised) - 1} more): give the float16 "
            "or float32 model; faster-whisper quantises it when it loads"
        )
    vocabulary, width = state["decoder.token_embedding.weight"].shape
    heads = {side: int(tensors.get(f"{side}/num_heads", width // HEAD_WIDTH)) for side in layers}
    dimensions = {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": state["encoder.positional_embedding"].shape[0],
        "n_audio_state": width,
        "n_audio_head": heads["encoder"],
        "n_audio_layer": layers["encoder"],
        "n_vocab": vocabulary,
        "n_text_ctx": state["decoder.positional_embedding"].shape[0],
        "n_text_state": width,
        "n_text_head": heads["decoder"],
        "n_text_layer": layers["decoder"],
    }
    return state, dimensions
