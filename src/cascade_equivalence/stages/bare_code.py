"""Modules without comments, docstrings and layout, kept between processes: parsing is a sixth of a plan's time.

Each node's process asks for those of its own stage, too. What is kept is found by the hash of a module's text, so it
cannot be of another. Open it when prose makes something run again, or code does not.
"""

import ast
import atexit
import hashlib
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from cascade_equivalence.files import others_may_write, replacing

MOST = 4000
"""Modules that are kept; with more, all but what this process has parsed are let go."""


@cache
def bare_code(text: str) -> str:
    """A module's code as Python writes it from what it has parsed.

    Args:
        text: The module's text.

    Raises:
        SyntaxError: It is no Python.
    """
    key = hashlib.sha256(text.encode()).hexdigest()
    kept, asked = _kept(), _asked()
    found = kept.get(key)
    if not isinstance(found, str):
        if not asked:
            atexit.register(_keep)
        found = asked[key] = _parsed(text)
    return found


def _parsed(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        # A lambda's body is no list.
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [statement for statement in body if not _is_prose(statement)]
    return ast.unparse(tree)


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
def _kept() -> dict[str, str]:
    """What earlier processes have kept; nothing where it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        if others_may_write(place()):
            return {}
        found = json.loads(place().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


@cache
def _asked() -> dict[str, str]:
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
