"""The answer node's model part: conversations in, raw answers out, every batch stored as soon as it exists."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.engines import engine_identity
from cascade_equivalence.models.question import (
    Answer,
    ModelFiles,
    Question,
    answers_of,
    parts_of,
    sound_of,
    stretches,
)
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

ANSWER_FORMAT = 2
"""Raised when the same weights, prompt and settings would give another answer."""


def answer_questions(
    questions: Sequence[Question],
    model: ModelFiles,
    config: AnswerConfig,
    max_new_tokens: int,
    store: Path,
    label: str,
    again: Mapping[str, object] = MappingProxyType({}),
    kept: Path | None = None,
) -> list[Answer]:
    """Answer prompts with a text LLM or a speech LLM, taking from the store what it has.

    Args:
        questions: The prompts; with audio, all of them, for a speech LLM.
        model: Resolved weights.
        config: Mode, arithmetic and batch size.
        max_new_tokens: Longest answer.
        store: File of the append-only store.
        label: What the progress lines say.
        again: Of a system that is asked again, what is changed; part of the records' keys then.
        kept: Folder in which what speech LLMs hear is kept; see ``speech_llm.heard``.

    Returns:
        One answer a question, in order.

    Raises:
        StudyError: The engine is not installed or cannot run the model, or a prompt is too long.
    """
    keys = keys_of(questions, model, config, max_new_tokens, again)
    with Store(store) as records:
        asked = dict(zip(keys, questions, strict=True))
        missing = {key: question for key, question in asked.items() if key not in records}
        answer_missing(missing, missing.keys(), keys, records, model, config, max_new_tokens, label, kept)
        return [Answer(**records[key]) for key in keys]


def keys_of(
    questions: Sequence[Question],
    model: ModelFiles,
    config: AnswerConfig,
    max_new_tokens: int,
    again: Mapping[str, object] = MappingProxyType({}),
) -> list[str]:
    """The key of each question's answer in the store: all that decides it; see :func:`answer_questions`."""
    settings = {
        "kind": "answer",
        "format": ANSWER_FORMAT,
        "mode": config.mode,
        "max_new_tokens": max_new_tokens,
        "decoding": "greedy",
        **model.identity(config),
        **engine_identity(config.engine),
        **({"again": dict(again)} if again else {}),
    }
    return [key_of(settings | parts_of(question, config.mode)) for question in questions]


def answer_missing(
    questions: Mapping[str, Question],
    wanted: Set[str],
    keys: Sequence[str],
    records: Store,
    model: ModelFiles,
    config: AnswerConfig,
    max_new_tokens: int,
    label: str,
    kept: Path | None,
) -> None:
    """Answer some questions by key into a store, every batch as soon as it exists.

    Args:
        questions: Those that batches are made of.
        wanted: Those of them that are answered; the others only have their places.
        keys: Of all rows that are counted, which may ask the same.
        records: The open store.
        model: Resolved weights.
        config: Mode, arithmetic and batch size.
        max_new_tokens: Longest answer.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept.
    """
    waiting = Counter(keys)
    done = len(keys) - sum(waiting[key] for key in wanted)
    with progress(label, len(keys), done) as advance:
        for batch in _answer(questions, wanted, model, config, max_new_tokens, kept) if wanted else ():
            records.add((key, asdict(answer)) for key, answer in batch.items())
            advance(sum(waiting[key] for key in batch))


def _answer(
    questions: Mapping[str, Question],
    wanted: Set[str],
    files: ModelFiles,
    config: AnswerConfig,
    max_new_tokens: int,
    kept: Path | None,
) -> Iterator[dict[str, Answer]]:
    """Compute answers by key, a batch at a time, the shortest first."""
    device = resolve_device(config.device)
    dtype = resolve_dtype(config.dtype, device)
    if config.engine == "vllm":
        from cascade_equivalence.models.vllm_answers import answer_with_vllm

        some_of = {key: question for key, question in questions.items() if key in wanted}
        yield from answer_with_vllm(some_of, files, dtype, config, max_new_tokens)
        return
    model, ear = _load(files, device, dtype)
    prompts = {key: model.render(question.messages, question.answer_prefix) for key, question in questions.items()}
    if ear is None:
        rows = {key: model.tokenize(prompt) for key, prompt in prompts.items()}
        yield from _batches(model, questions, wanted, prompts, rows, {}, config, max_new_tokens, 0.0)
        return
    from cascade_equivalence.models.speech_llm.heard import ear_store, heard_rows

    store = ear_store(kept, ear, files, config)
    for some in by_stretch(questions):
        if wanted.isdisjoint(some):
            continue
        found, vectors, seconds = heard_rows(
            ear, [prompts[key] for key in some], [sound_of(questions[key]) for key in some], store
        )
        rows, heard = dict(zip(some, found, strict=True)), dict(zip(some, vectors, strict=True))
        yield from _batches(model, questions, wanted, prompts, rows, heard, config, max_new_tokens, seconds)


def by_stretch(questions: Mapping[str, Question]) -> list[list[str]]:
    """Keys of questions with sound that are heard together, the shortest first."""
    queue = sorted(questions, key=lambda key: (sound_of(questions[key]).seconds, key))
    return [queue[stretch] for stretch in stretches([questions[key] for key in queue])]


def open_model(files: ModelFiles, config: AnswerConfig) -> tuple["TextLLM", "SpeechLLM | None"]:
    """Load what answers: the text LLM and, of a speech LLM, the whole around it."""
    device = resolve_device(config.device)
    return _load(files, device, resolve_dtype(config.dtype, device))


def _load(files: ModelFiles, device: str, dtype: "torch.dtype") -> tuple["TextLLM", "SpeechLLM | None"]:
    from cascade_equivalence.models.kept import opened

    return opened(files, device, dtype)


def _batches(
    model: "TextLLM",
    questions: Mapping[str, Question],
    wanted: Set[str],
    prompts: Mapping[str, str],
    rows: Mapping[str, list[int]],
    heard: Mapping[str, "torch.Tensor"],
    config: AnswerConfig,
    max_new_tokens: int,
    spent: float,
) -> Iterator[dict[str, Answer]]:
    """Answer token rows by key, the shortest first; ``spent`` seconds have gone into each already."""
    model.check_lengths(list(rows.values()), max_new_tokens)
    prefix = model.usable_prefix(list(rows.values()), max_new_tokens)
    shared = model.prefix_cache(next(iter(rows.values()))[:prefix])
    queue = by_length(rows)
    for start in range(0, len(queue), config.batch_size):
        batch = [key for key in queue[start : start + config.batch_size] if key in wanted]
        if not batch:
            continue
        began = time.perf_counter()
        found: list[tuple[str, int, dict[str, float]]] = []
        sound = [heard[key] for key in batch] if heard else None
        if config.mode == "generate":
            outputs = model.generate([rows[key] for key in batch], max_new_tokens, prefix, shared, sound)
            found += [(output.text.strip(), output.new_tokens, {}) for output in outputs]
        else:
            found += _forced(model, {key: rows[key] for key in batch}, questions, prefix, shared, sound)
        seconds = spent + (time.perf_counter() - began) / len(batch)
        yield answers_of(batch, found, prompts, rows, seconds)


def by_length(rows: Mapping[str, Sequence[int]]) -> list[str]:
    """Keys of token rows, the shortest first."""
    return sorted(rows, key=lambda key: (len(rows[key]), key))


def _forced(
    model: "TextLLM",
    rows: Mapping[str, list[int]],
    questions: Mapping[str, Question],
    prefix: int,
    shared: "DynamicCache",
    sound: "Sequence[torch.Tensor] | None",
) -> Iterator[tuple[str, int, dict[str, float]]]:
    """The most likely of each prompt's candidate answers, with the scores of all."""
    from cascade_equivalence.models.scoring import score

    texts = {key: questions[key].candidates for key in rows}
    tokens = [model.continuations(row, list(texts[key].values())) for key, row in rows.items()]
    sums = score(model, list(rows.values()), tokens, prefix, shared, sound).sums
    for key, found in zip(rows, sums, strict=True):
        scores = dict(zip(texts[key], found, strict=True))
        yield max(scores, key=scores.__getitem__), 0, scores
