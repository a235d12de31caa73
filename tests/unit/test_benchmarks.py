"""Benchmarks run for minutes before they say what they found: what they say it with works."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and Path(str(sys.modules[name].__file__)).parent == FOLDER:
            del sys.modules[name]


def test_clips_are_read_while_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound is read when it is asked for: not after the folder that it was spoken to is gone."""
    module = importlib.import_module("transcribe_and_answer")

    def speak(utterances: list[Any], voice: str, provider: Any, seconds: float, store: Path, jobs: int) -> list[Path]:
        files = [store / f"{place}.flac" for place in range(len(utterances))]
        for file in files:
            file.write_bytes(file.name.encode())
        return files

    monkeypatch.setattr(module, "synthesize_clips", speak)
    monkeypatch.setattr(module, "decode", Path.read_bytes)
    audio, texts, tasks = module.clips(None, 5)
    assert audio == [f"{place}.flac".encode() for place in range(5)] and len(texts) == len(tasks) == 5


def test_goals_hold_our_path_against_the_loop_and_the_best_in_batches() -> None:
    turns = importlib.import_module("turns")
    goals_of = importlib.import_module("transcribe_and_answer").goals_of

    def arm(name: str, *seconds: float) -> Any:
        return turns.Arm(name, list, list(seconds), ["a", "b"])

    hearing = [arm("loop", 8, 8), arm("batch: slow", 6, 6), arm("batch: quick", 4, 4), arm("ours: a", 2, 2)]
    saying = [arm("loop: generate", 10, 10), arm("batch: generate", 6, 6), arm("ours: batched", 2, 2)]
    errors = [{"arm": each.name, "WER": 0.1} for each in hearing]
    goals = goals_of(hearing, errors, hearing[-1], saying)
    found = {(goal.what, goal.against): (goal.aim, list(goal.found)) for goal in goals}
    assert found["recogniser (ours: a)", "loop"] == (5, [4, 4])
    assert found["recogniser (ours: a)", "batch: quick"] == (3, [2, 2])
    both = "recogniser and text LLM (ours: a; ours: batched)"
    assert found[both, "loop; loop: generate"] == (5, [4.5, 4.5])
    assert found[both, "batch: quick; batch: generate"] == (3, [2.5, 2.5])
    assert len(found) == 4
    # A second of ours that is quicker and makes no more errors stands beside; one that makes more does not.
    hearing += [arm("ours: b", 1, 1), arm("ours: c", 0.5, 0.5)]
    errors += [{"arm": "ours: b", "WER": 0.1}, {"arm": "ours: c", "WER": 0.2}]
    told = {goal.what for goal in goals_of(hearing, errors, hearing[3], saying)}
    assert {"recogniser (ours: a)", "recogniser (ours: b)"} < told and not any("ours: c" in what for what in told)
