"""Checks of how a task is asked that types cannot make: prompt, words for labels, examples, paraphrase."""

import re
import string
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER, INVALID, SLOT

if TYPE_CHECKING:
    from cascade_equivalence.tasks.base import Task

_SLOT_LIKE = re.compile(r"\{\s*(\w*)\s*\}")


def prompt_problems(task_name: str, spec: TaskSpec) -> list[str]:
    """What is wrong with the way a task is asked, one sentence a problem; empty if nothing is."""
    task = TASKS[task_name]
    if lines := list(_own_problems(spec)):
        return lines
    asked = [*_template_problems(task, spec), *_word_problems(task, spec), *_shot_problems(task, spec)]
    return [*asked, *_paraphrase_problems(task, spec)]


def named(word: str) -> re.Pattern[str]:
    """Where a text names a word as a word of its own, in any case."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


def _own_problems(spec: TaskSpec) -> Iterator[str]:
    """What is wrong with the entry of a task of the user's own, or with one that is none."""
    own = ("columns", "labels", "title", "text_sufficient")
    if not spec.is_own:
        for key in own:
            if getattr(spec, key) != TaskSpec.model_fields[key].default:
                yield f"{key} is for a task of your own: name the file of its items in `items`, or leave {key} out."
        return
    if spec.items is not None and spec.dataset is not None:
        yield "Its items come from a file or from a data set: leave `items` or `dataset` out."
    if "voice" in spec.columns and (spec.dataset is None or "id" not in spec.columns):
        yield "`columns.voice` tells apart clips of one item of a data set: it needs `dataset` and `columns.id`."
    letters = list(string.ascii_uppercase[: len(spec.labels)])
    if "options" in SLOT.findall(spec.prompt) and (not spec.labels or spec.labels != letters):
        yield "Its prompt holds `{options}`, so `labels` are their letters: [A, B], [A, B, C], ..."
    if len(spec.labels) == 1:
        yield "One label leaves nothing to choose: give all of them in `labels`, or none for free answers."
    if INVALID in spec.labels:
        yield f"`labels` has {INVALID!r}, which stands for answers that are none: call the label otherwise."
    if repeated := [label for label, count in Counter(spec.labels).items() if count > 1]:
        yield f"`labels` has {', '.join(repeated)} twice."
    taken = [spec.columns.get(part, part) for part in {"text", "label", *spec.columns}]
    if doubled := [column for column, count in Counter(taken).items() if count > 1]:
        yield f"`columns` takes {', '.join(doubled)} for two things."


def _template_problems(task: "Task", spec: TaskSpec) -> Iterator[str]:
    slots = Counter(SLOT.findall(spec.prompt))
    if slots["speech"] != 1:
        yield f"The prompt of {task.name} must hold `{{speech}}` once; it does {slots['speech']} times."
    if task.has_options and slots["options"] != 1:
        yield f"The prompt of {task.name} must hold `{{options}}` once; it does {slots['options']} times."
    if not task.has_options and slots["options"]:
        yield f"The prompt of {task.name} holds `{{options}}`, but the task has none."
    for match in _SLOT_LIKE.finditer(spec.prompt):
        if not SLOT.fullmatch(match[0]):
            yield f"The prompt of {task.name} holds `{match[0]}`; only `{{speech}}` and `{{options}}` are filled in."
    if any(AUDIO_PLACEHOLDER in text for text in (spec.prompt, *(shot.speech for shot in spec.shots))):
        yield f"The prompt of {task.name} holds `{AUDIO_PLACEHOLDER}`; write `{{speech}}` where the audio belongs."


def _paraphrase_problems(task: "Task", spec: TaskSpec) -> Iterator[str]:
    if spec.paraphrase is None:
        return
    again = spec.model_copy(update={"prompt": spec.paraphrase, "shots": []})
    for problem in _template_problems(task, again):
        yield f"paraphrase: {problem}"
    for word in () if task.has_options else (spec.label_words.get(label, label) for label in task.labels):
        if named(word).search(spec.prompt) and not named(word).search(spec.paraphrase):
            yield f"The paraphrase of {task.name} does not name {word!r}, as its prompt does."


def _word_problems(task: "Task", spec: TaskSpec) -> Iterator[str]:
    if task.has_options or not task.labels:
        if spec.label_words:
            yield f"{task.name} takes no label_words: its answers are {'letters' if task.has_options else 'free'}."
        return
    unknown = [label for label in spec.label_words if label not in task.labels]
    if unknown:
        yield f"label_words of {task.name} name {', '.join(unknown)}; its labels are {', '.join(task.labels)}."
    words = {label: spec.label_words.get(label, label) for label in task.labels}
    owners: dict[str, set[str]] = {}
    for label, word in words.items():
        for form in {label.lower(), word.lower()}:
            owners.setdefault(form, set()).add(label)
    ambiguous = {form: sorted(labels) for form, labels in owners.items() if len(labels) > 1}
    for form, labels in ambiguous.items():
        yield f"In label_words of {task.name}, {form!r} stands for {' and '.join(labels)}."
    for label, word in words.items():
        if word.lower() not in ambiguous and task.parse(word, (), spec.label_words) != label:
            yield f"In label_words of {task.name}, the word {word!r} would not be understood as {label}."


def _shot_problems(task: "Task", spec: TaskSpec) -> Iterator[str]:
    for number, shot in enumerate(spec.shots, start=1):
        where = f"Example {number} of {task.name}"
        if not shot.speech.strip():
            yield f"{where} says nothing."
        if task.has_options and len(shot.options) != len(task.labels):
            yield f"{where} has {len(shot.options)} options instead of {len(task.labels)}."
        if not task.has_options and shot.options:
            yield f"{where} has options, but the task has none."
        if task.parse(shot.answer, shot.options, spec.label_words) == INVALID:
            yield f"{where} answers {shot.answer!r}, which the parser does not accept."
