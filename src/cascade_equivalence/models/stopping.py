"""When an answer ends: at an end token, or at the first line break after a word."""

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
        self._tokenizer = tokenizer
        self._known = min(len(tokenizer), vocabulary)
        self._ends = set(ends)
        self._device = device
        # What a token writes is looked up when it is first given: a whole vocabulary takes seconds to decode.
        self._written: dict[int, str] = {}

    def _pieces(self, token: torch.Tensor) -> list[str]:
        """What each token of a batch (rows,) writes."""
        ids = token.tolist()
        for new in {index for index in ids if index not in self._written}:
            self._written[new] = str(self._tokenizer.decode([new])) if new < self._known else ""
        return [self._written[index] for index in ids]

    def _mask(self, values: Iterable[bool]) -> torch.Tensor:
        return torch.tensor(list(values), dtype=torch.bool, device=self._device)

    def over(self, token: torch.Tensor, started: torch.Tensor) -> torch.Tensor:
        """Which answers (rows,) are over with their newest token, given which of them had a word before it."""
        pieces = self._pieces(token)
        ended = self._mask(index in self._ends for index in token.tolist())
        # A word and the break behind it may be one token.
        closed = self._mask("\n" in piece.lstrip() for piece in pieces)
        return ended | closed | (self._mask("\n" in piece for piece in pieces) & started)

    def speaks(self, token: torch.Tensor) -> torch.Tensor:
        """Which tokens (rows,) write more than white space."""
        return self._mask(bool(piece.strip()) for piece in self._pieces(token))

    def cut(self, tokens: list[int]) -> list[int]:
        """An answer that another loop let run on, as far as it would have gone here; its last token ends it."""
        started = self._mask([False])
        for count, token in enumerate(tokens, start=1):
            newest = torch.tensor([token], device=self._device)
            if bool(self.over(newest, started)):
                return tokens[:count]
            started |= self.speaks(newest)
        return tokens

    def text(self, tokens: list[int]) -> str:
        """What an answer says: from its first word to the end of that line, without special tokens."""
        if tokens and tokens[-1] in self._ends:
            tokens = tokens[:-1]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).lstrip().split("\n")[0]
