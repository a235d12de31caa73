"""Read a study or a registry file: YAML or JSON whose meaning is plain, in bounded time and memory."""

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cascade_equivalence.errors import StudyError

MOST_BYTES = 1_000_000
"""Longest file; the longest of the project has a fiftieth of it."""
MOST_VALUES = 50_000
"""Most values of a file, those counted each time that an alias repeats."""
DEEPEST = 40
"""Most sections inside one another."""
MOST_DIGITS = 100
"""Longest number."""
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_SHOWN = 40


class _Loader(yaml.SafeLoader):
    """Safe YAML that is refused where people read it in two ways, or where it would grow without bound."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._sizes = [0]
        self._open: list[str | None] = []
        self._anchored: dict[str, int] = {}

    def get_event(self) -> Any:
        """The next event, after it was counted: before anything is made of what an alias stands for."""
        event: Any = super().get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            self._sizes.append(1)
            self._open.append(event.anchor)
            if len(self._open) > DEEPEST:
                raise _refusal(f"more than {DEEPEST} levels inside one another", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._count(self._sizes.pop(), self._open.pop(), event)
        elif isinstance(event, yaml.ScalarEvent):
            self._count(1, event.anchor, event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                raise _refusal(f"*{event.anchor} stands inside &{event.anchor} itself", event)
            self._count(self._anchored.get(event.anchor, 1), None, event)
        return event

    def _count(self, size: int, anchor: str | None, event: Any) -> None:
        self._sizes[-1] += size
        if anchor is not None:
            self._anchored[anchor] = size
        if self._sizes[-1] > MOST_VALUES:
            raise _refusal(f"more than {MOST_VALUES:,} values, with those that aliases repeat", event)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Construct a value; one that Python cannot hold is an error at its place."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise _refusal(f"{_short(node.value)} is no {node.tag.rpartition(':')[2]}", node) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping whose keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if not key.tag.endswith(":merge")]
        if (twice := _first_repeated(keys)) is not None:
            raise _refusal(f"{twice!r} is defined twice", node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Construct a whole number that is written as people write one: YAML takes 010 for eight, and 1:30 for 90."""
        text = str(self.construct_scalar(node))
        if not _DECIMAL.fullmatch(text):
            raise _refusal(f"{_short(text)} is not a plain decimal number; quote it if it is a text", node)
        if len(text) > MOST_DIGITS:
            raise _refusal(f"{_short(text)} has more than {MOST_DIGITS} digits", node)
        return int(text.replace("_", ""))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_config(path: Path) -> Any:
    """Read a YAML or JSON file.

    Args:
        path: The file.

    Returns:
        What it holds; None if it is empty.

    Raises:
        StudyError: It is no readable file, not UTF-8, not YAML, means two things at once (a key given twice, a number
            such as 010), or is too large; in one line with the file and, where there is one, the line.
    """
    text = _read_text(path)
    try:
        content = _parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = " ".join(f"{error.problem or error.context}".split())
        raise StudyError(f"{path} is not valid YAML: {said}{where}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError(f"{path} is not valid YAML: {' '.join(f'{error}'.split())}") from error
    except RecursionError as error:
        raise StudyError(f"{path} is not valid YAML: more than {DEEPEST} levels inside one another") from error
    if (problem := bound_problem(content)) is not None:
        raise StudyError(f"{path}: {problem}")
    return content


def refuse_ambiguous(paths: Iterable[Path]) -> None:
    """Refuse config files that another reader takes without a word, such as one that gives a key twice.

    Args:
        paths: The config files that Snakemake was given, which it reads by itself.

    Raises:
        StudyError: Of the first that :func:`read_config` refuses.
    """
    for path in paths:
        read_config(Path(path))


def bound_problem(content: Any) -> str | None:
    """What makes a value unfit to be checked: too many values, too deep, a cycle, no text; None if nothing does.

    Args:
        content: Lists and mappings; parts of them may be the same object.
    """
    count, inner = 0, [(content, 0)]
    while inner:
        value, depth = inner.pop()
        count += 1
        if count > MOST_VALUES:
            return f"it holds more than {MOST_VALUES:,} values"
        if depth > DEEPEST:
            return f"it has more than {DEEPEST} levels inside one another"
        if isinstance(value, str) and not _is_text(value):
            return f"{ascii(value)[:_SHOWN]} is half a character"
        if isinstance(value, Mapping):
            inner += [(each, depth + 1) for pair in value.items() for each in pair]
        elif isinstance(value, list | tuple):
            # One level at a time would copy a list that is repeated many times.
            if count + len(inner) + len(value) > MOST_VALUES:
                return f"it holds more than {MOST_VALUES:,} values"
            inner += [(each, depth + 1) for each in value]
    return None


def _read_text(path: Path) -> str:
    try:
        if not path.exists():
            raise StudyError(f"{path} does not exist")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise StudyError(f"{path} is {kind}: name a YAML or JSON file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise StudyError(f"{path} has {size:,} bytes: a config file has at most {MOST_BYTES:,}")
        # With a mark of the byte order or without.
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not valid YAML: byte {error.start + 1} is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StudyError(f"{str(path)!r} is no name of a file: {error}") from error


def _parse(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_pairs, parse_int=_whole)
        except json.JSONDecodeError:
            pass
    # A subclass of the safe loader.
    return yaml.load(text, Loader=_Loader)  # noqa: S506


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := _first_repeated([key for key, _ in pairs])) is not None:
        raise ValueError(f"{twice!r} is defined twice")
    return dict(pairs)


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"{_short(text)} has more than {MOST_DIGITS} digits")
    return int(text)


def _first_repeated(keys: Iterable[Any]) -> Any:
    seen = set()
    for key in keys:
        # One that has no hash is refused by the construction of the mapping.
        if not isinstance(key, Hashable):
            continue
        if key in seen:
            return key
        seen.add(key)
    return None


def _is_text(value: str) -> bool:
    """Whether a text can be written: an escape can make half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refusal(problem: str, at: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)


def _short(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
