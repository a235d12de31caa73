"""States of words, put where the words are: what was heard at a word into a run that reads another word there.

The run that states are put into reads the source's own prompt with the tokens of its words replaced by those of the
other item, as many of them as there are places (cut short or begun again), so that each token of the source has its
place (symmetric token replacement: Zhang and Nanda 2024, arXiv:2309.16042). What is put at a token is the state that
the source has of it where it is read, or the mean of the vectors at which it is heard: those along the path through
both, from left to right, on which states of this layer are most alike (dynamic time warping, ``similarity``).
As a control the same states are put at each other's words, in reverse order: what they carry there needs no alignment.
"""

from collections.abc import Sequence
from itertools import chain, cycle
from typing import TYPE_CHECKING

import torch

from cascade_equivalence.config.mechanism import WORD_POSITIONS
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.patched_runs import (
    PatchedPair,
    Restored,
    Runs,
    TwoWays,
    by_pair,
    candidates_of,
    place_of,
    rendered,
)
from cascade_equivalence.mechanism.read_words import said_tokens
from cascade_equivalence.mechanism.similarity import word_spans
from cascade_equivalence.models.question import sound_of
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.heard import EarStore, heard_rows

if TYPE_CHECKING:
    from cascade_equivalence.models.speech_llm.model import SpeechLLM

WORDS, FIRST_HALF, SECOND_HALF, REVERSED = WORD_POSITIONS
RowStates = dict[int, list[torch.Tensor]]
"""By layer, of each row of a batch."""
Moves = tuple[list[int], list[int]]
"""Tokens at which states are put, and the tokens that they are taken of, counted among all that are said."""


def exchanged(row: Sequence[int], places: Sequence[int], others: Sequence[int]) -> list[int]:
    """A prompt's tokens with others at some places, in order, begun again where they are too few.

    Args:
        row: Token ids.
        places: Which are replaced; none is where ``others`` is empty.
        others: Token ids.
    """
    return [*map(dict(zip(places, cycle(others), strict=False)).get, range(len(row)), row)]


def aligned(heard: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """For each token the mean of the vectors at which it is heard, (tokens, width); nothing where nothing is heard.

    Args:
        heard: States at the sound, (vectors, width).
        read: States of the tokens, (tokens, width).
    """
    if not (len(read) and len(heard)):
        return read[:0]
    # Of each side its own mean is taken away before cosines: what all of a layer's states share is no word.
    likeness = [torch.nn.functional.normalize(side.double() - side.double().mean(0), dim=1) for side in (read, heard)]
    spans = word_spans((likeness[0] @ likeness[1].mT).cpu().numpy())
    return torch.stack([heard[span].mean(0) for span in spans])


class WordPatcher:
    """Pairs whose states are exchanged at the words of the source.

    Args:
        model: The speech LLM.
        pairs: The pairs; sources are all heard or all typed.
        layers: Layers at which states are put.
        positions: Of ``WORD_POSITIONS``.
        ears: Where hearings are kept.
    """

    def __init__(
        self,
        model: "SpeechLLM",
        pairs: Sequence[PatchedPair],
        layers: Sequence[int],
        positions: Sequence[str],
        ears: EarStore | None = None,
    ) -> None:
        self.model, self.pairs, self.layers = model, pairs, layers
        own = [self._said(pair.one) for pair in pairs]
        rows = [row for row, _ in own]
        spoken = [words for _, words in own]
        self.said = [list(chain.from_iterable(words)) for words in spoken]
        first = [min(said, default=len(row) - 1) for row, said in zip(rows, self.said, strict=True)]
        self.read = Runs(model.typed, rows, None, first)
        other = (self._said(pair.other) for pair in pairs)
        others = [[row[place] for place in chain.from_iterable(words)] for row, words in other]
        self.target = Runs(model.typed, list(map(exchanged, rows, self.said, others)), None, first)
        self.heard: Runs | None = None
        if pairs[0].heard:
            questions = [pair.source for pair in pairs]
            sounded, vectors, _ = heard_rows(
                model, rendered(model.text, questions), list(map(sound_of, questions)), ears
            )
            begins = [row.index(AUDIO) if AUDIO in row else len(row) - 1 for row in sounded]
            self.heard = Runs(model.text, sounded, vectors, begins)
        self.moves = {name: [_moves(words, name) for words in spoken] for name in positions}

    def _said(self, item: TwoWays) -> tuple[list[int], list[list[int]]]:
        return said_tokens(self.model.typed, item.heard, item.typed)

    def restored(self, batch: Sequence[int]) -> list[Restored]:
        """What became of some of the pairs, by their places."""
        target = self.target
        candidates = [candidates_of(self.pairs[place], target.text, target.rows[place]) for place in batch]
        source, states = self._watched(self.read, self.said, batch, candidates)
        if self.heard is not None:
            sounds = [[place for place, token in enumerate(row) if token == AUDIO] for row in self.heard.rows]
            source, heard = self._watched(self.heard, sounds, batch, candidates)
            states = {
                layer: [aligned(sound, words) for sound, words in zip(heard[layer], states[layer], strict=True)]
                for layer in self.layers
            }
        before = target.log_odds(batch, candidates)
        patched = {
            place_of(name, layer): self._patched(batch, candidates, layer, states[layer], moves)
            for layer in self.layers
            for name, moves in self.moves.items()
        }
        return by_pair(source, before, patched)

    def _watched(
        self,
        runs: Runs,
        places: Sequence[Sequence[int]],
        batch: Sequence[int],
        candidates: Sequence[list[list[int]]],
    ) -> tuple[list[float], RowStates]:
        """Log-odds of the sources, and their states at some columns of each row."""
        # Rows end together.
        columns = [[place - len(runs.rows[row]) for place in places[row]] for row in batch]
        states: RowStates = {}

        def keep(layer: int, found: torch.Tensor) -> None:
            # The prompt runs first; what candidates add runs behind it.
            if layer not in states:
                states[layer] = [line[own].clone() for line, own in zip(found, columns, strict=True)]

        with watched(self.model.blocks, self.layers, keep):
            return runs.log_odds(batch, candidates), states

    def _patched(
        self,
        batch: Sequence[int],
        candidates: Sequence[list[list[int]]],
        layer: int,
        states: Sequence[torch.Tensor],
        moves: Sequence[Moves],
    ) -> list[float]:
        def put(found: torch.Tensor) -> torch.Tensor:
            new, often = found.clone(), len(found) // len(batch)
            for row, (place, state) in enumerate(zip(batch, states, strict=True)):
                if not len(state):
                    continue
                to, taken = moves[place]
                columns = [self.said[place][token] - len(self.target.rows[place]) for token in to]
                new[row * often : (row + 1) * often, columns] = state[taken]
            return new

        return self.target.log_odds_with(put, self.model.blocks, layer, batch, candidates)


def _moves(words: Sequence[Sequence[int]], name: str) -> Moves:
    """At which tokens of some words states are put, and whose they are."""
    half = sum(map(len, words[: (len(words) + 1) // 2]))
    order = [*range(sum(map(len, words)))]
    if name == REVERSED:
        return order, order[::-1]
    own = order[{WORDS: slice(None), FIRST_HALF: slice(half), SECOND_HALF: slice(half, None)}[name]]
    return own, own
