"""Moments of a layer's states over the utterances that erasers are fitted on, from one pass over them.

Parts are merged by the formula of Chan, Golub and LeVeque (1983), so that neither the size of the parts nor a large
mean costs digits. Beside the covariance of all frames each utterance's mean state is kept: with it, moments of
utterances, and cross-moments with whatever is the same for all of an utterance's frames, need no further pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy.linalg.blas import dsyrk
from torch import Tensor

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.mechanism.leace import Spectrum
from cascade_equivalence.mechanism.states import States, frame_owner, read_index
from cascade_equivalence.mechanism.utterances import TRAIN
from cascade_equivalence.models.tensor_files import order_metadata

ROWS_AT_ONCE = 4096
"""Frames held in float64 at a time."""
ABOUT = {
    "split": TRAIN,
    "covariance": "divided by the count; no shrinkage",
    "eigenvectors": "of frame_covariance, as columns; those of the shrunk covariance are the same",
    "shrunk_eigenvalues": "after concept_erasure's optimal_linear_shrinkage",
}


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of some rows.

    Attributes:
        mean: (d,).
        covariance: (d, d), divided by the count.
        count: Rows.
    """

    mean: Tensor
    covariance: Tensor
    count: int


class Running:
    """Mean and scatter of rows that come in parts.

    Args:
        width: Width d of a row.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        # In Fortran's order, so that BLAS adds to it in place; only the upper triangle is kept up.
        self._scatter = np.zeros((width, width), order="F")

    def add(self, rows: Tensor) -> None:
        """Take rows (n, d) in; n may be 0."""
        if not len(rows):
            return
        part = rows.double().numpy()
        mean = part.mean(0)
        total = self.count + len(part)
        shift = (mean - self.mean) * np.sqrt(self.count * len(part) / total)
        # A symmetric product costs half of an ordinary one.
        for some in (part - mean, shift[None]):
            self._scatter = dsyrk(1.0, some.T, beta=1.0, c=self._scatter, overwrite_c=1)
        self.mean += (mean - self.mean) * (len(part) / total)
        self.count = total

    def moments(self) -> Moments:
        """The moments of all rows so far, of which there must be one."""
        upper = np.triu(self._scatter) / self.count
        covariance = upper + np.triu(upper, 1).T
        return Moments(torch.from_numpy(self.mean.copy()), torch.from_numpy(covariance), self.count)


@dataclass(frozen=True)
class LayerMoments:
    """Moments of one layer over the train split.

    Attributes:
        frame: Of single frames.
        spectrum: Eigendecomposition of the frames' covariance.
        rows: Rows of the utterances table that are in it, (utterances,).
        means: Mean state of each utterance, (utterances, d).
        frames: Frames of each utterance, (utterances,).
    """

    frame: Moments
    spectrum: Spectrum
    rows: np.ndarray
    means: Tensor
    frames: Tensor

    @property
    def utterance(self) -> Moments:
        """Moments of the utterances' means, each of which counts once."""
        running = Running(self.means.shape[1])
        running.add(self.means)
        return running.moments()


def train_places(index: pl.DataFrame, utterances: pl.DataFrame) -> np.ndarray:
    """Places in the index of the utterances that are trained on and have frames."""
    split = utterances["split"].to_numpy()[index["utterance"].to_numpy()]
    return np.flatnonzero((split == TRAIN) & (index["frames"].to_numpy() > 0))


def measure(
    states: States, index: pl.DataFrame, utterances: pl.DataFrame, rows_at_once: int = ROWS_AT_ONCE
) -> LayerMoments:
    """Measure a layer's moments over the train split.

    Args:
        states: The layer's states.
        index: Their index.
        utterances: The utterances table.
        rows_at_once: Frames read at a time.

    Raises:
        StudyError: There are fewer than two frames or utterances, or a state is not a number.
    """
    places = train_places(index, utterances)
    if len(places) < 2 or len(set(index["utterance"].to_numpy()[places])) < len(places):  # noqa: PLR2004
        raise StudyError(
            f"the states have {len(places)} utterances to train on, each of which must be there once, and need two: "
            "raise mechanism.states.per_task and capture them again"
        )
    place_of = np.full(index.height, -1)
    place_of[places] = np.arange(len(places))
    owner = torch.from_numpy(place_of[frame_owner(index)])
    running = Running(states.width)
    sums = torch.zeros(len(places), states.width, dtype=torch.float64)
    for start, chunk in states.chunks(rows_at_once):
        own = owner[start : start + len(chunk)]
        counted = own >= 0
        part = chunk.double()
        if not counted.all():
            part, own = part[counted], own[counted]
        # One state that is not finite makes the sum so, too, and no sum of states as wide as float32 leaves float64.
        if not part.sum().isfinite():
            raise StudyError(
                f"states from frame {start} on are infinite or not numbers: capture them in a wider arithmetic"
            )
        running.add(part)
        sums.index_add_(0, own, part)
    frame = running.moments()
    frames = torch.from_numpy(index["frames"].to_numpy()[places].astype(np.int64))
    rows = index["utterance"].to_numpy()[places].astype(np.int64)
    return LayerMoments(frame, Spectrum.of(frame.covariance, frame.count), rows, sums / frames[:, None], frames)


def measure_files(states: Path, index: Path, utterances: Path, path: Path) -> None:
    """Measure one layer from its files and write its moments."""
    layer = States(states)
    write_moments(path, measure(layer, read_index(index, layer), pl.read_parquet(utterances)))


def write_moments(path: Path, moments: LayerMoments) -> None:
    """Write a layer's moments, all of them float64 or int64."""
    tensors = {
        "frame_mean": moments.frame.mean,
        "frame_covariance": moments.frame.covariance,
        "frame_count": torch.tensor([moments.frame.count]),
        "frame_eigenvalues": moments.spectrum.values,
        "frame_shrunk_eigenvalues": moments.spectrum.shrunk,
        "frame_eigenvectors": moments.spectrum.vectors,
        "utterance_rows": torch.from_numpy(moments.rows),
        "utterance_means": moments.means,
        "utterance_frames": moments.frames,
    }
    with replacing(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, ABOUT)
        order_metadata(part)


def read_moments(path: Path) -> LayerMoments:
    """Read a layer's moments.

    Raises:
        StudyError: The file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        count = int(held["frame_count"])
        return LayerMoments(
            Moments(held["frame_mean"], held["frame_covariance"], count),
            Spectrum(held["frame_eigenvalues"], held["frame_shrunk_eigenvalues"], held["frame_eigenvectors"], count),
            held["utterance_rows"].numpy(),
            held["utterance_means"],
            held["utterance_frames"],
        )
    except (SafetensorError, OSError, KeyError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error


@dataclass(frozen=True)
class Cross:
    """Moments of states with a concept.

    Attributes:
        covariance: Of states and concept, (d, columns), divided by rows - 1.
        variance: Of the concept's columns, (columns,), divided by rows - 1.
        counts: Rows of each group, or with each label, that it was computed from.
    """

    covariance: Tensor
    variance: Tensor
    counts: Tensor


def cross_moments(sums: Tensor, counts: Tensor, values: Tensor) -> Cross:
    """Cross-moments where all rows of a group have the same value of the concept.

    Args:
        sums: Sum of each group's states, (groups, d).
        counts: Rows of each group, (groups,); two in all at least.
        values: The concept of each group, (groups, columns).
    """
    weights = counts.to(sums.dtype)[:, None]
    rows = weights.sum()
    centred = values - (weights * values).sum(0) / rows
    states = sums - weights * (sums.sum(0) / rows)
    return Cross(states.mT @ centred / (rows - 1), (weights * centred.square()).sum(0) / (rows - 1), counts)


def class_moments(
    states: States,
    kept: np.ndarray,
    labels: Callable[[int, Tensor], Tensor],
    classes: int,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Cross:
    """Cross-moments of frames with one-hot labels of single frames, from one pass.

    Args:
        states: The layer's states.
        kept: Which frames count, (frames,), booleans; two at least.
        labels: First frame and states (n, d) of a part -> its labels (n, labels a frame), integers below ``classes``.
        classes: Columns of one label; each label of a frame has columns of its own.
        rows_at_once: Frames read at a time.
    """
    keep = torch.from_numpy(kept)
    sums: list[Tensor] = []
    counts: list[Tensor] = []
    for start, chunk in states.chunks(rows_at_once):
        own = keep[start : start + len(chunk)]
        part, found = chunk[own].double(), labels(start, chunk)[own]
        for place, column in enumerate(found.T):
            if place == len(sums):
                sums.append(torch.zeros(classes, states.width, dtype=torch.float64))
                counts.append(torch.zeros(classes, dtype=torch.int64))
            sums[place].index_add_(0, column, part)
            counts[place] += torch.bincount(column, minlength=classes)
    one_hot = torch.eye(classes, dtype=torch.float64)
    each = [cross_moments(total, count, one_hot) for total, count in zip(sums, counts, strict=True)]
    return Cross(
        torch.cat([cross.covariance for cross in each], 1),
        torch.cat([cross.variance for cross in each]),
        torch.cat(counts),
    )
