"""What a figure is: what it is drawn from, when there is something to draw, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade_equivalence.registry import Registry
from cascade_equivalence.report.shown import PlannedStudy, check_shown, every_study

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure as Drawing


def has_rows(table: "pl.DataFrame") -> bool:
    """Whether a table has any row."""
    return table.height > 0


@dataclass(frozen=True)
class Counterpart:
    """What one of the paper's figures or tables has to do with that which stands for it here.

    Attributes:
        number: The paper's number.
        shows: What it shows there.
        numbers: Tidy tables that hold the numbers.
        differs: How the study's differs from it, beside the systems, models and items.
    """

    number: int
    shows: str
    numbers: tuple[str, ...]
    differs: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a study; all lists of figures are read off ``FIGURES``.

    The module of a figure is imported when a study is planned: what draws is imported inside ``draw``.

    Attributes:
        name: Its name, in small letters: of files, and in the page.
        table: Name of the tidy table that it is drawn from.
        section: Its section of the page.
        caption: What stands below it there.
        draw: Function from the tidy table to a figure.
        planned: Whether a study declares its files before anything has run.
        has: Whether a tidy table has something to draw; where it has not, a declared figure says so.
        paper: The paper's figure that it stands for.

    Raises:
        StudyError: The name makes no file, or the page has no such section.
    """

    name: str
    table: str
    section: str
    caption: str
    draw: "Callable[[pl.DataFrame], Drawing]"
    planned: Callable[[PlannedStudy], bool] = every_study
    has: "Callable[[pl.DataFrame], bool]" = has_rows
    paper: Counterpart | None = None

    def __post_init__(self) -> None:
        check_shown("figure", self.name, self.section)

    @property
    def stem(self) -> str:
        """Its file, without suffix: it begins with the paper's number, where the paper has one like it."""
        return self.name if self.paper is None else f"figure{self.paper.number}_{self.name}"


FIGURES: Registry[Figure] = Registry("figure", home="cascade_equivalence.report.figures.registry")
"""All figures, in the order of the study's files."""


def figure_name(stem: str) -> str:
    """The name of a figure from that of its file."""
    return next((figure.name for figure in FIGURES.values() if figure.stem == stem), stem)
