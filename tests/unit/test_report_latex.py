"""Tables in LaTeX: whatever the cells hold, the table stays a table."""

import re
import string
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from latex_document import compiled, needs_latex

from cascade_equivalence.report.display import MINUS, NOT_RUN, Display
from cascade_equivalence.report.latex import ESCAPES, LINES, LONG, SYMBOLS, escape, latex

NASTY = (
    string.printable + "".join(SYMBOLS) + "éßłğÅŋ中\N{LATIN SMALL LETTER LONG S}\N{GRINNING FACE}e\u0301\u200b[]*\\\r\n"
)
TEXT = st.text(st.sampled_from(NASTY), max_size=12)
COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)", re.DOTALL)


@st.composite
def displays(draw: st.DrawFn) -> Display:
    """Tables of any size with any text."""
    width = draw(st.integers(1, 5))
    row = st.lists(TEXT, min_size=width, max_size=width)
    return Display(
        name="a-table",
        title=draw(TEXT),
        columns=draw(row),
        rows=draw(st.lists(row, max_size=4)),
        remarks=draw(st.lists(TEXT, max_size=2)),
        text_columns=draw(st.integers(0, width)),
    )


def separators(line: str) -> int:
    """Cells' ends in a line: ampersands that are not escaped."""
    return COMMAND.sub("", line).count("&")


def balanced(text: str) -> bool:
    """Whether braces that are not escaped pair up."""
    depth = 0
    for character in re.sub(r"\\[{}]", "", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


@given(displays())
def test_every_row_has_every_column_and_every_environment_ends(display: Display) -> None:
    found = latex(display)
    lines = found.splitlines()
    assert balanced(found)
    assert re.findall(r"\\begin\{(\w+)\}", found) == re.findall(r"\\end\{(\w+)\}", found)[::-1] == ["table", "tabular"]
    assert [lines.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
    (kinds,) = re.findall(r"\\begin\{tabular\}\{@\{\}(.+)@\{\}\}", found)
    width = len(display.columns)
    assert kinds.replace(LINES, "l") == "l" * display.text_columns + "r" * (width - display.text_columns)
    body = [line for line in lines if line.endswith(r" \\")]
    assert len(body) == 1 + len(display.rows)
    for row, line in zip([display.columns, *display.rows], body, strict=True):
        heading = line.startswith(rf"\multicolumn{{{width}}}")
        assert separators(line) == (0 if heading else width - 1)
        assert heading == (row is not display.columns and width > 1 and bool(row[0]) and not any(row[1:]))
        # An option of the row's end or of a rule would swallow the cell.
        assert not line.startswith(("[", "*"))
    assert found.count(r"\footnotesize") == len(display.remarks)


@given(TEXT)
def test_text_keeps_no_character_that_means_something(text: str) -> None:
    found = escape(text)
    assert balanced(found) and found == "".join(map(escape, unicodedata.normalize("NFC", text)))
    assert all(character.isascii() or character.isalpha() for character in found)
    assert not set(found) & {"\n", "\r", "\0", "\t"}
    # Without the commands that this project writes, nothing is left that LaTeX would read as one.
    for command in sorted({*SYMBOLS.values(), *ESCAPES.values()} - {"~", "`", "'"}, key=len, reverse=True):
        found = found.replace(command, "")
    assert not set(found) & set('&%#_^<>|{}$\\"')


def test_each_special_character_is_what_latex_calls_it() -> None:
    shown = {
        "50 % & a_b #1 {x}": r"50 \% \& a\_b \#1 \{x\}",
        f"κ = {MINUS}0.5²": r"$\kappa$ = $-$0.5$^2$",
        "a~b^c\\d": r"a\textasciitilde{}b\textasciicircum{}c\textbackslash{}d",
        "<b>": r"\textless{}b\textgreater{}",
        f"† ‡ {NOT_RUN} \N{EM DASH} “x”": r"\dag{} \ddag{} -- --- ``x''",
        "$5": r"\$5",
        "é e\u0301 ğ Ł": "é é ğ Ł",
        "中\N{GRINNING FACE}\N{LATIN SMALL LETTER LONG S}": "[U+4E2D][U+1F600][U+017F]",
    }
    assert {text: escape(text) for text in shown} == shown
    assert not ESCAPES.keys() & SYMBOLS.keys()


def test_headings_of_groups_span_the_table() -> None:
    display = Display("t", "T", ["a", "b"], [["One", ""], ["x", "1"], ["Two", ""], ["[y]", "2"]], [])
    lines = latex(display).splitlines()
    start = lines.index(r"\midrule")
    assert lines[start + 1 : -3] == [
        r"\multicolumn{2}{@{}l@{}}{\textit{One}} \\",
        r"x & 1 \\",
        r"\midrule",
        r"\multicolumn{2}{@{}l@{}}{\textit{Two}} \\",
        r"{[}y] & 2 \\",
    ]


def test_only_columns_of_long_text_are_set_in_lines() -> None:
    rows = [["x" * (LONG + 1), "", ""], ["x" * LONG, "x" * (LONG + 1), "1" * (LONG + 1)]]
    found = latex(Display("t", "T", ["a", "b", "c"], rows, [], text_columns=2))
    assert rf"\begin{{tabular}}{{@{{}}l{LINES}r@{{}}}}" in found


@needs_latex
def test_any_text_compiles(tmp_path: Path) -> None:
    rows = [["[x", "*", "1"], *([c] * 3 for c in NASTY), [NASTY, "", ""]]
    compiled(tmp_path, [latex(Display("t", NASTY, ["a", "[b", "*"], rows, [NASTY]))])


@needs_latex
def test_long_text_and_many_columns_fit_the_page(tmp_path: Path) -> None:
    words = " ".join(["word"] * 40)
    long = Display("long", "Long", ["Text", "a"], [[words, "1"], ["One", ""], ["x", "2"]], [words])
    wide = Display("wide", "Wide", [f"column {i}" for i in range(20)], [["0.12 [0.10, 0.14]"] * 20], [])
    assert "Overfull" not in compiled(tmp_path, [latex(table) for table in (long, wide)])
