"""A made-up results folder whose nodes left records: every kind of file that is verified, compared and packed."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.provenance.recording import RecordWriter
from cascade_equivalence.report import costs_table
from cascade_equivalence.report.costs import COSTS_TABLE
from cascade_equivalence.stats.numbers import write_comparison

RESULTS = Path("results/made-up")
MODEL = Path("results/models/llama-a")
TEXTS = (
    "The tide carried the little boats far beyond the harbour wall",
    "A slow and tender film about two sisters who stop talking",
    "Nothing here works and the jokes are older than the hills",
)
QUIZ = "Which river runs through the capital of a country nobody names"
GOLD = "the Thrithing Water"
OPTIONS = ("a basket full of very ripe autumn apples", "bank")
VOICES = ("us", "gb")


def config(*, published: bool = False, **more: Any) -> StudyConfig:
    """The config of the study."""
    raw = {
        "results": RESULTS.as_posix(),
        "models_folder": MODEL.parent.as_posix(),
        "tasks": ["sst2", "trivia_qa"],
        "items": {
            "source": "published" if published else "demo",
            "folder": "/somewhere/of/mine" if published else None,
        },
        "speech": {"voices": list(VOICES)},
        "systems": ["first"],
        "definitions": {
            "models": {
                "llama-a": {"role": "llm", "licence": "MIT", "source": {"kind": "path", "path": "/somewhere/else"}},
                "whisper-a": {"role": "asr", "licence": "MIT", "source": {"kind": "path", "path": "/somewhere/else"}},
            },
            "systems": {"first": {"kind": "cascade", "asr": "whisper-a", "llm": "llama-a"}},
            "voices": {name: {"provider": "espeak", "name": "en-us"} for name in VOICES},
            "tasks": {task: {"prompt": "{speech}"} for task in ("sst2", "trivia_qa")},
        },
    }
    return load_study(raw | more)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, as Snakemake's scripts do."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def job(
    rule: str,
    log: str,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    wildcards: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    base: Path = RESULTS,
) -> SimpleNamespace:
    """What a script sees of its node."""
    return SimpleNamespace(
        rule=rule,
        log=[(base / "logs" / f"{log}.log").as_posix()],
        input=[path.as_posix() for path in inputs],
        output=[path.as_posix() for path in outputs],
        wildcards=dict(wildcards or {}),
        params=dict(params or {}),
        threads=1,
    )


def write(path: Path, content: Any) -> Path:
    """Write a table, JSON or text, by its type."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pl.DataFrame):
        (content.write_csv if path.suffix == ".csv" else content.write_parquet)(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def make_study(project: Path, *, published: bool = False, seconds: float = 1.5, **more: Any) -> Path:
    """Make the files of the study and their records; the results folder."""
    project.mkdir(parents=True, exist_ok=True)
    with inside(project):
        study = config(published=published, **more)
        for task in study.tasks:
            _task(study, str(task), seconds)
        _end(study, seconds)
    return project / RESULTS


def items(task: str) -> pl.DataFrame:
    texts = (QUIZ,) if task == "trivia_qa" else TEXTS
    return pl.DataFrame(
        {
            "id": [f"{task}-{number}" for number in range(len(texts))],
            "text": list(texts),
            "options": [list(OPTIONS)] * len(texts),
            "label": [GOLD if task == "trivia_qa" else "negative"] * len(texts),
            "aliases": [[GOLD, "Thrithing"]] * len(texts),
        }
    )


def _record(study: StudyConfig, *arguments: Any, **more: Any) -> Path:
    file = RecordWriter().write(job(*arguments, **more), study)
    assert file is not None
    return file


def _task(study: StudyConfig, task: str, seconds: float) -> None:
    table = items(task)
    source = write(Path("resources/items") / f"{task}.jsonl", f"items of {task}")
    prepared = write(RESULTS / "tasks" / task / "items.parquet", table)
    _record(study, "prepare_items", f"prepare_items/{task}", [source], [prepared], {"task": task})
    manifest = {"name": "llama-a", "revision": "f" * 64, "commit": None, "licence": "MIT"}
    weights = write(MODEL / "manifest.json", manifest)
    _record(study, "resolve_model", "llama-a", [], [weights], {"model": "llama-a"}, base=MODEL.parent)
    clips = write(RESULTS / "speech" / task / "us" / "clean.parquet", pl.DataFrame({"audio": ["sound of " + task]}))
    _record(study, "synthesize_speech", f"synthesize_speech/{task}/us", [prepared], [clips], {"task": task})
    rows = pl.concat(table.select("id", "text", "label").with_columns(voice=pl.lit(voice)) for voice in VOICES)
    heard = rows.select("id", "voice", pl.col("text").str.to_lowercase(), seconds=pl.lit(seconds), audio_sha256="id")
    transcripts = write(RESULTS / "transcripts/whisper-a" / task / "clean.parquet", heard)
    _record(study, "transcribe", f"transcribe/whisper-a/{task}/clean", [clips], [transcripts], {"task": task})
    # One answer repeats its item.
    raw = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("I heard: ") + pl.col("text")).otherwise(pl.lit("negative"))
    answered = rows.select("id", "voice", "label", raw=raw, parsed=pl.lit("negative"), seconds=pl.lit(seconds))
    answers = write(RESULTS / "answers/first" / task / "clean.parquet", answered.with_columns(correct=True))
    wildcards = {"system": "first", "task": task, "condition": "clean"}
    settings = {"settings": {"device": "cpu", "code": "0123456789abcdef", "folder": str(Path("resources").absolute())}}
    used = [prepared, transcripts, weights]
    _record(study, "answer", f"answer/first/{task}/clean", used, [answers], wildcards, settings)
    agreement = RESULTS / "agreement/first~first" / task / "clean.csv"
    agreement.parent.mkdir(parents=True)
    of = {"system": "first", "reference": "first", "task": task, "condition": "clean"}
    write_comparison({"kappa": {"value": 0.5, "low": None}}, of, agreement)
    _record(study, "agree", f"agree/first~first/{task}/clean", [answers], [agreement], {"task": task})


def _end(study: StudyConfig, seconds: float) -> None:
    answers = sorted(RESULTS.glob("answers/**/*.parquet"))
    row = dict.fromkeys(costs_table.SCHEMA) | {"system": "first", "condition": "clean", "seconds": seconds}
    costs = pl.DataFrame([row | {"task": str(task)} for task in study.tasks], schema=costs_table.SCHEMA)
    counted, timed = COSTS_TABLE.split(costs).values()
    accuracy = pl.DataFrame({"system": "first", "task": list(map(str, study.tasks)), "accuracy": [0.5, 0.25]})
    shared = pl.DataFrame({"task": ["sst2", "trivia_qa"], "id": ["a", "b"], "spoken": [TEXTS[0], QUIZ]})
    shared = shared.with_columns(heard="spoken", gold=pl.Series(["negative", GOLD]))
    tables = {"costs": counted, "times": timed, "accuracy": accuracy, "shared_errors": shared}
    files = [write(RESULTS / "tables" / f"{name}.csv", table) for name, table in tables.items()]
    files.append(write(RESULTS / "tables/shared_errors.md", f"| {TEXTS[0]} | {QUIZ} |"))
    _record(study, "collect_tables", "collect_tables", answers, files)
    paper = RESULTS / "paper"
    write(paper / "table2.csv", accuracy.rename(str.title))
    write(paper / "table3.csv", shared)
    write(paper / ".snakemake_timestamp", "")
    _record(study, "compare_with_paper", "compare_with_paper", files[:1], [paper])
    report = write(RESULTS / "report.html", f"<p>{TEXTS[0]}</p><p>{QUIZ}: {GOLD}</p>")
    _record(study, "write_report", "write_report", [*files, *answers], [report])
    write(RESULTS / "logs/write_report.log", "said")
    write(RESULTS / "store/answers/first.jsonl", "{}")
