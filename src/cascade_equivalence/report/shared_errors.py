"""Shared errors to look at: clips to which two systems give the same wrong answer (paper's Table 3)."""

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.config.study import ByItself
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import Schema
from cascade_equivalence.report.display import NOT_RUN, Display
from cascade_equivalence.report.naming import ASR_KINDS, NodeFile, Outline, task_title
from cascade_equivalence.report.table import Table
from cascade_equivalence.stats.answers import KEY, some_keys
from cascade_equivalence.stats.join import join_pair
from cascade_equivalence.vocabulary import INVALID

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

SCHEMA: Schema = {
    "pair": pl.String,
    "system": pl.String,
    "reference": pl.String,
    "task": pl.String,
    "id": pl.String,
    "voice": pl.String,
    "spoken": pl.String,
    "heard": pl.String,
    "gold": pl.String,
    "both": pl.String,
    "type": pl.String,
}
LLM, ASR = "LLM", "ASR"
MATCHES = ("exact", "family", "none", "unknown")
SHOWN_LETTERS = 110

PairNames = tuple[str, str]


def shared_errors(
    answers: Mapping[NodeFile, pl.DataFrame],
    transcripts: Mapping[NodeFile, pl.DataFrame],
    items: Mapping[str, pl.DataFrame],
    outline: Outline,
    *,
    matches: Mapping[PairNames, str] | None = None,
    per_task: int = 3,
    seed: int = 0,
) -> pl.DataFrame:
    """Draw shared errors of each task from clean speech.

    Each task has those of one pair: the first in the order of preference that has any. A pair with a speech LLM comes
    before one of two cascades, then the closer match of the text LLMs, then the transcripts of an ASR before a speech
    LLM's own ones, text from inside it, and the true text.

    Args:
        answers: Answers of each system to each task in each condition: id, voice, group, label, parsed, correct.
        transcripts: Transcripts of each ASR: id, voice, text, word_errors.
        items: Items of each task: id, text, options.
        outline: Names, and what the systems are made of.
        matches: Match of the text LLMs of each (system, reference), as in the agreement table; without it only the
            cascade that has the speech LLM's own LLM is known to match.
        per_task: Most clips of a task, each of another text.
        seed: Seed of the draw.

    Returns:
        The clips by task in the reader's order, columns as in ``SCHEMA``: ``spoken`` is the true text, ``heard`` the
        transcript that the cascade read, ``both`` the wrong answer, ``type`` is ``LLM`` if the transcript has no word
        error and ``ASR`` if it has. Where there are clips of both types, both are drawn. Letters of answer options are
        followed by the option.

    Raises:
        StudyError: Tables of one task do not hold the same clips.
    """
    found = []
    for task in outline.ordered_tasks():
        for pair, source in _preferred(outline, matches or {}):
            asr = transcripts.get(NodeFile(source, task, CLEAN))
            sides = [answers.get(NodeFile(name, task, CLEAN)) for name in (pair.system, pair.reference)]
            if asr is None or sides[0] is None or sides[1] is None:
                continue
            rows = _shared(join_pair(sides[0], sides[1]), asr, items[task])
            if rows.height:
                names = {"pair": pair.label, "system": pair.system, "reference": pair.reference, "task": task}
                drawn = _drawn(rows, per_task, seed).with_columns(
                    **{name: pl.lit(text) for name, text in names.items()}
                )
                found.append(drawn.select(*SCHEMA))
                break
    return pl.concat(found) if found else pl.DataFrame(schema=SCHEMA)


def display(table: pl.DataFrame) -> Display:
    """Table 3 of the paper: one row a clip; long texts are abridged."""
    pairs = table.group_by("system", "reference", maintain_order=True).agg(pl.col("task").unique(maintain_order=True))
    shown = [
        f"{system} vs. {reference} ({', '.join(map(task_title, tasks))})"
        for system, reference, tasks in pairs.iter_rows()
    ]
    return Display(
        name="shared_errors",
        title="Shared errors, example by example",
        columns=["Task", "Spoken", "Heard by the cascade", "Right", "Both said", "Type"],
        rows=[
            [
                task_title(row["task"]),
                _abridged(row["spoken"]),
                NOT_RUN if row["type"] == LLM else _abridged(row["heard"]),
                row["gold"],
                row["both"],
                row["type"],
            ]
            for row in table.iter_rows(named=True)
        ],
        remarks=[
            "Clips of clean speech to which two systems gave the same wrong answer, drawn at random, but of both types "
            f"where there are both: {'; '.join(shown)}.",
            f"Type: {LLM} if the cascade's transcript has no word error (it is not repeated here), so that the text "
            f"LLM had the words; {ASR} if it has one, which need not be the cause. Long texts are abridged.",
        ],
        text_columns=6,
    )


def _preferred(outline: Outline, matches: Mapping[PairNames, str]) -> list[tuple[PairSpec, str]]:
    """Pairs with a cascade and the origin of the transcripts it reads: the reference's, if both are cascades."""
    found = []
    for pair in outline.ordered_pairs():
        names = pair.system, pair.reference
        specs = [outline.systems[name] for name in reversed(names)]
        sources = [spec.asr for spec in specs if not isinstance(spec, ByItself)]
        if sources:
            own = len({spec.model if isinstance(spec, ByItself) else spec.llm for spec in specs}) == 1
            match = matches.get(names, MATCHES[0] if own else MATCHES[2])
            kind = outline.asr_kind(sources[0])
            rank = outline.speech_llms.isdisjoint(names), MATCHES.index(match), ASR_KINDS.index(kind)
            found.append((rank, pair, sources[0]))
    return [(pair, source) for _, pair, source in sorted(found, key=lambda each: each[0])]


def _shared(joined: pl.DataFrame, asr: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The clips with the same wrong answer, sorted by (id, voice): id, voice, spoken, heard, gold, both, type."""
    wrong = ~pl.col("system_correct") & ~pl.col("reference_correct")
    same = (pl.col("system_parsed") == pl.col("reference_parsed")) & (pl.col("system_parsed") != INVALID)
    rows = (
        joined.filter(wrong & same)
        .join(asr.select(*KEY, "text", "word_errors"), on=KEY, how="left", validate="1:1")
        .join(items.select("id", "options", spoken="text"), on="id", how="left", validate="m:1")
        .sort(KEY)
    )
    if (missing := rows.filter(pl.col("word_errors").is_null() | pl.col("spoken").is_null())).height:
        raise StudyError(
            f"there is no transcript or no item for {some_keys(missing)}, which both systems have answered"
        )
    return rows.select(
        *KEY,
        "spoken",
        heard="text",
        gold=_with_option("label"),
        both=_with_option("system_parsed"),
        type=pl.when(pl.col("word_errors") == 0).then(pl.lit(LLM)).otherwise(pl.lit(ASR)),
    )


def _with_option(letter: str) -> pl.Expr:
    """An answer, followed by the option it stands for if it is the letter of one."""
    place = pl.col(letter).replace_strict(
        list(string.ascii_uppercase), list(range(len(string.ascii_uppercase))), default=None, return_dtype=pl.Int64
    )
    option = pl.col("options").list.get(place, null_on_oob=True)
    return pl.when(option.is_null()).then(letter).otherwise(pl.concat_str(letter, option, separator=": "))


def _drawn(rows: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """A few clips: one of each type first, then one of each other text."""
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    first = shuffled.unique("type", keep="first", maintain_order=True)
    rest = shuffled.join(first, on="id", how="anti", maintain_order="left").unique(
        "id", keep="first", maintain_order=True
    )
    return pl.concat([first, rest]).head(count).sort("type", *KEY, descending=[True, False, False])


def _abridged(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LETTERS else f"{line[:SHOWN_LETTERS].rstrip()} …"


def _drawn_of(results: "Results") -> pl.DataFrame:
    """Examples from the study's items; none where it has none."""
    if not results.items:
        return pl.DataFrame(schema=SCHEMA)
    matches = {(row[0], row[1]): row[2] for row in results["agreement"].select("system", "reference", "match").rows()}
    return shared_errors(results.answers, results.transcripts, results.items, results.outline, matches=matches)


TABLE = Table(
    name="shared_errors",
    section="errors",
    schema=SCHEMA,
    build=_drawn_of,
    display=lambda tables, _: display(tables.shared_errors),
)
