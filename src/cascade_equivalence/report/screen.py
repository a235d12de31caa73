"""A finished study on one screen: a sentence for each speech LLM, who answers like whom, what is right, where it lies.

Open it to change what `cascade-equivalence show` prints; the sentences, which head the page too, are in
`screen_sentences.py`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.display import NOT_RUN
from cascade_equivalence.report.naming import short_title, task_title
from cascade_equivalence.report.screen_cells import (
    ALIKE,
    SYMBOLS,
    Opponent,
    SystemPair,
    opponents,
    told,
)
from cascade_equivalence.report.screen_sentences import WIDTH, claims_inside, sentences, shares_right
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.wording import counted, cut, listed, printable

LINES = 25
SAID = 9  # lines of sentences
SHOWN_TASKS = 9
BETWEEN = " vs. "  # the two of a pair
NAMES = 30  # columns that long names may take from those of the tasks


@dataclass(frozen=True)
class ScreenTable:
    """A small table.

    Attributes:
        head: What stands before the tasks.
        rows: One system, or the two of a pair, and a cell a task; the most telling rows first.
    """

    head: str
    rows: Sequence[tuple[Sequence[str], Sequence[str]]]


def screen(tables: Tables, statistics: StatisticsConfig, *, page: str, command: str) -> list[str]:
    """A finished study in at most ``LINES`` lines of ``WIDTH`` columns.

    Args:
        tables: The tidy tables.
        statistics: Level of their intervals, false discovery rate of the claims on the inside of models.
        page: Where the report lies.
        command: What shows all tables.
    """
    cells, against = told(tables), opponents(tables)
    tasks = tables.accuracy["task"].unique(maintain_order=True).to_list()
    said = _said(sentences(tables))
    pairs = in_telling_order(cells, against)
    shown = tasks[:SHOWN_TASKS]
    marks = [[SYMBOLS[cells[pair][task].state] if task in cells[pair] else NOT_RUN for task in shown] for pair in pairs]
    grid = ScreenTable("Answers alike?", list(zip(pairs, marks, strict=True)))
    right = ScreenTable("Right, %", _accuracies(tables, pairs, against, shown))
    inside = claims_inside(tables, statistics)
    tail = _ending(page, command)
    others = [counted(len(tasks) - len(shown), "more task")] if len(tasks) > len(shown) else []

    def room(blanks: int, *, more: bool) -> int:
        heads = 3 if pairs else 1  # and the key
        return LINES - len(said) - heads - len(inside) - len(tail) - blanks - (more or bool(others))

    blanks = 2 + bool(pairs)
    spaced = len(grid.rows) + len(right.rows) <= room(blanks, more=False)
    counts = len(grid.rows), len(right.rows)
    if not spaced:
        # Blank lines before rows that are left out.
        blanks = 0
        fits = sum(counts) <= room(0, more=False)
        counts = counts if fits else _shares(*counts, room(0, more=True))
    for block, count, noun in ((grid, counts[0], "more pair"), (right, counts[1], "more system")):
        if count < len(block.rows):
            others.append(counted(len(block.rows) - count, noun))
    blank = [""] if blanks else []
    lines = [*said, *blank]
    drawn = _drawn([ScreenTable(b.head, b.rows[:n]) for b, n in zip((grid, right), counts, strict=True)], shown)
    if pairs:
        lines += [*drawn[0], _key(marks[: counts[0]], statistics.equivalence.accuracy_margin), *blank]
    lines += drawn[1]
    if others:
        lines.append(cut(f"And {listed(others)}: show --all", WIDTH))
    return [*lines, *blank, *inside, *tail]


def _key(marks: Sequence[Sequence[str]], margin: float) -> str:
    there = set(chain.from_iterable(marks))
    meanings = {mark: meaning for meaning, mark in (*SYMBOLS.items(), ("none", NOT_RUN)) if mark in there}
    alike = SYMBOLS[ALIKE]
    bound = meanings | ({alike: f"{ALIKE} (within {100 * margin:g} points)"} if alike in there else {})
    long, short = ("  ".join(f"{mark} {meaning}" for mark, meaning in each.items()) for each in (bound, meanings))
    return long if len(long) <= WIDTH else short


def _shares(pairs: int, systems: int, room: int) -> tuple[int, int]:
    """How many rows of each are shown, where all are too many: half the room each, or what the other leaves."""
    mine = min(pairs, max(room // 2, room - systems))
    return mine, min(systems, room - mine)


def in_telling_order(cells: Mapping[SystemPair, object], against: Mapping[str, Opponent | None]) -> list[SystemPair]:
    """Pairs: each speech LLM and its cascade first, then others with a speech LLM, then the rest."""
    firsts = [each.pair for each in against.values() if each and each.pair in cells]
    theirs = [pair for pair in cells if not against.keys().isdisjoint(pair)]
    return list(dict.fromkeys([*firsts, *theirs, *cells]))


def _accuracies(
    tables: Tables, pairs: Sequence[SystemPair], against: Mapping[str, Opponent | None], tasks: Sequence[str]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    right = shares_right(tables)
    names = systems_in_order(tables, pairs, against)
    return [((name,), [_whole(right.get((name, task))) for task in tasks]) for name in names]


def systems_in_order(tables: Tables, pairs: Sequence[SystemPair], against: Mapping[str, Opponent | None]) -> list[str]:
    """Systems: speech LLMs, their cascades, then the others."""
    first = chain(against, (each.cascade for each in against.values() if each), *pairs)
    there = tables.accuracy["system"].unique(maintain_order=True).to_list()
    return [name for name in dict.fromkeys([*first, *there]) if name in set(there)]


def _whole(share: float | None) -> str:
    return NOT_RUN if share is None else f"{100 * share:.0f}"


def _said(found: Sequence[str]) -> list[str]:
    """Sentences, wrapped; as many as there is room for."""
    wrapped = [_wrapped(sentence) for sentence in found]
    first, room = wrapped[0], SAID - (len(wrapped) > 1)
    lines = first if len(first) <= room else [*first[: room - 1], "…"]
    for done, one in enumerate(wrapped[1:], 1):
        left = len(wrapped) - done
        if len(lines) + len(one) + (left > 1) > SAID:
            return [*lines, f"And {counted(left, 'more speech LLM')}: show --all"]
        lines = [*lines, *one]
    return lines


def _wrapped(text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False)
    return [cut(line.replace("\N{NO-BREAK SPACE}", " "), WIDTH) for line in lines]


def _ending(page: str, command: str) -> list[str]:
    parts = [printable(f"Page: {page}"), printable(f"All: {command}")]
    if len(together := "   ".join(parts)) <= WIDTH:
        return [together]
    # Folded rather than cut, as they are to be copied; what is longer than two lines nobody copies.
    folded = ([part[:WIDTH], part[WIDTH : 2 * WIDTH]] for part in (cut(part, 2 * WIDTH) for part in parts))
    return [cut(line, WIDTH) for line in chain.from_iterable(folded) if line]


def _drawn(blocks: Sequence[ScreenTable], tasks: Sequence[str]) -> list[list[str]]:
    """Tables with the same columns, as lines."""
    from rich.cells import cell_len

    titles = [printable(task_title(task)) for task in tasks]
    names = [[[printable(part) for part in parts] for parts, _ in block.rows] for block in blocks]
    longest = max(map(cell_len, chain((block.head for block in blocks), map(BETWEEN.join, chain(*names)))))
    widest = (WIDTH - min(longest + 1, NAMES)) // max(len(tasks), 1)
    if any(cell_len(title) >= widest for title in titles):
        titles = [printable(short_title(task)) for task in tasks]
    column = min(max(map(cell_len, titles), default=3) + 2, widest)
    width = min(longest, WIDTH - column * len(tasks))
    heads = _fitting([[title] for title in titles], column - 1)

    def line(name: str, cells: Sequence[str]) -> str:
        padded = (" " * (column - cell_len(cell)) + cell for cell in cells)
        return name + " " * (width - cell_len(name)) + "".join(padded)

    return [
        [
            line(block.head, heads),
            *(line(name, row) for name, (_, row) in zip(_fitting(mine, width), block.rows, strict=True)),
        ]
        for block, mine in zip(blocks, names, strict=True)
    ]


def _fitting(names: Sequence[Sequence[str]], width: int) -> list[str]:
    """Names, or pairs of them, no wider than their column; cut ones that would look the same are numbered."""
    whole = [BETWEEN.join(parts) for parts in names]
    short = [cut(_halved(parts, width), width) for parts in names]
    return [
        f"{cut(one, width - len(tag))}{tag}" if one != name and short.count(one) > 1 else one
        for name, one, tag in ((*both, f"#{i}") for i, both in enumerate(zip(whole, short, strict=True), 1))
    ]


def _halved(parts: Sequence[str], width: int) -> str:
    """Both names of a pair, cut to the same width where they do not fit."""
    from rich.cells import cell_len

    whole = BETWEEN.join(parts)
    each = (width - len(BETWEEN) * (len(parts) - 1)) // len(parts)
    return whole if cell_len(whole) <= width else BETWEEN.join(cut(part, each) for part in parts)
