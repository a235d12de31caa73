"""Small files of answers in the formats of other projects, as their own writers lay them out."""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

DATE = "2026-01-02T03-04-05.678901"
OPTIONS = ("cat", "dog", "bird")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    import polars as pl

    pl.DataFrame(list(rows), infer_schema_length=None).write_csv(path)
    return path


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lm_eval_choice(number: int, gold: int, chosen: int, **more: Any) -> dict[str, Any]:
    """A line of lm-evaluation-harness for a choice by likelihood."""
    options = [f"{option} {number}" for option in OPTIONS]
    pairs = [[str(-0.5 if place == chosen else -3.0 - place), str(place == chosen)] for place in range(len(options))]
    return {
        "doc_id": number,
        "doc": {"query": f"question {number}", "choices": options, "gold": gold},
        "target": str(gold),
        "arguments": {
            f"gen_args_{place}": {"arg_0": f"Question {number}?", "arg_1": f" {option}"}
            for place, option in enumerate(options)
        },
        "resps": [[pair] for pair in pairs],
        "filtered_resps": pairs,
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "doc_hash": f"hash of {number}",
        "prompt_hash": "p",
        "target_hash": "t",
        "acc": float(gold == chosen),
        "acc_norm": float(gold == chosen),
    } | more


def lm_eval_text(number: int, target: str, said: str, used: str = "strict-match", **more: Any) -> dict[str, Any]:
    """A line of lm-evaluation-harness for an answer in words, behind one of its filters."""
    return {
        "doc_id": number,
        "doc": {"question": f"question {number}"},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": f"Q: question {number}", "arg_1": {"until": ["Q:"]}}},
        "resps": [[f"I think it is {said}"]],
        "filtered_resps": [said],
        "filter": used,
        "metrics": ["exact_match"],
        "doc_hash": f"hash of {number}",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": float(target == said),
    } | more


def lmms_eval(number: int, target: str, said: str, **more: Any) -> dict[str, Any]:
    """A line of lmms-eval, whose single answer is written without the list around it."""
    return {
        "doc_id": number,
        "target": target,
        "filtered_resps": said,
        "token_counts": [{"output_tokens": 3}],
        "doc_hash": f"hash of {number}",
        "some_acc": {"pred": said.strip().upper(), "answer": target, "score": float(said.strip().upper() == target)},
        "input": f"question {number}",
    } | more


def every_eval_ever(number: int, target: str, said: str, result: str = "accuracy", **more: Any) -> dict[str, Any]:
    """A line of Every Eval Ever 0.3."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "animals/org/model/1",
        "model_id": "org/model",
        "evaluation_name": "animals",
        "evaluation_result_id": result,
        "sample_id": str(number),
        "interaction_type": "single_turn",
        "input": {"raw": f"question {number}", "reference": [target]},
        "output": {"raw": [f"I think it is {said}"]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": said,
                "extraction_method": "match",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(target == said), "is_correct": target == said},
    } | more


def inspect_archive(path: Path) -> Path:
    """An archive with the names that a log of Inspect has; nothing that its package could read."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", "{}")
        archive.writestr("header.json", "{}")
    return path
