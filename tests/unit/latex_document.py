"""Tables in a LaTeX document."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from cascade_equivalence.report.latex import PREAMBLE


def _is_there() -> bool:
    """Whether pdfLaTeX is installed with the one package that its smallest installation lacks."""
    found = shutil.which("pdflatex") and shutil.which("kpsewhich")
    return (
        bool(found) and subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False).returncode == 0
    )


needs_latex = pytest.mark.skipif(
    not _is_there(), reason="pdflatex or booktabs is not installed (Debian: texlive-latex-recommended)"
)


def compiled(folder: Path, tables: Sequence[str]) -> str:
    """What pdflatex says about some tables in one document with the packages that they name and no other."""
    head = "\n".join([r"\documentclass{article}", PREAMBLE.removeprefix("% needs ").replace(" and ", ""), ""])
    text = "\n".join([head + r"\begin{document}", *tables, r"\end{document}", ""])
    (folder / "t.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    said = done.stdout.decode("utf-8", errors="replace")
    assert done.returncode == 0 and (folder / "t.pdf").read_bytes().startswith(b"%PDF"), said[-2000:]
    return said
