"""Which device and which arithmetic a model runs in."""

from typing import TYPE_CHECKING

from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is a GPU, else ``cpu``.

    Raises:
        StudyError: ``cuda`` is asked for where there is none.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise StudyError("device: cuda is set, but torch sees no GPU here: set it to auto or cpu")
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def has_fast_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32 on this device."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without these instructions bfloat16 is emulated and slower than float32.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def resolve_dtype(name: str, device: str) -> "torch.dtype":
    """Turn ``auto`` into bfloat16 where the processor has it, else float32.

    Args:
        name: ``auto`` or the name of a torch dtype.
        device: ``cpu`` or ``cuda``.

    Returns:
        The torch dtype.
    """
    import torch

    if name == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
