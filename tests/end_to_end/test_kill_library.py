"""The stages that compute long are killed again and again; each goes on where it was and ends as if unbroken."""

import multiprocessing
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import killable
import pytest
from killing import assert_computed_once, assert_kept, wait_until, whole_lines

KILLS = 24
# Work that goes on between what is seen and the kill may end before the last kill: it must not end early.
ENOUGH = 12
# What takes long to import. The server cannot find the project's own modules in every version of Python.
PRELOADED = [
    "torch",
    "whisper.decoding",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "polars",
    "pyarrow.parquet",
    "pydantic",
    "scipy.signal",
]


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that start in milliseconds: they are forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def kill_often(processes: Any, work: Callable[..., object], arguments: Sequence[Any], done: Callable[[], int]) -> int:
    """Run some work in a process of its own and kill it whenever it has stored a little more; count the kills."""
    choice = random.Random(3)
    for kills in range(KILLS):
        goal = done() + choice.randint(1, 5)
        process = processes.Process(target=work, args=arguments)
        process.start()
        wait_until(lambda goal=goal, process=process: done() >= goal or not process.is_alive())
        if not process.is_alive():
            assert process.exitcode == 0
            return kills
        process.kill()
        process.join()
    return KILLS


def kill_store_often(processes: Any, work: Callable[..., object], store: Path, *arguments: Any) -> None:
    """Kill work that writes a store of lines, and check the store each time."""
    seen: dict[str, bytes] = {}

    def lines() -> int:
        return store.read_bytes().count(b"\n") if store.is_file() else 0

    def checked() -> int:
        now = {"store": store.read_bytes()} if store.is_file() else {}
        assert_kept(seen, whole_lines(now))
        seen.update(whole_lines(now))
        return lines()

    assert kill_often(processes, work, (store, *arguments), checked) >= ENOUGH
    assert lines() > 0
    before = store.read_bytes()
    result = work(store, *arguments)
    after = store.read_bytes()
    assert_kept(whole_lines({"store": before}), {"store": after})
    assert_computed_once({"store": after})
    assert lines() == killable.COUNT
    unbroken = work(store.with_name("unbroken.jsonl"), *arguments)
    assert plain(result) == plain(unbroken)


def plain(results: Any) -> list[Any]:
    """Results without the time they took."""
    timed = (killable.Answer, killable.Transcript)
    return [replace(result, seconds=0.0) if isinstance(result, timed) else result for result in results]


def test_answers(processes: Any, tiny_models: Path, tmp_path: Path) -> None:
    kill_store_often(processes, killable.answer, tmp_path / "answers.jsonl", tiny_models)


def test_transcripts(processes: Any, tiny_models: Path, tmp_path: Path) -> None:
    clips = killable.speak(tmp_path / "speech")
    kill_store_often(processes, killable.transcribe, tmp_path / "transcripts.jsonl", tiny_models, clips)


def test_clips(processes: Any, tmp_path: Path) -> None:
    store = tmp_path / "speech"
    seen: dict[str, int] = {}

    def checked() -> int:
        now = {path.name: path.stat().st_mtime_ns for path in store.glob("*.flac")}
        assert seen.items() <= now.items()
        seen.update(now)
        return len(now)

    assert kill_often(processes, killable.speak, (store,), checked) >= ENOUGH
    result = killable.speak(store)
    assert checked() == killable.COUNT
    assert result == killable.speak(tmp_path / "unbroken")
