"""Code without prose: comments, docstrings and layout do not count, all else does, and what is kept is the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_equivalence.stages.bare_code import bare_code

TEXT = '"""What it is."""\n\nONE = 1\n"""One."""\n\ndef two(x):\n    """Twice."""\n    return x * 2  # twice\n'
PROGRAM = (
    "import sys; from cascade_equivalence.stages import bare_code as b; found = b.bare_code(sys.argv[1]);"
    "print(found.code); print('parsed', len(b._asked()), file=sys.stderr)"
)


def in_a_process(text: str, cache: Path) -> tuple[str, int]:
    """The code, and how many modules the process parsed."""
    environment = os.environ | {"CASCADE_EQUIVALENCE_CACHE": str(cache)}
    command = [sys.executable, "-c", PROGRAM, text]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout, int(done.stderr.split()[-1])


def test_prose_does_not_count_and_code_does() -> None:
    same = "ONE=1\ndef two(x):\n\n    return (x*2)\n"
    assert bare_code(TEXT) == bare_code(same)
    assert bare_code(TEXT) != bare_code(TEXT.replace("x * 2", "x * 3"))
    with pytest.raises(SyntaxError):
        bare_code("one two")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 'a'", "x = 'b'"),
        ("def f():\n    return 1", "def f():\n    return 2"),
        ("def f(x=1): return x", "def f(x=2): return x"),
        ("def f():\n    'doc'\n    return 'doc'", "def f():\n    'doc'\n    return 'dock'"),
        ("async def f():\n    return 1", "async def f():\n    return 2"),
        ("if x:\n    y()", "if x:\n    y()\nelse:\n    z()"),
        ("a()\nb()", "b()\na()"),
        ("f = lambda: 1", "f = lambda: 2"),
    ],
)
def test_any_change_of_code_counts(one: str, other: str) -> None:
    assert bare_code(one) == bare_code(f"# remark\n{one}  # more\n\n") != bare_code(other)


def test_what_is_imported_unless_types_are_checked_is_named() -> None:
    ours = "from cascade_equivalence.b import B"
    for test, named in (("TYPE_CHECKING", False), ("typing.TYPE_CHECKING", False), ("not TYPE_CHECKING", True)):
        assert bool(bare_code(f"if {test}:\n    {ours}\n").names) is named


def test_docstrings_of_all_kinds_are_prose() -> None:
    kinds = (
        "'''{}'''\nX = 1\n'''{} of X'''\nclass C:\n    '''{}'''\n    y: int = 1\n    '''{}'''\n"
        "    def f(self):\n        '''{}'''\n    async def g(self):\n        '''{}'''\n"
    )
    assert bare_code(kinds.replace("{}", "One.")) == bare_code(kinds.replace("{}", "Two."))


def test_what_is_kept_is_what_would_be_parsed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert in_a_process(TEXT, cache) == (f"{bare_code(TEXT).code}\n", 1)
    assert in_a_process(TEXT, cache) == (f"{bare_code(TEXT).code}\n", 0)
    other = TEXT.replace("ONE", "UN")
    assert in_a_process(other, cache) == (f"{bare_code(other).code}\n", 1)
    assert [in_a_process(text, cache)[1] for text in (TEXT, other)] == [0, 0]


@pytest.mark.parametrize("content", ["no JSON", "[]", json.dumps({"a": 1})])
def test_a_broken_cache_is_made_anew(tmp_path: Path, content: str) -> None:
    in_a_process(TEXT, tmp_path)
    (file,) = (tmp_path / "code").iterdir()
    file.write_text(content, encoding="utf-8")
    assert in_a_process(TEXT, tmp_path) == (f"{bare_code(TEXT).code}\n", 1)
    assert in_a_process(TEXT, tmp_path)[1] == 0


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no folder", encoding="utf-8")
    assert in_a_process(TEXT, place) == in_a_process(TEXT, place) == (f"{bare_code(TEXT).code}\n", 1)
