"""Sentences lie in files that can be edited without Python: each is asked for, and what they are told stays text."""

import re

import pytest
from jinja2 import UndefinedError

from cascade_equivalence.report.prose import environment, say
from cascade_equivalence.report.shown import TEMPLATES

HOSTILE = "{{ 7 * 7 }} {% raw %} <b> & \\1"
CODE = [path.read_text(encoding="utf-8") for path in TEMPLATES.parent.glob("*.py")]


def asked_of(file: str) -> set[str]:
    """The sentences of a file that some module asks for."""
    if file == "inside.txt":
        return {name for code in CODE for name in re.findall(r'\binside\(\s*"(\w+)"', code)}
    (code,) = (code for code in CODE if f'SENTENCES = "{file}"' in code)
    return set(re.findall(r'say\(SENTENCES, "(\w+)"', code))


@pytest.mark.parametrize("file", [path.name for path in TEMPLATES.glob("*.txt")])
def test_every_sentence_is_asked_for_and_every_one_that_is_asked_for_is_there(file: str) -> None:
    asked = asked_of(file)
    text = (TEMPLATES / file).read_text(encoding="utf-8")
    there = set(re.findall(r"{% macro (\w+)", text))
    assert asked <= there
    assert all(name in asked or text.count(f"{name}(") > 1 for name in there)
    assert environment().get_template(file)


def test_what_a_sentence_is_told_stays_as_it_is() -> None:
    assert f"both {HOSTILE} and {HOSTILE} shown" in say("speech_llm.txt", "not_read", name=HOSTILE, who=HOSTILE)


def test_a_fact_that_is_missing_is_told() -> None:
    with pytest.raises(UndefinedError, match="reason"):
        say("cascades.txt", "undefined", tasks=["sst2"])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_ends_of_lines_are_spaces_and_nothing_before_a_point(count: int) -> None:
    row = {"system": "a", "reference": "b", "task": "sst2", "accuracy_difference": 0.1}
    text = say("cascades.txt", "differences", compared=9, differ=[row] * count, listed=4)
    assert text.endswith(").") and text.count(";") == min(count, 4) - 1
    assert not re.search(r"\n|  | [.,;:]", text)
