"""Turns validation errors into lines for the user: the key as it was written, what is wrong, the nearest name."""

import difflib
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cascade_equivalence.registry import OneOf

LONGEST_VALUE = 80
MOST_LINES = 40
"""Most problems that are told at once."""
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict = 3, 12, 8
_REPR.maxstring = _REPR.maxother = 2 * LONGEST_VALUE


def unknown(key: str, names: Iterable[str], known: Iterable[str], kind: str) -> list[str]:
    """A line for each name that is none of the known ones."""
    known = list(known)
    return [f"{key}: there is no {kind} {name!r}{did_you_mean(name, known)}" for name in names if name not in known]


def repeated(key: str, names: Iterable[object]) -> list[str]:
    """A line for each name that is listed more than once."""
    return [f"{key}: {str(name)!r} is listed twice" for name, count in Counter(names).items() if count > 1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" - did you mean {close[0]!r}?"
    return f" - known: {', '.join(names)}" if names else " - none is defined"


def block(heading: str, lines: Sequence[str]) -> str:
    """Problems as one message: a heading, and a line each, of so many as anybody reads."""
    more = [f"and {len(lines) - MOST_LINES} more problems"] if len(lines) > MOST_LINES else []
    return "\n".join([heading, *(f"  {line}" for line in (*lines[:MOST_LINES], *more))])


def explain(error: ValidationError, model: type[BaseModel], file: str = "") -> list[str]:
    """Turn a validation error into lines.

    Args:
        error: What pydantic found.
        model: The section that was validated.
        file: The file it was read from, to stand before each key.

    Returns:
        One line a problem.
    """
    found = [(_walk(model, problem["loc"]), problem) for problem in error.errors()]
    keys = [".".join(map(_printed, keys)) for (keys, _), _ in found]
    lines = []
    for key, ((_, around), problem) in zip(keys, found, strict=True):
        # Of a value that may be a number or a mapping, pydantic tries both: only the closer one is told.
        deeper = any(other.startswith(f"{key}.") for other in keys)
        if (problem["type"] == "int_type" and deeper) or (problem["type"] == "dict_type" and keys.count(key) > 1):
            continue
        lines.append(f"{file}{': ' if file else ''}{_line(key, around, problem)}")
    return lines


def _line(key: str, around: Any, problem: ErrorDetails) -> str:
    """One problem; ``around`` is the section its key stands in."""
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = around.model_fields if _is_section(around) else ()
        return f"{key}: unknown key{did_you_mean(key.rpartition('.')[2], known)}"
    if kind.startswith("union_tag"):
        key = ".".join(filter(None, [key, context["discriminator"].strip("'")]))
        if kind == "union_tag_invalid":
            given, context = context["tag"], {"expected": context["expected_tags"]}
    if kind in ("literal_error", "union_tag_invalid"):
        hint = did_you_mean(str(given)[:LONGEST_VALUE], _quoted(context["expected"]))
        return f"{key}: {shown(given)} is not possible{hint}"
    if kind in ("missing", "union_tag_not_found"):
        return f"{key}: missing; give it a value"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')} (got {shown(given)})"


def shown(given: Any) -> str:
    """A value as it stands in a message: on one line, and short however much the value holds."""
    value = _REPR.repr(given)
    return value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "..."


def _printed(key: str) -> str:
    """A key as it stands in a message: on one line."""
    return key if key.isprintable() else ascii(key)[1:-1]


def _quoted(listing: str) -> list[str]:
    """The names in pydantic's "'a', 'b' or 'c'"."""
    return listing.split("'")[1::2]


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Follow a location through the types.

    Returns:
        Its keys, without what pydantic puts between them to say which form of a value it tried; and the type that
        holds the last key.
    """
    keys: list[str] = []
    kind: Any = model
    around: Any = model
    for part in location:
        kind = _unwrap(kind)
        if get_origin(kind) in (Union, UnionType):
            forms = [form for form in get_args(kind) if _is_form(form, str(part))]
            kind = forms[0] if forms else None
            continue
        if part == "[key]":
            continue
        keys.append(str(part))
        around, kind = kind, _below(kind, str(part))
    return keys, around


def _unwrap(kind: Any) -> Any:
    """A type without its annotations and without None beside it: pydantic puts nothing between for these."""
    if get_origin(kind) is Annotated:
        of_registry = next((mark.form for mark in get_args(kind)[1:] if isinstance(mark, OneOf)), None)
        return _unwrap(of_registry or get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        forms = [form for form in get_args(kind) if form is not type(None)]
        return _unwrap(forms[0]) if len(forms) == 1 else kind
    return kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_form(form: Any, label: str) -> bool:
    """Whether a member of a union is the one that pydantic calls so: by its tag, or by its type."""
    if _is_section(form):
        return any(label in get_args(field.annotation) for field in form.model_fields.values())
    return (get_origin(form) is dict) == label.startswith("dict[")


def _below(kind: Any, part: str) -> Any:
    """The type of a value in a section, a mapping or a list."""
    if _is_section(kind):
        field = kind.model_fields.get(part)
        return field.rebuild_annotation() if field else None
    arguments = get_args(kind)
    return arguments[-1] if issubclass(get_origin(kind) or object, Mapping | list) and arguments else None
