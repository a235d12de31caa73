"""Prompts of a voice adapter's training, as the study asks them, and the text LLM's logits at their answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


@dataclass(frozen=True)
class Prompt:
    """A task's prompt around its speech.

    Attributes:
        task: The task.
        before: Tokens before the speech, the examples among them.
        after: Tokens between the speech and the answer.
        answers: Token ids of each label's answer, by label; empty for a task with free answers.
    """

    task: str
    before: list[int]
    after: list[int]
    answers: dict[str, list[int]]


def prompt_of(text: TextLLM, task: str, spec: TaskSpec) -> Prompt:
    """The prompt of a task, with its examples, split where the speech stands.

    Args:
        text: The text LLM.
        task: The task's name.
        spec: How it is asked.
    """
    rendered = text.render(build_messages(spec, "", AUDIO_PLACEHOLDER, ()), spec.answer_prefix)
    before, after = rendered.split(PLACEHOLDER)
    # The speech carries the space before its first word.
    ends = text.tokenize(after)
    candidates = candidate_answers(get_task(task), spec, ())
    answers = dict(zip(candidates, text.continuations(ends, list(candidates.values())), strict=True))
    return Prompt(task, text.tokenize(before.removesuffix(" ")), ends, answers)


def logits_at_answers(
    text: TextLLM,
    prompt: Prompt,
    speech: Sequence[list[int]],
    answers: Sequence[list[int]],
    heard: list[torch.Tensor] | None,
) -> torch.Tensor:
    """Logits at every token of the rows' answers, one row after the other; gradients reach what is trained.

    The examples before the speech are read once for all rows of a batch, by the text LLM as it is now.

    Args:
        text: The text LLM.
        prompt: The prompt.
        speech: Tokens of each row's speech, or ``AUDIO`` as often as it has vectors.
        answers: The answer that each row is led through.
        heard: Vectors of each row's ``AUDIO``; None where the speech is typed.

    Returns:
        (answer tokens of all rows, vocabulary), float32.
    """
    ids = torch.tensor([prompt.before])
    shared = DynamicCache(config=text.model.config)
    text.forward(ids, torch.ones_like(ids), shared)
    rows = [[*prompt.before, *own, *prompt.after, *answer] for own, answer in zip(speech, answers, strict=True)]
    newest, mask, cache = text.start(rows, len(prompt.before), shared)
    states = text.forward(newest, mask, cache, heard)
    # Rows end together, so an answer's predictions stand at the end, one column early.
    picked = [row[-len(answer) - 1 : -1] for row, answer in zip(states, answers, strict=True)]
    logits: torch.Tensor = text.model.get_output_embeddings()(torch.cat(picked))
    return logits.float()
