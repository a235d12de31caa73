"""Tokens and money: what a call may take at most, and what it took."""

import math
from collections.abc import Mapping, Sequence

from cascade_equivalence.config.api import ApiPrices, ApiSpec
from cascade_equivalence.models.api.exchange import Usage
from cascade_equivalence.models.question import Question

CHARACTERS_A_TOKEN = 3
"""English has four to five characters a token; three keeps an estimate above what is charged."""

TOKENS_A_TURN = 8
"""For the marks around a turn of a conversation."""

_MILLION = 1_000_000


def output_limit(spec: ApiSpec, question: Question, max_new_tokens: int) -> int:
    """Longest answer to a question, in the provider's tokens.

    Args:
        spec: The system; its own limit goes first.
        question: What is asked. A local system is given the answer's first words, which this one has to say itself.
        max_new_tokens: The task's limit.
    """
    if spec.max_output_tokens is not None:
        return spec.max_output_tokens
    return max_new_tokens + text_tokens(question.answer_prefix)


def text_tokens(text: str) -> int:
    """Tokens of a text, at most."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)


def most(spec: ApiSpec, question: Question, max_output_tokens: int) -> Usage:
    """What asking a question takes at most: its audio at the provider's rate, its text, and the longest answer."""
    audio = math.ceil(question.audio.seconds * spec.audio_rate) if question.audio is not None else 0
    return Usage(conversation_tokens(question.messages) + audio, audio, max_output_tokens)


def conversation_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens of a conversation's text, at most."""
    return sum(text_tokens(message["content"]) + TOKENS_A_TURN for message in messages)


def price(usage: Usage, prices: ApiPrices | None, audio_tokens: int) -> float | None:
    """What a call costs.

    Args:
        usage: Its tokens.
        prices: What a million cost; None if nothing is said of it.
        audio_tokens: The audio's own, for a provider that does not tell them from the text's.

    Returns:
        Money in the currency of the prices; None without prices.
    """
    if prices is None:
        return None
    told = usage.audio_tokens if usage.audio_tokens is not None else audio_tokens
    audio = min(told, usage.input_tokens)
    text = usage.input_tokens - audio
    return (text * prices.input_text + audio * prices.input_audio + usage.output_tokens * prices.output) / _MILLION
