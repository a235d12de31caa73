"""The base of every config section: closed, immutable, described, and strict where a value is easily mistaken."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

LARGEST, LARGEST_SEED = 2**63 - 1, 2**32 - 1
"""Largest whole number that every table holds, and largest seed that every library takes."""
LONGEST_PART, LONGEST_PATH = 255, 1000
"""Most bytes of a name in a path, and of a path."""
PLACEHOLDERS = re.compile(r"\{(project|resources)\}")
"""Stand in the path of a model for the project's own folder, and for that of what it ships beside its code."""
_VARIABLE = re.compile(r"\$[A-Za-z_{(]")


class Closed(BaseModel):
    """A section that refuses unknown keys and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _plain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse what types take for something else: yes for 1, 1 for yes, a path that readers expand differently."""
        found = list(_mistaken(cls, data)) if isinstance(data, dict) else []
        if not found:
            return handler(data)
        with _gathered(found):
            handler(data)
        raise ValidationError.from_exception_data(cls.__name__, found)


@contextmanager
def _gathered(found: list[InitErrorDetails]) -> Iterator[None]:
    """Add the errors of a validation to some that were found before it."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            kind: Any = PydanticCustomError("other", "{said}", {"said": problem["msg"]})
            if problem["type"] not in ("value_error", "assertion_error"):
                kind = problem["type"]
            found.append(
                InitErrorDetails(type=kind, loc=problem["loc"], input=problem["input"], ctx=problem.get("ctx", {}))
            )


def _mistaken(section: type[BaseModel], data: dict[Any, Any]) -> Iterator[InitErrorDetails]:
    for name in section.model_fields.keys() & data.keys():
        kinds = _kinds(section, name)
        numbers = {int, float} & kinds and not kinds & {bool, JsonValue}
        largest = LARGEST_SEED if name == "seed" else LARGEST
        for place, each in _leaves(data[name]):
            problem = None
            if numbers and isinstance(each, bool):
                problem = "it must be a number, and yes, no, on, off, true and false are none"
            elif numbers and isinstance(each, int) and abs(each) > largest:
                problem = f"it must be a number of at most {largest:,}"
            elif bool in kinds and isinstance(each, int | float) and not isinstance(each, bool):
                problem = "it must be true or false, and a number is neither"
            elif Path in kinds and isinstance(each, str | Path):
                problem = path_problem(str(each))
            if problem is not None:
                kind = PydanticCustomError("mistaken", "{said}", {"said": problem})
                yield InitErrorDetails(type=kind, loc=(name, *place), input=each)


def path_problem(text: str) -> str | None:
    """What makes a text no path that a config can hold; None if nothing does."""
    problem = None
    if not text.strip():
        problem = "a path, such as results/study"
    elif any(ord(sign) < ord(" ") or ord(sign) == 127 for sign in text):  # noqa: PLR2004 - DEL
        problem = "a path without line breaks and other control characters"
    elif text.startswith("~"):
        problem = "a path that is written in full: ~ stands for no folder here"
    elif _VARIABLE.search(text):
        problem = "a path that is written in full: variables such as $HOME stand for nothing here"
    elif set("{}") & set(PLACEHOLDERS.sub("", text)):
        problem = "a path without braces"
    elif len(text) > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_PART for part in text.split("/")):
        problem = f"a path whose names have at most {LONGEST_PART} bytes"
    return problem and f"it must be {problem}"


@cache
def _kinds(section: type[BaseModel], name: str) -> frozenset[Any]:
    """The types that a field's value is made of; what sections in it hold is theirs to check."""
    return frozenset(_inside(section.model_fields[name].annotation))


def _inside(annotation: Any) -> set[Any]:
    if annotation is JsonValue or not get_args(annotation):
        return {annotation} if annotation is JsonValue or isinstance(annotation, type) else set()
    return {kind for argument in get_args(annotation) for kind in _inside(argument)}


def _leaves(value: Any, place: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    """The values in lists and mappings of them, each with its place."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from _leaves(each, (*place, i))
    else:
        yield place, value
