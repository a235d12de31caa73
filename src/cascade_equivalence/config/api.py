"""Services: systems behind an API, what they cost, and how much of them a study may use.

Models behind an endpoint (``config/endpoints.py``) are asked in the same terms.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from cascade_equivalence.config.base import Closed

GEMINI_URL = "https://generativelanguage.googleapis.com"
OPENAI_HOST = "api.openai.com"
_USUAL_KEY = {"gemini": "GEMINI_API_KEY", "openai": "OPENAI_API_KEY"}
_USUAL_HOST = {"gemini": urlsplit(GEMINI_URL).hostname, "openai": OPENAI_HOST}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AUDIO_RATE = {"gemini": 32.0, "openai": 10.0}
_OF_ONE = {
    "gemini": ("thinking_budget", "thinking_level", "safety"),
    "openai": ("max_output_field", "extra_body"),
}
# Fields that the client fills in itself; what stands in extra_body would win over it.
_OWN_FIELDS = ("model", "messages", "temperature", "seed", "max_tokens", "max_completion_tokens", "stream", "n")
# What is called or looks like a key. Special tokens of a tokenizer are called tokens, too.
_SECRET_NAME = re.compile(
    r"(^|_)(api|access|secret|private|auth|client|subscription|account|bearer)_?keys?$|^x?_?key$|(^|_)apikeys?$"
    r"|(?<!bos)(?<!eos)(?<!pad)(?<!unk)(?<!stop)(?<!end)(?<!start)(?<!special)_token$|^token$"
    r"|secret|passw|credential|authori[sz]ation|(^|_)bearer|cookie|(^|_)jwt"
)
_SECRET = re.compile(
    r"^\s*(bearer|basic)\s+\S|\b(sk|pk|rk|hf|gsk|xai|ghp|gho|glpat|r8|nvapi)[-_][A-Za-z0-9_-]{12,}|\bAIza[\w-]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}|-----BEGIN|//[^/\s:@]+:[^/\s@]+@",
    re.IGNORECASE,
)


class ApiPrices(Closed):
    """What a provider asks for a million tokens."""

    input_text: NonNegativeFloat = Field(description="A million input tokens of text.", allow_inf_nan=False)
    input_audio: NonNegativeFloat = Field(description="A million input tokens of audio.", allow_inf_nan=False)
    output: NonNegativeFloat = Field(description="A million output tokens, thoughts included.", allow_inf_nan=False)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="Currency, by its ISO 4217 code.")


ModelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w./:@-]*$", description="Model id, as the endpoint knows it.")]
KeyVariable = Annotated[
    str | None,
    Field(
        description="Name of the environment variable with the key, never the key itself; null takes GEMINI_API_KEY or "
        "OPENAI_API_KEY for the usual endpoints, and none for one on this machine; an empty name sends none."
    ),
]
Prices = Annotated[ApiPrices | None, Field(description="What it costs; null counts calls only.")]
Rate = Annotated[
    PositiveFloat | None,
    Field(allow_inf_nan=False, description="Most requests a minute, of all jobs together; null: no limit."),
]
TokenRate = Annotated[
    PositiveFloat | None,
    Field(allow_inf_nan=False, description="Most input tokens a minute, likewise; null: no limit."),
]
Concurrency = Annotated[PositiveInt, Field(le=64, description="Requests under way at once, in each job.")]
Patience = Annotated[PositiveFloat, Field(allow_inf_nan=False, description="Seconds to wait for an answer.")]
Attempts = Annotated[PositiveInt, Field(description="Requests for one answer before it is given up.")]
LongestAnswer = Annotated[
    PositiveInt | None,
    Field(
        description="Longest answer, in the provider's tokens; null is the task's own, with room for its "
        "answer_prefix, which no API can be made to begin with."
    ),
]
LimitField = Annotated[
    Literal["max_completion_tokens", "max_tokens"],
    Field(description="What an `openai` endpoint calls that limit."),
]
Seed = Annotated[NonNegativeInt | None, Field(description="Seed of the request; null where one is refused.")]
FurtherFields = Annotated[
    dict[str, JsonValue],
    Field(
        description="Further fields of the request to an `openai` endpoint, such as repetition_penalty: 1.0, where its "
        "server would take defaults from the checkpoint."
    ),
]
AudioRate = Annotated[
    PositiveFloat | None,
    Field(
        allow_inf_nan=False,
        description="Input tokens of a second of audio, for estimates; null is 32 (gemini) or 10 (openai).",
    ),
]


class ApiBudget(Closed):
    """The most that all services of a study together may use, in all its runs."""

    calls: PositiveInt | None = Field(
        default=None, description="Calls that were, or may have been, charged; null sets no limit."
    )
    money: PositiveFloat | None = Field(
        default=None, allow_inf_nan=False, description="Money, in the currency of the prices; null sets no limit."
    )


class ApiConfig(Closed):
    """How the API systems of a study are used."""

    budget: ApiBudget = Field(
        default=ApiBudget(), description="The most that all API systems together may use, in all runs of the study."
    )
    offline: bool = Field(
        default=False,
        description="Take answers from the store only and ask nobody; CASCADE_EQUIVALENCE_OFFLINE=1 does the same.",
    )


class ApiSpec(Closed):
    """A speech LLM behind an API, which answers from the audio."""

    kind: Literal["api"] = Field(description="A speech LLM behind an API; it hears the audio itself.")
    provider: Literal["gemini", "openai"] = Field(
        description="`gemini` (the Gemini API), or `openai` (any endpoint with OpenAI's chat completions and "
        "`input_audio` parts)."
    )
    model: ModelId
    base_url: str | None = Field(
        default=None, description="The endpoint, such as https://api.openai.com/v1; null is Google's own, for `gemini`."
    )
    key_env: KeyVariable = None
    prices: Prices = None
    requests_per_minute: Rate = None
    tokens_per_minute: TokenRate = None
    concurrency: Concurrency = 4
    timeout: Patience = 120.0
    attempts: Attempts = 6
    max_output_tokens: LongestAnswer = None
    max_output_field: LimitField = "max_completion_tokens"
    thinking_budget: NonNegativeInt | None = Field(
        default=0,
        description="Tokens that a Gemini model may think for: 0 is off (some models refuse it), null leaves it to the "
        "model. Where a model thinks, set max_output_tokens: thoughts count.",
    )
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = Field(
        default=None, description="The same for Gemini models that take a level; set thinking_budget to null then."
    )
    safety: Literal["OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE"] | None = (
        Field(default="OFF", description="Threshold of Gemini's four safety filters; null leaves it to the provider.")
    )
    seed: Seed = 0
    extra_body: FurtherFields = Field(default={})
    audio_tokens_per_second: AudioRate = None

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return (self.base_url or GEMINI_URL).rstrip("/")

    @property
    def key_variable(self) -> str:
        """The environment variable with the key; empty if no key is sent."""
        if self.key_env is not None:
            return self.key_env
        return "" if self.provider == "openai" and is_loopback(self.endpoint) else _USUAL_KEY[self.provider]

    @property
    def audio_rate(self) -> float:
        """Input tokens of a second of audio."""
        return self.audio_tokens_per_second or _AUDIO_RATE[self.provider]

    @property
    def currency(self) -> str | None:
        """Currency of the prices, if there are any."""
        return self.prices.currency if self.prices else None

    def identity(self) -> dict[str, Any]:
        """What of it decides an answer: part of a record's key, and what a node depends on.

        Limits, time-outs, prices and the key's name are not among it.
        """
        return {
            "provider": self.provider,
            "model": self.model,
            "endpoint": self.endpoint,
            "temperature": 0,
            **self.model_dump(mode="json", include={"seed", "max_output_tokens", *_OF_ONE[self.provider]}),
        }


def api_problems(
    services: Mapping[str, ApiSpec], answering: Sequence[str], config: ApiConfig, mode: str
) -> Iterator[str]:
    """Say what is wrong with the services of a study; one line a problem.

    What a user may have mistaken for the place of a key is never repeated.

    Args:
        services: All that is asked of the study, by where it stands in the config.
        answering: The systems that a service answers for.
        config: How services are used.
        mode: How systems answer, of the study's section `answer`.
    """
    for key, spec in services.items():
        yield from (f"{key}.{problem}" for problem in (*_place_problems(spec), *_setting_problems(spec)))
        if config.budget.money is not None and spec.prices is None:
            yield f"{key}.prices: api.budget.money is set, so say what a million tokens cost"
    if answering and mode != "generate":
        yield (
            f"answer.mode: {mode} needs the likelihood of every candidate, which no API tells; set it to generate, or "
            f"leave out {', '.join(answering)}"
        )
    currencies = {spec.currency for spec in services.values() if spec.currency}
    if len(currencies) > 1:
        yield f"systems: prices are in {' and '.join(sorted(currencies))}; one budget needs one currency"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _place_problems(spec: ApiSpec) -> Iterator[str]:
    """What is wrong with where requests go and which key they carry."""
    if spec.key_env and not _VARIABLE.fullmatch(spec.key_env):
        yield (
            "key_env: this is no name of an environment variable such as OPENAI_API_KEY. Never write a key here: put "
            "it in the environment, and revoke it if it stood in a file that others see"
        )
    if spec.base_url is None:
        if spec.provider == "openai":
            yield "base_url: missing; give the endpoint, such as https://api.openai.com/v1"
        return
    try:
        url = urlsplit(spec.base_url)
        host, user, _ = url.hostname, url.username or url.password, url.port
    except ValueError:
        url, host, user = urlsplit(""), None, None
    if url.scheme not in ("http", "https") or not host or user or url.query or url.fragment:
        yield "base_url: give scheme, host and path only, such as https://api.openai.com/v1"
        return
    if spec.key_env is None and spec.key_variable and host != _USUAL_HOST[spec.provider]:
        yield (
            f"key_env: {host} is not {_USUAL_HOST[spec.provider]}, so name the environment variable with this "
            "endpoint's own key, or set it to '' if it needs none"
        )
    elif spec.key_variable and url.scheme == "http" and host not in _LOOPBACK:
        yield f"base_url: the key in {spec.key_variable} would cross the network unencrypted; use https"


def _setting_problems(spec: ApiSpec) -> Iterator[str]:
    for provider, names in _OF_ONE.items():
        if provider != spec.provider:
            # By their values: a config that was resolved gives every key.
            changed = [name for name in names if getattr(spec, name) != type(spec).model_fields[name].default]
            yield from (f"{name}: only for provider {provider}" for name in changed)
    if taken := sorted(set(spec.extra_body) & set(_OWN_FIELDS)):
        yield f"extra_body: {', '.join(taken)} cannot be set here"
    for path in sorted(_secrets(spec.extra_body)):
        yield (
            f"extra_body.{path}: this looks like a secret, and all of extra_body is written into records and reports. "
            "Put it in the environment variable that key_env names, and revoke it if it stood in a file that others see"
        )
    if spec.provider != "gemini":
        return
    if spec.thinking_level is not None and spec.thinking_budget is not None:
        yield "thinking_level: a model takes a level or a budget; set thinking_budget to null"
    elif (spec.thinking_level is not None or spec.thinking_budget != 0) and spec.max_output_tokens is None:
        yield "max_output_tokens: thoughts count as output, so set it to what thoughts and answer need together"


def _secrets(value: JsonValue, path: str = "") -> Iterator[str]:
    """Where in a request's fields something stands that looks like a secret, by its name or by itself."""
    if isinstance(value, dict):
        for name, each in value.items():
            here = f"{path}.{name}".lstrip(".")
            if isinstance(each, str | list | dict) and each and _SECRET_NAME.search(_words(name)):
                yield here
            else:
                yield from _secrets(each, here)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _secrets(each, f"{path}.{number}")
    elif isinstance(value, str) and _SECRET.search(value):
        yield path


def _words(name: str) -> str:
    """A name's words in lower case, joined by `_`: `apiKey` and `api-key` are one."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
