"""The comparison in a terminal: a table of the tasks, then the numbers of each and items that both got wrong."""

import textwrap
from collections.abc import Iterator, Sequence

from cascade_equivalence.imported.agree import AgreementFound
from cascade_equivalence.imported.comparison import TaskAgreement
from cascade_equivalence.imported.facts import facts_of, legend, summary_of, systems, title

PLAIN_WIDTH = 78
SMALLEST = 50
LONGEST_SAID = 400


def as_text(found: AgreementFound, width: int = PLAIN_WIDTH, items: int = 5) -> str:
    """The whole comparison as lines of text.

    Args:
        found: What is found.
        width: Longest line.
        items: Items that both got wrong to show of each task.
    """
    width = max(width, SMALLEST)
    lines: list[str] = []
    for letter, name, form in systems(found):
        otherwise = ", A asked otherwise: the ceiling" if letter == "C" else ""
        lines += _wrapped(f"{letter}: {printable(name)} ({form}){otherwise}", width, "   ")
    for remark in found.remarks:
        lines += _wrapped(f"! {printable(remark)}", width, "  ")
    if len(found.tasks) > 1:
        lines += ["", *_table(*summary_of(found), width)]
    for task in found.tasks:
        lines += ["", *_task(task, found, width, items)]
    lines.append("")
    for sentence in legend(found):
        lines += _wrapped(sentence, width, "")
    return "\n".join(line.rstrip() for line in lines)


def printable(text: str) -> str:
    """A text on one line without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _task(task: TaskAgreement, found: AgreementFound, width: int, items: int) -> Iterator[str]:
    facts = facts_of(task, found.statistics, several=len(found.tasks) > 1, third=len(found.names) > 2)  # noqa: PLR2004 - A and B
    yield from _wrapped(printable(title(task)), width, "")
    for remark in task.remarks:
        yield from _wrapped(f"  ! {printable(remark)}", width, "    ")
    wide = max(len(fact.name) for fact in facts) + 4
    for fact in facts:
        yield from _wrapped(f"  {fact.name:{wide - 2}}{printable(fact.value)}", width, " " * wide)
    if items and task.wrong.height:
        shown = min(items, task.wrong.height)
        yield f"  Both wrong, {'all' if shown == task.wrong.height else f'the first {shown}'}:"
        for row in task.wrong.head(items).iter_rows(named=True):
            where = f"{row['id']} ({row['voice']})" if row["voice"] else row["id"]
            said = [_said(row[side]) for side in ("label", "a", "b")]
            yield _cut(f"    {printable(where)}: gold {said[0]} | A {said[1]} | B {said[2]}", width)
            if row["text"]:
                yield _cut(f"      {printable(row['text'][:LONGEST_SAID])}", width)


def _said(text: str | None) -> str:
    return "(nothing)" if text is None else printable(text[:LONGEST_SAID]) or "(nothing)"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _wrapped(line: str, width: int, indent: str) -> list[str]:
    lead = line[: len(line) - len(line.lstrip())]
    # A run of spaces between name and value stays where the line is not broken.
    if len(line) <= width:
        return [line]
    head, body = line[: len(indent)], line[len(indent) :]
    if head.strip() and len(indent) > len(lead):
        broken = textwrap.wrap(body, width - len(indent), break_on_hyphens=False)
        return [head + broken[0], *(indent + rest for rest in broken[1:])]
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    cells = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    # The first and the last column give way where the line is too long.
    for i in (0, -1):
        widths[i] = max(8, widths[i] - max(0, sum(widths) + 2 * (len(widths) - 1) - width))
    for row in cells:
        shown = [_cut(cell, size) for cell, size in zip(row, widths, strict=True)]
        texts = [
            shown[0].ljust(widths[0]),
            *(cell.rjust(size) for cell, size in zip(shown[1:-1], widths[1:-1], strict=True)),
        ]
        yield "  ".join([*texts, shown[-1]])
