"""The answer node's model part where vLLM runs the LLM: questions in, raw answers out, a portion at a time."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.prompting import PromptWriter
from cascade_equivalence.models.question import (
    HEARD_AT_ONCE,
    Answer,
    ModelFiles,
    Question,
    SpeechFiles,
    answers_of,
    sound_of,
)
from cascade_equivalence.models.vllm_engine import AS_FITS, VllmEngine, open_vllm, speech_arguments
from cascade_equivalence.models.vllm_speech import HeardInVllm

if TYPE_CHECKING:
    import torch

BATCHES_AT_ONCE = 16
"""Batches that vLLM, which batches by itself, is given at once; then their answers are stored."""


def answer_with_vllm(
    questions: Mapping[str, Question],
    files: ModelFiles,
    dtype: "torch.dtype",
    config: AnswerConfig,
    max_new_tokens: int,
) -> Iterator[dict[str, Answer]]:
    """Compute answers by key, a portion at a time, the shortest prompts first.

    Args:
        questions: The prompts by key; with audio, all of them, for a speech LLM.
        files: Resolved weights.
        dtype: Arithmetic.
        config: Mode and batch size.
        max_new_tokens: Longest answer.

    Yields:
        The answers of a portion.

    Raises:
        StudyError: vLLM is not installed or cannot run the model, a prompt is too long, or a forced choice is asked of
            a speech LLM.
    """
    if files.speech is not None:
        yield from _answer_heard(questions, files, files.speech, dtype, config, max_new_tokens)
        return
    writer = PromptWriter(files.folder, files.chat)
    prompts = {key: writer.render(question.messages, question.answer_prefix) for key, question in questions.items()}
    rows = {key: writer.tokenize(prompt) for key, prompt in prompts.items()}
    choices = {}
    if config.mode == "forced_choice":
        choices = {
            key: writer.continuations(row, list(questions[key].candidates.values())) for key, row in rows.items()
        }
    # A score is told of a prompt that holds the answer, behind which vLLM writes a token that nobody reads.
    longest = max((len(answer) + 1 for own in choices.values() for answer in own), default=max_new_tokens)
    engine = open_vllm(files.folder, str(dtype).removeprefix("torch."), writer, list(rows.values()), longest)
    queue = sorted(rows, key=lambda key: (len(rows[key]), key))
    portion = BATCHES_AT_ONCE * config.batch_size
    for start in range(0, len(queue), portion):
        some = queue[start : start + portion]
        began = time.perf_counter()
        found = _found(engine, some, rows, choices, questions, max_new_tokens)
        yield answers_of(some, found, prompts, rows, (time.perf_counter() - began) / len(some))


def _answer_heard(
    questions: Mapping[str, Question],
    files: ModelFiles,
    speech: SpeechFiles,
    dtype: "torch.dtype",
    config: AnswerConfig,
    max_new_tokens: int,
) -> Iterator[dict[str, Answer]]:
    """Answers of a speech LLM, the shortest clips first."""
    if config.mode != "generate":
        raise StudyError("a speech LLM gives free answers only in vLLM: set answer.speech_engine to transformers")
    if files.folder.resolve() != speech.folder.resolve():
        raise StudyError(f"{speech.folder} holds its own text LLM, but was given that of {files.folder}")
    writer = PromptWriter(files.folder, files.chat)
    model = HeardInVllm(speech.folder, writer)
    prompts = {key: writer.render(question.messages, question.answer_prefix) for key, question in questions.items()}
    written = {key: model.write(prompt) for key, prompt in prompts.items()}
    engine = VllmEngine(
        files.folder, str(dtype).removeprefix("torch."), writer, AS_FITS, speech_arguments(model.rank), model.adapter
    )
    queue = sorted(questions, key=lambda key: (sound_of(questions[key]).seconds, key))
    portion = min(HEARD_AT_ONCE, BATCHES_AT_ONCE * config.batch_size)
    for start in range(0, len(queue), portion):
        some = queue[start : start + portion]
        began = time.perf_counter()
        sounds = [sound_of(questions[key]).decode() for key in some]
        outputs = engine.answer_heard([written[key].asked for key in some], sounds, max_new_tokens)
        rows = {}
        for key, (read, _) in zip(some, outputs, strict=True):
            model.check_read(read, written[key])
            rows[key] = read
        found: list[tuple[str, int, dict[str, float]]] = [
            (answer.text.strip(), answer.new_tokens, {}) for _, answer in outputs
        ]
        yield answers_of(some, found, prompts, rows, (time.perf_counter() - began) / len(some))


def _found(
    engine: VllmEngine,
    keys: list[str],
    rows: Mapping[str, list[int]],
    choices: Mapping[str, list[list[int]]],
    questions: Mapping[str, Question],
    max_new_tokens: int,
) -> list[tuple[str, int, dict[str, float]]]:
    """Text, new tokens and scores of each answer."""
    asked = [rows[key] for key in keys]
    if not choices:
        return [(output.text.strip(), output.new_tokens, {}) for output in engine.generate(asked, max_new_tokens)]
    found: list[tuple[str, int, dict[str, float]]] = []
    for key, sums in zip(keys, engine.log_likelihoods(asked, [choices[key] for key in keys]), strict=True):
        scores = dict(zip(questions[key].candidates, sums, strict=True))
        found.append((max(scores, key=scores.__getitem__), 0, scores))
    return found
