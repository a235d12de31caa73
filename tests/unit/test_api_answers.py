"""Answers of an API: each asked for once, in order, whatever the provider does in between."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from api_asking import (
    PATIENCE,
    PRICES,
    TASK,
    VARIABLE,
    FastClock,
    ask,
    clip,
    expected,
    ledger,
    letters,
    question,
    spec,
    stored,
    texts,
    wait_until,
)
from api_server import VERSION, StandIn, Trouble, serving, status

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api import answers, asking
from cascade_equivalence.models.api.exchange import turns_of
from cascade_equivalence.models.api.keys import OFFLINE
from cascade_equivalence.models.question import Answer
from cascade_equivalence.tasks.registry import get_task

PROVIDERS = ("gemini", "openai")
BUSY = status(503)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(OFFLINE, raising=False)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as stand_in:
        yield stand_in


# -- answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("concurrency", [1, 7])
def test_answers_come_in_the_order_of_the_questions_and_are_asked_for_once(
    server: StandIn, tmp_path: Path, provider: str, concurrency: int
) -> None:
    numbers = [5, 3, 9, 3, 0, 7, 1]
    asked = spec(server, provider, concurrency=concurrency, prices=PRICES)
    first = ask(tmp_path, asked, numbers)
    assert texts(first) == [expected(number) for number in numbers]
    assert Counter(server.clips()) == Counter({clip(number): 1 for number in numbers})
    before = (tmp_path / "answers" / "clean.jsonl").read_bytes()
    again = ask(tmp_path, asked.model_copy(update={"concurrency": 3}), [*numbers[::-1], 11])
    assert again[:-1] == first[::-1]
    assert len(server.heard) == 7
    assert (tmp_path / "answers" / "clean.jsonl").read_bytes().startswith(before)


def test_a_record_says_what_was_answered_by_what_and_for_how_much(server: StandIn, tmp_path: Path) -> None:
    server.first(Trouble(text="The sentiment is negative."))
    clock = FastClock()
    (answer,) = ask(tmp_path, spec(server, prices=PRICES), [2], clock=clock)
    (record,) = stored(tmp_path)
    usage = record["usage"]
    assert usage["input_tokens"] - usage["audio_tokens"] > 20 and usage["audio_tokens"] == 2
    money = (
        (usage["input_tokens"] - usage["audio_tokens"]) * PRICES["input_text"]
        + usage["audio_tokens"] * PRICES["input_audio"]
        + usage["output_tokens"] * PRICES["output"]
    ) / 1e6
    assert record["cost"] == pytest.approx(money) and record["currency"] == "USD"
    assert record["text"] == "The sentiment is negative." and record["finish_reason"] == "STOP"
    assert (record["model_version"], record["response_id"], record["attempts"]) == (VERSION, "r1", 1)
    assert record["time"].startswith("1970-01-12T13:46:4") and record["unforced_prefix"] == TASK.answer_prefix
    # What the local systems' answers look like, and what their parser reads.
    assert answer.text == "negative."
    assert get_task("sst2").parse(answer.text, (), {}) == "negative"
    assert (answer.prompt_tokens, answer.new_tokens) == (usage["input_tokens"], usage["output_tokens"])
    assert re.fullmatch("[0-9a-f]{64}", answer.prompt_sha256)
    assert ledger(tmp_path, "USD").used() == (1, pytest.approx(money))


def test_there_is_room_for_the_words_that_local_systems_are_given(server: StandIn, tmp_path: Path) -> None:
    ask(tmp_path, spec(server), [0])
    ask(tmp_path, spec(server, max_output_tokens=40), [0])
    limits = [heard.body["generationConfig"]["maxOutputTokens"] for heard in server.heard]
    assert limits[0] >= TASK.max_new_tokens + len(TASK.answer_prefix) / 4 and limits[1] == 40


@pytest.mark.parametrize("trouble", [Trouble(finish="safety", text=""), Trouble(block="SAFETY")])
def test_a_refusal_is_kept_and_counts_as_no_label(server: StandIn, tmp_path: Path, trouble: Trouble) -> None:
    server.first(None, trouble)
    found = ask(tmp_path, spec(server), [0, 1, 2])
    assert get_task("sst2").parse(found[1].text, (), {}) == "invalid" and found[1].text == ""
    assert texts([found[0], found[2]]) == [expected(0), expected(2)]
    assert ask(tmp_path, spec(server), [0, 1, 2]) == found and len(server.heard) == 3
    assert not letters(tmp_path)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("text", ["", " \n"])
def test_a_reply_without_text_or_reason_is_paid_asked_again_and_never_kept(
    server: StandIn, tmp_path: Path, provider: str, text: str
) -> None:
    server.first(None, Trouble(text=text))
    asked = spec(server, provider, prices=PRICES)
    assert texts(ask(tmp_path, asked, [0, 1])) == [expected(0), expected(1)]
    assert len(server.heard) == 3 and all(record["text"].strip() for record in stored(tmp_path))
    calls, money = ledger(tmp_path, "USD").used()
    assert calls == 3 and money > sum(record["cost"] for record in stored(tmp_path))
    server.plan = lambda _: Trouble(text=text)
    with pytest.raises(StudyError, match="without text"):
        ask(tmp_path, spec(server, provider, attempts=2), [2])
    assert len(server.heard) == 5 and len(stored(tmp_path)) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_limit_that_thoughts_use_up_is_told_and_not_paid_again(
    server: StandIn, tmp_path: Path, provider: str
) -> None:
    server.plan = lambda _: Trouble(text="", finish="length")
    with pytest.raises(StudyError, match="max_output_tokens"):
        ask(tmp_path, spec(server, provider), [0])
    assert len(server.heard) == 1 and not stored(tmp_path)
    assert [letter["attempts"] for letter in letters(tmp_path)] == [1]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_drips_is_given_up_in_time(
    server: StandIn, tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "GRACE", 0.2)
    server.first(Trouble(drip=0.1))
    began = time.monotonic()
    assert texts(ask(tmp_path, spec(server, provider, timeout=0.5), [0])) == [expected(0)]
    # Time to start up aside: the reply alone would take twenty times as long.
    assert time.monotonic() - began < 10 and len(server.heard) == 2
    assert ledger(tmp_path).used()[0] == 2


BAD_COUNTS = [-5, 10**12, 1.5, float("nan"), "many", [1]]


@pytest.mark.parametrize(("provider", "name"), [("gemini", "promptTokenCount"), ("openai", "prompt_tokens")])
@pytest.mark.parametrize("count", BAD_COUNTS)
def test_counts_that_are_none_neither_pay_nor_lose_an_answer(
    server: StandIn, tmp_path: Path, provider: str, name: str, count: object
) -> None:
    server.first(Trouble(counts={name: count}), None)
    found = ask(tmp_path, spec(server, provider, prices=PRICES, attempts=2), [0])
    assert texts(found) == [expected(0)]
    (record,) = stored(tmp_path)
    assert record["cost"] > 0 and ledger(tmp_path, "USD").used()[1] >= record["cost"]
    # Gemini's own SDK refuses some of these replies as a whole.
    assert record["usage"] is None or len(server.heard) == 2


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_an_answer_in_a_field_for_reasoning_is_kept(server: StandIn, tmp_path: Path, field: str) -> None:
    server.first(Trouble(text="", thoughts={field: "positive"}))
    assert texts(ask(tmp_path, spec(server, "openai"), [0])) == ["positive"] and len(server.heard) == 1
    server.first(None, Trouble(text="", thoughts={field: "Let me see, posi"}, finish="length"))
    with pytest.raises(StudyError, match="max_output_tokens"):
        ask(tmp_path, spec(server, "openai"), [1])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_reply_that_is_nested_without_end_is_asked_for_again(server: StandIn, tmp_path: Path, provider: str) -> None:
    server.first(Trouble(body=b"[" * 100_000), Trouble(500, body=b"[" * 100_000), None)
    assert texts(ask(tmp_path, spec(server, provider), [0])) == [expected(0)] and len(server.heard) == 3


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_that_nobody_counts_are_estimated_and_that_is_said(
    server: StandIn, tmp_path: Path, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.first(Trouble(usage=False), None)
    one, other = ask(tmp_path, spec(server, provider, prices=PRICES), [0, 1])
    assert stored(tmp_path)[0]["usage"] is None
    # Estimates are above what is counted, and not far.
    assert other.prompt_tokens <= one.prompt_tokens <= 3 * other.prompt_tokens
    assert stored(tmp_path)[0]["cost"] >= stored(tmp_path)[1]["cost"] > 0
    assert "no tokens of 1 answers" in capsys.readouterr().err


# -- trouble -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "trouble",
    [status(500), status(429), Trouble(body=b'{"candidates": [{"con'), Trouble(cut=True), Trouble(body=b"")],
)
def test_what_passes_is_asked_again(server: StandIn, tmp_path: Path, provider: str, trouble: Trouble) -> None:
    server.first(trouble, trouble, None)
    assert texts(ask(tmp_path, spec(server, provider), [4, 5])) == [expected(4), expected(5)]
    assert server.clips() == [clip(4)] * 3 + [clip(5)]
    assert [record["attempts"] for record in stored(tmp_path)] == [3, 1]
    assert not letters(tmp_path)


def test_a_reply_that_takes_too_long_is_asked_for_again(server: StandIn, tmp_path: Path) -> None:
    server.first(Trouble(hold=(late := threading.Event())))
    found = ask(tmp_path, spec(server, timeout=0.3, prices=PRICES), [4])
    late.set()
    assert texts(found) == [expected(4)] and len(server.heard) == 2
    # It may have been charged: the ledger counts it at its highest price.
    calls, money = ledger(tmp_path, "USD").used()
    assert calls == 2 and money > 2 * stored(tmp_path)[0]["cost"]


def test_pauses_grow_and_a_provider_that_wants_one_gets_it(server: StandIn, tmp_path: Path) -> None:
    clock, came = FastClock(), []
    troubles = [status(429, Retry_After="7"), BUSY, BUSY, status(503, Retry_After="100"), None]

    def plan(number: int) -> Trouble | None:
        came.append(clock.now())
        return troubles[number]

    server.plan = plan
    ask(tmp_path, spec(server), [0], clock=clock)
    gaps = [after - before for before, after in pairwise(came)]
    assert gaps[0] >= 7 and 1 <= gaps[1] <= 2.1 and 2 <= gaps[2] <= 4.1 and 100 <= gaps[3] <= 111


def test_a_pause_is_kept_by_all_threads_and_jobs(server: StandIn, tmp_path: Path) -> None:
    clock, came = FastClock(), []
    mutex = threading.Lock()

    def plan(number: int) -> Trouble | None:
        with mutex:
            came.append(clock.now())
        return status(429, Retry_After="50") if number == 0 else None

    server.plan = plan
    asked = spec(server)
    held = threading.Event()

    def second() -> None:
        held.wait(PATIENCE)
        ask(tmp_path, asked, range(5, 9), clock=clock, node="other")

    found: list[Answer] = []
    jobs = [
        threading.Thread(target=second),
        threading.Thread(target=lambda: found.extend(ask(tmp_path, asked, range(3), clock=clock))),
    ]
    for job in jobs:
        job.start()
    # Whoever comes after the first request was answered waits.
    wait_until(lambda: any(b"held" in path.read_bytes() for path in (tmp_path / "api").glob("rate-*.json")))
    held.set()
    for job in jobs:
        job.join()
    assert len(found) == 3 and len(came) == 8
    assert all(moment >= came[0] + 50 for moment in came[1:])


def test_a_provider_that_wants_to_be_left_alone_for_long_ends_the_job(server: StandIn, tmp_path: Path) -> None:
    server.first(None, status(429, Retry_After="5000"))
    with pytest.raises(StudyError, match=r"left alone for 5000 s.*Every answer that came is kept"):
        ask(tmp_path, spec(server), [0, 1, 2])
    assert len(stored(tmp_path)) == 1 and len(server.heard) == 2


def test_a_question_without_an_answer_fails_the_job_after_the_others_and_is_asked_again(
    server: StandIn, tmp_path: Path
) -> None:
    server.first(None, BUSY, BUSY, None)
    with pytest.raises(StudyError, match=r"1 of 3 questions got no answer: HTTP 503: out of order \(1\)") as lost:
        ask(tmp_path, spec(server, attempts=2), [0, 1, 2])
    assert "clean.unanswered.jsonl" in str(lost.value)
    assert [record["text"] for record in stored(tmp_path)] == [expected(0), expected(2)]
    (letter,) = letters(tmp_path)
    assert (letter["question"], letter["attempts"]) == ("item 1", 2) and letter["reason"].startswith("HTTP 503")
    before = len(server.heard)
    assert texts(ask(tmp_path, spec(server), [0, 1, 2])) == [expected(number) for number in range(3)]
    assert server.clips()[before:] == [clip(1)]


def test_a_provider_out_of_order_is_not_asked_for_every_item(server: StandIn, tmp_path: Path) -> None:
    server.plan = lambda number: None if number < 5 else BUSY
    with pytest.raises(StudyError, match="10 questions in a row got no answer"):
        ask(tmp_path, spec(server, attempts=2), range(40))
    assert len(stored(tmp_path)) == 5 and len(letters(tmp_path)) == answers.GIVE_UP_AFTER
    assert len(server.heard) == 5 + 2 * answers.GIVE_UP_AFTER


def test_failures_here_and_there_stop_nothing(server: StandIn, tmp_path: Path) -> None:
    server.plan = lambda number: BUSY if number % 2 else None
    with pytest.raises(StudyError, match="15 of 30 questions got no answer"):
        ask(tmp_path, spec(server, attempts=1), range(30))
    assert len(stored(tmp_path)) == len(letters(tmp_path)) == 15


@pytest.mark.parametrize("concurrency", [1, 5])
def test_what_cannot_get_better_ends_the_job_at_once(server: StandIn, tmp_path: Path, concurrency: int) -> None:
    server.plan = lambda number: status(400, "bad field") if number >= 6 else None
    with pytest.raises(StudyError, match=r"ears: item .*bad field.*Every answer that came is kept"):
        ask(tmp_path, spec(server, concurrency=concurrency), range(60))
    assert len(stored(tmp_path)) == 6 and len(server.heard) <= 6 + concurrency
    assert ledger(tmp_path).used()[0] == 6


def test_a_wrong_key_costs_one_request(server: StandIn, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"refuses the key in {VARIABLE}"):
        ask(tmp_path, spec(server), range(9), environ={VARIABLE: "sk-wrong"})
    assert server.refused == 1 and not server.heard and not stored(tmp_path)


def test_a_fault_of_the_program_is_not_hidden_and_loses_nothing(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = turns_of

    def broken(asked: Any) -> Any:
        if asked.audio.sha256 == question(3).audio.sha256:  # type: ignore[union-attr]
            raise ZeroDivisionError
        return turns(asked)

    monkeypatch.setattr(answers, "turns_of", broken)
    with pytest.raises(ZeroDivisionError):
        ask(tmp_path, spec(server), range(9))
    assert len(stored(tmp_path)) == 3


def test_requests_are_under_way_together_and_limits_hold(server: StandIn, tmp_path: Path) -> None:
    clock, came = FastClock(), []
    mutex = threading.Lock()
    meet = threading.Barrier(6)

    def plan(number: int) -> Trouble | None:
        with mutex:
            came.append(clock.now())
        if number < 6:
            meet.wait(PATIENCE)
        return None

    server.plan = plan
    ask(tmp_path, spec(server, concurrency=6), range(12), clock=clock)
    assert server.most_under_way == 6
    came.clear()
    server.plan = lambda _: came.append(clock.now())
    ask(tmp_path, spec(server, requests_per_minute=30), range(20, 30), clock=clock)
    assert came[-1] - came[0] >= 9 * 2 - 1.1
