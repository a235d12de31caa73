"""A format of answers: how a file of it is recognised and read. A new one is an object of this class."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade_equivalence.imported.head import FileHead
    from cascade_equivalence.imported.rows import AnswerRow


@dataclass(frozen=True)
class FileOptions:
    """What the user says of a file.

    Attributes:
        columns: Names of columns where they are not the plain ones: field to column.
        score: Which of several scores counts; empty takes the first.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    score: str = ""


@dataclass
class FileReading:
    """What a reader finds in a file.

    Attributes:
        rows: The answers.
        name: What the system is called; empty where nothing says so.
        remarks: What a reader of the numbers has to know of it, a line each.
        lacking: Fields whose column the user names, and the file does not have; known when all rows are taken.
    """

    rows: "Iterable[AnswerRow]"
    name: str = ""
    remarks: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AnswerFormat:
    """A format in which answers are written.

    Attributes:
        name: What ``--format`` calls it.
        title: What writes it.
        recognise: Whether a file that begins so is one of these.
        read: Reads it. Remarks may be added while rows are taken.
    """

    name: str
    title: str
    recognise: "Callable[[FileHead, FileOptions], bool]"
    read: "Callable[[FileHead, FileOptions], FileReading]"
