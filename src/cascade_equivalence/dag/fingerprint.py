"""Hashes of the source a stage runs, so that a node is made again when its code changes, and only then.

Snakemake's own code trigger sees a rule's script but not the modules it imports.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent

# Modules each stage depends on, as globs below the package. A node names its own further files (its task, its voice).
STAGES = {
    "resolve": (
        "models/sources/*.py",
        *(f"models/{name}.py" for name in ("checkpoint", "ctranslate2_weights", "openai_whisper")),
    ),
    "items": tuple(f"tasks/{name}.py" for name in ("base", "cleaning", "items", "prepare", "published", "sampling")),
    "speech": tuple(f"speech/{name}.py" for name in ("audit", "clips", "prosody", "synthesize", "waveform")),
    "noise": tuple(f"speech/{name}.py" for name in ("babble", "clips", "noise", "waveform")),
    "transcribe": (
        "models/transcription/*.py",
        *(f"models/{name}.py" for name in ("checkpoint", "ctranslate2_weights", "device", "openai_whisper")),
    ),
    "answer": (
        *(f"models/{name}.py" for name in ("answering", "device", "rendering", "stopping", "text_llm")),
        *(f"tasks/{name}.py" for name in ("base", "parsing", "prompts")),
        "dag/answers.py",
    ),
    "agree": ("stats/*.py",),
    "report": ("report/*.py", "report/templates/*", "stats/*.py"),
}


def _without_comments(path: Path) -> str:
    """A module's syntax tree without docstrings, so that prose does not make anything run again."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(body, list) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                body.pop(0)
    return ast.dump(tree)


@cache
def code_fingerprint(stage: str, *extra: str, package: Path = PACKAGE) -> str:
    """Hash the source of a stage.

    Args:
        stage: A key of ``STAGES``.
        extra: Further globs below the package, for what is particular to one node.
        package: The package's folder.

    Returns:
        16 hexadecimal digits; comments, docstrings and layout do not change them.
    """
    digest = hashlib.sha256()
    for pattern in (*STAGES[stage], *extra):
        for path in sorted(package.glob(pattern)):
            if path.is_file():
                digest.update(f"{path.relative_to(package)}\0{_without_comments(path)}\0".encode())
    return digest.hexdigest()[:16]
