"""Write and read the erasers of one layer."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.models.tensor_files import order_metadata


def read_erasers(path: Path) -> dict[str, Eraser]:
    """Read a layer's erasers by variant, float32; draws in their order.

    Raises:
        StudyError: The file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        variants = sorted({name.rpartition(".")[0] for name in held}, key=lambda name: (len(name), name))
        return {
            variant: Eraser(
                left := held[f"{variant}.left"],
                held.get(f"{variant}.right", left.mT),
                held.get(f"{variant}.bias"),
            )
            for variant in variants
        }
    except (SafetensorError, OSError, KeyError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error


def write_erasers(path: Path, erasers: Mapping[str, Eraser], about: dict[str, str]) -> None:
    """Write erasers in the arithmetic that they are applied in; of orthogonal projections, half of their factors."""
    tensors: dict[str, Tensor] = {}
    for variant, eraser in erasers.items():
        right = None if torch.equal(eraser.right, eraser.left.mT) else eraser.right
        parts = {"left": eraser.left, "right": right, "bias": eraser.bias}
        tensors |= {
            f"{variant}.{name}": part.float().clone().contiguous() for name, part in parts.items() if part is not None
        }
    with replacing(path) as part:
        save_file(tensors, part, about)
        order_metadata(part)


def eraser_hash(erasers: Mapping[int, Eraser]) -> str:
    """Hash of the maps of some layers; not of the file that they are in, which may gain others.

    Args:
        erasers: Eraser of each layer.
    """
    digest = hashlib.sha256()
    for layer, eraser in sorted(erasers.items()):
        for part in (eraser.left, eraser.right, eraser.bias):
            digest.update(f"{layer} {None if part is None else tuple(part.shape)} ".encode())
            if part is not None:
                digest.update(part.float().contiguous().numpy().tobytes())
    return digest.hexdigest()
