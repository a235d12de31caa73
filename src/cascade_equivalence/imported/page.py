"""The comparison as one HTML page: no scripts, nothing from anywhere else, all text of others escaped."""

from collections.abc import Iterable, Iterator
from html import escape

from cascade_equivalence.imported.agree import AgreementFound
from cascade_equivalence.imported.comparison import TaskAgreement
from cascade_equivalence.imported.facts import FactLine, facts_of, legend, summary_of, systems, title

MOST_ITEMS = 500
"""Items of a task on the page: more make it slow to open; the CSV file has all."""
MOST_SIGNS = 4000
STYLE = """
:root { --text: #1c2127; --soft: #5a6470; --line: #dfe3e8; --page: #fdfdfc; --tint: #f4f6f7;
  --accent: #175a8c; --warm: #8a3d12; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e7ea; --soft: #a3adb8; --line: #353c45; --page: #14171a; --tint: #1c2126;
  --accent: #8cc4ee; --warm: #f2b08c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; color: var(--text); background: var(--page);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
a { color: var(--accent); }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 0 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
dt, .soft { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.together dd { font-weight: 600; }
.remarks { margin: .5rem 0 1rem; padding: .5rem 1rem .5rem 2rem; background: var(--tint);
  border-left: 3px solid var(--warm); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
summary { cursor: pointer; color: var(--accent); padding: .4rem 0; }
.item { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; margin: .6rem 0; }
.item p { margin: 0 0 .4rem; white-space: pre-wrap; }
.said { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .6rem; }
.said div { background: var(--tint); padding: .4rem .6rem; border-radius: 4px; white-space: pre-wrap; }
.said b, .same { color: var(--soft); font-weight: 600; }
@media (max-width: 40rem) {
  h1 { font-size: 1.3rem; }
  table { font-size: .8rem; }
  th, td { padding-right: .4rem; }
  dl div { grid-template-columns: 1fr; }
}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def as_page(found: AgreementFound) -> str:
    """The whole comparison as an HTML page."""
    heading = f"{found.names[0]} and {found.names[1]}, item by item"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(heading)}</title><style>{STYLE}</style></head><body>",
            f"<header><h1>{escape(heading)}</h1>",
            *_definitions(
                FactLine(letter, f"{name} ({form}){', A asked otherwise: the ceiling' if letter == 'C' else ''}")
                for letter, name, form in systems(found)
            ),
            *_remarks(found.remarks),
            "</header><main>",
            *(_summary(found) if len(found.tasks) > 1 else []),
            *(line for number, task in enumerate(found.tasks, 1) for line in _task(number, task, found)),
            "</main><footer>",
            *(f'<p class="soft">{escape(sentence)}</p>' for sentence in legend(found)),
            "</footer></body></html>\n",
        ]
    )


def _definitions(facts: Iterable[FactLine]) -> Iterator[str]:
    yield "<dl>"
    for fact in facts:
        mark = ' class="together"' if fact.name == "Together" else ""
        yield f"<div{mark}><dt>{escape(fact.name)}</dt><dd>{escape(fact.value)}</dd></div>"
    yield "</dl>"


def _remarks(remarks: Iterable[str]) -> Iterator[str]:
    if lines := [f"<li>{escape(remark)}</li>" for remark in remarks]:
        yield f'<ul class="remarks">{"".join(lines)}</ul>'


def _summary(found: AgreementFound) -> Iterator[str]:
    heads, rows = summary_of(found)
    yield '<h2>Task by task</h2><div class="scroll" tabindex="0"><table><thead><tr>'
    yield from (f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for number, (first, *rest) in enumerate(rows, 1):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        yield f'<tr><td><a href="#task-{number}">{escape(first)}</a></td>{cells}</tr>'
    yield "</tbody></table></div>"


def _task(number: int, task: TaskAgreement, found: AgreementFound) -> Iterator[str]:
    yield f'<section id="task-{number}"><h2>{escape(title(task))}</h2>'
    yield from _remarks(task.remarks)
    yield from _definitions(
        facts_of(task, found.statistics, several=len(found.tasks) > 1, third=len(found.names) > 2)  # noqa: PLR2004 - A and B
    )
    if task.wrong.height:
        shown = min(MOST_ITEMS, task.wrong.height)
        which = f"all {shown:,}" if shown == task.wrong.height else f"the first {shown:,} of {task.wrong.height:,}"
        yield f"<details{' open' if number == 1 else ''}><summary>Items that both got wrong: {which}</summary>"
        for row in task.wrong.head(MOST_ITEMS).iter_rows(named=True):
            yield from _item(row)
        yield "</details>"
    yield "</section>"


def _item(row: dict[str, str | None]) -> Iterator[str]:
    voice = f" ({escape(row['voice'])})" if row["voice"] else ""
    same = ' <span class="same">the same wrong answer</span>' if row["same"] else ""
    yield f'<article class="item"><h3>{escape(row["id"] or "")}{voice}{same}</h3>'
    if row["text"]:
        yield f"<p>{_said(row['text'])}</p>"
    yield f'<p class="soft">Gold: {_said(row["label"])}</p><div class="said">'
    yield from (f"<div><b>{letter}</b> {_said(row[letter.lower()])}</div>" for letter in "AB")
    yield "</div></article>"


def _said(text: str | None) -> str:
    """What somebody else's file says, cut where it is very long."""
    if not text:
        return '<span class="soft">(nothing)</span>'
    return escape(text if len(text) <= MOST_SIGNS else f"{text[:MOST_SIGNS]} ...")
