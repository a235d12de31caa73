"""Forced choice: log-likelihoods of given answers, for a batch of prompts that are each read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from cascade_equivalence.models.causal_lm import holds_columns
from cascade_equivalence.models.reading import ReadPrompts, read_prompts
from cascade_equivalence.models.rows import PADDING

if TYPE_CHECKING:
    from cascade_equivalence.models.text_llm import Heard, TextLLM


@dataclass(frozen=True)
class Scores:
    """What a model thinks of answers to a batch of prompts.

    Attributes:
        first: Log-probabilities of the first answer token (rows, vocabulary), float32, natural logarithm.
        sums: Log-likelihood of each row's candidates: the sum over their tokens, in float32.
    """

    first: torch.Tensor
    sums: list[list[float]]


@torch.inference_mode()
def score(
    text: "TextLLM",
    rows: list[list[int]],
    candidates: Sequence[Sequence[list[int]]],
    prefix: int = 0,
    shared: DynamicCache | None = None,
    heard: "Heard" = None,
    read: ReadPrompts | None = None,
) -> Scores:
    """Score candidate answers.

    Args:
        text: The text LLM.
        rows: Token ids of each prompt.
        candidates: Token ids of each row's candidates; a row may have none.
        prefix: Tokens at the start of all rows covered by ``shared``.
        shared: Key-value cache of those tokens.
        heard: For prompts with sound: the vectors of each row, as for ``TextLLM.generate``.
        read: The same rows as they were read already; it is used up.

    Returns:
        The scores, rows and candidates in order.

    Raises:
        StudyError: The arithmetic overflows.
    """
    read = read or read_prompts(text, rows, prefix, shared, heard)
    mask, cache, first = read.mask, read.cache, read.logits.log_softmax(-1)
    most = max(map(len, candidates))
    longest = max((len(answer) for own in candidates for answer in own), default=0)
    if not most:
        return Scores(first, [[] for _ in rows])
    ids = torch.full((len(rows), most, longest), PADDING)
    own = torch.zeros_like(ids)
    for row, answers in enumerate(candidates):
        for place, answer in enumerate(answers):
            ids[row, place, : len(answer)] = torch.tensor(answer)
            own[row, place, : len(answer)] = 1
    ids, own = ids.flatten(0, 1).to(text.device), own.flatten(0, 1).to(text.device)
    chosen = first.repeat_interleave(most, 0).gather(1, ids[:, :1])
    if longest > 1:
        if holds_columns(cache):
            cache.batch_repeat_interleave(most)
        else:
            # A recurrent state cannot be repeated: each candidate's prompt is read for itself.
            sounds = None if heard is None else [own_sound for own_sound in heard for _ in range(most)]
            cache = read_prompts(text, [row for row in rows for _ in range(most)], prefix, shared, sounds).cache
        mask = torch.cat([mask.repeat_interleave(most, 0), own[:, :-1]], dim=1)
        later = text.logits(ids[:, :-1], mask, cache, longest - 1).log_softmax(-1)
        chosen = torch.cat([chosen, later.gather(2, ids[:, 1:, None])[:, :, 0]], dim=1)
    sums = (chosen * own).sum(-1).view(len(rows), most).tolist()
    return Scores(first, [found[: len(answers)] for found, answers in zip(sums, candidates, strict=True)])
