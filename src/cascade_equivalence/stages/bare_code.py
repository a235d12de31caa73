"""What a module says without comments, docstrings and layout, and what it names of the package; kept between processes.

Parsing takes longer than the rest of a plan, and each node's process asks for the modules of its own script, too. What
is kept is found by the hash of a module's text, so it cannot be of another. Open it when prose makes something run
again, or code does not.
"""

import ast
import atexit
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cascade_equivalence.files import others_may_write, replacing

MOST = 4000
"""Modules that are kept; with more, all but what this process has parsed are let go."""
PREFIX = f"{__name__.partition('.')[0]}."
MODULE = re.compile(rf"{re.escape(PREFIX)}\w+(\.\w+)*")
CHECKED = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
"""What holds for a type checker alone."""


class BareCode(NamedTuple):
    """A module without its prose.

    Attributes:
        code: Hash of what runs.
        names: Modules of the package, and things in them, that it imports or has in a string; nothing that only a type
            checker imports.
        homes: Of what it defines, by name, the module of the package that a string in the definition names.
        beside: Strings in a statement with ``__file__``: they may name files that lie beside it.
    """

    code: str
    names: list[str]
    homes: dict[str, str]
    beside: list[str]


@cache
def bare_code(text: str) -> BareCode:
    """Read a module.

    Args:
        text: The module's text.

    Raises:
        SyntaxError: It is no Python.
    """
    key = hashlib.sha256(text.encode()).hexdigest()
    with suppress(KeyError, TypeError):
        return BareCode(*_kept()[key])
    if not _asked():
        atexit.register(_keep)
    found = _asked()[key] = _parsed(text)
    return found


def _parsed(text: str) -> BareCode:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        # A lambda's body is no list.
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [statement for statement in body if not _is_prose(statement)]
    homes = {
        target.id: home
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
        for home in filter(MODULE.fullmatch, _strings(node.value))
    }
    names, beside = set[str](), set[str]()
    for node in _running(tree):
        match node:
            case ast.Import():
                names |= {each.name for each in node.names}
            case ast.ImportFrom():
                names |= {f"{node.module}.{each.name}" for each in node.names}
            case ast.Constant(value=str() as told) if MODULE.fullmatch(told):
                names.add(told)
            case ast.Assign() | ast.AnnAssign() | ast.Expr() | ast.Return():
                if any(isinstance(part, ast.Name) and part.id == "__file__" for part in ast.walk(node)):
                    beside |= set(_strings(node))
    ours = sorted(name for name in names if name.startswith(PREFIX))
    return BareCode(hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), ours, homes, sorted(beside))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """A tree and all below it, but for what only a type checker reads."""
    waiting = [tree]
    while waiting:
        yield (node := waiting.pop())
        checked = isinstance(node, ast.If) and ast.unparse(node.test) in CHECKED
        waiting += node.orelse if isinstance(node, ast.If) and checked else ast.iter_child_nodes(node)


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_prose(statement: ast.stmt) -> bool:
    """Whether a statement is a string that nobody reads: a docstring, or the remark below a constant."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def place() -> Path:
    """The file that keeps them, one for each Python and each state of this module: they write code in other ways."""
    from cascade_equivalence.models.sources.wheels import default_cache

    rule = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return default_cache() / "code" / f"{'.'.join(map(str, sys.version_info[:3]))}-{rule}.json"


@cache
def _kept() -> dict[str, BareCode]:
    """What earlier processes have kept; nothing where it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        if others_may_write(place()):
            return {}
        found = json.loads(place().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


@cache
def _asked() -> dict[str, BareCode]:
    """What this process has parsed itself."""
    return {}


def _keep() -> None:
    """Keep what this process has parsed beside the rest; another that does so at once may go first."""
    _kept.cache_clear()
    kept = _kept()
    rest = kept if len(kept) + len(_asked()) <= MOST else {}
    # A cache that cannot be written costs time alone.
    with suppress(OSError), replacing(place()) as part:
        part.write_text(json.dumps(rest | _asked()), encoding="utf-8")
