"""A batch of prompts that a text LLM has read: to score answers and to write one from the same reading."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from cascade_equivalence.models.causal_lm import copied

if TYPE_CHECKING:
    from cascade_equivalence.models.text_llm import Heard, TextLLM


@dataclass(frozen=True)
class ReadPrompts:
    """Prompts with what was computed of them. Going on from one changes its cache.

    Attributes:
        last: Hidden states (rows, width) behind the final norm at each prompt's last token.
        logits: Logits (rows, vocabulary) of the token that comes next, float32.
        mask: Which columns are a row's own (rows, columns).
        cache: Keys and values of the columns.
    """

    last: torch.Tensor
    logits: torch.Tensor
    mask: torch.Tensor
    cache: DynamicCache

    def copied(self) -> "ReadPrompts":
        """The same, to go on from in another way."""
        return ReadPrompts(self.last, self.logits, self.mask, copied(self.cache))


@torch.inference_mode()
def read_prompts(
    text: "TextLLM", rows: list[list[int]], prefix: int = 0, shared: DynamicCache | None = None, heard: "Heard" = None
) -> ReadPrompts:
    """Read a batch of tokenized prompts once.

    Args:
        text: The text LLM.
        rows: Token ids of each prompt.
        prefix: Tokens at the start of all rows covered by ``shared``.
        shared: Key-value cache of those tokens.
        heard: For prompts with sound: the vectors of each row, as for ``TextLLM.generate``.

    Raises:
        StudyError: The arithmetic overflows.
    """
    ids, mask, cache = text.start(rows, prefix, text.prefix_cache(rows[0][:prefix]) if shared is None else shared)
    last: list[torch.Tensor] = []

    def keep(_module: Any, _arguments: Any, output: Any) -> None:
        last.append(output.last_hidden_state[:, -1])

    # The network's own head, which may cap or scale, gives the logits; it does not give the states it reads.
    handle = text.model.base_model.register_forward_hook(keep)
    try:
        logits = text.logits(ids, mask, cache, 1, heard)[:, 0]
    finally:
        handle.remove()
    return ReadPrompts(last[0], logits, mask, cache)
