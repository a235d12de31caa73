"""When an answer is over: at an end token, or at the first line break behind a word."""

from collections.abc import Iterable

import torch
from transformers import PreTrainedTokenizerBase


class Stopping:
    """Watches a batch of answers grow.

    Args:
        tokenizer: Says what is written in each token.
        ends: Token ids that end an answer.
        vocabulary: Number of tokens the model can give, which may be more than the tokenizer knows.
        device: Where the tokens are.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Iterable[int], vocabulary: int, device: str) -> None:
        known = min(len(tokenizer), vocabulary)
        pieces = tokenizer.batch_decode([[token] for token in range(known)])
        table = torch.zeros((4, vocabulary), dtype=torch.bool)
        table[0, list(ends)] = True
        table[1, :known] = torch.tensor([bool(piece.strip()) for piece in pieces])
        table[2, :known] = torch.tensor(["\n" in piece for piece in pieces])
        # A word and the break behind it may be one token.
        table[3, :known] = torch.tensor(["\n" in piece.lstrip() for piece in pieces])
        self._ends, self._speaks, self._breaks, self._closes = table.to(device)
        self._tokenizer = tokenizer

    def over(self, token: torch.Tensor, started: torch.Tensor) -> torch.Tensor:
        """Which answers (rows,) are over with their newest token, given which of them had a word before it."""
        return self._ends[token] | self._closes[token] | (self._breaks[token] & started)

    def speaks(self, token: torch.Tensor) -> torch.Tensor:
        """Which tokens (rows,) write more than white space."""
        return self._speaks[token]

    def text(self, tokens: list[int]) -> str:
        """What an answer says: from its first word to the end of that line, without special tokens."""
        if tokens and bool(self._ends[tokens[-1]]):
            tokens = tokens[:-1]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).lstrip().split("\n")[0]
