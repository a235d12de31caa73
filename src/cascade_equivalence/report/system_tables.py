"""The tables on single systems as a reader sees them: accuracy, accuracy in noise, word error rate."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cascade_equivalence.conditions import CLEAN, NOISE_KINDS, families, sort_conditions
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.study import GIVEN, ORACLE, PRIOR
from cascade_equivalence.models.transcription.words import EDITS
from cascade_equivalence.report.display import MARKS, NOT_RUN, Display, mark_legend, percent, points
from cascade_equivalence.report.naming import (
    API,
    DEGRADED,
    E2E,
    LENS_TEXT,
    SPEECH_LLM,
    condition_title,
    task_title,
)
from cascade_equivalence.report.wording import listed

FROM_WITHIN = {SPEECH_LLM: "own transcription", LENS_TEXT: "off the last layer", DEGRADED: "errors added"}


def made_of(parts: Mapping[str, Any], between: str = " + ") -> str:
    """What a system is made of, from its row of the accuracy table: its model, or what transcribes and its LLM."""
    return str(parts["model"]) if parts["asr"] is None else f"{parts['asr']}{between}{parts['llm']}"


def accuracy(table: pl.DataFrame, confidence: float) -> Display:
    """Table 2 of the paper: one row a system, two columns a task."""
    tasks = table["task"].unique(maintain_order=True).to_list()
    cells = {(row["system"], row["task"]): row for row in table.iter_rows(named=True)}
    rows = []
    for system in table["system"].unique(maintain_order=True):
        parts = next(row for (name, _), row in cells.items() if name == system)
        row = [system, parts["kind"], made_of(parts)]
        for task in tasks:
            found = cells.get((system, task))
            row += _accuracy_cell(found), percent(found["parse_rate"]) if found else NOT_RUN
        rows.append(row)
    first = {task: next(row for (_, name), row in cells.items() if name == task) for task in tasks}
    for name, level in (("guessing evenly", "chance"), ("always the commonest label", "majority")):
        rows.append([f"({name})", "", "", *(text for task in tasks for text in (percent(first[task][level]), ""))])
    return Display(
        name="accuracy",
        title="Accuracy on clean speech",
        columns=[
            "System",
            "Kind",
            "Made of",
            *(f"{task_title(task)}{part}" for task in tasks for part in (" %", " parsed %")),
        ],
        rows=rows,
        remarks=[
            "Share of right answers, all voices pooled. An answer that could not be parsed is wrong; “parsed” is the "
            "share of answers that could be.",
            "Made of: of a cascade what transcribes and the LLM that answers, either of which may be a speech LLM "
            f"(its own transcription, its own text LLM); of an {E2E} or {API} system the speech LLM.",
            *(TASKS[task].remark for task in tasks if task in TASKS and TASKS[task].remark),
            *mark_legend(cell for row in rows for cell in row),
            f"Intervals ({confidence:.0%}, counting whole texts) are in accuracy.csv.",
        ],
        text_columns=3,
    )


def noise(table: pl.DataFrame, confidence: float) -> Display:
    """Figure 3 of the paper as numbers, and other kinds of noise: one row a system and task, one column a condition."""
    conditions = sort_conditions(table["condition"])
    kinds = [NOISE_KINDS[kind].shown for kind in families(conditions)] or ["noise"]
    rows = []
    for (system, task), part in table.group_by("system", "task", maintain_order=True):
        found = {row["condition"]: row for row in part.iter_rows(named=True)}
        cells = [_noise_cell(found.get(condition)) for condition in conditions]
        rows.append([str(system), task_title(str(task)), f"{part['voices'][0]}", *cells])
    return Display(
        name="noise",
        title=f"Accuracy in {listed(kinds)}",
        columns=["System", "Task", "Voices", *(f"{condition_title(condition)} %" for condition in conditions)],
        rows=rows,
        remarks=[
            "In brackets the change against clean speech in percentage points, on the same clips: the clean column has "
            f"only the voices that are also heard in noise. Intervals of both ({confidence:.0%}) are in noise.csv.",
            *mark_legend(cell for row in rows for cell in row),
        ],
        text_columns=2,
    )


def transcription(table: pl.DataFrame) -> Display:
    """Word error rates: one row an ASR, task and condition, one column a voice; the oracle is only named."""
    shown = table.filter(~pl.col("kind").is_in(list(GIVEN)))
    voices = shown["voice"].unique().sort().to_list()
    rows = []
    for (asr, kind, task, condition), part in shown.group_by("asr", "kind", "task", "condition", maintain_order=True):
        found = dict(part.select("voice", "word_error_rate").iter_rows())
        words = sum(part["reference_words"])
        rows.append(
            [
                f"{asr} ({FROM_WITHIN[str(kind)]})" if kind in FROM_WITHIN else str(asr),
                task_title(str(task)),
                condition_title(str(condition)),
                percent(sum(part["word_errors"]) / words if words else None),
                _edits(part, words),
                f"{sum(part['looped']):,}",
                *(percent(found[voice]) if voice in found else NOT_RUN for voice in voices),
            ]
        )
    remarks = [
        "Word errors (substituted, left out, added) by words spoken, summed over clips; can exceed 100 %.",
        "Loops: transcripts in which a phrase stands four times or more in a row, as a decoder writes that has lost "
        "its thread. A speech LLM's own transcription then keeps it once. Words that nobody said are what is added.",
    ]
    if SPEECH_LLM in shown["kind"]:
        remarks.append(
            "Own transcription: what a speech LLM writes down when it is asked to; it does not see this when it "
            "answers from audio."
        )
    if LENS_TEXT in shown["kind"]:
        remarks.append("Off the last layer: what the logit lens shows of a speech LLM's last layer, taken as text.")
    if ORACLE in table["kind"]:
        remarks.append(f"The {ORACLE} is left out: it gives the text that was spoken, so it makes no errors.")
    if PRIOR in table["kind"]:
        remarks.append(f"The {PRIOR} is left out: it gives no text at all.")
    return Display(
        name="transcription",
        title="Word error rate",
        columns=[
            "ASR",
            "Task",
            "Speech",
            "all voices %",
            "of these: other / left out / added %",
            "loops",
            *(f"{voice} %" for voice in voices),
        ],
        rows=rows,
        remarks=remarks,
        text_columns=3,
    )


def _edits(part: pl.DataFrame, words: int) -> str:
    """Word errors by kind; where nothing was said, the words a clip that were written all the same."""
    if words:
        return " / ".join(percent(sum(part[kind]) / words) for kind in EDITS)
    return f"{sum(part['inserted']) / max(1, sum(part['clips'])):.1f} words a clip"


def _accuracy_cell(row: dict | None) -> str:
    return NOT_RUN if row is None else percent(row["accuracy"]) + MARKS[row["against_chance"]]


def _noise_cell(row: dict | None) -> str:
    shift = "" if row is None or row["condition"] == CLEAN else f" ({points(row['change'])})"
    return _accuracy_cell(row) + shift
