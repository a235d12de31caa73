"""Sentences of the report, from files that can be edited without Python: ``templates/*.txt``, a macro each."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cascade_equivalence.report.display import decimal, ends, p_value, percent, points, points_ends
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.shown import TEMPLATES
from cascade_equivalence.report.wording import counted, kappa_on, listed, listed_tasks


@cache
def environment() -> Environment:
    """What the templates are read by, with their filters."""
    # Plain text: what shows it escapes it.
    made = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined)  # noqa: S701
    made.filters |= {"task": task_title, "tasks": listed_tasks, "listed": listed, "counted": counted}
    made.filters |= {"kappa": kappa_on, "decimal": decimal, "points": points, "percent": percent}
    made.filters |= {"ends": ends, "points_ends": points_ends, "p_value": p_value}
    return made


def say(file: str, sentence: str, **facts: Any) -> str:
    """A sentence, or several.

    Args:
        file: The file of templates; ends of lines count as spaces, and before a point, comma or bracket as nothing.
        sentence: The macro.
        facts: What it is told.
    """
    macro = getattr(environment().get_template(file).module, sentence)
    text = re.sub(r"[ \n]*\n[ \n]*(?=[.,;:)])", "", macro(**facts))
    return re.sub(r"[ \n]+", " ", text).strip()


def inside(sentence: str, **facts: Any) -> str:
    """Part of a sentence on the inside of a model, see ``say``."""
    return say("inside.txt", sentence, **facts)
