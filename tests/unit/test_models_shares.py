"""Shares of a node, put together, are to the last bit what one job would have answered."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_speech_llm_heard import CLIPS
from voice_adapters import save_base, save_text

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import shares
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import Answer, ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.shares import JobShare, answer_share, gathered, share_store, take_over, write_share
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER
from cascade_equivalence.models.store import Store
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)
LABELS = {"World": "politics", "Sports": "sports", "Business": "business"}
STORIES = [f"{'The hosts reached the cup final. ' * (n % 5)}Story {n % 17} of a dog." for n in range(19)]
"""Two of them are asked twice."""
OF = {"system": "s", "task": "t", "condition": "clean"}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "BLOCK", 4)
    monkeypatch.setattr("cascade_equivalence.models.question.HEARD_AT_ONCE", 2)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tiny_llm.save_llama(tmp_path_factory.mktemp("llama"), tiny_llm.byte_level_tokenizer())
    return ModelFiles(folder, "r1", True)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("models")
    return ModelFiles(save_text(folder / "text"), "t", True, SpeechFiles(save_base(folder / "speech"), "s"))


def turn(content: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": content},)


READ = [Question(turn(f"Name the topic.\nStory: {story}"), "The topic is", LABELS) for story in STORIES]
HEARD = [Question(turn(f"What is it?\n{PLACEHOLDER}"), "", LABELS, clip) for clip in CLIPS]


def config(mode: str, batch_size: int) -> AnswerConfig:
    return AnswerConfig.model_validate({"device": "cpu", "dtype": "float32", "mode": mode, "batch_size": batch_size})


def in_shares(
    questions: Sequence[Question], files: ModelFiles, how: AnswerConfig, count: int, store: Path, folder: Path
) -> list[Answer]:
    paths = []
    for number in range(1, count + 1):
        path = folder / f"{number}.parquet"
        write_share(answer_share(questions, files, how, 6, store, JobShare(number, count), "tiny"), path, OF)
        paths.append(path)
    return gathered(paths, store, len(questions))


def without_time(answers: Sequence[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["read", "heard"])
def test_shares_together_are_the_whole_to_the_last_bit(
    kind: str, batch_size: int, mode: str, text: ModelFiles, speech: ModelFiles, tmp_path: Path
) -> None:
    questions, files = (READ, text) if kind == "read" else (HEARD, speech)
    how = config(mode, batch_size)
    whole = answer_questions(questions, files, how, 6, tmp_path / "whole.jsonl", "tiny")
    # Batches of three are not those of the whole where blocks of four end: such scores agree, and need not be equal.
    exact = 4 % batch_size == 0 or kind == "heard"
    for count in (1, 2, 3, 7):
        store = tmp_path / f"{count}.jsonl"
        parts = in_shares(questions, files, how, count, store, tmp_path)
        if exact:
            assert without_time(parts) == without_time(whole)
        else:
            assert [answer.text for answer in parts] == [answer.text for answer in whole]


def test_the_nodes_store_has_all_afterwards_and_the_shares_stores_go(
    text: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "clean.jsonl"
    parts = in_shares(READ, text, config("generate", 4), 3, store, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["clean.jsonl"]
    monkeypatch.setattr(TextLLM, "__init__", _refuse)
    assert answer_questions(READ, text, config("generate", 4), 6, store, "tiny") == parts
    # And a share that is asked for again opens no model.
    again = answer_share(READ, text, config("generate", 4), 6, store, JobShare(2, 5), "tiny")
    assert [answer for _, _, answer in again] == [parts[row] for row, _, _ in again]


def test_a_stopped_share_goes_on_and_so_do_other_numbers_of_shares(
    text: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, store = config("generate", 2), tmp_path / "clean.jsonl"
    calls: list[int] = []
    compute = TextLLM.generate

    def stop(*arguments: Any) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(arguments[1]))
        return compute(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TextLLM, "generate", stop)
        with pytest.raises(KeyboardInterrupt):
            answer_share(READ, text, how, 6, store, JobShare(1, 2), "tiny")
    with Store(share_store(store, JobShare(1, 2))) as records:
        assert len(records) == sum(calls) > 0
    asked = []

    def count(*arguments: Any) -> Any:
        asked.append(len(arguments[1]))
        return compute(*arguments)

    monkeypatch.setattr(TextLLM, "generate", count)
    parts = in_shares(READ, text, how, 3, store, tmp_path)
    assert sum(asked) == len(set(STORIES)) - sum(calls)
    whole = answer_questions(READ, text, how, 6, tmp_path / "whole", "tiny")
    assert [answer.text for answer in parts] == [answer.text for answer in whole]


def test_what_a_share_had_answered_is_taken_over_by_one_job(
    text: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, store = config("generate", 4), tmp_path / "clean.jsonl"
    some = answer_share(READ, text, how, 6, store, JobShare(1, 2), "tiny")
    take_over(store)
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["clean.jsonl"]
    asked: list[int] = []
    compute = TextLLM.generate
    monkeypatch.setattr(TextLLM, "generate", lambda *given: asked.append(len(given[1])) or compute(*given))
    whole = answer_questions(READ, text, how, 6, store, "tiny")
    assert [answer for _, _, answer in some] == [whole[row] for row, _, _ in some]
    assert sum(asked) == len(set(STORIES)) - len({key for _, key, _ in some})


def test_a_damaged_share_is_told_and_kept(text: ModelFiles, tmp_path: Path) -> None:
    store, share = tmp_path / "clean.jsonl", JobShare(1, 2)
    answer_share(READ, text, config("generate", 4), 6, store, share, "tiny")
    file = share_store(store, share)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0].replace(b"tokens", b"tokenz") + b"".join(lines[1:]))
    with pytest.raises(StudyError, match="line 1, is damaged"):
        take_over(store)
    assert file.exists()


def test_shares_of_other_questions_are_told(text: ModelFiles, tmp_path: Path) -> None:
    how, store = config("generate", 4), tmp_path / "clean.jsonl"
    paths = []
    for number in (1, 2):
        paths.append(tmp_path / f"{number}.parquet")
        write_share(answer_share(READ, text, how, 6, store, JobShare(number, 2), "tiny"), paths[-1], OF)
    for wrong in (paths[:1], [*paths, paths[0]]):
        with pytest.raises(StudyError, match="run again"):
            gathered(wrong, store, len(READ))
    with pytest.raises(StudyError, match="run again"):
        gathered(paths, store, len(READ) - 1)
    assert not store.exists()


@given(st.integers(1, 9))
def test_every_question_is_in_exactly_one_share(text: ModelFiles, count: int) -> None:
    asked = {str(number): question for number, question in enumerate(READ)}
    found = [key for number in range(1, count + 1) for key in shares.assigned(asked, text, JobShare(number, count))]
    assert sorted(found) == sorted(asked)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("the model was opened")
