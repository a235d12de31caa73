"""Requests and replies of an API in a form that no provider owns, and what clients of providers have to offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import Question, sound_of
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role: `system`, `user` or `assistant`; the system's turn, if there is one, comes first.
        parts: Text, and audio as the bytes of a WAV file, in their order; of what is to be transcribed the audio alone.
    """

    role: str
    parts: tuple[str | bytes, ...]


@dataclass(frozen=True)
class Usage:
    """Tokens that a call took, as the provider counts them.

    Attributes:
        input_tokens: Of the input, its audio included.
        audio_tokens: Of these the audio's; None if the provider does not tell them apart.
        output_tokens: Of the output, thoughts included.
        thought_tokens: Of these the thoughts'.
    """

    input_tokens: int
    audio_tokens: int | None
    output_tokens: int
    thought_tokens: int = 0


@dataclass(frozen=True)
class Reply:
    """What a provider answered. A refusal is an answer, too: no text, and the reason.

    Attributes:
        text: The answer as it came; empty after a refusal.
        finish_reason: Why it ended, in the provider's words.
        model_version: What the provider says answered; None if it does not say.
        response_id: The provider's name for the answer, for questions to its support.
        usage: Tokens; None if the provider does not count them.
    """

    text: str
    finish_reason: str
    model_version: str | None
    response_id: str | None
    usage: Usage | None


MOST_TOKENS = 10_000_000
"""No model takes or makes so many in one call."""

CUT_SHORT = ("length", "max_tokens")
# Ends of an answer, in lower case, that give no reason for having no text; any other end does, such as a filter's name.
_NO_REASON = (
    *(*CUT_SHORT, "stop", "unknown", "no_candidates", "finish_reason_unspecified", "tool_calls", "function_call"),
    *("malformed_function_call", "unexpected_tool_call"),
)


def usage_of(given: object, audio: object, made: object, thoughts: object) -> Usage | None:
    """Tokens as a provider counts them.

    Args:
        given: Of the input.
        audio: Of these the audio's; None if they are not told apart.
        made: Of the output, thoughts included.
        thoughts: Of these the thoughts'; None if there are none.

    Returns:
        The counts; None where one is no number of tokens, so that nobody pays, or is paid, by it.
    """
    try:
        return Usage(
            _count(given),
            None if audio is None else _count(audio),
            _count(made),
            0 if thoughts is None else _count(thoughts),
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    count = int(value)
    if not 0 <= count <= MOST_TOKENS or (isinstance(value, float) and value != count):
        raise ValueError
    return count


def answered(reply: "Reply") -> "Reply":
    """A reply that is an answer: it has text, or says why it has none.

    Raises:
        Unanswered: It has neither; nothing of it is worth keeping.
    """
    reason = reply.finish_reason.lower()
    if reply.text.strip() or reason not in _NO_REASON:
        return reply
    cut = reason in CUT_SHORT
    said = f"a reply without text ({reply.finish_reason})" + (
        ": max_output_tokens was used up before the first word, so raise it" if cut else ""
    )
    ended = reply if reason == "stop" else None
    raise Unanswered(said, perhaps_charged=True, usage=reply.usage, lasting=cut, empty=ended)


class Unanswered(Exception):
    """No answer came this time, and asking again may help.

    Attributes:
        reason: What happened, without anything secret.
        retry_after: Seconds the provider wants to be left alone; None if it does not say.
        perhaps_charged: Whether the provider may have computed, and charged, an answer that did not arrive.
        usage: Tokens of what did arrive, where the provider counts them.
        lasting: Whether the same would come again: the question is left for another run, with other settings.
        empty: The reply, where the model ended it by itself before the first word.
        unreached: Whether the request cannot have reached anybody.
        attempts: Requests that were made, once they are known.
    """

    def __init__(
        self,
        reason: str,
        retry_after: float | None = None,
        perhaps_charged: bool = False,
        *,
        usage: Usage | None = None,
        lasting: bool = False,
        empty: Reply | None = None,
        unreached: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.perhaps_charged = perhaps_charged
        self.usage = usage
        self.lasting = lasting
        self.empty = empty
        self.unreached = unreached
        self.attempts = 0


class Client(Protocol):
    """Asks one provider; threads may share it."""

    def ask(self, turns: Sequence[Turn], max_output_tokens: int) -> Reply:
        """Send one request, once.

        Args:
            turns: The conversation, its last turn the user's.
            max_output_tokens: Longest answer, in the provider's tokens.

        Raises:
            Unanswered: Asking again may help.
            StudyError: Asking again would not.
        """

    def close(self) -> None:
        """Let go of connections."""


def turns_of(question: Question) -> list[Turn]:
    """A question's conversation with its audio, if it is heard, in the place of the placeholder.

    The text around it stays as it is; a piece that is only white space is left out, as some providers refuse it. The
    answer prefix is not sent: no API can be made to begin an answer with given words. A question without words
    is a clip to transcribe.

    Raises:
        StudyError: The question is about sound, and the last turn does not hold the placeholder once.
    """
    if question.audio is None:
        return [Turn(message["role"], (message["content"],)) for message in question.messages]
    if not question.messages:
        return [Turn("user", (encode_wav(sound_of(question).decode()),))]
    turns = [Turn(message["role"], (message["content"],)) for message in question.messages[:-1]]
    before, *rest = question.messages[-1]["content"].split(AUDIO_PLACEHOLDER)
    if len(rest) != 1:
        raise StudyError(
            f"an API system hears the audio where `{AUDIO_PLACEHOLDER}` stands, and the question holds it "
            f"{len(rest)} times: take it out of the item's options"
        )
    wav = encode_wav(sound_of(question).decode())
    parts: tuple[str | bytes, ...] = (before, wav, rest[0])
    turns.append(Turn("user", tuple(part for part in parts if part.strip())))
    return turns


def encode_wav(audio: np.ndarray) -> bytes:
    """Encode a waveform (16 kHz, float32, shape (n,)) as 16-bit mono WAV; equal samples give equal bytes."""
    import soundfile

    from cascade_equivalence.speech.waveform import SAMPLING_RATE, to_steps

    file = BytesIO()
    soundfile.write(file, to_steps(audio), SAMPLING_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def without_prefix(text: str, prefix: str) -> str:
    """An answer without outer space, and without the words that local systems have forced on them.

    A local system's answer continues its task's answer prefix. An API's model sees that prefix in the examples only
    and may repeat it; then the rest is what compares with the others.
    """
    text, words = text.strip(), prefix.strip().rstrip(":")
    rest = text[len(words) :]
    if not words or text[: len(words)].casefold() != words.casefold() or rest[:1].isalnum():
        return text
    return rest.lstrip(" \t:")
