"""Answers come from the store where it has them, and a run that was stopped goes on as if it never had been."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
import torch

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import scoring
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.models.text_llm import TextLLM

TASK = "Read the news story and name its topic: politics, sports, business or technology.\nStory: {}"
STORIES = [f"{'The hosts reached the cup final. ' * (n % 4)}Story {n} \u2028 of a dog." for n in range(11)]
LABELS = {"World": "politics", "Sports": "sports", "Business": "business"}
CONFIG = AnswerConfig(device="cpu", dtype="float32", batch_size=3)


def question(story: str, **changes: Any) -> Question:
    messages = ({"role": "user", "content": TASK.format(story)},)
    return replace(Question(messages=messages, answer_prefix="The topic is", candidates=LABELS), **changes)


QUESTIONS = [question(story) for story in STORIES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llm.save_llama(tmp_path_factory.mktemp("llama"), tiny_llm.byte_level_tokenizer())


def ask(folder: Path, store: Path, questions: Sequence[Question] = QUESTIONS, **changes: Any) -> list[Answer]:
    arguments = {"revision": "r1", "chat": True, "config": CONFIG, "max_new_tokens": 6, "label": "tiny"} | changes
    files = ModelFiles(folder, arguments.pop("revision"), arguments.pop("chat"))
    return answer_questions(questions, files, store=store, **arguments)


def stored_keys(store: Path) -> list[str]:
    return [json.loads(line)["key"] for line in store.read_bytes().split(b"\n")[:-1]]


def without_time(answers: Sequence[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the model was opened")


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
def test_the_second_call_computes_nothing(
    mode: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"mode": mode})
    first = ask(folder, tmp_path / "s", config=config)
    before = (tmp_path / "s").read_bytes()
    monkeypatch.setattr(TextLLM, "__init__", refuse)
    assert ask(folder, tmp_path / "s", config=config) == first
    assert ask(folder, tmp_path / "s", QUESTIONS[::-1], config=config) == first[::-1]
    # How many prompts make a batch is a matter of speed.
    assert ask(folder, tmp_path / "s", config=config.model_copy(update={"batch_size": 1})) == first
    assert (tmp_path / "s").read_bytes() == before


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_stopped_run_goes_on_where_it_stopped(
    mode: str, batches: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"mode": mode})
    whole = ask(folder, tmp_path / "whole", config=config)
    owner, method = (TextLLM, "generate") if mode == "generate" else (scoring, "score")
    calls = 0
    compute = getattr(owner, method)

    def stop(*arguments: Any) -> Any:
        nonlocal calls
        if calls == batches:
            raise KeyboardInterrupt
        calls += 1
        return compute(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, stop)
        with pytest.raises(KeyboardInterrupt):
            ask(folder, tmp_path / "s", config=config)
    done = stored_keys(tmp_path / "s")
    assert len(done) == batches * CONFIG.batch_size
    resumed = ask(folder, tmp_path / "s", config=config)
    for one, other in zip(without_time(resumed), without_time(whole), strict=True):
        assert replace(one, scores={}) == replace(other, scores={})
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    keys = stored_keys(tmp_path / "s")
    assert keys[: len(done)] == done
    assert len(keys) == len(set(keys)) == len(QUESTIONS)
    assert set(keys) == set(stored_keys(tmp_path / "whole"))


def test_every_batch_is_stored_before_the_next_begins(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    compute = TextLLM.generate

    def look(*arguments: Any) -> Any:
        seen.append(len(stored_keys(tmp_path / "s")))
        return compute(*arguments)

    monkeypatch.setattr(TextLLM, "generate", look)
    ask(folder, tmp_path / "s")
    assert seen == [0, 3, 6, 9]


@pytest.mark.parametrize(
    "changes",
    [
        {"revision": "r2"},
        {"chat": False},
        {"max_new_tokens": 7},
        {"config": CONFIG.model_copy(update={"mode": "forced_choice"})},
        {"config": CONFIG.model_copy(update={"dtype": "bfloat16"})},
        {"questions": [replace(one, answer_prefix="It is") for one in QUESTIONS]},
        {"questions": [question(story + ".") for story in STORIES]},
        {"questions": [replace(q, messages=({"role": "system", "content": "S"}, *q.messages)) for q in QUESTIONS]},
    ],
    ids=" ".join,
)
def test_an_answer_serves_only_the_question_it_was_given_to(
    changes: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    """Every key differs, so the answers are those of a run that never saw the store."""
    ask(folder, tmp_path / "s")
    before = set(stored_keys(tmp_path / "s"))
    again = ask(folder, tmp_path / "s", **changes)
    assert len(set(stored_keys(tmp_path / "s")) - before) == len(QUESTIONS)
    fresh = ask(folder, tmp_path / "fresh", **changes)
    assert without_time(again) == without_time(fresh)


def test_candidates_count_in_a_forced_choice_alone(folder: Path, tmp_path: Path) -> None:
    others = [replace(one, candidates={"World": "nations"}) for one in QUESTIONS]
    for mode, added in (("generate", 0), ("forced_choice", len(QUESTIONS))):
        config = CONFIG.model_copy(update={"mode": mode})
        ask(folder, tmp_path / mode, config=config)
        ask(folder, tmp_path / mode, others, config=config)
        assert len(stored_keys(tmp_path / mode)) == len(QUESTIONS) + added


def test_a_forced_choice_is_the_label_that_is_likeliest(folder: Path, tmp_path: Path) -> None:
    answers = ask(folder, tmp_path / "s", config=CONFIG.model_copy(update={"mode": "forced_choice"}))
    llm = TextLLM(folder, "cpu", torch.float32, chat=True)
    for asked, answer in zip(QUESTIONS, answers, strict=True):
        scores = llm.choose(llm.tokenize(llm.render(asked.messages, asked.answer_prefix)), LABELS)
        assert answer.scores == pytest.approx(scores, abs=1e-4)
        assert answer.text == max(LABELS, key=scores.__getitem__)
        assert answer.new_tokens == 0


def test_a_question_asked_twice_is_answered_once(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    twice = [QUESTIONS[0], *QUESTIONS[:4], QUESTIONS[0]]
    answers = ask(folder, tmp_path / "s", twice)
    assert answers[0] == answers[1] == answers[5]
    assert without_time(answers[1:5]) == without_time(ask(folder, tmp_path / "t", QUESTIONS[:4]))
    assert len(stored_keys(tmp_path / "s")) == 4
    assert "6 of 6, finished" in capfd.readouterr().err
    ask(folder, tmp_path / "s", [*twice, QUESTIONS[5]])
    assert "7 to do, 6 of them already done" in capfd.readouterr().err


def test_an_answer_says_what_it_was_given_to(folder: Path, tmp_path: Path) -> None:
    answers = ask(folder, tmp_path / "s")
    llm = TextLLM(folder, "cpu", torch.float32, chat=True)
    rows = [llm.tokenize(llm.render(asked.messages, asked.answer_prefix)) for asked in QUESTIONS]
    assert [answer.prompt_tokens for answer in answers] == [len(row) for row in rows]
    assert [answer.text for answer in answers] == [found.text.strip() for found in llm.generate(rows, 6)]
    assert len({answer.prompt_sha256 for answer in answers}) == len(QUESTIONS)
    assert all(answer.seconds > 0 for answer in answers)


def test_no_questions_need_no_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextLLM, "__init__", refuse)
    assert ask(folder, tmp_path / "s", []) == []


def test_a_prompt_that_is_too_long_stops_before_the_first_answer(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="shorten the task's prompt"):
        ask(folder, tmp_path / "s", [*QUESTIONS, question("long " * 600)])
    assert stored_keys(tmp_path / "s") == []


# -- device and arithmetic ------------------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(StudyError, match="no GPU"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(
    "instructions", [{}, {"_is_amx_tile_supported": True}, {"_is_avx512_bf16_supported": True}], ids=str
)
def test_bfloat16_is_taken_where_it_is_fast(instructions: Mapping[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: instructions.get(name, False))
    assert resolve_dtype("auto", "cpu") == (torch.bfloat16 if instructions else torch.float32)
    for name in ("float32", "bfloat16", "float16"):
        assert resolve_dtype(name, "cpu") == getattr(torch, name)
