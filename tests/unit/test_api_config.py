"""Systems behind an API, as a user writes them: what is refused, and what of them decides an answer."""

from typing import Any

import pytest
from pydantic import ValidationError

from cascade_equivalence.config.api import ApiConfig, ApiSpec, api_problems

PRICES = {"input_text": 0.3, "input_audio": 1.0, "output": 2.5}
GEMINI = {"kind": "api", "provider": "gemini", "model": "gemini-2.5-flash"}
OPENAI = {"kind": "api", "provider": "openai", "model": "gpt-audio", "base_url": "https://api.openai.com/v1"}
LOCAL = {**OPENAI, "base_url": "http://127.0.0.1:8000/v1", "key_env": ""}
SECRET = "sk-proj-Zq81xWm"


def spec(base: dict[str, Any], **changes: Any) -> ApiSpec:
    return ApiSpec.model_validate(base | changes)


def problems(*specs: ApiSpec, config: dict[str, Any] | None = None, mode: str = "generate") -> list[str]:
    named = {f"s{number}": one for number, one in enumerate(specs)}
    keys = {f"systems.{name}": one for name, one in named.items()}
    return list(api_problems(keys, list(named), ApiConfig.model_validate(config or {}), mode))


@pytest.mark.parametrize("base", [GEMINI, OPENAI, LOCAL])
def test_the_usual_systems_are_valid(base: dict[str, Any]) -> None:
    assert not problems(spec(base), config={"budget": {"calls": 9}})
    assert not problems(spec(base, prices=PRICES), config={"budget": {"money": 9}})


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (OPENAI, {"base_url": None}, "systems.s0.base_url: missing"),
        (OPENAI, {"base_url": "api.openai.com/v1"}, "systems.s0.base_url: give scheme"),
        (OPENAI, {"base_url": f"https://user:{SECRET}@api.openai.com/v1"}, "systems.s0.base_url: give scheme"),
        (OPENAI, {"base_url": f"https://api.openai.com/v1?key={SECRET}"}, "systems.s0.base_url: give scheme"),
        (OPENAI, {"base_url": "https://[bad/v1"}, "systems.s0.base_url: give scheme"),
        (OPENAI, {"base_url": "https://host:99999/v1"}, "systems.s0.base_url: give scheme"),
        (OPENAI, {"base_url": "ftp://api.openai.com/v1"}, "systems.s0.base_url: give scheme"),
        # A key of one provider never goes to another by default.
        (OPENAI, {"base_url": "https://elsewhere.org/v1"}, "systems.s0.key_env: elsewhere.org is not api.openai.com"),
        (GEMINI, {"base_url": "https://elsewhere.org"}, "systems.s0.key_env: elsewhere.org is not"),
        (OPENAI, {"base_url": "http://node7:8000/v1", "key_env": "K"}, "the key in K would cross the network"),
        (OPENAI, {"base_url": "http://api.openai.com/v1"}, "would cross the network unencrypted"),
        (OPENAI, {"key_env": SECRET}, "systems.s0.key_env: this is no name"),
        (GEMINI, {"key_env": SECRET}, "Never write a key here"),
        (GEMINI, {"extra_body": {"top_k": 1}}, "extra_body: only for provider openai"),
        (GEMINI, {"max_output_field": "max_tokens"}, "max_output_field: only for provider openai"),
        (OPENAI, {"thinking_budget": 128}, "thinking_budget: only for provider gemini"),
        (OPENAI, {"safety": None}, "safety: only for provider gemini"),
        (OPENAI, {"extra_body": {"temperature": 1, "top_k": 1}}, "extra_body: temperature cannot be set"),
        (OPENAI, {"extra_body": {"api_key": SECRET}}, "extra_body.api_key: this looks like a secret"),
        (OPENAI, {"extra_body": {"metadata": {"apiKey": SECRET}}}, "extra_body.metadata.apiKey: this looks"),
        (OPENAI, {"extra_body": {"user": [SECRET]}}, "extra_body.user.0: this looks like a secret"),
        (OPENAI, {"extra_body": {"extra_headers": {"Authorization": "x"}}}, "extra_headers.Authorization: this looks"),
        (OPENAI, {"extra_body": {"note": f"Bearer {SECRET}"}}, "extra_body.note: this looks like a secret"),
        (OPENAI, {"extra_body": {"hub_token": "hf_abc"}}, "extra_body.hub_token: this looks like a secret"),
        (OPENAI, {"extra_body": {"db": "http://me:word@host/x"}}, "extra_body.db: this looks like a secret"),
        (GEMINI, {"thinking_budget": 128}, "max_output_tokens: thoughts count"),
        (GEMINI, {"thinking_budget": None}, "max_output_tokens: thoughts count"),
        (GEMINI, {"thinking_level": "low"}, "thinking_level: a model takes a level or a budget"),
    ],
)
def test_what_cannot_work_or_would_tell_a_key_is_refused(
    base: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    found = problems(spec(base, **changes))
    assert len(found) == 1 and message in found[0]
    assert SECRET not in found[0]


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (OPENAI, {"base_url": "https://elsewhere.org/v1", "key_env": "ELSEWHERE_KEY"}),
        (OPENAI, {"base_url": "http://node7:8000/v1", "key_env": ""}),
        (OPENAI, {"base_url": "http://localhost:8000/v1", "key_env": "K"}),
        (OPENAI, {"extra_body": {"repetition_penalty": 1.0, "top_k": 1}}),
        (OPENAI, {"extra_body": {"stop_token_ids": [1], "eos_token": "</s>", "min_tokens": 1, "stop": ["A"]}}),
        (OPENAI, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}, "skip_special_tokens": True}}),
        (OPENAI, {"extra_body": {"prompt_cache_key": "study-1", "logit_bias": {"50256": -100}, "top_logprobs": 1}}),
        (GEMINI, {"thinking_budget": 128, "max_output_tokens": 256}),
        (GEMINI, {"thinking_budget": None, "thinking_level": "low", "max_output_tokens": 256}),
    ],
)
def test_what_says_what_it_means_is_valid(base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert not problems(spec(base, **changes))


def test_a_key_has_no_place_in_a_config() -> None:
    for name in ("key", "api_key", "token"):
        with pytest.raises(ValidationError, match="Extra inputs"):
            spec(OPENAI, **{name: SECRET})


def test_money_needs_prices_in_one_currency() -> None:
    priced, euro = spec(GEMINI, prices=PRICES), spec(GEMINI, prices=PRICES | {"currency": "EUR"})
    budget = {"budget": {"money": 5}}
    (unpriced,) = problems(priced, spec(OPENAI), config=budget)
    assert unpriced.startswith("systems.s1.prices: ") and "api.budget.money" in unpriced
    (mixed,) = problems(priced, euro)
    assert mixed.startswith("systems: ") and "EUR" in mixed and "USD" in mixed
    for wrong in ({"budget": {"money": 0}}, {"budget": {"money": float("inf")}}, {"budget": {"calls": 0}}):
        with pytest.raises(ValidationError):
            ApiConfig.model_validate(wrong)


def test_likelihoods_are_not_to_be_had() -> None:
    (line,) = problems(spec(GEMINI), mode="forced_choice")
    assert line.startswith("answer.mode: forced_choice") and "s0" in line
    assert not problems(mode="forced_choice")


def test_the_key_is_the_endpoint_s_own() -> None:
    assert spec(GEMINI).key_variable == "GEMINI_API_KEY" and spec(OPENAI).key_variable == "OPENAI_API_KEY"
    assert spec(OPENAI, key_env="OTHER").key_variable == "OTHER" and spec(LOCAL).key_variable == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"key_env": "OTHER"},
        {"prices": PRICES},
        {"requests_per_minute": 10, "tokens_per_minute": 10},
        {"concurrency": 9, "timeout": 9, "attempts": 9, "audio_tokens_per_second": 9},
    ],
)
@pytest.mark.parametrize("base", [GEMINI, OPENAI])
def test_how_fast_and_how_dear_it_is_decides_no_answer(base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert spec(base, **changes).identity() == spec(base).identity()


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (GEMINI, {"model": "gemini-2.5-pro"}),
        (GEMINI, {"thinking_budget": None}),
        (GEMINI, {"thinking_level": "low"}),
        (GEMINI, {"safety": None}),
        (GEMINI, {"seed": 1}),
        (GEMINI, {"base_url": "https://elsewhere.org"}),
        (GEMINI, {"max_output_tokens": 9}),
        (OPENAI, {"extra_body": {"top_k": 1}}),
        (OPENAI, {"max_output_field": "max_tokens"}),
        (OPENAI, {"base_url": "https://elsewhere.org/v1"}),
    ],
)
def test_what_is_sent_decides_an_answer(base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert spec(base, **changes).identity() != spec(base).identity()


def test_a_slash_at_the_end_is_no_other_endpoint() -> None:
    assert spec(OPENAI, base_url="https://api.openai.com/v1/").identity() == spec(OPENAI).identity()
