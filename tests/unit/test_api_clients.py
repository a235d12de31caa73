"""What crosses the wire to a provider, and what its replies are taken for."""

import json
import threading
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
import soundfile
from api_asking import TASK, question, spec, tone
from api_server import KEY, VERSION, StandIn, Trouble, serving, status, word_of

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import (
    Client,
    Reply,
    Turn,
    Unanswered,
    turns_of,
)
from cascade_equivalence.models.api.system import open_client
from cascade_equivalence.tasks.prompts import build_messages

PROVIDERS = ("gemini", "openai")


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # What would send the SDKs elsewhere, or with another key.
    for name in ("GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "another-key")
    for name in ("GOOGLE_GEMINI_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as stand_in:
        yield stand_in


def ask(client: Client, number: int = 0) -> Reply:
    return client.ask(turns_of(question(number)), 9)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_prompt_is_that_of_local_systems_with_the_audio_in_its_place(server: StandIn, provider: str) -> None:
    reply = ask(open_client(spec(server, provider), KEY), 3)
    (heard,) = server.heard
    asked = build_messages(TASK, "Be brief.", "<audio>", ())
    assert heard.turns == [(turn["role"], turn["content"]) for turn in asked]
    assert [role for role, _ in heard.turns] == ["system", "user", "assistant", "user"]
    samples, rate = soundfile.read(BytesIO(heard.wav), dtype="float32")
    assert rate == 16000 and np.abs(samples - tone(3)).max() <= 0.5 / 32768 + 1e-7
    assert reply.text == word_of(heard.wav)
    assert reply.usage and reply.usage.input_tokens > (reply.usage.audio_tokens or 0) > 0 < reply.usage.output_tokens


def test_gemini_is_asked_greedily_without_thoughts_and_filters(server: StandIn) -> None:
    reply = ask(open_client(spec(server), KEY))
    body = server.heard[0].body
    settings = dict(body["generationConfig"])
    assert settings.pop("thinkingConfig") in ({"thinkingBudget": 0}, {"thinking_budget": 0})
    assert settings == {"temperature": 0, "seed": 0, "candidateCount": 1, "maxOutputTokens": 9}
    assert {entry["threshold"] for entry in body["safetySettings"]} == {"OFF"} and len(body["safetySettings"]) == 4
    assert (reply.model_version, reply.finish_reason) == (VERSION, "STOP")


def test_what_a_gemini_model_may_not_know_is_not_sent(server: StandIn) -> None:
    bare = spec(server, thinking_budget=None, max_output_tokens=9, safety=None, seed=None)
    ask(open_client(bare, KEY))
    body = server.heard[0].body
    assert body["generationConfig"] == {"temperature": 0, "candidateCount": 1, "maxOutputTokens": 9}
    assert "safetySettings" not in body


def test_an_openai_endpoint_is_asked_greedily_and_told_what_its_server_takes(server: StandIn) -> None:
    reply = ask(open_client(spec(server, "openai", extra_body={"repetition_penalty": 1.0}), KEY))
    settings = {name: value for name, value in server.heard[0].body.items() if name not in ("messages", "model")}
    assert settings == {"temperature": 0, "seed": 0, "max_completion_tokens": 9, "repetition_penalty": 1.0}
    assert (reply.model_version, reply.finish_reason) == (f"{VERSION}/fp_1", "stop")
    ask(open_client(spec(server, "openai", max_output_field="max_tokens", seed=None), KEY))
    settings = {name: value for name, value in server.heard[1].body.items() if name not in ("messages", "model")}
    assert settings == {"temperature": 0, "max_tokens": 9}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_key_of_the_environment_goes_to_an_endpoint_that_needs_none(server: StandIn, provider: str) -> None:
    server.key = None
    ask(open_client(spec(server, provider, key_env=""), ""))
    assert "another-key" not in str(server.heard[0].headers)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("trouble", "reason", "retry_after", "charged"),
    [
        (status(429, Retry_After="7"), "HTTP 429", 7.0, False),
        (status(500), "HTTP 500: out of order", None, False),
        (status(502), "HTTP 502", None, False),
        (status(503, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"), "HTTP 503", 0.0, False),
        (status(504), "HTTP 504", None, False),
        (status(529), "HTTP 529", None, False),
        (status(408), "HTTP 408", None, False),
        (Trouble(503, {"Content-Type": "text/html"}, body=b"<html>busy</html>"), "HTTP 503", None, False),
        (Trouble(body=b'{"candidates": [{"content": {"par'), "no whole reply", None, True),
        (Trouble(cut=True), "no whole reply", None, True),
        (Trouble(body=b""), "reply", None, True),
        (Trouble(body=b"{}"), "reply", None, True),
        (Trouble(body=b"null"), "reply", None, True),
        (Trouble(body=b"[1]"), "reply", None, True),
        (Trouble(body=b'{"candidates": 3, "choices": 3}'), "reply", None, True),
        (Trouble(body=b'{"candidates": [], "choices": []}'), "reply", None, True),
        (Trouble(headers={"Content-Type": "text/html"}, body=b"<html>sign in</html>"), "reply", None, True),
    ],
)
def test_what_may_be_better_next_time_says_how_and_whether_it_may_be_charged(
    server: StandIn, provider: str, trouble: Trouble, reason: str, retry_after: float | None, charged: bool
) -> None:
    server.first(trouble)
    client = open_client(spec(server, provider), KEY)
    with pytest.raises(Unanswered, match=reason) as met:
        ask(client)
    assert (met.value.retry_after, met.value.perhaps_charged) == (retry_after, charged)
    # The SDKs, too, would ask again if they were let; and the same client is well afterwards.
    assert len(server.heard) == 1
    assert ask(client).text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_reply_that_does_not_come_in_time_may_be_charged_and_a_connection_that_was_not_made_is_not(
    server: StandIn, provider: str
) -> None:
    server.first(Trouble(hold=(late := threading.Event())))
    with pytest.raises(Unanswered, match="Timeout") as met:
        ask(open_client(spec(server, provider, timeout=0.2), KEY))
    late.set()
    assert met.value.perhaps_charged
    with pytest.raises(Unanswered, match="ConnectError") as met:
        ask(open_client(spec(server, provider, base_url="http://127.0.0.1:9/v1"), KEY))
    assert not met.value.perhaps_charged


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (status(400, "no such field"), r"HTTP 400: no such field\): check max_output_tokens"),
        (status(401, "who?"), "refuses the key in STAND_IN_KEY"),
        (status(402), "quota or credit"),
        (status(403, "not in your country"), "refuses the key in STAND_IN_KEY.*not in your country"),
        (status(404), "there is no such model"),
        (status(413), "too large"),
        (status(422, "bad"), "HTTP 422: bad"),
        (status(302, Location="http://127.0.0.1:9/"), "HTTP 302"),
        (status(501), "HTTP 501"),
    ],
)
def test_what_will_not_be_better_is_explained(server: StandIn, provider: str, trouble: Trouble, message: str) -> None:
    server.first(trouble)
    with pytest.raises(StudyError, match=message):
        ask(open_client(spec(server, provider), KEY))
    assert len(server.heard) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrong_key_is_refused_without_being_told(server: StandIn, provider: str) -> None:
    with pytest.raises(StudyError, match="STAND_IN_KEY") as met:
        ask(open_client(spec(server, provider), "sk-wrong"))
    assert "sk-wrong" not in str(met.value) and server.refused == 1
    # A provider may quote the key elsewhere, too, whole or starred out.
    server.first(status(403, f"{KEY} and sk-pl*****ab3 are not enough"), status(500, f"{KEY} broke us"))
    for kind in (StudyError, Unanswered):
        with pytest.raises(kind) as told:
            ask(open_client(spec(server, provider), KEY))
        assert KEY not in str(told.value) and "sk-pl" not in str(told.value)


def test_gemini_s_own_words_for_a_wrong_key_a_spent_day_and_a_pause(server: StandIn) -> None:
    info = "type.googleapis.com/google.rpc."
    wrong = {"code": 400, "message": "API key not valid.", "details": [{"@type": info, "reason": "API_KEY_INVALID"}]}
    day = {"@type": f"{info}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    pause = {"@type": f"{info}RetryInfo", "retryDelay": "34.5s"}
    minute = {"@type": f"{info}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}
    server.first(
        Trouble(400, error=wrong),
        Trouble(429, error={"code": 429, "message": "spent", "details": [day, pause]}),
        Trouble(429, {"Retry-After": "3"}, error={"code": 429, "message": "slow", "details": [minute, pause]}),
        Trouble(429, error={"code": 429, "message": "slow", "details": "none"}),
    )
    client = open_client(spec(server), KEY)
    with pytest.raises(StudyError, match="refuses the key in STAND_IN_KEY"):
        ask(client)
    with pytest.raises(StudyError, match="used up its quota"):
        ask(client)
    for expected in (34.5, None):
        with pytest.raises(Unanswered) as met:
            ask(client)
        assert met.value.retry_after == expected


def test_an_openai_account_without_credit_is_not_asked_again(server: StandIn) -> None:
    server.first(Trouble(429, error={"code": "insufficient_quota", "message": "check your plan"}))
    with pytest.raises(StudyError, match="quota or credit"):
        ask(open_client(spec(server, "openai"), KEY))


@pytest.mark.parametrize(
    ("provider", "trouble", "reason"),
    [
        ("gemini", Trouble(finish="safety", text=""), "SAFETY"),
        ("gemini", Trouble(block="PROHIBITED_CONTENT"), "BLOCKED_PROHIBITED_CONTENT"),
        ("openai", Trouble(finish="safety", text=""), "content_filter"),
        ("openai", Trouble(refusal="I cannot listen to that."), "refusal"),
        ("openai", Trouble(400, error={"code": "content_filter", "message": "filtered"}), "content_filter"),
    ],
)
def test_a_refusal_is_an_answer_without_text(server: StandIn, provider: str, trouble: Trouble, reason: str) -> None:
    server.first(trouble)
    reply = ask(open_client(spec(server, provider), KEY))
    assert (reply.text, reply.finish_reason) == ("", reason)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_that_are_not_counted_are_not_made_up(server: StandIn, provider: str) -> None:
    server.first(Trouble(usage=False))
    assert ask(open_client(spec(server, provider), KEY)).usage is None


def test_thoughts_are_counted_and_not_shown(server: StandIn) -> None:
    parts = [{"text": "Hmm.", "thought": True}, {"text": "posi"}, {"text": "tive"}]
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5}
    candidate = {"finishReason": "STOP", "content": {"role": "model", "parts": parts}}
    server.first(Trouble(body=json.dumps({"candidates": [candidate], "usageMetadata": counts}).encode()))
    reply = ask(open_client(spec(server), KEY))
    assert reply.text == "positive" and reply.usage
    assert (reply.usage.output_tokens, reply.usage.thought_tokens, reply.usage.audio_tokens) == (7, 5, None)


def test_a_clip_that_no_request_can_hold_is_not_sent(server: StandIn) -> None:
    client = open_client(spec(server), KEY)
    with pytest.raises(StudyError, match="too long"):
        client.ask([Turn("user", (bytes(16_000_000),))], 9)
    assert not server.heard


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "proxy",
    ["http://me:hunter22@host:80x", "me:hunter22@host:1:2", "ftp://me:hunter22@host", "http://me:hunter22@[::1"],
)
def test_a_proxy_that_is_none_is_told_without_its_password(
    server: StandIn, provider: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises((StudyError, Unanswered)) as refused:
        ask(open_client(spec(server, provider), KEY))
    assert "hunter22" not in str(refused.value)
    assert not server.heard
