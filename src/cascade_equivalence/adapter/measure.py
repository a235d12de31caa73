"""What a voice adapter reaches on clips that it was not trained on."""

from collections.abc import Sequence

import torch

from cascade_equivalence.adapter.asking import Prompt
from cascade_equivalence.adapter.clips import VoicedClip
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.text_llm import TextLLM

BATCH = 32


@torch.no_grad()
def chosen(
    text: TextLLM, prompt: Prompt, speech: Sequence[list[int]], heard: Sequence[torch.Tensor] | None
) -> list[str]:
    """The likeliest label of each row, by forced choice.

    Args:
        text: The text LLM.
        prompt: A task's prompt with answers to choose from.
        speech: Tokens of each row's speech, or ``AUDIO`` as often as it has vectors.
        heard: Vectors of each row's ``AUDIO``; None where the speech is typed.

    Returns:
        A label a row.
    """
    shared = text.prefix_cache(prompt.before)
    labels, found = list(prompt.answers), []
    order = sorted(range(len(speech)), key=lambda index: len(speech[index]))
    for first in range(0, len(order), BATCH):
        some = order[first : first + BATCH]
        rows = [[*prompt.before, *speech[index], *prompt.after] for index in some]
        own = None if heard is None else [heard[index] for index in some]
        candidates = [list(prompt.answers.values())] * len(rows)
        sums = score(text, rows, candidates, len(prompt.before), shared, own).sums
        found += [(index, labels[row.index(max(row))]) for index, row in zip(some, sums, strict=True)]
    return [label for _, label in sorted(found)]


def accuracy(text: TextLLM, prompt: Prompt, clips: Sequence[VoicedClip], heard: Sequence[torch.Tensor]) -> float:
    """Share of clips whose style is the label that is chosen."""
    said = chosen(text, prompt, [[AUDIO] * len(own) for own in heard], heard)
    return sum(label == clip.style for label, clip in zip(said, clips, strict=True)) / len(clips)
