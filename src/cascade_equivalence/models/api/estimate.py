"""What a study's API systems will ask and cost at most, before anything is asked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_equivalence.config.api import ApiBudget, ApiSpec
from cascade_equivalence.models.api.costs import conversation_tokens, most, output_limit, price
from cascade_equivalence.models.api.exchange import Usage
from cascade_equivalence.models.api.records import question_key, read_store
from cascade_equivalence.models.question import Question

WORDS_A_SECOND = 2.0
"""A slow reader; for clips that are not spoken yet."""


@dataclass(frozen=True)
class Part:
    """What one system is going to ask of one task in one condition, all voices.

    Attributes:
        system: Who is asked.
        task: The task.
        condition: What the audio went through.
        questions: Questions in all.
        calls: Those whose answers are not in the store.
        audio_seconds: Their audio.
        input_tokens: Their input at most, audio included.
        audio_tokens: Of these the audio's.
        output_tokens: Their output at most.
        money: What they cost at most; None without prices.
        currency: Of the money.
        measured: Whether the clips exist, and their lengths are not guessed from the texts.
    """

    system: str
    task: str
    condition: str
    questions: int
    calls: int
    audio_seconds: float
    input_tokens: int
    audio_tokens: int
    output_tokens: int
    money: float | None
    currency: str | None
    measured: bool


@dataclass(frozen=True)
class ApiEstimate:
    """What a study is going to ask, from what its stores have and lack.

    Attributes:
        parts: One a system, task and condition.
        budget: What it may use.
        used: Calls and money that earlier runs used, from the ledger.
    """

    parts: tuple[Part, ...]
    budget: ApiBudget
    used: tuple[int, float]

    @property
    def calls(self) -> int:
        """Calls that are left to make, those that have to be repeated aside."""
        return sum(part.calls for part in self.parts)

    @property
    def money(self) -> float | None:
        """What they cost at most; None if a system with calls to make has no prices."""
        costs = [part.money for part in self.parts if part.calls]
        return None if any(cost is None for cost in costs) else sum(cost for cost in costs if cost is not None)

    @property
    def asking(self) -> list[str]:
        """Systems that have calls to make: those that need their key."""
        return list(dict.fromkeys(part.system for part in self.parts if part.calls))

    def problems(self) -> list[str]:
        """Say where the budget will not do; one line a limit."""
        lines = []
        calls, money = self.used
        if self.budget.calls is not None and calls + self.calls > self.budget.calls:
            lines.append(
                f"api.budget.calls is {self.budget.calls}; {calls} calls are used and {self.calls} are left to make"
            )
        if self.budget.money is not None and self.money is not None and money + self.money > self.budget.money:
            lines.append(
                f"api.budget.money is {self.budget.money:g}; {_amount(money)} are used and what is left may "
                f"cost {_amount(self.money)}"
            )
        return lines

    def text(self) -> str:
        """The estimate as a table in plain text, with what the budget allows."""
        heads = ("system", "task", "condition", "questions", "stored", "calls", "audio", "tokens in", "out", "at most")
        rows = [heads, *(_row(part) for part in self.parts), self._total()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        lines = [_aligned(row, widths) for row in rows]
        guessed = [] if all(part.measured for part in self.parts) else ["~ guessed from the texts: not spoken yet."]
        notes = [
            *guessed,
            "Prices are upper ends: cautious token counts, longest answers. Repeated calls are not in them.",
            *self.problems(),
        ]
        return "\n".join([*lines, "", *notes])

    def _total(self) -> tuple[str, ...]:
        parts = self.parts
        sums = (
            sum(part.questions for part in parts),
            sum(part.questions - part.calls for part in parts),
            self.calls,
        )
        currency = next((part.currency for part in parts if part.currency), None)
        return (
            "all",
            "",
            "",
            *map(str, sums),
            _minutes(sum(part.audio_seconds for part in parts)),
            str(sum(part.input_tokens for part in parts)),
            str(sum(part.output_tokens for part in parts)),
            _money(self.money, currency),
        )


def known_part(
    names: tuple[str, str, str], spec: ApiSpec, questions: Sequence[Question], max_new_tokens: int, store: Path
) -> Part:
    """The part of a node whose clips exist.

    Args:
        names: System, task and condition.
        spec: The system.
        questions: What is asked, with the clips' lengths and hashes.
        max_new_tokens: The task's longest answer.
        store: File of its answers; it may be in use, or not exist.
    """
    kept = read_store(store)
    # A question that is asked twice is one call.
    missing = {
        key: question
        for key, question in ((question_key(spec, question, max_new_tokens), question) for question in questions)
        if key not in kept
    }
    usages = [most(spec, question, output_limit(spec, question, max_new_tokens)) for question in missing.values()]
    seconds = sum(question.audio.seconds for question in missing.values() if question.audio)
    return _part(names, spec, len(questions), usages, seconds, measured=True)


def expected_part(
    names: tuple[str, str, str],
    spec: ApiSpec,
    asked: Sequence[tuple[str, Sequence[Mapping[str, str]]]],
    max_output_tokens: int,
    voices: int,
) -> Part:
    """The part of a node whose clips do not exist yet: nothing of it can be in the store.

    Args:
        names: System, task and condition.
        spec: The system.
        asked: The text to speak and the conversation, of each item.
        max_output_tokens: Longest answer, in the provider's tokens.
        voices: Voices that speak every item.
    """
    seconds = [len(text.split()) / WORDS_A_SECOND for text, _ in asked]
    usages = []
    for length, (_, messages) in zip(seconds, asked, strict=True):
        audio = math.ceil(length * spec.audio_rate)
        usages.append(Usage(conversation_tokens(messages) + audio, audio, max_output_tokens))
    return _part(names, spec, len(asked) * voices, usages * voices, sum(seconds) * voices, measured=False)


def _part(
    names: tuple[str, str, str],
    spec: ApiSpec,
    questions: int,
    usages: Sequence[Usage],
    seconds: float,
    *,
    measured: bool,
) -> Part:
    audio = sum(usage.audio_tokens or 0 for usage in usages)
    total = Usage(sum(usage.input_tokens for usage in usages), audio, sum(usage.output_tokens for usage in usages))
    return Part(
        *names,
        questions=questions,
        calls=len(usages),
        audio_seconds=seconds,
        input_tokens=total.input_tokens,
        audio_tokens=audio,
        output_tokens=total.output_tokens,
        money=price(total, spec.prices, audio),
        currency=spec.currency,
        measured=measured,
    )


def _row(part: Part) -> tuple[str, ...]:
    return (
        part.system,
        part.task,
        part.condition,
        str(part.questions),
        str(part.questions - part.calls),
        str(part.calls),
        ("" if part.measured else "~") + _minutes(part.audio_seconds),
        str(part.input_tokens),
        str(part.output_tokens),
        _money(part.money, part.currency),
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    names = 3
    cells = [
        cell.ljust(width) if column < names else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def _money(money: float | None, currency: str | None) -> str:
    return "no price" if money is None else f"{_amount(money)} {currency or ''}".rstrip()


def _amount(money: float) -> str:
    """Money with two decimals, small sums with four."""
    return f"{money:.2f}" if money >= 1 else f"{money:.4f}"
