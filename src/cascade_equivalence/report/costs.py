"""What systems cost by what they get right."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import GIVEN, ByItself
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import place_values
from cascade_equivalence.report.costs_table import KEY as ROW
from cascade_equivalence.report.costs_table import MEASURED, SCHEMA, display, files
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.report.table import Table, Timing

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

KEY = ["id", "voice"]
NOT_TIMED = "{} was not timed, or is from before times were kept"


def clip_seconds(speech_files: Iterable[Path]) -> pl.DataFrame:
    """Lengths of clips.

    Args:
        speech_files: Clips of a task, voice and condition each.

    Returns:
        A row a clip: task, condition, id, voice, seconds.
    """
    parts = [
        pl.read_parquet(path, columns=["id", "voice", "seconds"]).select(
            pl.lit(task).alias("task"), pl.lit(condition).alias("condition"), *KEY, "seconds"
        )
        for (task, _, condition), path in files_about(speech_files, ("task", "voice", "condition")).items()
    ]
    schema = {"task": pl.String, "condition": pl.String, **dict.fromkeys(KEY, pl.String), "seconds": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def costs_table(
    answers: Mapping[NodeFile, pl.DataFrame],
    transcripts: Mapping[NodeFile, pl.DataFrame],
    clips: pl.DataFrame,
    outline: Outline,
    accuracy: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Cost and accuracy of every system on every task and condition.

    A cascade costs what its transcripts and its answers cost, a speech LLM what its answers cost. A sum with a part
    that is not known is not known.

    Args:
        answers: Answers, with ``seconds``, ``prompt_tokens`` and ``new_tokens`` where they were counted.
        transcripts: Transcripts by (source, task, condition), with ``seconds`` where they were timed.
        clips: What ``clip_seconds`` gives.
        outline: What the systems are made of.
        accuracy: Accuracies of the same answers, a row a system, task and condition, for their intervals.

    Returns:
        A table with the columns of ``SCHEMA``, in the reader's order.
    """
    rows = [_row(node, table, transcripts, clips, outline) for node, table in answers.items()]
    table = outline.sort(_with_front(pl.DataFrame(rows, schema=SCHEMA, orient="row")))
    if accuracy is None:
        return table
    ends = accuracy.select("system", "task", "condition", "accuracy_low", "accuracy_high")
    joined = table.drop("accuracy_low", "accuracy_high").join(
        ends, on=["system", "task", "condition"], how="left", maintain_order="left", validate="m:1"
    )
    return joined.select(list(SCHEMA))


def _row(
    node: NodeFile,
    table: pl.DataFrame,
    transcripts: Mapping[NodeFile, pl.DataFrame],
    clips: pl.DataFrame,
    outline: Outline,
) -> dict[str, Any]:
    spec = outline.systems[node.who]
    length = _total(table.select(KEY), clips.filter(task=node.task, condition=node.condition), "seconds")
    answering = _sum(table, "seconds")
    reasons = [] if answering is not None else [NOT_TIMED.format(f"what {node.who} answered")]
    hearing: float | None = None
    heard: pl.DataFrame | None = None
    if not isinstance(spec, ByItself):
        heard = transcripts.get(NodeFile(spec.asr, node.task, node.condition))
        # A text that is given is there without any work.
        hearing = 0.0 if spec.asr in GIVEN else None if heard is None else _total(table.select(KEY), heard, "seconds")
        if hearing is None:
            reasons.append(NOT_TIMED.format(f"what {spec.asr} transcribed"))
    whole = None if answering is None or reasons else answering + (hearing or 0.0)
    return {
        "system": node.who,
        **outline.parts(node.who),
        **place_values(node.task, node.condition),
        "rows": table.height,
        "audio_seconds": length,
        "transcription_seconds": hearing,
        "answer_seconds": answering,
        "seconds": whole,
        "seconds_per_item": None if whole is None else whole / table.height,
        "real_time_factor": whole / length if whole is not None and length else None,
        "prompt_tokens": _sum(table, "prompt_tokens"),
        "new_tokens": _sum(table, "new_tokens"),
        **_charged(table, heard),
        "accuracy": table["correct"].mean(),
        "hears": isinstance(spec, ByItself) or spec.asr not in GIVEN,
        "reason": "; ".join(reasons) or None,
    }


def _charged(answers: pl.DataFrame, transcripts: pl.DataFrame | None) -> dict[str, Any]:
    """Money, and its currency, that services charged for answers and for the transcripts they were made from."""
    tables = [answers] if transcripts is None else [answers, answers.select(KEY).join(transcripts, on=KEY, how="left")]
    paid = [table for table in tables if "cost" in table.columns]
    sums = [_sum(table, "cost") for table in paid]
    money = sum(sums) if sums and None not in sums else None
    return {"money": money, "currency": next(filter(None, map(_currency, paid)), None)}


def _sum(table: pl.DataFrame, column: str) -> Any:
    """A column's sum; None where a value is missing."""
    if column not in table.columns or table[column].null_count():
        return None
    return table[column].sum()


def _currency(table: pl.DataFrame) -> str | None:
    """Currency of what a service charged; None where nothing is known to have been charged."""
    found: set[str] = set(table["currency"].drop_nulls()) if "currency" in table.columns else set()
    return found.pop() if len(found) == 1 else None


def _total(keys: pl.DataFrame, table: pl.DataFrame, column: str) -> float | None:
    """A column's sum over some clips; None where it lacks one."""
    if column not in table.columns:
        return None
    found: float | None = _sum(keys.join(table.select(*KEY, column), on=KEY, how="left", validate="1:1"), column)
    return found


def _with_front(table: pl.DataFrame) -> pl.DataFrame:
    """Mark the systems that none is better than: as cheap and as accurate, and better in one of the two."""
    fronts: list[bool | None] = []
    for row in table.iter_rows(named=True):
        if row["seconds_per_item"] is None or not row["hears"]:
            fronts.append(None)
            continue
        cheap, good = (pl.col("seconds_per_item") - row["seconds_per_item"], pl.col("accuracy") - row["accuracy"])
        rivals = table.filter("hears", task=row["task"], condition=row["condition"])
        fronts.append(not rivals.filter((cheap <= 0) & (good >= 0) & ((cheap < 0) | (good > 0))).height)
    return table.with_columns(on_front=pl.Series(fronts, dtype=pl.Boolean))


def _build(results: "Results") -> pl.DataFrame:
    accuracy, noise = results["accuracy"], results["noise"]
    noisy = noise.filter(pl.col("condition") != CLEAN).select(accuracy.columns)
    seconds_of = clip_seconds(results.speech)
    return costs_table(results.answers, results.transcripts, seconds_of, results.outline, pl.concat([accuracy, noisy]))


COSTS_TABLE = Table(
    name="costs",
    section="costs",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.costs, confidence),
    measured=Timing("times", ROW, MEASURED, files),
)
