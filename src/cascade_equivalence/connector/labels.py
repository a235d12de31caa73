"""Which token of the text LLM is being spoken at each output of the connector."""

import re
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

UNKNOWN = -100
"""Label of an output for which no token is named."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Spelling:
    """A text in the text LLM's tokens.

    Attributes:
        tokens: Token ids.
        words: Index of the space-separated word that each token belongs to.
        weights: Letters of each token, its share of the word's time.
    """

    tokens: list[int]
    words: list[int]
    weights: list[int]


def spell(tokenizer: PreTrainedTokenizerBase, text: str) -> Spelling:
    """Tokenize a text and say which word each token is of; a token over two words belongs to the first.

    Args:
        tokenizer: A fast tokenizer of the text LLM.
        text: What is said.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = [match.span() for match in _WORD.finditer(text)]
    words, weights = [], []
    at = 0
    for first, end in encoded["offset_mapping"]:
        start = first
        while start < end and text[start].isspace():
            start += 1
        while at + 1 < len(spans) and start >= spans[at][1]:
            at += 1
        words.append(at)
        weights.append(max(1, end - start))
    return Spelling(list(encoded["input_ids"]), words, weights)


def output_labels(spelling: Spelling, starts: list[int], outputs: int, frames_per_output: float) -> np.ndarray:
    """Label each output with the token spoken at its middle.

    A word's time is shared among its tokens by their letters. Before the first word and behind the last
    nothing is said.

    Args:
        spelling: The text in tokens.
        starts: First encoder frame of each word, and the frame where the last one ends.
        outputs: Outputs of the connector for this clip.
        frames_per_output: Encoder frames an output stands for.

    Returns:
        Token id of each output (outputs,); ``UNKNOWN`` behind the last word.
    """
    labels = np.full(outputs, UNKNOWN, dtype=np.int64)
    middles = (np.arange(outputs) + 0.5) * frames_per_output
    words, weights = np.array(spelling.words), np.array(spelling.weights, dtype=float)
    for word in np.unique(words):
        own = np.flatnonzero(words == word)
        begin, end = starts[word], max(starts[word + 1], starts[word] + 1)
        edges = begin + (end - begin) * np.concatenate([[0.0], weights[own].cumsum() / weights[own].sum()])
        for token, first, last in zip(own, edges[:-1], edges[1:], strict=True):
            labels[(middles >= first) & (middles < last)] = spelling.tokens[token]
    return labels
