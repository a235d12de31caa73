"""The tables as a reader sees them: rounded, titled, with remarks; source of the Markdown, HTML and terminal forms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.atomic import write_text
from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.report.naming import condition_title, task_title
from cascade_equivalence.report.tables import Tables

MARKS = {"above": "", "at": " ‡", "below": " §", None: ""}
MARK_LEGEND = {
    "‡": "at chance: the interval of the accuracy includes 1 / number of labels.",
    "§": "below chance: the whole interval lies under 1 / number of labels; often answers that could not be parsed.",
}
NOT_RUN = "\N{EN DASH}"
UNDEFINED = "n/a"
MINUS = "\N{MINUS SIGN}"
SMALLEST_P = 0.001


@dataclass(frozen=True)
class Display:
    """A table of finished strings.

    Attributes:
        name: Short name, used for files and links.
        title: Heading.
        columns: Column headings.
        rows: Cells, one list a row.
        remarks: What the reader has to know, one sentence or two each.
        text_columns: How many of the first columns are text (set to the left; the others are numbers).
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    remarks: list[str]
    text_columns: int = 1


def percent(value: float | None) -> str:
    """A share in percent with one decimal."""
    return UNDEFINED if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A change in percentage points, with its sign."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return UNDEFINED if value is None else f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", MINUS)


def decimal(value: float | None) -> str:
    """A number with two decimals."""
    return UNDEFINED if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its interval, where there is one."""
    return decimal(value) if low is None else f"{decimal(value)} [{decimal(low)}, {decimal(high)}]"


def p_value(value: float | None) -> str:
    """A p-value, never rounded to zero."""
    if value is None:
        return UNDEFINED
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"


def displays(tables: Tables, confidence: float) -> list[Display]:
    """All tables for a reader.

    Args:
        tables: The tidy tables.
        confidence: Level of their intervals.

    Returns:
        Accuracy, agreement, noise (if any was run) and transcription, in this order.
    """
    made = [accuracy(tables.accuracy, confidence), agreement(tables.agreement, confidence)]
    if tables.noise.height:
        made.append(noise(tables.noise, confidence))
    return [*made, transcription(tables.transcription)]


def accuracy(table: pl.DataFrame, confidence: float) -> Display:
    """Table 2 of the paper: one row a system, two columns a task."""
    tasks = table["task"].unique(maintain_order=True).to_list()
    cells = {(row["system"], row["task"]): row for row in table.iter_rows(named=True)}
    rows = []
    for system in table["system"].unique(maintain_order=True):
        row = [system]
        for task in tasks:
            found = cells.get((system, task))
            row += _accuracy_cell(found), percent(found["parse_rate"]) if found else NOT_RUN
        rows.append(row)
    first = {task: next(row for (_, name), row in cells.items() if name == task) for task in tasks}
    for name, level in (("guessing evenly", "chance"), ("always the commonest label", "majority")):
        rows.append([f"({name})", *(text for task in tasks for text in (percent(first[task][level]), ""))])
    return Display(
        name="accuracy",
        title="Accuracy on clean speech",
        columns=["System", *(f"{task_title(task)}{part}" for task in tasks for part in (" %", " parsed %"))],
        rows=rows,
        remarks=[
            "Share of right answers, all voices pooled. An answer that could not be parsed is wrong; “parsed” is the "
            "share of answers that could be.",
            *(["TriviaQA: exact match with one of the accepted answers."] if "trivia_qa" in tasks else []),
            *_mark_legend(cell for row in rows for cell in row),
            f"Intervals ({confidence:.0%}, whole texts drawn) are in accuracy.csv.",
        ],
    )


def agreement(table: pl.DataFrame, confidence: float) -> Display:
    """Section 4 of the paper: one row a pair, task and condition."""
    rows = []
    for row in table.iter_rows(named=True):
        marks = {MARKS[row["system_against_chance"]], MARKS[row["reference_against_chance"]]}
        rows.append(
            [
                f"{row['system']} vs. {row['reference']}",
                task_title(row["task"]),
                condition_title(row["condition"]),
                f"{row['rows']:,} ({row['groups']:,})",
                interval(row["kappa"], row["kappa_low"], row["kappa_high"]) + "".join(sorted(marks)),
                percent(row["observed_agreement"]),
                points(row["accuracy_difference"]),
                f"{p_value(row['mcnemar_p'])} ({p_value(row['mcnemar_p_adjusted'])})",
                *_overlap_cells(row),
            ]
        )
    pairs = table.select("system", "reference", "pair").unique(maintain_order=True).iter_rows()
    return Display(
        name="agreement",
        title="Agreement, item by item",
        columns=[
            "Pair",
            "Task",
            "Speech",
            "Clips (texts)",
            f"κ [{confidence:.0%}]",
            "Same answer %",
            "Accuracy difference",
            "McNemar p (adjusted)",
            "Error overlap",
            "by chance: even / own",
        ],
        rows=rows,
        remarks=[
            "; ".join(f"{system} vs. {reference}: {label}" for system, reference, label in pairs) + ".",
            "κ is Cohen's; an answer that could not be parsed counts as a category of its own. Intervals draw whole "
            "texts, because voices of one text are not independent. McNemar's p takes clips as independent; it is "
            "adjusted (Benjamini-Hochberg) over all pairs and tasks of a condition. A large p is no proof of equality.",
            "Error overlap is the share of clips that both got wrong on which both gave the same wrong answer, beside "
            "what chance gives if all wrong labels are equally likely (even), and if each system keeps its own "
            "favourite errors (own). With two labels it says nothing (n/a).",
            *(f"{remark} Here: of either system." for remark in _mark_legend(row[4] for row in rows)),
        ],
        text_columns=3,
    )


def noise(table: pl.DataFrame, confidence: float) -> Display:
    """Figure 3 of the paper as numbers: one row a system and task, one column a condition."""
    conditions = table.sort(pl.col("snr_db"), descending=True, nulls_last=False)["condition"]
    conditions = conditions.unique(maintain_order=True)
    rows = []
    for (system, task), part in table.group_by("system", "task", maintain_order=True):
        found = {row["condition"]: row for row in part.iter_rows(named=True)}
        cells = [_noise_cell(found.get(condition)) for condition in conditions]
        rows.append([str(system), task_title(str(task)), f"{part['voices'][0]}", *cells])
    return Display(
        name="noise",
        title="Accuracy in babble",
        columns=["System", "Task", "Voices", *(f"{condition_title(condition)} %" for condition in conditions)],
        rows=rows,
        remarks=[
            "In brackets the change against clean speech in percentage points, on the same clips: the clean column has "
            f"only the voices that are also heard in noise. Intervals of both ({confidence:.0%}) are in noise.csv.",
            *_mark_legend(cell for row in rows for cell in row),
        ],
        text_columns=2,
    )


def transcription(table: pl.DataFrame) -> Display:
    """Word error rates: one row an ASR, task and condition, one column a voice."""
    voices = table["voice"].unique().sort().to_list()
    rows = []
    for (asr, task, condition), part in table.group_by("asr", "task", "condition", maintain_order=True):
        found = dict(part.select("voice", "word_error_rate").iter_rows())
        words = sum(part["reference_words"])
        rows.append(
            [
                str(asr),
                task_title(str(task)),
                condition_title(str(condition)),
                percent(sum(part["word_errors"]) / words if words else None),
                *(percent(found[voice]) if voice in found else NOT_RUN for voice in voices),
            ]
        )
    return Display(
        name="transcription",
        title="Word error rate",
        columns=["ASR", "Task", "Speech", "all voices %", *(f"{voice} %" for voice in voices)],
        rows=rows,
        remarks=["Word errors (substituted, left out, added) by words spoken, summed over clips; can exceed 100 %."],
        text_columns=3,
    )


def markdown(display: Display) -> str:
    """A table in Markdown, its columns aligned in the source as well."""
    header = [_escape(column) for column in display.columns]
    body = [[_escape(cell) for cell in row] for row in display.rows]
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i < display.text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * max(3, width) if i < display.text_columns else "-" * (max(3, width) - 1) + ":"
        for i, width in enumerate(widths)
    ]
    table = [line(header), f"| {' | '.join(rule)} |", *(line(row) for row in body)]
    return "\n".join([f"## {display.title}", "", *table, "", *(f"{remark}\n" for remark in display.remarks)])


def write_markdown(tables: Tables, folder: Path, confidence: float) -> None:
    """Write each table as ``{name}.md``, the noise table too if no noise was run (with no rows)."""
    for display in (
        accuracy(tables.accuracy, confidence),
        agreement(tables.agreement, confidence),
        noise(tables.noise, confidence),
        transcription(tables.transcription),
    ):
        write_text(folder / f"{display.name}.md", markdown(display))


def _escape(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _accuracy_cell(row: dict | None) -> str:
    return NOT_RUN if row is None else percent(row["accuracy"]) + MARKS[row["against_chance"]]


def _noise_cell(row: dict | None) -> str:
    shift = "" if row is None or row["condition"] == CLEAN else f" ({points(row['change'])})"
    return _accuracy_cell(row) + shift


def _overlap_cells(row: dict) -> tuple[str, str]:
    if not row["overlap_informative"]:
        return UNDEFINED, UNDEFINED
    chance = f"{decimal(row['overlap_chance'])} / {decimal(row['overlap_chance_empirical'])}"
    return interval(row["overlap"], row["overlap_low"], row["overlap_high"]), chance


def _mark_legend(cells: Iterable[str]) -> list[str]:
    text = "".join(cells)
    return [f"{mark} {meaning}" for mark, meaning in MARK_LEGEND.items() if mark in text]
