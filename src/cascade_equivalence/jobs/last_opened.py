"""The model that a process has opened last stays open for the next node that opens the same: see :mod:`.one_process`.

It is given to a node only as its files have it: where a node has left it changed, or another is wanted, it is let go,
and memory and GPU are free before the next one is opened. Put in the place of ``models/kept.opened`` from here, since
what that module does counts as code that answers are made by, and answers are the same either way.
"""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.question import ModelFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

    Opened = tuple[TextLLM, SpeechLLM | None]

SAID = "The model is open since a node before."
"""Line in the log of a node that has not loaded its weights."""
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class LastOpened:
    """Opens models, and holds the last one.

    Args:
        opening: Opens a model, as ``models/kept.opened`` does.
    """

    def __init__(self, opening: "Callable[[ModelFiles, str, torch.dtype], Opened]") -> None:
        self._opening = opening
        self._held: tuple[object, Opened, object, list[torch.Tensor]] | None = None

    def __call__(self, files: "ModelFiles", device: str, dtype: "torch.dtype") -> "Opened":
        """A text LLM and, of a speech LLM, the whole around it: as it is held, or else opened now."""
        # Its identity has the plugin's code, where one opens it.
        key = (Path.cwd(), files, files.speech and files.speech.identity(), device, dtype)
        if self._held is not None and self._held[0] == key and self._as_opened():
            print(SAID)
            return self._held[1]
        self.let_go()
        found = self._opening(files, device, dtype)
        modules = _modules(found)
        self._held = key, found, _shape(modules), [each.detach().cpu().clone() for each in _buffers(modules)]
        return found

    def let_go(self) -> None:
        """Hold nothing, and free its memory."""
        self._held = None
        gc.collect()
        empty_cache()

    def _as_opened(self) -> bool:
        """Whether the model is what it was when it was opened."""
        import torch

        assert self._held is not None
        _, found, shape, buffers = self._held
        modules = _modules(found)
        if _shape(modules) != shape:
            return False
        now = [each.detach().cpu() for each in _buffers(modules)]
        return all(torch.equal(one, other) for one, other in zip(buffers, now, strict=True))


def _modules(found: "Opened") -> "list[tuple[str, torch.nn.Module]]":
    """All networks of a model with all their parts, by name."""
    import torch

    holders = [vars(each) for each in found if each is not None]
    networks = [(name, each) for held in holders for name, each in held.items() if isinstance(each, torch.nn.Module)]
    return [(f"{name}.{inner}", part) for name, each in networks for inner, part in each.named_modules()]


def _shape(modules: "list[tuple[str, torch.nn.Module]]") -> object:
    """What of a network's parts a node could change: which they are, what watches them, how often weights were written.

    Weights themselves are not read: torch counts what is written to them. Written to through ``.data`` it would not be
    seen; nothing here does that.
    """
    return [
        (
            *(name, id(part), type(part), part.training, id(vars(part).get("forward"))),
            *(len(getattr(part, hooks)) for hooks in HOOKS),
            [
                (inner, id(weight), weight.data_ptr(), _written(weight), weight.requires_grad, weight.grad is None)
                for inner, weight in part.named_parameters(recurse=False)
            ],
            [(inner, each.shape, each.dtype) for inner, each in part.named_buffers(recurse=False)],
        )
        for name, part in modules
    ]


def _written(weight: "torch.Tensor") -> int | object:
    """How often a weight was written to; of one made in inference mode nobody counts, and it is never the same."""
    return object() if weight.is_inference() else weight._version


def _buffers(modules: "list[tuple[str, torch.nn.Module]]") -> "list[torch.Tensor]":
    return [each for _, part in modules for _, each in part.named_buffers(recurse=False)]


def empty_cache() -> None:
    """Give the GPU's memory back that torch holds and nobody uses."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def keep_last() -> None:
    """Keep the model open that this process opens last, from now on."""
    from cascade_equivalence.models import kept

    kept.opened = LastOpened(kept.opened)
