"""States behind the speech: put where all prompts of a task end in the same tokens, whatever was said before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.patched_runs import (
    PatchedPair,
    Restored,
    Runs,
    by_pair,
    candidates_of,
    place_of,
    rendered,
)
from cascade_equivalence.models.question import Question, sound_of
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.heard import EarStore, heard_rows

if TYPE_CHECKING:
    from cascade_equivalence.models.speech_llm.model import SpeechLLM

BEHIND, LAST = "behind", "last"
"""All tokens behind the speech, or the prompt's last token alone."""
A_SOUND = torch.empty(1, 0)
"""Stands for any sound where only the tokens around it count."""


def tokens_behind(model: "SpeechLLM", pairs: Sequence[PatchedPair]) -> int:
    """How many tokens all prompts end in, behind the speech, whether it is heard or typed.

    Raises:
        StudyError: None.
    """
    ends: list[list[int]] = []
    for question in (side for pair in pairs for side in (pair.source, pair.target)):
        text = model.typed if question.audio is None else model.text
        (prompt,) = rendered(text, [question])
        # Some models write words of their own around the sound, and tokens join them; how long it is does not count.
        ends.append(text.tokenize(prompt) if question.audio is None else model.token_rows([prompt], [A_SOUND])[0])
    shared = common_suffix(ends)
    if not shared:
        raise StudyError(
            "the prompts do not end in the same tokens when they are heard and when they are typed: there is no place "
            "behind the speech at which states could be exchanged; leave the task out of `mechanism.patching.tasks`, "
            "or ask for `mechanism.patching.positions: [words]` alone"
        )
    return shared


def common_suffix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest end that all rows share, short of any row's first token and of any sound."""
    shared, limit = 0, min(map(len, rows)) - 1
    while shared < limit and rows[0][-1 - shared] != AUDIO and len({row[-1 - shared] for row in rows}) == 1:
        shared += 1
    return shared


class BehindPatcher:
    """Pairs whose states behind the speech are exchanged.

    Args:
        model: The speech LLM.
        pairs: The pairs; sources are all heard or all typed.
        layers: Layers at which states are put.
        positions: ``behind``, ``last``, or both.
        behind: Tokens behind the speech, which all prompts share.
        ears: Where hearings are kept.
    """

    def __init__(
        self,
        model: "SpeechLLM",
        pairs: Sequence[PatchedPair],
        layers: Sequence[int],
        positions: Sequence[str],
        behind: int,
        ears: EarStore | None = None,
    ) -> None:
        self.model, self.pairs, self.layers, self.behind = model, pairs, layers, behind
        self.source = self._runs([pair.source for pair in pairs], ears)
        self.target = self._runs([pair.target for pair in pairs], ears)
        self.columns = {name: behind if name == BEHIND else 1 for name in positions}

    def _runs(self, questions: Sequence[Question], ears: EarStore | None) -> Runs:
        heard: list[torch.Tensor] | None = None
        text = self.model.typed if questions[0].audio is None else self.model.text
        prompts = rendered(text, questions)
        if questions[0].audio is None:
            rows = [text.tokenize(prompt) for prompt in prompts]
        else:
            rows, heard, _ = heard_rows(self.model, prompts, list(map(sound_of, questions)), ears)
        return Runs(text, rows, heard, [len(row) - self.behind for row in rows])

    def restored(self, batch: Sequence[int]) -> list[Restored]:
        """What became of some of the pairs, by their places."""
        target = self.target
        candidates = [candidates_of(self.pairs[place], target.text, target.rows[place]) for place in batch]
        states: dict[int, torch.Tensor] = {}

        def keep(layer: int, found: torch.Tensor) -> None:
            # The prompt runs first; what candidates add runs behind it.
            states.setdefault(layer, found[:, -self.behind :].clone())

        with watched(self.model.blocks, self.layers, keep):
            source = self.source.log_odds(batch, candidates)
        before = target.log_odds(batch, candidates)
        patched = {}
        for layer in self.layers:
            for name, columns in self.columns.items():
                new = states[layer][:, -columns:]

                def put(found: torch.Tensor, new: torch.Tensor = new) -> torch.Tensor:
                    rows = new.repeat_interleave(len(found) // len(new), 0)
                    return torch.cat([found[:, : -rows.shape[1]], rows], dim=1)

                place = place_of(name, layer)
                patched[place] = target.log_odds_with(put, self.model.blocks, layer, batch, candidates)
        return by_pair(source, before, patched)
