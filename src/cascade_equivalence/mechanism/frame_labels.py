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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

from cascade_equivalence.mechanism.ctc import CtcProbe
from cascade_equivalence.mechanism.moments import Cross, class_moments
from cascade_equivalence.mechanism.states import States, frame_owner

Labels = Literal["first", "union", "each"]
BLANK = "<blank>"


@dataclass(frozen=True)
class ProbedFrames:
    """What is open of a layer.

    Attributes:
        states: Its states.
        index: Where each utterance's frames are.
        rows: Utterances to fit on, rows of the utterances table.
        probe: The layer's CTC probe.
    """

    states: States
    index: pl.DataFrame
    rows: np.ndarray
    probe: CtcProbe

    def kept(self) -> np.ndarray:
        """Which frames are those utterances', (frames,), booleans."""
        return np.isin(self.index["utterance"].to_numpy(), self.rows)[frame_owner(self.index)]


@dataclass(frozen=True)
class FrameLabels:
    """A concept of frames.

    Attributes:
        cross: Cross-moments of the frames with their labels.
        names: What each column is.
        values: Share of each label among an utterance's frames, (utterances, labels).
        about: What the summary of the erasers says of the labels.
        reason: Why there is nothing to erase, or None.
    """

    cross: Cross
    names: Sequence[str]
    values: np.ndarray
    about: Mapping[str, Any]
    reason: str | None = None


def ctc_labels(frames: ProbedFrames, labels: Labels) -> FrameLabels:
    """Label frames with what the layer's CTC probe reads there.

    The summary says of them: ``label_entropy`` (over all outputs that are used, in nats), ``labels`` (which outputs
    those are) and ``outputs`` of a frame.

    Args:
        frames: The layer.
        labels: Which of a frame's outputs are used.
    """
    cross, names, counts, constant = _measured(frames, labels)
    about = {"label_entropy": _entropy(counts), "labels": labels, "outputs": frames.probe.upsample}
    reason = "the CTC probe reads the same at every frame" if constant else None
    return FrameLabels(cross, names, _shares(frames), about, reason)


def _measured(frames: ProbedFrames, labels: Labels) -> tuple[Cross, list[str], torch.Tensor, bool]:
    """Labels' cross-moments with the states, names, counts, and whether they are the same at every frame; one pass."""
    states, kept, probe = frames.states, frames.kept(), frames.probe
    names = [*probe.alphabet, BLANK]
    blank = len(names) - 1
    used = 1 if labels == "first" else probe.upsample

    def read(part: torch.Tensor) -> torch.Tensor:
        return probe.logits(part).argmax(1).reshape(len(part), -1)[:, :used]

    if labels != "union" or used == 1:
        cross = class_moments(states, kept, lambda _, part: read(part), len(names))
        counts = cross.counts.reshape(used, -1).sum(0)
        return cross, names * used, counts, int((counts > 0).sum()) == 1
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
    return cross, names, counts, bool((cross.variance <= 0).all())


def _shares(frames: ProbedFrames) -> np.ndarray:
    """Share of each label among an utterance's frames, (utterances, labels)."""
    places = {row: (start, count) for row, start, count in frames.index.select("utterance", "start", "frames").rows()}
    width = len(frames.probe.alphabet) + 1
    shares = np.zeros((len(frames.rows), width))
    for place, row in enumerate(frames.rows.tolist()):
        start, count = places[row]
        labels = frames.probe.labels(frames.states.part(start, start + count).float())
        shares[place] = np.bincount(labels.numpy(), minlength=width) / count
    return shares


def _entropy(counts: torch.Tensor) -> float:
    shares = (counts[counts > 0] / counts.sum()).double()
    return abs(-float((shares * shares.log()).sum()))
