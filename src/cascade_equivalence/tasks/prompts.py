"""Prompts: one function for every system, so that arms differ in the speech alone."""

import string
from collections.abc import Sequence

from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.tasks.base import Task
from cascade_equivalence.vocabulary import SLOT


def build_messages(spec: TaskSpec, system_prompt: str, speech: str, options: Sequence[str]) -> list[dict[str, str]]:
    """Render the conversation that asks one item.

    Args:
        spec: How the task is asked.
        system_prompt: System turn; none is sent if it is empty.
        speech: The transcript, or `AUDIO_PLACEHOLDER`.
        options: Option texts, the first under A; empty for tasks without.

    Returns:
        Turns with `role` and `content`: system, the examples as user and assistant in turn, and the user. An example's
        answer begins with the spec's `answer_prefix`; the model's own answer continues it.
    """
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    for shot in spec.shots:
        messages.append({"role": "user", "content": _render(spec.prompt, shot.speech, shot.options)})
        answer = f"{spec.answer_prefix} {shot.answer}." if spec.answer_prefix else shot.answer
        messages.append({"role": "assistant", "content": answer})
    messages.append({"role": "user", "content": _render(spec.prompt, speech, options)})
    return messages


def lettered(options: Sequence[str]) -> str:
    """Options as lines "A. first", "B. second", and so on."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(string.ascii_uppercase, options, strict=False))


def candidate_answers(task: Task, spec: TaskSpec, options: Sequence[str]) -> dict[str, str]:
    """The answers whose likelihoods a forced choice compares.

    Args:
        task: The task.
        spec: How it is asked.
        options: The item's options, if the task has them.

    Returns:
        Label: answer text, in the order of the label set; empty for a task with free answers.
    """
    return task.answers(options, spec.label_words)


def _render(template: str, speech: str, options: Sequence[str]) -> str:
    """Fill the template in one pass, so that braces in what is filled in stay what they are."""
    values = {"speech": speech.strip(), "options": lettered(options)}
    return SLOT.sub(lambda match: values[match[1]], template)
