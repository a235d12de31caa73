"""Bags of tokens: how much of what the lens shows was spoken, and how much of what was spoken it shows.

Definition. Each token is decoded alone, stripped of white space and lower-cased. What is left counts unless it is a
control token, empty, or without a letter, a mark or a digit (punctuation, symbols, the sign for half a character).

- The reference of an utterance is its text tokenised by the model's own tokenizer, once as it is and once behind a
  space, because a token differs between a text's start and its middle.
- Precision: the share of the shown tokens that are among the reference's tokens of either tokenisation; null where no
  token is left. As a multiset, a token counts at most as often as the reference has it (in the tokenisation that has it
  more often).
- Recall: the share of the reference's tokens (behind a space) that are shown; 0 where no token is left, null where
  nothing was spoken. As a multiset, at most as often as it is shown.
- Chance: the same shown tokens against the references of other texts, every text paired with another one, with all its
  readings, in each of several seeded shuffles; the mean. A pair that happens to have the same reference is left out.

Frames are not words: a lens at an audio position predicts what comes next, and several frames may show one token.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.mechanism.said import exchanges
from cascade_equivalence.models.rendering import control_tokens

_MARKUP = re.compile(r"<\S+>")
"""Added tokens of this form (<|audio|>, <tool_call>) are signs between programs, whether or not marked as special."""


@dataclass(frozen=True)
class Reference:
    """The tokens of what was spoken.

    Attributes:
        either: How often each token occurs, in the tokenisation that has it more often.
        spaced: How often each token occurs where the text stands behind a space.
    """

    either: Counter[str]
    spaced: Counter[str]


@dataclass(frozen=True)
class Overlap:
    """Precision and recall of one bag of tokens, each null where it is not defined."""

    precision: float | None
    recall: float | None


class Pieces:
    """What the tokens of a vocabulary write.

    Args:
        tokenizer: The model's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known = len(tokenizer)
        signs = {number for number, token in tokenizer.added_tokens_decoder.items() if _MARKUP.fullmatch(token.content)}
        named = [tokenizer.convert_tokens_to_ids(name) for name in control_tokens(tokenizer)]
        self._control = {*tokenizer.all_special_ids, *signs, *named}
        # What a token writes is looked up when it is first met: a whole vocabulary takes seconds to decode.
        self._written: dict[int, str] = {}

    def written(self, token: int) -> str:
        """What a token counts as; empty if it does not count."""
        if token not in self._written:
            self._written[token] = self._decode_one(token)
        return self._written[token]

    def _decode_one(self, token: int) -> str:
        if not self._speaks(token):
            return ""
        piece = str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False)).strip().lower()
        return piece if any(unicodedata.category(sign)[0] in "LMN" for sign in piece) else ""

    def _speaks(self, token: int) -> bool:
        """Whether a token is one of the tokenizer's and not a control token."""
        return 0 <= token < self._known and token not in self._control

    def kept(self, tokens: Iterable[int]) -> list[str]:
        """What some tokens count as, without those that do not."""
        return [piece for piece in map(self.written, tokens) if piece]

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as one line of text: runs of one token taken as one, control tokens dropped, white space evened."""
        runs = [token for place, token in enumerate(tokens) if place == 0 or token != tokens[place - 1]]
        spoken = [token for token in runs if self._speaks(token)]
        return " ".join(str(self._tokenizer.decode(spoken, clean_up_tokenization_spaces=False)).split())

    def reference(self, text: str) -> Reference:
        """The tokens of what was spoken."""
        plain, spaced = (Counter(self.kept(self._tokenize(lead + text))) for lead in ("", " "))
        return Reference(plain | spaced, spaced)

    def spoken(self, text: str) -> list[int]:
        """The tokens that count of a text behind a space, as :class:`Reference` has them."""
        return [token for token in self._tokenize(" " + text) if self.written(token)]

    def _tokenize(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def overlap(shown: Counter[str], reference: Reference, multiset: bool) -> Overlap:
    """Precision and recall of shown tokens (see the module's definition)."""
    total, spoken = shown.total(), reference.spaced.total()
    right = sum(_count(times, reference.either[piece], multiset) for piece, times in shown.items())
    found = sum(_count(times, shown[piece], multiset) for piece, times in reference.spaced.items())
    return Overlap(right / total if total else None, found / spoken if spoken else None)


def overlaps(shown: Sequence[Counter[str]], references: Sequence[Reference], multiset: bool) -> list[Overlap]:
    """Precision and recall of each utterance's shown tokens against its own reference."""
    return [overlap(bag, reference, multiset) for bag, reference in zip(shown, references, strict=True)]


def _count(times: int, others: int, multiset: bool) -> int:
    """How many of ``times`` occurrences count, given how often the other side has them."""
    return min(times, others) if multiset else times * (others > 0)


def chance(
    shown: Sequence[Counter[str]],
    references: Sequence[Reference],
    said: np.ndarray,
    shuffles: int,
    multiset: bool,
    seed: int,
) -> list[Overlap]:
    """What each utterance's tokens score against the references of other texts, on average.

    Args:
        shown: Tokens shown for each utterance.
        references: What was spoken in each.
        said: Number of the text of each, from :func:`~.said.text_numbers`; all readings of a text meet the same others.
        shuffles: Pairings. They depend on the number of texts and the seed alone, so that layers share them.
        multiset: See the module's definition.
        seed: Seed of the pairings.

    Returns:
        One a row; null where a value is in no pairing defined, as with a single text.
    """
    met: list[list[Overlap]] = [[] for _ in shown]
    for others in exchanges(said, shuffles, seed):
        for place, other in enumerate(others.tolist()):
            if references[place] != references[other]:
                met[place].append(overlap(shown[place], references[other], multiset))
    return [Overlap(_mean(one.precision for one in some), _mean(one.recall for one in some)) for some in met]


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None
