"""Activation patching: states of one run put into another, and how far the answer follows them.

After Vig et al. (2020) and Meng et al. (2022). Two items with different labels: the target is read as text. At one
layer, at the positions behind the speech (where both runs have the same tokens), its states are replaced by those of
the source, which the model HEARS, or reads as text as well. With LO = log p(the source's label) - log p(the target's):

    share = sum(LO patched - LO target) / sum(LO source - LO target)

over pairs of items. Where the model makes its answer from sound as it makes it from text, states that were heard carry
it over as far as states that were read, at the same layers: the run that was read is the control.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.hooks import replaced, watched
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.causal_lm import holds_columns
from cascade_equivalence.models.question import HEARD_AT_ONCE, ModelFiles, Question, parts_of, sound_of
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.heard import EarStore, ear_store, heard_rows
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

if TYPE_CHECKING:
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

PATCHING_FORMAT = 1
"""Raised when the same weights, prompts and settings would give other numbers."""
BEHIND, LAST = "behind", "last"
"""Where states are put: at all tokens behind the speech, or at the prompt's last token alone."""
A_SOUND = torch.empty(1, 0)
"""Stands for any sound where only the tokens around it count."""


@dataclass(frozen=True)
class PatchedPair:
    """Two items, the states of one of which are put into the other.

    Attributes:
        source: Whose states are taken, as a question: heard or typed.
        target: Into what they are put: typed.
        labels: The source's label and the target's.
    """

    source: Question
    target: Question
    labels: tuple[str, str]


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


def place_of(positions: str, layer: int) -> str:
    """The name of where states were put."""
    return f"{positions}/{layer}"


def read_place(name: str) -> tuple[str, int]:
    """Positions and layer of such a name."""
    positions, layer = name.split("/")
    return positions, int(layer)


def restored(
    arms: Mapping[str, Sequence[PatchedPair]],
    files: ModelFiles,
    layers: Sequence[int],
    positions: Sequence[str],
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> dict[str, list[Restored]]:
    """Put the states of sources into targets, taking from the store what it has.

    Args:
        arms: The pairs by arm; the sources of an arm are all heard or all typed.
        files: The speech LLM.
        layers: Layers at which states are put, one at a time.
        positions: Where: ``behind`` the speech, or the ``last`` token.
        config: Arithmetic and batch size.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept; see ``speech_llm.heard``.

    Returns:
        One a pair, in order, by arm.

    Raises:
        StudyError: The prompts do not end in the same tokens behind the speech.
    """
    settings = {
        "kind": "patching",
        "format": PATCHING_FORMAT,
        "layers": list(layers),
        "positions": list(positions),
        **files.identity(config),
    }
    sides = {
        arm: [{name: parts_of(getattr(pair, name), "forced_choice") for name in ("source", "target")} for pair in pairs]
        for arm, pairs in arms.items()
    }
    # How long the end is that all prompts share depends on all of them, and with it what is exchanged in each pair.
    asked = sorted({key_of(side) for own in sides.values() for pair in own for side in pair.values()})
    end = key_of(settings | {"ends": asked})
    with Store(store) as records:
        model: SpeechLLM | None = None
        if end not in records:
            model = _opened(files, config)
            records.add([(end, tokens_behind(model, [pair for pairs in arms.values() for pair in pairs]))])
        behind = int(records[end])
        keys = {
            arm: [
                key_of(settings | {"behind": behind, "labels": list(pair.labels)} | side)
                for pair, side in zip(pairs, sides[arm], strict=True)
            ]
            for arm, pairs in arms.items()
        }
        todo = {arm: [place for place, key in enumerate(own) if key not in records] for arm, own in keys.items()}
        total, missing = (sum(map(len, each.values())) for each in (keys, todo))
        with progress(label, total, total - missing) as advance:
            if missing:
                model = model or _opened(files, config)
                ears = ear_store(kept, model, files, config)
                for arm, places in todo.items():
                    for start in range(0, len(places), HEARD_AT_ONCE):
                        some = places[start : start + HEARD_AT_ONCE]
                        pairs = [arms[arm][place] for place in some]
                        patcher = Patcher(model, pairs, layers, positions, behind, ears)
                        for found in patcher.run(config.batch_size):
                            records.add((keys[arm][some[place]], asdict(one)) for place, one in found.items())
                            advance(len(found))
        return {arm: [Restored(**records[key]) for key in own] for arm, own in keys.items()}


def _opened(files: ModelFiles, config: AnswerConfig) -> "SpeechLLM":
    _, model = open_model(files, config)
    assert model is not None
    return model


def tokens_behind(model: "SpeechLLM", pairs: Sequence[PatchedPair]) -> int:
    """How many tokens all prompts end in, behind the speech, whether it is heard or typed.

    Raises:
        StudyError: None.
    """
    ends: list[list[int]] = []
    for question in (side for pair in pairs for side in (pair.source, pair.target)):
        text = model.typed if question.audio is None else model.text
        prompt = text.render(question.messages, question.answer_prefix)
        # Some models write words of their own around the sound, and tokens join them; how long it is does not count.
        ends.append(text.tokenize(prompt) if question.audio is None else model.token_rows([prompt], [A_SOUND])[0])
    shared = common_suffix(ends)
    if not shared:
        raise StudyError(
            "the prompts do not end in the same tokens when they are heard and when they are typed: there is no place "
            "behind the speech at which states could be exchanged; leave the task out of `mechanism.patching.tasks`"
        )
    return shared


def common_suffix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest end that all rows share, short of any row's first token and of any sound."""
    shared, limit = 0, min(map(len, rows)) - 1
    while shared < limit and rows[0][-1 - shared] != AUDIO and len({row[-1 - shared] for row in rows}) == 1:
        shared += 1
    return shared


class _Side:
    """Prompts of one side of the pairs, heard or typed, with the beginning that they share.

    Args:
        model: The speech LLM.
        questions: The prompts.
        behind: Tokens at their end that are read anew for each.
        ears: Where hearings are kept.
    """

    def __init__(self, model: "SpeechLLM", questions: Sequence[Question], behind: int, ears: EarStore | None) -> None:
        self.heard: list[torch.Tensor] | None = None
        if questions[0].audio is None:
            self.text: TextLLM = model.typed
            self.rows = [self.text.tokenize(prompt) for prompt in self._prompts(questions)]
        else:
            self.text = model.text
            sounds = [sound_of(question) for question in questions]
            self.rows, self.heard, _ = heard_rows(model, self._prompts(questions), sounds, ears)
        self.text.check_lengths(self.rows, 0)
        self.prefix = min([self.text.usable_prefix(self.rows), *(len(row) - behind for row in self.rows)])
        self.shared = self.text.prefix_cache(self.rows[0][: self.prefix])

    def _prompts(self, questions: Sequence[Question]) -> list[str]:
        return [self.text.render(question.messages, question.answer_prefix) for question in questions]

    def log_odds(self, batch: Sequence[int], candidates: Sequence[list[list[int]]]) -> list[float]:
        """Of each row's first candidate against its second, whatever is hooked into the blocks."""
        rows = [self.rows[place] for place in batch]
        heard = None if self.heard is None else [self.heard[place] for place in batch]
        sums = score(self.text, rows, candidates, self.prefix, self.shared, heard).sums
        return [one - other for one, other in sums]


class Patcher:
    """Pairs read by an open model, patched at one layer after the other.

    Args:
        model: The speech LLM.
        pairs: The pairs; sources are all heard or all typed.
        layers: Layers at which states are put.
        positions: Where.
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
        self.source = _Side(model, [pair.source for pair in pairs], behind, ears)
        self.target = _Side(model, [pair.target for pair in pairs], behind, ears)
        self.columns = {name: behind if name == BEHIND else 1 for name in positions}

    def run(self, batch_size: int) -> Iterator[dict[int, Restored]]:
        """Yield what became of each pair by its place, a batch at a time."""
        for start in range(0, len(self.pairs), batch_size):
            batch = range(start, min(start + batch_size, len(self.pairs)))
            yield dict(zip(batch, self._restored(batch), strict=True))

    def _restored(self, batch: Sequence[int]) -> list[Restored]:
        candidates = [self._candidates(place) for place in batch]
        states: dict[int, torch.Tensor] = {}

        def keep(layer: int, found: torch.Tensor) -> None:
            # The prompt runs first; what candidates add runs behind it.
            states.setdefault(layer, found[:, -self.behind :].clone())

        with watched(self.model.blocks, self.layers, keep):
            source = self.source.log_odds(batch, candidates)
        target = self.target.log_odds(batch, candidates)
        patched = {
            place_of(name, layer): self._patched(batch, candidates, layer, states[layer][:, -columns:])
            for layer in self.layers
            for name, columns in self.columns.items()
        }
        return [
            Restored(source[row], target[row], {place: values[row] for place, values in patched.items()})
            for row in range(len(batch))
        ]

    def _patched(
        self, batch: Sequence[int], candidates: Sequence[list[list[int]]], layer: int, states: torch.Tensor
    ) -> list[float]:
        # Only while the prompt is read: a candidate's own tokens are not the source's. Where a cache is more than keys
        # and values, it is read a second time, a row a candidate.
        readings = iter(range(1 if holds_columns(self.target.shared) else 2))

        def put(found: torch.Tensor) -> torch.Tensor:
            if next(readings, None) is None:
                return found
            new = states.repeat_interleave(len(found) // len(states), 0)
            return torch.cat([found[:, : -new.shape[1]], new], dim=1)

        with replaced(self.model.blocks, {layer: put}):
            return self.target.log_odds(batch, candidates)

    def _candidates(self, place: int) -> list[list[int]]:
        pair = self.pairs[place]
        words = [side.candidates[own] for side, own in zip((pair.source, pair.target), pair.labels, strict=True)]
        return self.target.text.continuations(self.target.rows[place], words)
