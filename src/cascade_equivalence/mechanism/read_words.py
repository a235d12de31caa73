"""States of a text LLM where it reads what was said, word by word; and the tokens that vectors are nearest to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.models.question import Question
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

if TYPE_CHECKING:
    from cascade_equivalence.models.text_llm import TextLLM

EMBEDDED = -1
"""The layer before the first: what the first block is given."""
STAND_IN = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in a prompt where the words will be."""
AT_ONCE = 256
"""Vectors whose nearest tokens are looked for together."""


@dataclass(frozen=True)
class Read:
    """The words of one utterance.

    Attributes:
        states: By layer, the mean of each word's tokens, (words, width).
        tokens: Tokens of each word, (words,).
    """

    states: dict[int, Floats]
    tokens: Floats


def said_tokens(text: "TextLLM", heard: Question, typed: Question) -> tuple[list[int], list[list[int]]]:
    """Token ids of a typed prompt, and which of them are each word of what was said, in order.

    Args:
        text: The text LLM.
        heard: The question with the placeholder of the sound.
        typed: The same with what was said in its place.

    Raises:
        StudyError: The prompts differ in more than that, or the tokenizer does not say where its tokens stand.
    """
    prompt = text.render(typed.messages, typed.answer_prefix)
    # What stands for sound may be a control token of the model's own, which the renderer takes apart.
    turns = [{**turn, "content": turn["content"].replace(AUDIO_PLACEHOLDER, STAND_IN)} for turn in heard.messages]
    before, _, after = text.render(turns, heard.answer_prefix).partition(STAND_IN)
    if not (prompt.startswith(before) and prompt.endswith(after)):
        raise StudyError("a prompt that is read differs from the one that is heard in more than what was said")
    if not text.tokenizer.is_fast:
        raise StudyError(
            "the tokenizer does not say where in a text its tokens stand, so that words that are read cannot be found: "
            "leave `mechanism.similarity` out, or take the model out of `mechanism.models`"
        )
    found = text.tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    first, last = len(before), len(prompt) - len(after)
    words: list[list[int]] = []
    ends_at = -1
    for place, (start, stop) in enumerate(found["offset_mapping"]):
        written = prompt[start:stop]
        lead = start + len(written) - len(written.lstrip())
        if lead >= stop or lead < first or stop > last:
            continue
        # A token that stands right behind the one before it goes on with its word, as do those that share a letter.
        if words and lead <= ends_at:
            words[-1].append(place)
        else:
            words.append([place])
        ends_at = stop
    return list(found["input_ids"]), words


@torch.inference_mode()
def read_words(
    text: "TextLLM",
    blocks: Sequence[nn.Module],
    prompts: Sequence[tuple[list[int], list[list[int]]]],
    layers: Sequence[int],
    batch_size: int,
) -> Iterator[Read]:
    """Read prompts and yield what becomes of the words in them, in order; ``EMBEDDED`` is what they begin as.

    Args:
        text: The text LLM.
        blocks: Its blocks.
        prompts: Of one task: token ids, and the tokens of each word, from :func:`said_tokens`.
        layers: Layers to look at.
        batch_size: Prompts at once.
    """
    rows = [row for row, _ in prompts]
    text.check_lengths(rows, 0)
    prefix = min([text.usable_prefix(rows), *(words[0][0] for _, words in prompts if words)])
    shared = text.prefix_cache(rows[0][:prefix])
    for start in range(0, len(rows), batch_size):
        some = prompts[start : start + batch_size]
        ids, mask, cache = text.start([row for row, _ in some], prefix, shared)
        kept: list[dict[int, Floats]] = [{} for _ in some]

        def receive(
            layer: int,
            states: torch.Tensor,
            some: Any = some,
            kept: Any = kept,
        ) -> None:
            for (row, words), own, line in zip(some, kept, states, strict=True):
                # Rows end together.
                ends = line[-len(row) :] if len(row) <= len(line) else line
                offset = len(row) - len(ends)
                own[layer] = word_means(ends, [[place - offset for place in word] for word in words])

        receive(EMBEDDED, text.model.get_input_embeddings()(ids))
        with watched(blocks, list(layers), receive):
            text.forward(ids, mask, cache)
        for (_, words), own in zip(some, kept, strict=True):
            yield Read(own, np.array([len(word) for word in words], dtype=float))


def word_means(states: torch.Tensor, words: Sequence[Sequence[int]]) -> Floats:
    """Mean state of each word, (words, width), of states (tokens, width)."""
    if not words:
        return np.zeros((0, states.shape[1]))
    found: Floats = torch.stack([states[list(word)].float().mean(0) for word in words]).cpu().double().numpy()
    return found


@torch.inference_mode()
def nearest_tokens(vectors: torch.Tensor, embedding: torch.Tensor) -> list[int]:
    """The token whose embedding is nearest to each vector, by cosine, of each side its mean taken away.

    Args:
        vectors: (vectors, width), all that are to be centred together.
        embedding: (vocabulary, width).
    """
    table = embedding.float()
    table = nn.functional.normalize(table - table.mean(0), dim=1)
    mine = vectors.to(table.device, torch.float32)
    return [
        token for part in (mine - mine.mean(0)).split(AT_ONCE) for token in (part @ table.mT).argmax(dim=1).tolist()
    ]
