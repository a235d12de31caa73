"""Runs of a speech LLM into which states of another run are put: pairs of items, prompts as tokens, log-odds of labels.

Open this to change what a pair is or how a run is read; where states are taken from and put is in ``patched_behind``
(the tokens behind the speech) and ``patched_words`` (the words themselves).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from cascade_equivalence.mechanism.hooks import replaced
from cascade_equivalence.models.causal_lm import holds_columns
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.scoring import score

if TYPE_CHECKING:
    from cascade_equivalence.models.text_llm import TextLLM


@dataclass(frozen=True)
class TwoWays:
    """One item as a question: with its clip, and with its words typed in the place of the sound."""

    heard: Question
    typed: Question


@dataclass(frozen=True)
class PatchedPair:
    """Two items, the states of one of which are put into the other's run.

    Attributes:
        one: Whose states are taken.
        other: Whose run, as it is read, they are put into.
        labels: The label of the one and of the other.
        heard: Whether the one is heard, or read as well.
    """

    one: TwoWays
    other: TwoWays
    labels: tuple[str, str]
    heard: bool

    @property
    def source(self) -> Question:
        """The question of whose run states are taken."""
        return self.one.heard if self.heard else self.one.typed

    @property
    def target(self) -> Question:
        """The question into whose run they are put."""
        return self.other.typed


@dataclass(frozen=True)
class Restored:
    """What became of a pair: log-odds of the source's label against the target's, in nats.

    Attributes:
        source: In the run that states are taken from.
        target: In the run that they are put into, as it is.
        patched: In that run with the states, by positions and layer (``last/7``).
    """

    source: float
    target: float
    patched: dict[str, float]


class Patcher(Protocol):
    """Pairs read by an open model, patched at one layer after the other."""

    def restored(self, batch: Sequence[int]) -> list[Restored]:
        """What became of some of the pairs, by their places."""
        ...


def place_of(positions: str, layer: int) -> str:
    """The name of where states were put."""
    return f"{positions}/{layer}"


def read_place(name: str) -> tuple[str, int]:
    """Positions and layer of such a name."""
    positions, layer = name.split("/")
    return positions, int(layer)


def in_batches(patcher: Patcher, pairs: int, batch_size: int) -> Iterator[dict[int, Restored]]:
    """Yield what became of each pair by its place, a batch at a time."""
    for start in range(0, pairs, batch_size):
        batch = range(start, min(start + batch_size, pairs))
        yield dict(zip(batch, patcher.restored(batch), strict=True))


def rendered(text: "TextLLM", questions: Sequence[Question]) -> list[str]:
    """The prompts of some questions."""
    return [text.render(question.messages, question.answer_prefix) for question in questions]


class Runs:
    """Prompts, as tokens, with the beginning that they share.

    Args:
        text: The text LLM.
        rows: Token ids of each; ``AUDIO`` where a sound stands.
        heard: The vectors of each row's sound, where there is one.
        anew: The first column of each row whose states count: it is read anew with the row.
    """

    def __init__(
        self, text: "TextLLM", rows: list[list[int]], heard: list[torch.Tensor] | None, anew: Sequence[int]
    ) -> None:
        self.text, self.rows, self.heard = text, rows, heard
        text.check_lengths(rows, 0)
        self.prefix = min([text.usable_prefix(rows), *anew])
        self.shared = text.prefix_cache(rows[0][: self.prefix])

    def log_odds(self, batch: Sequence[int], candidates: Sequence[list[list[int]]]) -> list[float]:
        """Of each row's first candidate against its second, whatever is hooked into the blocks."""
        rows = [self.rows[place] for place in batch]
        heard = None if self.heard is None else [self.heard[place] for place in batch]
        sums = score(self.text, rows, candidates, self.prefix, self.shared, heard).sums
        return [one - other for one, other in sums]

    def log_odds_with(
        self,
        put: Callable[[torch.Tensor], torch.Tensor],
        blocks: Sequence[nn.Module],
        layer: int,
        batch: Sequence[int],
        candidates: Sequence[list[list[int]]],
    ) -> list[float]:
        """The same, with what a block puts out changed while the prompts are read.

        Args:
            put: Makes new states of the old ones (rows, columns, width), rows ending together; rows may be those of
                the batch several times over, each as often, one after the other.
            blocks: The model's blocks.
            layer: The one.
            batch: Places of the rows.
            candidates: Token ids of each row's two answers.
        """
        # Only while the prompt is read: a candidate's own tokens are not the source's. Where a cache is more than keys
        # and values, it is read a second time, a row a candidate.
        readings = iter(range(1 if holds_columns(self.shared) else 2))

        def change(found: torch.Tensor) -> torch.Tensor:
            return found if next(readings, None) is None else put(found)

        with replaced(blocks, {layer: change}):
            return self.log_odds(batch, candidates)


def candidates_of(pair: PatchedPair, text: "TextLLM", row: list[int]) -> list[list[int]]:
    """Token ids of the source's label and of the target's, behind a prompt's tokens."""
    sides = zip((pair.source, pair.target), pair.labels, strict=True)
    return text.continuations(row, [side.candidates[label] for side, label in sides])


def by_pair(source: Sequence[float], target: Sequence[float], patched: Mapping[str, Sequence[float]]) -> list[Restored]:
    """What became of each pair of a batch, from log-odds of the whole batch, patched ones by place."""
    return [
        Restored(source[row], target[row], {place: values[row] for place, values in patched.items()})
        for row in range(len(source))
    ]
