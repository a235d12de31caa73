"""A table as a reader sees it in LaTeX (booktabs)."""

import unicodedata

from cascade_equivalence.report.display import Display

PREAMBLE = "% needs \\usepackage[T1]{fontenc} and \\usepackage{array,booktabs,graphicx}"
LONG = 40  # characters; columns of longer text are set in lines
LINES = r">{\raggedright\arraybackslash}p{0.75\linewidth}"
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""What is wider than the line, or the column of the page, is made as wide as that."""
ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}
"""Characters that mean something to LaTeX, or that its fonts draw as another one."""
SYMBOLS = {
    "\N{MINUS SIGN}": "$-$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{GREEK SMALL LETTER KAPPA}": r"$\kappa$",
    "\N{GREEK SMALL LETTER DELTA}": r"$\delta$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{DAGGER}": r"\dag{}",
    "\N{DOUBLE DAGGER}": r"\ddag{}",
    "\N{SECTION SIGN}": r"\S{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{NO-BREAK SPACE}": "~",
}
"""Characters that have a command of their own."""
OTHER_LETTERS = frozenset("ŁłĐđŊŋŒœı")
"""Letters of Latin Extended-A without an accent that the fonts hold."""
FIRST_LETTER, LAST_LATIN_1, LAST_LATIN_A = "\u00c0", "\u00ff", "\u017e"


def latex(display: Display) -> str:
    """A table for a paper.

    A row of which only the first cell holds something is a heading over the rows below it, in italics between rules.
    Columns of long text are set in lines, and a table that is still too wide for the page is made smaller.

    Args:
        display: The table; its title becomes the caption, its name the label, its remarks notes below it.

    Returns:
        A ``table`` environment; it needs the packages that its first line names, and pdfLaTeX, XeLaTeX or LuaLaTeX.
    """
    width = len(display.columns)
    rows = [row for row in display.rows if not _is_heading(row)]
    kinds = "".join(
        "r" if place >= display.text_columns else LINES if any(len(row[place]) > LONG for row in rows) else "l"
        for place in range(width)
    )
    lines = [
        PREAMBLE,
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escape(display.title)}}}",
        rf"\label{{tab:{display.name}}}",
        FITTED,
        rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        r"\toprule",
        _line(display.columns),
        r"\midrule",
    ]
    for place, row in enumerate(display.rows):
        if _is_heading(row):
            lines += [r"\midrule"] if place else []
            lines += [rf"\multicolumn{{{width}}}{{@{{}}l@{{}}}}{{\textit{{{escape(row[0])}}}}} \\"]
        else:
            lines.append(_line(row))
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\smallskip{{\footnotesize\raggedright {escape(remark)}\par}}" for remark in display.remarks]
    return "\n".join([*lines, r"\end{table}", ""])


def escape(text: str) -> str:
    """Text as LaTeX shows it, word for word.

    Args:
        text: Any text; line breaks and control characters become spaces.

    Returns:
        ASCII and the letters that LaTeX's T1 fonts hold; any other character becomes its code, such as [U+4E2D].
    """
    return "".join(map(_escaped, unicodedata.normalize("NFC", text)))


def _escaped(character: str) -> str:
    if (command := ESCAPES.get(character) or SYMBOLS.get(character)) is not None:
        return command
    if character.isspace() or unicodedata.category(character) == "Cc":
        return " "
    if character.isascii() or _is_in_fonts(character):
        return character
    return f"[U+{ord(character):04X}]"


def _is_in_fonts(character: str) -> bool:
    """Letters of Latin-1, and those of Latin Extended-A that are a letter with an accent or among a few others."""
    if not character.isalpha():
        return False
    if FIRST_LETTER <= character <= LAST_LATIN_1 or character in OTHER_LETTERS:
        return True
    decomposition = unicodedata.decomposition(character)
    return LAST_LATIN_1 < character <= LAST_LATIN_A and bool(decomposition) and not decomposition.startswith("<")


def _is_heading(row: list[str]) -> bool:
    return len(row) > 1 and bool(row[0]) and not any(row[1:])


def _line(cells: list[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    r"""A cell; what would be an option of the ``\\`` or the rule before it stands in braces."""
    escaped = escape(text).strip()
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped.startswith(("[", "*")) else escaped
