"""`StoredAnswer`: an API's answer as it is kept, with its model version, tokens and cost."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.costs import most, output_limit, text_tokens
from cascade_equivalence.models.api.exchange import Usage, without_prefix
from cascade_equivalence.models.question import Answer, Question
from cascade_equivalence.models.store import UNANSWERED, key_of, read_line

API_FORMAT = 1
"""Raised when the same question and settings would be asked in another way."""


def question_key(spec: ApiSpec, question: Question, max_new_tokens: int) -> str:
    """Key of a question's record: provider, model, prompt, audio (if it is heard) and settings.

    Of a transcript there is no prompt.

    The answer prefix is not part of it: it is not sent. What it adds to the longest answer is.
    """
    limit = output_limit(spec, question, max_new_tokens)
    asked: dict[str, Any] = {"messages": [dict(turn) for turn in question.messages]}
    if question.audio is not None:
        asked["audio"] = question.audio.sha256
    settings = spec.identity() | {"max_output_tokens": limit}
    return key_of({"kind": "api answer", "format": API_FORMAT, "decoding": "greedy", **settings, **asked})


def prompt_hash(question: Question) -> str:
    """SHA-256 of the conversation as it is sent, with the placeholder where the audio stands."""
    turns = [dict(turn) for turn in question.messages]
    return hashlib.sha256(json.dumps(turns, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class StoredAnswer:
    """One answer, as it is kept.

    Attributes:
        text: What the provider answered, untouched; empty if it refused.
        finish_reason: Why the answer ended, in the provider's words.
        model: The model that was asked.
        model_version: What the provider says answered.
        response_id: The provider's name for the answer.
        usage: Tokens; None if the provider does not count them.
        cost: Money; None without prices.
        currency: Of the cost.
        seconds: From the request to the answer, the last attempt alone.
        attempts: Requests it took.
        time: When it was answered (UTC).
        unforced_prefix: Words that local systems' answers begin with and this one's could not be made to.
    """

    text: str
    finish_reason: str
    model: str
    model_version: str | None
    response_id: str | None
    usage: Usage | None
    cost: float | None
    currency: str | None
    seconds: float
    attempts: int
    time: str
    unforced_prefix: str

    def to_json(self) -> dict[str, Any]:
        """Its value in the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The record of a value in the store."""
        usage = value["usage"]
        return cls(**{**value, "usage": None if usage is None else Usage(**usage)})

    def answer(self, spec: ApiSpec, question: Question, max_new_tokens: int) -> Answer:
        """What every system's answer consists of; tokens that the provider did not count are estimated."""
        limit = output_limit(spec, question, max_new_tokens)
        usage = self.usage or Usage(most(spec, question, limit).input_tokens, None, text_tokens(self.text))
        return Answer(
            text=without_prefix(self.text, question.answer_prefix),
            prompt_sha256=prompt_hash(question),
            prompt_tokens=usage.input_tokens,
            new_tokens=usage.output_tokens,
            seconds=self.seconds,
            scores={},
        )


def read_store(path: Path) -> dict[str, Any]:
    """Records of a store that may be in use: values by key, none if there is no such file.

    The last line may be half written; it is left out, and the file is not touched.

    Raises:
        StudyError: A line in the middle is damaged.
    """
    return dict(reversed(list(_lines(path))))


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Keys and values in the order of the file. Of a key that is there twice the first counts, as in the store."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            yield read_line(line)
        except (ValueError, RecursionError) as error:
            raise StudyError(
                f"{path}, line {number}, is damaged: remove that line to ask for its answer again"
            ) from error


def version_changes(folder: Path) -> list[str]:
    """Say where a provider changed what answers under a model's name, in the midst of a study.

    Args:
        folder: Stores of one system, in any sub-folders.

    Returns:
        A sentence for each model that was asked and answered in more than one version.
    """
    seen: dict[str, dict[str, list[str]]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        if not path.name.endswith(UNANSWERED):
            for value in read_store(path).values():
                if value["model_version"] is not None:
                    times = seen.setdefault(value["model"], {}).setdefault(value["model_version"], [])
                    times.append(value["time"])
    sentences = []
    for model, versions in sorted(seen.items()):
        if len(versions) > 1:
            in_turn = sorted(versions.items(), key=lambda entry: min(entry[1]))
            told = ", ".join(
                f"{version} ({len(times)} answers, {min(times)} to {max(times)})" for version, times in in_turn
            )
            sentences.append(f"{model} answered in {len(versions)} versions: {told}.")
    return sentences
