"""Linear layers whose weights are packed once: what a processor computes in float32 is up to half faster in decoding.

MKL, behind torch's own linear layer, rearranges a weight at every call, which for the few rows of a decoding step takes
longer than the product. oneDNN takes a weight that was rearranged before. Open this if a step of a text LLM is slow on
a processor, or if torch's private operators for it have changed: where they are missing or give other numbers, layers
stay what they are.

Packed weights stand beside the plain ones, which embeddings and those who look into a model need: a packed model takes
twice its memory. So only small ones are packed (``PACKED_AT_MOST``), and none where the environment variable
``CASCADE_EQUIVALENCE_PLAIN_LINEAR`` is set.
"""

import os
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

PLAIN = "CASCADE_EQUIVALENCE_PLAIN_LINEAR"
"""Environment variable that switches packing off."""
PACKED_AT_MOST = 2 << 30
"""Bytes of linear layers that are packed; a model with more keeps plain ones, since its memory was reckoned without."""
ROWS = 16
"""Rows that weights are packed for; others are served as well."""
TOLERANCE = 1e-4


class PackedLinear(nn.Linear):
    """A linear layer that packs its weight when it is first used, and again when the weight has changed.

    Gradients, other arithmetic, other devices and weights made in inference mode, whose changes torch does not count,
    take the plain product. A weight that is written to through ``.data`` is not seen to change: nothing here does that.
    """

    # The packed weight, and whose it is: where the plain one lies, and how often it was written to.
    _packed: tuple[tuple[int, int], torch.Tensor] | None = None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out), float32."""
        weight = self.weight
        if (
            states.dtype != torch.float32
            or weight.dtype != torch.float32
            or not states.is_cpu
            or not weight.is_cpu
            or not states.numel()
            or torch.is_grad_enabled()
            or weight.is_inference()
            or torch.is_autocast_enabled("cpu")
        ):
            return functional.linear(states, weight, self.bias)
        packed, whose = self._packed, (weight.data_ptr(), weight._version)
        if packed is None or packed[0] != whose:
            packed = self._packed = (whose, _pack(weight))
        return _multiply(states, packed[1], self.bias)


def _pack(weight: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    return packed


def _multiply(states: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")
    return product


@lru_cache(maxsize=1)
def packs() -> bool:
    """Whether this torch can pack weights, and what comes of it is the plain product."""
    generator = torch.Generator().manual_seed(0)
    weight, states, bias = (torch.randn(size, generator=generator) for size in ((48, 40), (2, 3, 40), (48,)))
    try:
        with torch.inference_mode():
            packed = _multiply(states, _pack(weight), bias)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    plain = functional.linear(states, weight, bias)
    return packed.shape == plain.shape and bool((packed - plain).abs().max() < TOLERANCE)


def pack_now(model: Any) -> None:
    """Pack a model's weights before they are used, so that a process's forks need not."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, PackedLinear):
                layer(layer.weight.new_zeros(1, layer.in_features))


def pack_linears(model: Any) -> None:
    """Let a model's linear layers pack their weights, where that is possible and pays.

    The layers stay the same objects, with the same weights under the same names.

    Args:
        model: A module on the device and in the arithmetic that it stays in.
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear]
    pay = [layer for layer in layers if layer.weight.is_cpu and layer.weight.dtype == torch.float32]
    size = sum(layer.weight.numel() * layer.weight.itemsize for layer in pay)
    if os.environ.get(PLAIN) or size > PACKED_AT_MOST or not packs():
        return
    for layer in pay:
        layer.__class__ = PackedLinear
