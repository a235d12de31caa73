"""Takes off an answer what announces it: "The answer is", "Topic:", the words of the task's own prompt."""

import re
from collections.abc import Iterable, Sequence

from cascade_equivalence.tasks.dress import CROSS, is_crossed_out, plain_quotes, undress, undress_line

_OF = r"(?:\s+(?:of|in|for|to)(?:\s+[\w'-]+){1,6}?)?"
_LEAD_IN = (
    r"(?:(?:so|thus|therefore|hence)\b,?\s+)?(?:(?:the|my)\s+)?(?:(?:correct|final|best|right|overall)\s+)*"
    rf"(?:%s)[\"']?{_OF}"
)
_GENERAL = ("answer", "label", "output", "response", "result", "prediction")
_ANNOUNCES = r"\s*(?:is\s*:|is\s|:|=|[-\u2013\u2014]+\s)\s*"
_NOTHING_MORE = r"\s*(?:is)?\s*[:=.\u2026\u2013\u2014-]*$"
# In front of an answer of a closed set only: a title may begin so, too.
_PRONOUN = re.compile(r"^(?:it|this|that)(?:\s+is|'s)\s+", re.IGNORECASE)
_NUMBER = re.compile(r"^\d{1,2}[.)]\s+")


def answer_lines(raw: str, subjects: Sequence[str] = (), prefix: str = "") -> list[str]:
    """The undressed lines of an answer, from the one that answers on.

    What announces an answer is taken off the front of each, and lines that say no more are left out before the first
    that does. Lines that are crossed out are left out; one that is nothing but a cross stays, after another.

    Args:
        raw: The model's answer.
        subjects: What "The <subject> is" and "<Subject>:" may name besides "answer" and its like.
        prefix: Words that the prompt has an answer begin with.
    """
    lines = undress(raw)
    lead_in = re.compile(rf"^(?:{_lead_in(subjects, prefix)}){_NOTHING_MORE}", re.IGNORECASE)
    while len(lines) > 1 and lead_in.match(lines[0]):
        lines = lines[1:]
    lines = [drop_lead_in(line, subjects, prefix) for line in lines]
    lines = [line for line in lines if not is_crossed_out(line) or _is_cross(line)]
    return [] if lines and _is_cross(lines[0]) else lines


def closed_lines(lines: Sequence[str], names: Iterable[str]) -> list[str]:
    """The lines of an answer from a closed set, without "1." and "It is", unless one of its names may begin so."""
    begins = [name.lower() for name in names if name]
    numbered = any(name[:1].isdigit() for name in begins)
    left = (plain_quotes(line) if numbered else _NUMBER.sub("", plain_quotes(line)) for line in lines)
    return [line if line.lower().startswith(tuple(begins)) else _PRONOUN.sub("", line) for line in left]


def drop_lead_in(line: str, subjects: Sequence[str] = (), prefix: str = "") -> str:
    """Take "The answer is", "Answer:", "<Subject>:", "The <subject> of this text is" or the prefix off a line."""
    lead_in = re.compile(rf"^(?:{_lead_in(subjects, prefix)}){_ANNOUNCES}", re.IGNORECASE)
    echo = re.compile(rf"^{_echo(prefix)}(?![^\W_])[\s:=]*", re.IGNORECASE) if prefix else None
    while True:
        rest = lead_in.sub("", line, count=1)
        if (rest := undress_line(echo.sub("", rest, count=1) if echo else rest)) == line:
            return line
        line = rest


def _lead_in(subjects: Sequence[str], prefix: str) -> str:
    announced = _LEAD_IN % "|".join(map(re.escape, (*_GENERAL, *subjects)))
    return f"{announced}|{_echo(prefix)}" if prefix else announced


def _echo(prefix: str) -> str:
    """A pattern for the words of a prompt's answer prefix."""
    return r"\s+".join(map(re.escape, undress_line(plain_quotes(prefix)).rstrip(" :=").split()))


def _is_cross(line: str) -> bool:
    return bool(re.fullmatch(rf"[\W_]*{CROSS}[\W_]*", line))
