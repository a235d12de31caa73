"""Models behind an endpoint: a text LLM or a recogniser that others run, asked over OpenAI's protocol."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, NonNegativeFloat, Tag

from cascade_equivalence.config.api import (
    ApiPrices,
    ApiSpec,
    Attempts,
    AudioRate,
    Concurrency,
    FurtherFields,
    KeyVariable,
    LimitField,
    LongestAnswer,
    ModelId,
    Patience,
    Rate,
    Seed,
    TokenRate,
)
from cascade_equivalence.config.base import Closed

LONGEST_TRANSCRIPT = 448
"""Tokens of a transcript at most, for the price of a call: what Whisper's decoder holds."""
TOKENS_A_SECOND = 10.0
"""In which a price by the minute is counted: a tenth of a second is the smallest step."""
_MILLION, _MINUTE = 1_000_000, 60
# Fields of a request for a transcript that the client fills in itself.
_OWN_FIELDS = ("file", "language", "response_format", "timestamp_granularities")


class MinutePrice(Closed):
    """What a transcription service asks for, where it charges by the minute."""

    audio_minute: NonNegativeFloat = Field(description="A minute of audio.", allow_inf_nan=False)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="Currency, by its ISO 4217 code.")

    def by_token(self) -> ApiPrices:
        """The same a million tokens, at ``TOKENS_A_SECOND``."""
        million = self.audio_minute / _MINUTE / TOKENS_A_SECOND * _MILLION
        return ApiPrices(input_text=0, input_audio=million, output=0, currency=self.currency)


def _charging(value: Any) -> str:
    """How a service charges, by the keys of what a user gives."""
    minute = isinstance(value, MinutePrice) or (isinstance(value, dict) and "audio_minute" in value)
    return "minute" if minute else "tokens"


AnyPrice = Annotated[
    Annotated[ApiPrices, Tag("tokens")] | Annotated[MinutePrice, Tag("minute")], Discriminator(_charging)
]


class EndpointSource(Closed):
    """A server or a service that runs the model, in the place of weights."""

    kind: Literal["endpoint"] = Field(
        description="An endpoint with OpenAI's protocol: `/chat/completions` of a text LLM, `/audio/transcriptions` of "
        "a recogniser."
    )
    base_url: str = Field(description="The endpoint up to and with `/v1`, such as http://localhost:8000/v1.")
    model: ModelId
    key_env: KeyVariable = None
    prices: Annotated[
        AnyPrice | None,
        Field(description="What it costs, a million tokens or (of a recogniser) a minute; null counts calls only."),
    ] = None
    requests_per_minute: Rate = None
    tokens_per_minute: TokenRate = None
    concurrency: Concurrency = 4
    timeout: Patience = 120.0
    attempts: Attempts = 6
    max_output_tokens: LongestAnswer = None
    max_output_field: LimitField = "max_completion_tokens"
    seed: Seed = 0
    language: str | None = Field(
        default="en",
        pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$",
        description="Of a recogniser: the language that is spoken, by its ISO 639 code; null sends none.",
    )
    extra_body: FurtherFields = Field(default={})
    audio_tokens_per_second: AudioRate = None

    def asked_as(self, role: str) -> ApiSpec:
        """What the client of a service takes.

        Args:
            role: ``llm`` or ``asr``. Of a recogniser the language is one of the fields of the request.
        """
        same = self.model_dump(include=set(type(self).model_fields) & set(ApiSpec.model_fields) - {"kind", "prices"})
        priced = isinstance(self.prices, MinutePrice)
        prices = self.prices.by_token() if isinstance(self.prices, MinutePrice) else self.prices
        if role == "asr":
            language = {} if self.language is None else {"language": self.language}
            same |= {
                "extra_body": {**self.extra_body, **language},
                "max_output_tokens": self.max_output_tokens or LONGEST_TRANSCRIPT,
                "audio_tokens_per_second": TOKENS_A_SECOND if priced else self.audio_tokens_per_second,
            }
        return ApiSpec(kind="api", provider="openai", prices=prices, **same)

    def problems(self, role: str) -> Iterator[str]:
        """What of it does not go with a model's role, beside what is wrong with any service; one line a problem."""
        if role == "speech-llm":
            yield "kind: a speech LLM behind an endpoint is a system of kind api; name it under `systems`"
        if role != "asr":
            if isinstance(self.prices, MinutePrice):
                yield "prices: only recognisers are paid by the minute; give input_text, input_audio and output"
            if self.language != type(self).model_fields["language"].default:
                yield "language: only recognisers are told it; leave it out"
        elif taken := sorted(set(self.extra_body) & set(_OWN_FIELDS)):
            yield f"extra_body: {', '.join(taken)} cannot be set here"
