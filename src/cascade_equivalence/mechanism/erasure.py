"""Answers while a concept is erased from the states: at all watched layers, on every forward step (paper section 3.4).

Each prompt is answered freely and by forced choice, and the distribution of its first answer token is compared with the
unerased model's: accuracy alone cannot tell a model that does not know from one that cannot speak.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.mechanism.hooks import replaced
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import ModelFiles, Question, parts_of, sound_of
from cascade_equivalence.models.reading import read_prompts
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.heard import EarStore, ear_store, heard_rows
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

if TYPE_CHECKING:
    from transformers import DynamicCache

    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

ERASURE_FORMAT = 1
"""Raised when the same weights, prompt, erasers and settings would give another answer."""
ALL, AUDIO_ONLY = "all", "audio"


class StateMap(Protocol):
    """What is done to states (..., d): an eraser, or a shift along a direction."""

    def to(self, device: torch.device | str) -> "StateMap":
        """The same map elsewhere."""
        ...

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor:
        """New states in the place of old ones."""
        ...


Erasers = Mapping[int, StateMap]


@dataclass(frozen=True, eq=False)
class ErasureVariant:
    """One way to erase.

    Attributes:
        name: ``linear``, ``affine``, a draw of a control such as ``random0``, or ``none``.
        positions: ``all``, or ``audio`` for only where the sound stands.
        erasers: Eraser of each layer; none leaves the model as it is.
        identity: Hash of the erasers; empty without any.
        heard_only: Whether it is left out where prompts are typed.
    """

    name: str
    positions: str
    erasers: Erasers
    identity: str = ""
    heard_only: bool = False

    def asked_of(self, questions: Sequence[Question]) -> bool:
        """Whether prompts are answered under it: typed ones are not where it erases only where sound stands."""
        typed = self.positions == ALL and not self.heard_only
        return typed or any(question.audio for question in questions)


@dataclass(frozen=True)
class Outcome:
    """What the model did with one prompt.

    Attributes:
        text: Its free answer.
        scores: Label to log-likelihood; empty for open answers.
        kl: Kullback-Leibler divergence in nats of the first answer token's distribution from the unerased model's,
            KL(unerased || erased).
        seconds: Its share of the batch's time, without the comparison.
    """

    text: str
    scores: dict[str, float]
    kl: float
    seconds: float


@contextmanager
def erasing(model: "SpeechLLM", variant: ErasureVariant) -> Iterator[None]:
    """Erase at the output of blocks on every forward step within the context, also while a prefix is computed.

    Args:
        model: The speech LLM.
        variant: What to erase and where.
    """
    text = model.text
    change = {
        layer: _change(text, eraser.to(text.device), variant.positions) for layer, eraser in variant.erasers.items()
    }
    with replaced(model.blocks, change):
        yield


def _change(text: "TextLLM", eraser: StateMap, positions: str) -> Callable[[torch.Tensor], torch.Tensor]:
    def everywhere(states: torch.Tensor) -> torch.Tensor:
        return eraser(states)

    def at_audio(states: torch.Tensor) -> torch.Tensor:
        if text.at_audio is None:
            return states
        changed = states.clone()
        changed[text.at_audio] = eraser(states[text.at_audio])
        return changed

    return everywhere if positions == ALL else at_audio


def erased_outcomes(
    arms: Mapping[str, Sequence[Question]],
    files: ModelFiles,
    variants: Sequence[ErasureVariant],
    config: AnswerConfig,
    max_new_tokens: int,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> dict[tuple[str, str, str], list[Outcome]]:
    """Answer prompts under every variant, taking from the store what it has.

    Args:
        arms: Prompts by arm; those of an arm without sound are typed (see ``ErasureVariant.asked_of``).
        files: The speech LLM.
        variants: Ways to erase.
        config: Arithmetic and batch size.
        max_new_tokens: Longest answer.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept; see ``speech_llm.heard``.

    Returns:
        Outcomes in the order of the arm's prompts, by variant, positions and arm.
    """
    settings = {
        "kind": "erasure",
        "format": ERASURE_FORMAT,
        "max_new_tokens": max_new_tokens,
        **files.identity(config),
    }
    keys = {
        (variant.name, variant.positions, arm): [
            key_of(
                settings
                | {"variant": [variant.name, variant.positions], "erasers": variant.identity}
                | parts_of(question, "forced_choice")
            )
            for question in questions
        ]
        for arm, questions in arms.items()
        for variant in variants
        if variant.asked_of(questions)
    }
    with Store(store) as records:
        missing = {place: [key for key in own if key not in records] for place, own in keys.items()}
        total, open_ones = sum(map(len, keys.values())), sum(map(len, missing.values()))
        with progress(label, total, total - open_ones) as advance:
            if open_ones:
                _, model = open_model(files, config)
                assert model is not None
                ears = ear_store(kept, model, files, config)
                for arm, questions in arms.items():
                    runner = _Runner(model, questions, config.batch_size, max_new_tokens, ears)
                    todo = {
                        variant: keys[place]
                        for variant in variants
                        if missing.get(place := (variant.name, variant.positions, arm))
                    }
                    for found in runner.run(todo, lambda key: key in records):
                        records.add((key, asdict(outcome)) for key, outcome in found.items())
                        advance(len(found))
        return {place: [Outcome(**records[key]) for key in own] for place, own in keys.items()}


class _Runner:
    """Prompts of one arm, read once, answered under one variant after the other."""

    def __init__(
        self,
        model: "SpeechLLM",
        questions: Sequence[Question],
        batch_size: int,
        max_new_tokens: int,
        ears: EarStore | None,
    ) -> None:
        self.model, self.questions = model, questions
        self.text = model.typed if questions[0].audio is None else model.text
        self.batch_size, self.max_new_tokens = batch_size, max_new_tokens
        prompts = [self.text.render(question.messages, question.answer_prefix) for question in questions]
        self.heard: list[torch.Tensor] | None = None
        if questions[0].audio is not None:
            self.rows, self.heard, _ = heard_rows(model, prompts, list(map(sound_of, questions)), ears)
        else:
            self.rows = [self.text.tokenize(prompt) for prompt in prompts]
        self.text.check_lengths(self.rows, max_new_tokens)
        self.prefix = self.text.usable_prefix(self.rows, max_new_tokens)
        self.candidates = [
            self.text.continuations(row, list(question.candidates.values()))
            for row, question in zip(self.rows, questions, strict=True)
        ]

    def run(
        self, todo: Mapping[ErasureVariant, Sequence[str]], done: Callable[[str], bool]
    ) -> Iterator[dict[str, Outcome]]:
        """Yield outcomes by key, a batch and variant at a time."""
        plain_prefix = self.text.prefix_cache(self.rows[0][: self.prefix])
        prefixes: dict[ErasureVariant, DynamicCache] = {}
        queue = sorted(range(len(self.rows)), key=lambda place: (len(self.rows[place]), place))
        for start in range(0, len(queue), self.batch_size):
            batch = queue[start : start + self.batch_size]
            rows = [self.rows[place] for place in batch]
            heard = None if self.heard is None else [self.heard[place] for place in batch]
            plain: torch.Tensor | None = None
            for variant, keys in todo.items():
                if all(done(keys[place]) for place in batch):
                    continue
                if plain is None:
                    plain = score(self.text, rows, [[] for _ in rows], self.prefix, plain_prefix, heard).first.double()
                if variant not in prefixes:
                    with erasing(self.model, variant):
                        prefixes[variant] = self.text.prefix_cache(self.rows[0][: self.prefix])
                found = self._outcomes(variant, batch, prefixes[variant], heard, plain)
                yield dict(zip((keys[place] for place in batch), found, strict=True))

    def _outcomes(
        self,
        variant: ErasureVariant,
        batch: Sequence[int],
        shared: "DynamicCache",
        heard: list[torch.Tensor] | None,
        plain: torch.Tensor,
    ) -> list[Outcome]:
        rows = [self.rows[place] for place in batch]
        began = time.perf_counter()
        with erasing(self.model, variant):
            read = read_prompts(self.text, rows, self.prefix, shared, heard)
            candidates = [self.candidates[place] for place in batch]
            scores = score(self.text, rows, candidates, self.prefix, shared, heard, read.copied())
            answers = self.text.generate(rows, self.max_new_tokens, read=read)
        seconds = (time.perf_counter() - began) / len(batch)
        # A token that neither of the two expects adds nothing.
        divergence = torch.nn.functional.kl_div(scores.first.double(), plain, log_target=True, reduction="none").nansum(
            -1
        )
        return [
            Outcome(answer.text.strip(), dict(zip(self.questions[place].candidates, sums, strict=True)), kl, seconds)
            for place, answer, sums, kl in zip(
                batch, answers, scores.sums, divergence.clamp(min=0).tolist(), strict=True
            )
        ]
