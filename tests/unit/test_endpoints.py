"""An LLM and a recogniser behind an endpoint: what is asked of them, what is kept, and what goes wrong."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from api_asking import PRICES, TASK, VARIABLE, FastClock, budget, clip, letters, question, stored
from api_server import KEY, MODEL, StandIn, Trouble, serving, status, transcript_of, word_of

from cascade_equivalence.config.api import ApiConfig
from cascade_equivalence.config.endpoints import EndpointSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.answers import ask_questions
from cascade_equivalence.models.api.exchange import encode_wav
from cascade_equivalence.models.api.system import ApiSystem
from cascade_equivalence.models.question import Answer, Question
from cascade_equivalence.tasks.prompts import build_messages

ENVIRON = {VARIABLE: KEY}
LONGEST = 8


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as found:
        yield found


def source(server: StandIn, **changes: Any) -> EndpointSource:
    fields = {"kind": "endpoint", "base_url": server.url("openai"), "model": MODEL, "key_env": VARIABLE}
    return EndpointSource.model_validate({**fields, "concurrency": 1, "timeout": 20, **changes})


def read(number: int) -> Question:
    """The task's question about a transcript."""
    return Question(tuple(build_messages(TASK, "Be brief.", f"take {number}", ())), TASK.answer_prefix, {})


def heard(number: int) -> Question:
    """A clip to transcribe."""
    return Question((), "", {}, question(number).audio)


ROLES = {"llm": read, "asr": heard}


def ask(
    folder: Path,
    role: str,
    asked: EndpointSource,
    numbers: range,
    config: ApiConfig | None = None,
    beside: Sequence[Path] = (),
    **environ: str,
) -> list[Answer]:
    """Run one node."""
    return ask_questions(
        [ROLES[role](number) for number in numbers],
        [f"item {number}" for number in numbers],
        ApiSystem("model", asked.asked_as(role), config or ApiConfig(), folder / "api", role),  # type: ignore[arg-type]
        LONGEST,
        folder / "answers" / "clean.jsonl",
        "model",
        environ or ENVIRON,
        FastClock().clock(),
        beside,
    )


def test_an_llm_gets_the_turns_of_the_local_prompt(tmp_path: Path, server: StandIn) -> None:
    (answer,) = ask(tmp_path, "llm", source(server, extra_body={"top_k": 1}), range(1))
    (request,) = server.heard
    assert request.turns == [(turn["role"], turn["content"]) for turn in read(0).messages]
    assert request.body["temperature"] == 0 and request.body["top_k"] == 1 and not request.wav
    # Room for the words that no endpoint can be made to begin with.
    assert request.body["max_completion_tokens"] >= LONGEST
    assert answer.text == word_of(repr(request.turns).encode())


def test_a_recogniser_gets_the_clip_and_the_language(tmp_path: Path, server: StandIn) -> None:
    found = ask(tmp_path, "asr", source(server, language="de", extra_body={"prompt": "names"}), range(2))
    assert server.clips() == [clip(0), clip(1)]
    assert server.heard[0].body == {
        **{"model": MODEL, "language": "de", "prompt": "names"},
        **{"response_format": "json", "temperature": "0"},
    }
    assert [answer.text for answer in found] == [transcript_of(encode_wav(question(n).audio.decode())) for n in (0, 1)]  # type: ignore[union-attr]
    ask(tmp_path / "any", "asr", source(server, language=None), range(1))
    assert "language" not in server.heard[-1].body


@pytest.mark.parametrize("role", ROLES)
def test_what_was_answered_is_never_asked_again(tmp_path: Path, server: StandIn, role: str) -> None:
    before = ask(tmp_path, role, source(server), range(3))
    assert len(server.heard) == 3
    assert ask(tmp_path, role, source(server), range(3)) == before
    assert ask(tmp_path, role, source(server), range(3), ApiConfig(offline=True), NO="KEY") == before
    assert len(server.heard) == 3
    with pytest.raises(StudyError, match="1 of 4 answers of model are not in"):
        ask(tmp_path, role, source(server), range(4), ApiConfig(offline=True))
    ask(tmp_path, role, source(server), range(4))
    assert len(server.heard) == 4


def test_what_another_condition_has_answered_is_not_paid_again(tmp_path: Path, server: StandIn) -> None:
    priced = source(server, prices=PRICES)
    before = ask(tmp_path, "llm", priced, range(2))
    again = ask(tmp_path / "noise", "llm", priced, range(3), beside=[tmp_path / "answers" / "clean.jsonl"])
    assert len(server.heard) == 3 and again[:2] == before
    assert [value["cost"] > 0 for value in stored(tmp_path / "noise")] == [False, False, True]


@pytest.mark.parametrize("role", ROLES)
def test_another_model_or_setting_is_another_answer(tmp_path: Path, server: StandIn, role: str) -> None:
    ask(tmp_path, role, source(server), range(1))
    ask(tmp_path, role, source(server, prices=PRICES, requests_per_minute=9e9, concurrency=2), range(1))
    assert len(server.heard) == 1
    ask(tmp_path, role, source(server, extra_body={"prompt": "more"}), range(1))
    assert len(server.heard) == 2
    if role == "asr":
        ask(tmp_path, role, source(server, language="fr"), range(1))
        assert len(server.heard) == 3


@pytest.mark.parametrize("role", ROLES)
def test_trouble_that_passes_is_waited_for(tmp_path: Path, server: StandIn, role: str) -> None:
    server.first(status(503), status(429, retry_after="3"), Trouble(cut=True), Trouble(body=b"<html>"))
    (answer,) = ask(tmp_path, role, source(server), range(1))
    assert answer.text and len(server.heard) == 5 and stored(tmp_path)[0]["attempts"] == 5


@pytest.mark.parametrize("role", ROLES)
def test_what_has_to_be_put_right_is_one_line(tmp_path: Path, server: StandIn, role: str) -> None:
    with pytest.raises(StudyError, match=f"refuses the key in {VARIABLE} for {MODEL}") as bad_key:
        ask(tmp_path, role, source(server), range(1), STAND_IN_KEY="wrong-key-abc")
    with pytest.raises(StudyError, match=r"HTTP 404.*there is no such model.*Check `model` and `base_url`") as no_model:
        ask(tmp_path, role, source(server, model="another"), range(1))
    with pytest.raises(StudyError, match=f"{VARIABLE} is not set") as no_key:
        ask(tmp_path, role, source(server), range(1), OTHER="1")
    server.plan = lambda _: Trouble(body=b'{"text": [1], "choices": 3}')
    with pytest.raises(StudyError, match="a reply that is no ") as malformed:
        ask(tmp_path, role, source(server), range(1))
    for error in (bad_key, no_model, no_key, malformed):
        assert "\n" not in str(error.value) and KEY not in str(error.value) and "wrong-key" not in str(error.value)
    assert len(letters(tmp_path)) == 1 and not stored(tmp_path)


@pytest.mark.parametrize("role", ROLES)
def test_a_server_that_was_not_started_is_told_soon(tmp_path: Path, role: str) -> None:
    with serving() as gone:
        nobody = source(gone)
    with pytest.raises(StudyError, match=r"nothing answers at http://127.*start the server that runs"):
        ask(tmp_path, role, nobody, range(20))
    assert not letters(tmp_path)


@pytest.mark.parametrize("role", ROLES)
def test_a_budget_ends_a_job_and_keeps_what_was_paid(tmp_path: Path, server: StandIn, role: str) -> None:
    with pytest.raises(StudyError, match="the budget of 2 calls is reached"):
        ask(tmp_path, role, source(server), range(5), budget(calls=2))
    assert len(server.heard) == 2 == len(stored(tmp_path))
    ask(tmp_path, role, source(server), range(5), budget(calls=5))
    assert len(server.heard) == 5


def test_a_price_by_the_minute_is_charged_by_the_seconds_that_the_service_counts(
    tmp_path: Path, server: StandIn
) -> None:
    paid = source(server, prices={"audio_minute": 0.6})
    ask(tmp_path, "asr", paid, range(2), budget(money=1))
    assert [value["cost"] for value in stored(tmp_path)] == pytest.approx([0.6 / 60] * 2)
    # A server that counts nothing is taken by the length of the clip.
    server.plan = lambda _: Trouble(usage=False)
    ask(tmp_path / "uncounted", "asr", paid, range(1), budget(money=1))
    seconds = question(0).audio.seconds  # type: ignore[union-attr]
    assert stored(tmp_path / "uncounted")[0]["cost"] == pytest.approx(0.6 / 60 * seconds, abs=0.6 / 60 / 10)


def test_silence_has_a_transcript_without_words(tmp_path: Path, server: StandIn) -> None:
    server.plan = lambda _: Trouble(text=" ")
    (answer,) = ask(tmp_path, "asr", source(server), range(1))
    assert answer.text == "" and len(server.heard) == 1


def test_an_llm_that_twice_says_nothing_has_answered(tmp_path: Path, server: StandIn) -> None:
    server.plan = lambda _: Trouble(text="")
    (answer,) = ask(tmp_path, "llm", source(server), range(1))
    assert answer.text == "" and len(server.heard) == 2
    assert ask(tmp_path, "llm", source(server), range(1)) == [answer] and len(server.heard) == 2
    # Once is a hiccup.
    server.plan = lambda number: Trouble(text="") if number == 2 else None
    (second,) = ask(tmp_path / "more", "llm", source(server), range(1))
    assert second.text and len(server.heard) == 4


def test_an_endpoint_on_this_machine_needs_no_key(tmp_path: Path, server: StandIn) -> None:
    server.key = None
    ask(tmp_path, "asr", source(server, key_env=None), range(1), NO="KEY")
    assert "authorization" not in server.heard[0].headers
    server.key = KEY
    assert KEY not in json.dumps(stored(tmp_path))
