"""What each frame is labelled with for the CTC concept: the characters that the layer's own probe reads there.

The paper fits on "per-frame character predictions from the trained CTC probe (49-class concept)": one label a frame,
the likeliest of 48 characters and the blank. A probe with several outputs a frame (``probes.ctc.upsample``), which few
frames a second call for, says several characters, and there is a choice:

- ``first``: the label of the first output; one-hot, as in the paper, and as many columns.
- ``union``: which characters any of the outputs reads; as many columns, of which several may be 1 in a frame. The last
  one is 1 where all outputs are blank.
- ``each``: the label of each output, one-hot in columns of its own: outputs times as many columns, and about as many
  more directions to erase.

With one output a frame all three are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cascade_equivalence.mechanism.ctc import CtcProbe
from cascade_equivalence.mechanism.moments import Cross, class_moments
from cascade_equivalence.mechanism.states import States

Labels = Literal["first", "union", "each"]
BLANK = "<blank>"


@dataclass(frozen=True)
class FrameLabels:
    """Cross-moments of frames with their labels.

    Attributes:
        cross: The moments.
        names: Character of each column.
        entropy: Of the labels that are used, over all outputs that are, in nats.
        constant: Whether they are the same at every frame, so that there is nothing to erase.
    """

    cross: Cross
    names: Sequence[str]
    entropy: float
    constant: bool


def frame_labels(states: States, kept: np.ndarray, probe: CtcProbe, labels: Labels) -> FrameLabels:
    """Label frames and measure the labels' cross-moments with the states, in one pass.

    Args:
        states: The layer's states.
        kept: Which frames count, (frames,), booleans; two at least.
        probe: The layer's CTC probe.
        labels: Which of a frame's outputs are used.
    """
    names = [*probe.alphabet, BLANK]
    blank = len(names) - 1
    used = 1 if labels == "first" else probe.upsample

    def read(part: torch.Tensor) -> torch.Tensor:
        return probe.logits(part).argmax(1).reshape(len(part), -1)[:, :used]

    if labels != "union" or used == 1:
        cross = class_moments(states, kept, lambda _, part: read(part), len(names))
        counts = cross.counts.reshape(used, -1).sum(0)
        return FrameLabels(cross, names * used, _entropy(counts), _constant(counts))
    counts = torch.zeros(len(names), dtype=torch.int64)
    keep = torch.from_numpy(kept)

    def there(start: int, part: torch.Tensor) -> torch.Tensor:
        found = read(part)
        counts.add_(torch.bincount(found[keep[start : start + len(part)]].flatten(), minlength=len(names)))
        marks = torch.zeros(len(part), len(names), dtype=torch.int64).scatter_(1, found, 1)
        marks[:, blank] = (found == blank).all(1)
        return marks

    # Each column is a label with two classes, absent and there; what is said of the second is its indicator's.
    both = class_moments(states, kept, there, 2)
    cross = Cross(both.covariance[:, 1::2], both.variance[1::2], both.counts.reshape(-1, 2)[:, 1])
    return FrameLabels(cross, names, _entropy(counts), bool((cross.variance <= 0).all()))


def _entropy(counts: torch.Tensor) -> float:
    shares = (counts[counts > 0] / counts.sum()).double()
    return abs(-float((shares * shares.log()).sum()))


def _constant(counts: torch.Tensor) -> bool:
    return int((counts > 0).sum()) == 1
