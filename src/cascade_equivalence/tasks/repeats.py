"""The variants in which a system is asked again: each changes one thing that should not change its answers.

How far a system agrees with itself says how far its answers depend on what should not matter. Each variant changes one
thing that is no part of what a system is, and says in which way: how it computes, how a task is asked, or in which
order an item's options stand.
"""

import hashlib
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cascade_equivalence.config.check_prompts import named

if TYPE_CHECKING:
    from cascade_equivalence.config.study import AnswerConfig, TaskSpec
    from cascade_equivalence.tasks.base import Item, Task

AGAIN = "@"
"""Between a system and a variant: no name holds it."""
SETTING = "setting"
"""Column of answers that says what was changed."""
_SLOT = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Variant:
    """One thing that should not matter.

    Attributes:
        name: In the config, in paths and in tables.
        title: What is changed, for a reader.
        configure: How a system answers, its arithmetic resolved -> how it answers when it is asked again.
        ask: How a task is asked -> how it is asked again; None where this cannot be changed in the task.
        order: An item's id and number of options -> for each place the option that stands there now, counted from 0.
        key: A key of the task that holds what is asked with; empty where nothing is needed.
    """

    name: str
    title: str
    configure: "Callable[[AnswerConfig], AnswerConfig]" = lambda config: config
    ask: "Callable[[Task, TaskSpec], TaskSpec | None]" = lambda _, spec: spec
    order: Callable[[str, int], tuple[int, ...]] = lambda _, count: tuple(range(count))
    key: str = ""


def _other_batch(config: "AnswerConfig") -> "AnswerConfig":
    """Half the batch size; two where it is one."""
    return config.model_copy(update={"batch_size": config.batch_size // 2 or 2})


def _other_precision(config: "AnswerConfig") -> "AnswerConfig":
    """The other of float32 and bfloat16; float32 where the arithmetic is neither."""
    return config.model_copy(update={"dtype": "bfloat16" if config.dtype == "float32" else "float32"})


def _paraphrased(task: "Task", spec: "TaskSpec") -> "TaskSpec | None":
    del task
    return spec.model_copy(update={"prompt": spec.paraphrase}) if spec.paraphrase else None


def _labels_reversed(task: "Task", spec: "TaskSpec") -> "TaskSpec | None":
    """The labels that a prompt lists in the reverse order, with the lines they begin if each has its own.

    A task with lettered options is asked as it is: its options move. None where the prompt does not name every label
    exactly once.
    """
    if task.has_options:
        return spec
    words = [spec.label_words.get(label, label) for label in task.labels]
    found = [[match.span() for match in named(word).finditer(spec.prompt)] for word in words]
    if not words or any(len(spans) != 1 for spans in found):
        return None
    spans = sorted(spans[0] for spans in found)
    lines = [_line_around(spec.prompt, start) for start, _ in spans]
    own = len(set(lines)) == len(lines) and not any(_SLOT.search(spec.prompt[start:end]) for start, end in lines)
    return spec.model_copy(update={"prompt": _reversed(spec.prompt, lines if own else spans)})


def _line_around(text: str, place: int) -> tuple[int, int]:
    end = text.find("\n", place)
    return text.rfind("\n", 0, place) + 1, len(text) if end < 0 else end


def _reversed(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """A text with what stands in some spans, which follow one another, in the reverse order."""
    parts, place = [], 0
    for (start, end), (first, last) in zip(spans, reversed(spans), strict=True):
        parts += [text[place:start], text[first:last]]
        place = end
    return "".join([*parts, text[place:]])


def _turned(item: str, count: int) -> tuple[int, ...]:
    """Every option under another letter: all move on by as many places, at least one, as the item's id says."""
    if count < 2:  # noqa: PLR2004
        return tuple(range(count))
    shift = 1 + int(hashlib.sha256(item.encode()).hexdigest(), 16) % (count - 1)
    return tuple((place + shift) % count for place in range(count))


KIND = Variant
OWN = (
    Variant("batch", "another batch size", configure=_other_batch),
    Variant("precision", "another precision", configure=_other_precision),
    Variant("paraphrase", "a paraphrased prompt", ask=_paraphrased, key="paraphrase"),
    Variant("options", "options or labels in another order", ask=_labels_reversed, order=_turned),
)
"""The package's variants, as :data:`.config.names.VARIANTS` lists them."""


def reordered(item: "Item", order: Sequence[int]) -> "Item":
    """An item with its options in another order, and its label under the letter that it has there.

    Args:
        item: An item; one without options stays as it is.
        order: For each place the option that stands there now, counted from 0.
    """
    if not item.options:
        return item
    label = string.ascii_uppercase[list(order).index(string.ascii_uppercase.index(item.label))]
    return replace(item, options=tuple(item.options[place] for place in order), label=label)


def original(answer: str, order: Sequence[int]) -> str:
    """The letter that an option has in the original order; what is no letter of an option stays as it is.

    Args:
        answer: A parsed answer to a reordered item.
        order: For each place the option that stands there now; empty for an item without options.
    """
    letters = string.ascii_uppercase[: len(order)]
    return letters[order[letters.index(answer)]] if len(answer) == 1 and answer in letters else answer
