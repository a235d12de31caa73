"""Hooks that read or change the outputs of blocks; layer l is the raw output of block l, counted from 0."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from cascade_equivalence.errors import StudyError

Receive = Callable[[int, torch.Tensor], None]
Change = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def watched(blocks: Sequence[nn.Module], layers: Sequence[int], receive: Receive) -> Iterator[None]:
    """Hand on what some blocks put out, every time they run, as long as the context lasts.

    Args:
        blocks: The model's blocks, first to last.
        layers: Those to watch; one named twice is watched once.
        receive: Called with the layer and its output (rows, columns, width). The tensor is the model's own: copy what
            is kept, and change nothing in place.

    Raises:
        StudyError: A layer is not there.
    """

    def hook_of(layer: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
            receive(layer, output[0] if isinstance(output, tuple) else output)

        return hook

    with _hooked(blocks, {layer: hook_of(layer) for layer in layers}):
        yield


@contextmanager
def replaced(blocks: Sequence[nn.Module], change: Mapping[int, Change]) -> Iterator[None]:
    """Put something else in the place of what some blocks put out, as long as the context lasts.

    A context opened later sees what an earlier one has put there.

    Args:
        blocks: The model's blocks, first to last.
        change: By layer, what makes the new output (rows, columns, width) of the old one. What else a block puts out
            stays as it is.

    Raises:
        StudyError: A layer is not there.
    """

    def hook_of(new: Change) -> Callable[..., Any]:
        def hook(_module: nn.Module, _inputs: object, output: Any) -> Any:
            return (new(output[0]), *output[1:]) if isinstance(output, tuple) else new(output)

        return hook

    with _hooked(blocks, {layer: hook_of(new) for layer, new in change.items()}):
        yield


@contextmanager
def _hooked(blocks: Sequence[nn.Module], hooks: Mapping[int, Callable[..., Any]]) -> Iterator[None]:
    """Register forward hooks by layer, and take them off whatever happens."""
    check_layers(hooks, len(blocks))
    with ExitStack() as stack:
        for layer, hook in hooks.items():
            stack.callback(blocks[layer].register_forward_hook(hook).remove)
        yield


def check_layers(layers: Iterable[int], blocks: int) -> None:
    """Refuse layers that a model of so many blocks does not have.

    Raises:
        StudyError: A layer is below 0, or no block has its number.
    """
    strange = sorted({layer for layer in layers if not 0 <= layer < blocks})
    if strange:
        raise StudyError(
            f"the model has no layer {', '.join(map(str, strange))}: its {blocks} blocks are layers 0 to {blocks - 1}; "
            "correct `mechanism.layers`"
        )
