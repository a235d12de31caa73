"""What is true of all that a report shows: a name, a place in the page, and whether a study has it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.config.study import StudyConfig

TEMPLATES = Path(__file__).parent / "templates"
_PLAN = yaml.safe_load((TEMPLATES / "plan.yaml").read_text(encoding="utf-8"))
PARTS: Mapping[str, str] = _PLAN["parts"]
"""Headings of the page's parts, in order."""
SECTIONS: Mapping[str, Mapping[str, Any]] = _PLAN["sections"]
"""Where tables and figures can be hung, by name: the part, the heading, and what it is about."""
MORE = "more"
"""The section of tables that name none."""


@dataclass(frozen=True)
class PlannedStudy:
    """What is known of a study before it runs.

    Attributes:
        config: The checked config.
        mechanism_files: Files about the inside of opened models, by kind.
    """

    config: "StudyConfig"
    mechanism_files: Mapping[str, Sequence[str]]


def every_study(_: PlannedStudy) -> bool:
    """Of what every study has."""
    return True


def check_shown(kind: str, name: str, section: str) -> None:
    """Refuse what could not be written or shown.

    Args:
        kind: What it is called, in messages.
        name: Its name, of which its files are named.
        section: Its section of the page.

    Raises:
        StudyError: The name makes no file, or the page has no such section.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise StudyError(f"the {kind} {name!r} needs a name of small letters, digits and _, that begins with a letter")
    if section not in SECTIONS:
        close = difflib.get_close_matches(section, SECTIONS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise StudyError(
            f"the {kind} {name!r} is for the section {section!r}, which the page does not have: "
            f"{hint}Sections: {', '.join(SECTIONS)}"
        )
