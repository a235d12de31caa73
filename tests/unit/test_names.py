"""One word, one meaning: a class name says which class it is wherever it is read."""

import ast
from collections import defaultdict
from pathlib import Path

import cascade_equivalence

PACKAGE = Path(cascade_equivalence.__file__).parent


def test_no_class_name_is_defined_in_two_modules() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert "StudyError" in modules
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
