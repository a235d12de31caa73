"""The answer node's model part: conversations in, raw answers out, every batch stored as soon as it exists."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

if TYPE_CHECKING:
    import torch

ANSWER_FORMAT = 2
"""Raised when the same weights, prompt and settings would give another answer."""


@dataclass(frozen=True)
class Question:
    """One prompt.

    Attributes:
        messages: The conversation, its last turn the user's.
        answer_prefix: Words the answer begins with; the model continues them.
        candidates: Label to answer text, for the forced choice.
    """

    messages: tuple[Mapping[str, str], ...]
    answer_prefix: str
    candidates: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: Free text, or the label with the highest log-likelihood.
        prompt_sha256: Hash of the rendered prompt.
        prompt_tokens: Its length.
        new_tokens: Tokens generated (0 in a forced choice).
        seconds: Its share of the batch's time.
        scores: Label to log-likelihood in a forced choice, else empty.
    """

    text: str
    prompt_sha256: str
    prompt_tokens: int
    new_tokens: int
    seconds: float
    scores: dict[str, float]


def answer_questions(
    questions: Sequence[Question],
    folder: Path,
    revision: str,
    chat: bool,
    config: AnswerConfig,
    max_new_tokens: int,
    store: Path,
    label: str,
) -> list[Answer]:
    """Answer prompts with a text LLM, taking from the store what it has.

    Args:
        questions: The prompts.
        folder: Resolved weights.
        revision: Hash of the weights, from their manifest.
        chat: Whether the model has a chat template.
        config: Mode, arithmetic and batch size.
        max_new_tokens: Longest answer.
        store: File of the append-only store.
        label: What the progress lines say.

    Returns:
        One answer a question, in order.
    """
    device = resolve_device(config.device)
    dtype = resolve_dtype(config.dtype, device)
    settings = {
        "kind": "answer",
        "format": ANSWER_FORMAT,
        "revision": revision,
        "mode": config.mode,
        "dtype": str(dtype).removeprefix("torch."),
        "max_new_tokens": max_new_tokens,
        "chat": chat,
        "decoding": "greedy",
    }
    keys = [key_of(settings | _parts(question, config.mode)) for question in questions]
    waiting = Counter(keys)
    with Store(store) as records:
        missing = {key: question for key, question in zip(keys, questions, strict=True) if key not in records}
        done = len(keys) - sum(waiting[key] for key in missing)
        with progress(label, len(keys), done) as advance:
            for batch in _answer(missing, folder, device, dtype, chat, config, max_new_tokens) if missing else ():
                records.add((key, asdict(answer)) for key, answer in batch.items())
                advance(sum(waiting[key] for key in batch))
        return [Answer(**records[key]) for key in keys]


def _answer(
    questions: Mapping[str, Question],
    folder: Path,
    device: str,
    dtype: "torch.dtype",
    chat: bool,
    config: AnswerConfig,
    max_new_tokens: int,
) -> Iterator[dict[str, Answer]]:
    """Compute answers by key, a batch at a time, the shortest prompts first."""
    from cascade_equivalence.models.text_llm import TextLLM

    model = TextLLM(folder, device, dtype, chat)
    prompts = {key: model.render(question.messages, question.answer_prefix) for key, question in questions.items()}
    rows = {key: model.tokenize(prompt) for key, prompt in prompts.items()}
    model.check_lengths(list(rows.values()), max_new_tokens)
    prefix = model.usable_prefix(list(rows.values()), max_new_tokens)
    shared = model.prefix_cache(next(iter(rows.values()))[:prefix])
    queue = sorted(rows, key=lambda key: (len(rows[key]), key))
    for start in range(0, len(queue), config.batch_size):
        batch = queue[start : start + config.batch_size]
        began = time.perf_counter()
        found: list[tuple[str, int, dict[str, float]]] = []
        if config.mode == "generate":
            outputs = model.generate([rows[key] for key in batch], max_new_tokens, prefix, shared)
            found += [(output.text.strip(), output.new_tokens, {}) for output in outputs]
        else:
            for key in batch:
                scores = model.choose(rows[key], questions[key].candidates, prefix, shared)
                found.append((max(scores, key=scores.__getitem__), 0, scores))
        seconds = (time.perf_counter() - began) / len(batch)
        yield {
            key: Answer(
                text=text,
                prompt_sha256=hashlib.sha256(prompts[key].encode()).hexdigest(),
                prompt_tokens=len(rows[key]),
                new_tokens=new_tokens,
                seconds=seconds,
                scores=scores,
            )
            for key, (text, new_tokens, scores) in zip(batch, found, strict=True)
        }


def _parts(question: Question, mode: str) -> dict[str, object]:
    """The question's part of the key."""
    parts: dict[str, object] = {
        "messages": [dict(turn) for turn in question.messages],
        "answer_prefix": question.answer_prefix,
    }
    if mode == "forced_choice":
        parts["candidates"] = dict(question.candidates)
    return parts
