"""A stage's fingerprint covers the modules that decide its results."""

import ast
import shutil
from pathlib import Path

import pytest
from checkout import REPOSITORY

from cascade_equivalence.dag.fingerprint import PACKAGE, STAGES, code_fingerprint

SCRIPTS = {
    "resolve": "resolve_model",
    "items": "prepare_items",
    "speech": "synthesize_speech",
    "noise": "mix_noise",
    "transcribe": "transcribe",
    "answer": "answer",
    "agree": "agree",
}
# Stages whose results a stage reads: when their code changes, they are made again and so is all that reads them.
BEFORE = {
    "resolve": (),
    "items": (),
    "speech": ("items",),
    "noise": ("speech",),
    "transcribe": ("items", "speech", "noise", "resolve"),
    "answer": ("items", "speech", "noise", "resolve", "transcribe"),
    "agree": ("items", "speech", "noise", "resolve", "transcribe", "answer"),
}
# What decides no result: where things are, how they are kept and shown. Not looked into either.
NEUTRAL = (
    *("atomic.py", "conditions.py", "errors.py", "progress.py", "config/*.py", "models/store.py", "speech/store.py"),
    *(f"dag/{name}.py" for name in ("fingerprint", "lock", "processes", "script", "study")),
    *("speech/provider.py", "report/files.py", "tasks/registry.py"),
)
# Named by the node itself: its own task, its own voice. Items do not depend on how answers are parsed.
OWN = {
    "items": ("tasks/sst2.py", "tasks/parsing.py"),
    "answer": ("tasks/sst2.py",),
    "speech": ("speech/espeak*.py", "speech/hibari*.py"),
}


def matches(*patterns: str) -> set[Path]:
    return {path for pattern in patterns for path in PACKAGE.glob(pattern)}


def imports(path: Path) -> set[Path]:
    """Modules of the package that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    inside = (name.split(".")[1:] for name in names if name.startswith("cascade_equivalence."))
    return {file for parts in inside if (file := PACKAGE.joinpath(*parts).with_suffix(".py")).is_file()}


def needed(path: Path) -> set[Path]:
    """Modules that a file needs, directly or not."""
    found: set[Path] = set()
    queue = [path]
    while queue:
        fresh = imports(queue.pop()) - found - matches(*NEUTRAL)
        found |= fresh
        queue += fresh
    return found


@pytest.mark.parametrize("stage", SCRIPTS)
def test_no_module_that_decides_a_result_is_left_out(stage: str) -> None:
    modules = needed(REPOSITORY / "workflow" / "scripts" / f"{SCRIPTS[stage]}.py")
    assert modules & matches(*STAGES[stage])
    covered = [name for one in (stage, *BEFORE[stage]) for name in (*STAGES[one], *OWN.get(one, ()))]
    assert {path.relative_to(PACKAGE).as_posix() for path in modules - matches(*covered)} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_every_pattern_finds_a_module(stage: str) -> None:
    assert all(matches(pattern) for pattern in STAGES[stage])


def test_code_changes_a_fingerprint_and_prose_does_not(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = {stage: code_fingerprint(stage, package=package) for stage in STAGES}
    assert before == {stage: code_fingerprint(stage) for stage in STAGES}
    file = package / "stats" / "agreement.py"
    text = file.read_text(encoding="utf-8")
    file.write_text("# A remark.\n\n" + text.replace('"""', '"""More words. ', 1), encoding="utf-8")
    code_fingerprint.cache_clear()
    assert {stage: code_fingerprint(stage, package=package) for stage in STAGES} == before
    file.write_text(text + "\nMORE = 1\n", encoding="utf-8")
    code_fingerprint.cache_clear()
    changed = {stage for stage in STAGES if code_fingerprint(stage, package=package) != before[stage]}
    assert changed == {"agree", "report"}
