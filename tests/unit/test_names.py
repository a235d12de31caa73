"""One word, one meaning: the name of a class or of a type says which one it is wherever it is read."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cascade_equivalence

PACKAGE = Path(cascade_equivalence.__file__).parent


def definitions(path: Path) -> Iterator[tuple[str, str]]:
    """Names of the classes and type aliases of a module, each with what it is: an alias its value, a class itself."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, f"{path.relative_to(PACKAGE)}:{node.lineno}"
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name[0].isupper() and not name.isupper():
                yield name, ast.unparse(node.value)


def test_the_name_of_a_class_or_type_means_one_thing_in_the_package() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, meaning in definitions(path):
            meanings[name].add(meaning)
    assert {"StudyError", "Floats"} <= meanings.keys()
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
