"""The logit lens: a state goes through the model's own final norm and unembedding, and shows a token.

After nostalgebraist (2020) as the paper uses it (section 3.4): the raw output of a block goes through the final norm,
exactly once, then through the unembedding, then through whatever cap or scale the model has behind it. At the last
block that is the model's own next-token distribution.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import MoeModelOutputWithPast
from transformers.utils import logging

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import own_text_in
from cascade_equivalence.models.causal_lm import load_causal_lm, read_config
from cascade_equivalence.models.text_llm import TIE_CANDIDATES

BYTES_AT_ONCE = 256 * 2**20
"""Memory for logits; the number of frames that are read at once follows from it."""

SORTED_AT_ONCE = 64
"""Frames whose scores are sorted together, to rank tokens."""


class _Normed(MoeModelOutputWithPast):
    """What a decoder gives, as far as it is known; a field of one class's own is empty."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(name)


class _OnlyNorm(nn.Module):
    """Stands in for a decoder: its blocks are behind us, only its final norm is left."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, inputs_embeds: torch.Tensor, **_: object) -> _Normed:
        return _Normed(last_hidden_state=self.norm(inputs_embeds))


class Unembedding:
    """From states to what the model would say if they came out of its last block.

    Args:
        model: A causal language model of the transformers library. It is not changed; its weights are shared.

    Raises:
        StudyError: The model's final norm is not where the library's decoders have it.
    """

    def __init__(self, model: Any) -> None:
        norm = getattr(model.get_decoder(), "norm", None)
        if norm is None or model.base_model_prefix not in model._modules:
            raise StudyError(
                f"the final norm of {type(model).__name__} was not found, so there is no logit lens for it: take the "
                "model out of `mechanism.models`, or choose one with a Llama-like decoder"
            )
        self.norm: nn.Module = norm
        self.head: Any = model.get_output_embeddings()
        # The model's own code runs with a decoder of which only the norm is left: so nothing behind it is forgotten.
        self._rest = copy.copy(model)
        self._rest._modules = model._modules | {model.base_model_prefix: _OnlyNorm(norm)}
        self._rest.eval()

    @property
    def width(self) -> int:
        """Width of a state."""
        return int(self.head.weight.shape[1])

    @property
    def vocabulary(self) -> int:
        """Number of tokens, which may be more than the tokenizer knows."""
        return int(self.head.weight.shape[0])

    @property
    def frames_at_once(self) -> int:
        """Frames whose logits fit into the memory set aside for them."""
        return max(1, BYTES_AT_ONCE // (self.vocabulary * torch.float32.itemsize))

    def to(self, device: str) -> "Unembedding":
        """Move the norm and the unembedding, and nothing else, to a device; the model they came from loses them."""
        self._rest.to(device)
        return self

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Logits (frames, vocabulary), float32, of states (frames, width) in any arithmetic.

        All frames are computed at once, and gradients pass: chunks are the caller's business.
        """
        states = states.to(self.head.weight.device, self.head.weight.dtype)
        logits: torch.Tensor = self._rest(inputs_embeds=states[None], use_cache=False).logits[0]
        return logits.float()

    @torch.inference_mode()
    def tokens(self, states: torch.Tensor) -> torch.Tensor:
        """The most likely token (frames,), int64 on the CPU, of states (frames, width); memory does not grow.

        A near tie in reduced precision is decided in float32, as when the model answers; of equal tokens the first one
        is taken. Caps and scales behind the unembedding keep the order and are left out.

        Raises:
            StudyError: The arithmetic overflows.
        """
        return self.likeliest(states, 1)[:, 0]

    @torch.inference_mode()
    def likeliest(self, states: torch.Tensor, count: int) -> torch.Tensor:
        """The most likely tokens (frames, count), int64 on the CPU; the first is that of :meth:`tokens`.

        Args:
            states: (frames, width).
            count: How many, at most as many as there are.

        Raises:
            StudyError: The arithmetic overflows.
        """
        return self.ranked(states, count, torch.empty(0, dtype=torch.long))[0]

    @torch.inference_mode()
    def ranked(self, states: torch.Tensor, count: int, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The most likely tokens, as :meth:`likeliest` gives them, and where some tokens rank among all.

        Args:
            states: (frames, width).
            count: How many of the likeliest.
            asked: Tokens whose ranks are asked for, (asked,); none cost nothing.

        Returns:
            (frames, count), and the ranks (frames, asked), both int64 on the CPU; the first rank is 1, and of equally
            likely tokens all have the best one.

        Raises:
            StudyError: The arithmetic overflows.
        """
        count = min(count, self.vocabulary)
        parts = [self._ranked(part, count, asked) for part in states.split(self.frames_at_once)] if len(states) else []
        none = [torch.empty((0, width), dtype=torch.long) for width in (count, len(asked))]
        likeliest, ranks = (torch.cat([start, *(part[at] for part in parts)]) for at, start in enumerate(none))
        return likeliest, ranks

    def _ranked(self, states: torch.Tensor, count: int, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weight, bias = self.head.weight, getattr(self.head, "bias", None)
        normed = self.norm(states.to(weight.device, weight.dtype))
        scores = self.head(normed)
        if not bool(scores.isfinite().all()):
            raise StudyError(
                f"the logit lens meets numbers that are not finite in {str(weight.dtype).removeprefix('torch.')}: the "
                "states overflow in that arithmetic; capture them in bfloat16 or float32"
            )
        best = scores.topk(min(max(TIE_CANDIDATES, count), self.vocabulary), dim=-1).indices
        candidates = best[:, :TIE_CANDIDATES].sort(dim=-1).values
        exact = torch.einsum("fcw,fw->fc", weight[candidates].float(), normed.float())
        if bias is not None:
            exact = exact + bias[candidates].float()
        first = candidates.gather(1, exact.argmax(-1, keepdim=True))
        # The others as they come, without the first, which is one of them.
        others = best[best != first].view(len(best), -1)
        return torch.cat([first, others[:, : count - 1]], dim=1).cpu(), _ranks(scores, asked.to(scores.device))


def _ranks(scores: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Rank (frames, asked) of some tokens by scores (frames, vocabulary)."""
    if not len(asked):
        return torch.empty((len(scores), 0), dtype=torch.long)
    found = []
    for part in scores.float().split(SORTED_AT_ONCE):
        ascending = part.sort(dim=-1).values
        found.append(part.shape[1] + 1 - torch.searchsorted(ascending, part[:, asked], right=True))
    return torch.cat(found).cpu()


def open_unembedding(folder: Path, device: str, dtype: torch.dtype) -> Unembedding:
    """Read a model's final norm and unembedding from its folder; its blocks stay on the disk.

    Args:
        folder: Model folder with safetensors weights.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic of the weights; the one that the model answers in.

    Raises:
        StudyError: Weights are missing, or the model is of a kind whose final norm is not known.
    """
    config = read_config(folder)
    own = own_text_in(folder)
    if own is None or not getattr(own.network(), "blocks_in_one", False):
        text = config.get_text_config()
        text.num_hidden_layers = 0
        if getattr(text, "layer_types", None):
            text.layer_types = []
    loudness = logging.get_verbosity()
    # The library would list every block's weights as unexpected.
    logging.set_verbosity_error()
    try:
        model = load_causal_lm(folder, dtype, config)
    finally:
        logging.set_verbosity(loudness)
    for weight in model.parameters():
        weight.requires_grad_(False)
    return Unembedding(model).to(device)
