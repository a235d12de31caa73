"""Compares two engines: asks both a sample of a study's items, and says how many answers differ and by what margin."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from cascade_equivalence import stages
from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.models.engine_margins import first_differences
from cascade_equivalence.models.engines import check_engines, engine_version
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stages.vllm_speech import comparable

ENGINES = ("transformers", "vllm")
Run = Callable[..., Any]


def apart(function: Run, *arguments: Any) -> Any:
    """Call a function in a process of its own: two engines do not fit onto one GPU side by side."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare_engines(study: Study, items: int, run: Run = apart) -> dict[str, Any]:
    """Ask a sample of both engines; answers go to, and come from, the study's own store.

    Args:
        study: A study whose transcripts, and clips for speech LLMs, are there.
        items: Clips a system and task, drawn with the seed of the study's items.
        run: Calls a function with its arguments.

    Returns:
        JSON-serialisable: the engines with their versions, and for each system and task the shares of equal texts and
        labels, Cohen's kappa (None where it is undefined), and each difference with its first token and margin.

    Raises:
        StudyError: An engine is not installed, no system can be asked of both, or files of theirs are missing.
    """
    check_engines(ENGINES)
    systems = [name for name in study.config.systems if study.takes_engine(name) or comparable(study, name)]
    if not systems:
        raise StudyError("engines: no system of this study is a cascade or a speech LLM that both engines can run")
    places = [stages.items.file(study, task) for task in study.config.tasks]
    places += [
        path
        for name in systems
        for task in study.config.tasks
        for path in stages.answer.heard(study, name, task, CLEAN)
    ]
    if missing := [path for path in places if not Path(path).exists()]:
        raise StudyError(
            f"engines: {missing[0]} does not exist yet: run the target all_transcripts first (all_speech, where only "
            "speech LLMs are compared)"
        )
    return {
        "engines": {engine: engine_version(engine) for engine in ENGINES},
        "mode": study.config.answer.mode,
        "dtype": study.config.answer.dtype,
        "seed": study.config.items.seed,
        "comparisons": [_compare(study, name, task, items, run) for name in systems for task in study.config.tasks],
    }


def _compare(study: Study, system: str, task: str, items: int, run: Run) -> dict[str, Any]:
    import polars as pl

    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.transcription.table import recordings
    from cascade_equivalence.nodes.answers import model_files, questions, spoken_rows
    from cascade_equivalence.speech.clips import read_clips
    from cascade_equivalence.tasks.items import read_items
    from cascade_equivalence.tasks.registry import get_task

    config, spec, asked = study.config.answer, study.task(task), get_task(task)
    known = {item.id: item for item in read_items(Path(stages.items.file(study, task)))}
    heard, audio = stages.answer.heard(study, system, task, CLEAN), None
    if isinstance(study.system(system), E2ESpec):
        clips = [clip for path in heard for clip in read_clips(Path(path))]
        rows, audio = spoken_rows(clips), recordings(clips)
    else:
        rows = pl.read_parquet(heard)
    every = questions(task, spec, config.system_prompt, list(known.values()), rows, audio)
    drawn = sorted(random.Random(study.config.items.seed).sample(range(len(every)), min(items, len(every))))  # noqa: S311
    some = [every[index] for index in drawn]
    manifests = [Path(path) for path in stages.resolve.answering_manifests(study, system)]
    if absent := [path for path in manifests if not path.exists()]:
        raise StudyError(f"engines: {absent[0]} does not exist yet: run the target all_answers first")
    model = model_files(manifests, study.model(study.backbone(system)).chat)
    store = study.store("answers", system, task, f"{CLEAN}.jsonl")
    texts, labels = [], []
    for engine in ENGINES:
        by = config.model_copy(update={"engine": engine})
        label = f"{engine}: {system}, {task}"
        answers = run(answer_questions, some, model, by, spec.max_new_tokens, store, label)
        texts.append([answer.text for answer in answers])
        labels.append(
            texts[-1]
            if config.mode == "forced_choice"
            else [
                asked.parse(text, known[rows["id"][index]].options, spec.label_words, spec.answer_prefix)
                for index, text in zip(drawn, texts[-1], strict=True)
            ]
        )
    differing = [place for place, (one, other) in enumerate(zip(*texts, strict=True)) if one != other]
    # A choice is a label, and what was scored is the text that stands for it.
    said = [
        [some[place].candidates[own[place]] if config.mode == "forced_choice" else own[place] for place in differing]
        for own in texts
    ]
    pairs = list(zip((some[place] for place in differing), *said, strict=True))
    found = run(first_differences, model, config, pairs) if pairs else []
    return {
        "system": system,
        "task": task,
        "answers": len(some),
        **agreement_of(texts, labels),
        "differences": [
            {
                "id": rows["id"][drawn[place]],
                "voice": rows["voice"][drawn[place]],
                "answers": {engine: own[place] for engine, own in zip(ENGINES, texts, strict=True)},
                "first_difference": asdict(difference),
            }
            for place, difference in zip(differing, found, strict=True)
        ],
    }


def agreement_of(texts: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> dict[str, float | None]:
    """Shares of equal texts and labels of two engines, and Cohen's kappa of the labels.

    Args:
        texts: Answers of each engine.
        labels: What was parsed from them, ``invalid`` a label of its own.
    """
    from cascade_equivalence.stats.agreement import cohen_kappa

    equal = [float(np.mean([one == other for one, other in zip(*pair, strict=True)])) for pair in (texts, labels)]
    names = sorted({*labels[0], *labels[1]})
    counts = [np.array([Counter(own)[name] for name in names], dtype=float) for own in labels]
    kappa = float(cohen_kappa(np.array(equal[1] * len(labels[0])), *counts))
    return {"equal_texts": equal[0], "equal_labels": equal[1], "kappa": None if np.isnan(kappa) else kappa}


def write_comparison(found: dict[str, Any], study: Study) -> Path:
    """Write a comparison to ``engines/`` of the study's results, and return where."""
    path = Path(study.results, "engines", f"{'~'.join(ENGINES)}.json")
    return write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def comparison_text(found: dict[str, Any]) -> str:
    """A comparison as a table for the terminal."""
    engines = " and ".join(f"{name} {version}" for name, version in found["engines"].items())
    lines = [f"Answers of {engines} to the same prompts", ""]
    names = [f"{row['system']}: {row['task']}" for row in found["comparisons"]]
    width = max(map(len, names))
    lines.append(f"{'':{width}}  answers  equal texts  equal labels      κ  widest margin (nats)")
    for name, row in zip(names, found["comparisons"], strict=True):
        kappa = "n/a" if row["kappa"] is None else f"{row['kappa']:.2f}"
        margins = [abs(difference["first_difference"]["margin"]) for difference in row["differences"]]
        widest = f"{max(margins):.4f}" if margins else "none"
        lines.append(
            f"{name:{width}}  {row['answers']:7}  {row['equal_texts']:10.1%}  {row['equal_labels']:12.1%}  {kappa:>5}"
            f"  {widest:>20}"
        )
    return "\n".join(lines)
