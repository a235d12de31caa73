"""What a concept is: something erased from the states, and all that is true of it (paper section 3.4)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import polars as pl

from cascade_equivalence.config.mechanism import BASELINE, DRAWN, ErasureConfig
from cascade_equivalence.config.names import ConceptKind
from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.mechanism.frame_labels import FrameLabels, ProbedFrames

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Columns:
    """A concept of utterances.

    Attributes:
        names: What each column is.
        values: One row an utterance, (utterances, columns).
        reason: Why there is nothing to erase, or None.
        classes: Whether columns are classes, of which each utterance has one.
    """

    names: tuple[str, ...]
    values: np.ndarray
    reason: str | None = None
    classes: bool = False


ColumnsOf = Callable[[pl.DataFrame, ErasureConfig, str, np.ndarray], Columns]
"""Makes columns of rows of the utterances table, the settings, the characters of the CTC probe, and how many rows each
utterance is fitted with, (utterances,)."""
LabelsOf = Callable[["ProbedFrames", ErasureConfig], "FrameLabels"]
"""Makes labels of frames of what is open of a layer and the settings."""


@dataclass(frozen=True)
class Pooled:
    """What a concept that is found by variance is found in: mean states of the utterances that are fitted on.

    Attributes:
        heard: Where the sound stands, (utterances, width).
        rows: How many rows each utterance is fitted with, (utterances,).
        read: Where the same words are read, (utterances, width), NaN where there are none; None where nothing is read.
    """

    heard: np.ndarray
    rows: np.ndarray
    read: np.ndarray | None = None


DeviationsOf = Callable[[Pooled, np.ndarray], np.ndarray]
"""Makes rows (rows, width), whose squares sum to the variance that is the concept's, of mean states and its columns."""


@dataclass(frozen=True, kw_only=True)
class Concept:
    """Something that is erased: the same throughout an utterance (``columns``), or of each frame (``labels``).

    Attributes:
        name: Its name in the config, in paths and in tidy tables.
        title: What a reader sees.
        about: What it is, for whoever chooses it.
        kind: Whether it is of the ``text`` or of the ``sound``, whose claims it is judged by, a ``control``, or a
            ``subspace`` that no claim of the paper is about.
        columns: Of a concept of utterances, what makes its columns.
        labels: Of a concept of frames, what labels them.
        deviations: Of a concept of utterances that is erased as the directions that hold most of a variance, rather
            than by LEACE, whose variance that is.
        reads: Whether that takes states of what is read.
        directions: About how many an eraser takes away, for estimates.
        settings: Keys of the section ``erasure`` that it depends on and others do not.
        control_of: Of a control, the concept that it is fitted for; others have drawn controls.
        fitted: Of a control, what it is, in remarks on tables.
        brief: Of a control, what it is called beside numbers.

    Raises:
        StudyError: The name or the kind is none, or what makes its columns is missing or is there twice, or a control
            does not say what it is one of.
    """

    name: str
    title: str
    about: str
    kind: ConceptKind
    columns: ColumnsOf | None = None
    labels: LabelsOf | None = None
    deviations: DeviationsOf | None = None
    reads: bool = False
    directions: float = 1
    settings: frozenset[str] = frozenset()
    control_of: str = ""
    fitted: str = ""
    brief: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name in (BASELINE, *DRAWN):
            taken = ", ".join((BASELINE, *DRAWN))
            raise StudyError(
                f"{self.name!r} cannot be the name of a concept: give it one of lower-case letters, digits and _ that "
                f"begins with a letter and is none of {taken}"
            )
        makers = [each for each in (self.columns, self.labels) if each is not None]
        if len(makers) != 1 or not callable(makers[0]):
            raise StudyError(
                f"The concept {self.name!r} needs a function that makes either its `columns` of utterances or its "
                "`labels` of frames"
            )
        if self.deviations is not None and self.columns is None:
            raise StudyError(f"The concept {self.name!r} is found by variance: it needs `columns`, too")
        if self.kind not in get_args(ConceptKind):
            kinds = ", ".join(get_args(ConceptKind))
            raise StudyError(f"The concept {self.name!r} is of the kind {self.kind!r}; there are {kinds}")
        if (self.kind == "control") != bool(self.control_of):
            raise StudyError(f"The concept {self.name!r}: a control, and nothing else, says what it is `control_of`")
        if unknown := self.settings - set(ErasureConfig.model_fields):
            raise StudyError(f"The concept {self.name!r}: `mechanism.erasure` has no {', '.join(sorted(unknown))}")

    def draws(self, config: ErasureConfig) -> int:
        """Draws of each control."""
        return config.seeds if self.deviations is None else config.variance_seeds

    @property
    def matched(self) -> bool:
        """Whether controls are drawn for it; a control has none of its own."""
        return self.kind != "control"


def standardised(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1 over weighted rows; 0 where a column does not vary.

    Args:
        values: (rows, columns); rows may be missing altogether.
        weights: How often each row counts, (rows,).
    """
    total = weights.sum()
    if not total:
        return np.zeros_like(values, dtype=np.float64)
    shares = weights / total
    centred = values - shares @ values
    spread = np.sqrt(shares @ centred**2)
    # What is left of a constant column by rounding is no variation.
    varies = spread > 1e-12 * np.abs(values).max(0, initial=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
