"""Activation patching: states of one run put into another, and how far the answer follows them.

After Vig et al. (2020) and Meng et al. (2022). Two items with different labels: the target is read as text. At one
layer its states are replaced by those of the source, which the model HEARS, or reads as text as well: at the positions
behind the speech, where both runs have the same tokens (``patched_behind``), or at the words, aligned one by one
(``patched_words``). With LO = log p(the source's label) - log p(the target's):

    share = sum(LO patched - LO target) / sum(LO source - LO target)

over pairs of items. Where the model makes its answer from sound as it makes it from text, states that were heard carry
it over as far as states that were read, at the same layers: the run that was read is the control.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.mechanism import WORD_POSITIONS
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.mechanism.patched_behind import BehindPatcher, tokens_behind
from cascade_equivalence.mechanism.patched_runs import PatchedPair, Patcher, Restored, in_batches
from cascade_equivalence.mechanism.patched_words import WordPatcher
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import HEARD_AT_ONCE, ModelFiles, parts_of
from cascade_equivalence.models.speech_llm.heard import EarStore, ear_store
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

if TYPE_CHECKING:
    from cascade_equivalence.models.speech_llm.model import SpeechLLM

PATCHING_FORMAT, WORDS_FORMAT = 1, 2
"""Raised when the same weights, prompts and settings would give other numbers; the second is that of words."""
Arms = Mapping[str, Sequence[PatchedPair]]
RestoredByArm = dict[str, list[Restored]]
"""One a pair, in order, by arm."""
Patch = Callable[["SpeechLLM", Sequence[PatchedPair], EarStore | None], Patcher]
"""Makes what patches some pairs with an open model, from where it keeps what it hears."""


def restored(
    arms: Arms,
    files: ModelFiles,
    layers: Sequence[int],
    positions: Sequence[str],
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> list[RestoredByArm]:
    """Put the states of sources into targets, taking from the store what it has.

    Args:
        arms: The pairs by arm; the sources of an arm are all heard or all typed.
        files: The speech LLM.
        layers: Layers at which states are put, one at a time.
        positions: Where: ``behind`` the speech, the ``last`` token, or at words.
        config: Arithmetic and batch size.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept; see ``speech_llm.heard``.

    Returns:
        What was found behind the speech, and at words, as far as either was asked for; nothing where there is no pair.

    Raises:
        StudyError: The prompts do not end in the same tokens behind the speech, or words cannot be found in them.
    """
    if not any(arms.values()):
        return []
    asking = Asking(arms, files, layers, config, store, label, kept)
    words = [name for name in positions if name in WORD_POSITIONS]
    behind = [name for name in positions if name not in WORD_POSITIONS]
    return [ask(names) for ask, names in ((asking.behind, behind), (asking.words, words)) if names]


class Asking:
    """Pairs of one model and task, and where what was found is kept; see :func:`restored`."""

    def __init__(
        self,
        arms: Arms,
        files: ModelFiles,
        layers: Sequence[int],
        config: AnswerConfig,
        store: Path,
        label: str,
        kept: Path | None,
    ) -> None:
        self.arms, self.files, self.layers, self.config, self.label, self.kept = (
            arms,
            files,
            layers,
            config,
            label,
            kept,
        )
        self.store = store
        self.settings = {
            "kind": "patching",
            "format": PATCHING_FORMAT,
            "layers": list(layers),
            **files.identity(config),
        }
        self._model: SpeechLLM | None = None

    @property
    def model(self) -> "SpeechLLM":
        """The model, opened when it is first needed."""
        if self._model is None:
            _, self._model = open_model(self.files, self.config)
        assert self._model is not None
        return self._model

    def behind(self, positions: Sequence[str]) -> RestoredByArm:
        """States exchanged behind the speech.

        Raises:
            StudyError: No two prompts end alike.
        """
        settings = self.settings | {"positions": list(positions)}
        sides = {arm: [_parts(pair, "source", "target") for pair in pairs] for arm, pairs in self.arms.items()}
        # How long the end is that all prompts share depends on all of them, and with it what is exchanged in each pair.
        asked = sorted({key_of(side) for own in sides.values() for pair in own for side in pair.values()})
        end = key_of(settings | {"ends": asked})
        with Store(self.store) as records:
            if end not in records:
                records.add([(end, tokens_behind(self.model, [pair for own in self.arms.values() for pair in own]))])
            behind = int(records[end])
            return self._found(
                records,
                settings | {"behind": behind},
                sides,
                lambda model, pairs, ears: BehindPatcher(model, pairs, self.layers, positions, behind, ears),
            )

    def words(self, positions: Sequence[str]) -> RestoredByArm:
        """States exchanged at the words.

        Raises:
            StudyError: Words cannot be found in the prompts.
        """
        sides = {
            arm: [
                _parts(pair, "source", "target") | {"read": parts_of(pair.one.typed, "forced_choice")} for pair in own
            ]
            for arm, own in self.arms.items()
        }
        with Store(self.store) as records:
            return self._found(
                records,
                self.settings | {"format": WORDS_FORMAT, "positions": list(positions)},
                sides,
                lambda model, pairs, ears: WordPatcher(model, pairs, self.layers, positions, ears),
            )

    def _found(
        self,
        records: Store,
        settings: Mapping[str, object],
        sides: Mapping[str, Sequence[Mapping[str, Any]]],
        patch: Patch,
    ) -> RestoredByArm:
        keys = {
            arm: [
                key_of({**settings, "labels": list(pair.labels), **side})
                for pair, side in zip(pairs, sides[arm], strict=True)
            ]
            for arm, pairs in self.arms.items()
        }
        todo = {arm: [place for place, key in enumerate(own) if key not in records] for arm, own in keys.items()}
        total, missing = (sum(map(len, each.values())) for each in (keys, todo))
        with progress(self.label, total, total - missing) as advance:
            if missing:
                ears = ear_store(self.kept, self.model, self.files, self.config)
                for arm, places in todo.items():
                    for start in range(0, len(places), HEARD_AT_ONCE):
                        some = places[start : start + HEARD_AT_ONCE]
                        patcher = patch(self.model, [self.arms[arm][place] for place in some], ears)
                        for found in in_batches(patcher, len(some), self.config.batch_size):
                            records.add((keys[arm][some[place]], asdict(one)) for place, one in found.items())
                            advance(len(found))
        return {arm: [Restored(**records[key]) for key in own] for arm, own in keys.items()}


def _parts(pair: PatchedPair, *names: str) -> dict[str, dict[str, Any]]:
    return {name: parts_of(getattr(pair, name), "forced_choice") for name in names}
