"""Whether a remark beside an answer takes the answer back.

The rule, the same for every task with a closed set of answers: a remark changes nothing, unless it names another answer
or takes this one back. It takes it back where one of its clauses has nothing but words that deny (no, not, wrong,
"0%", a cross), function words, and the answer itself: "That is wrong" and "not positive" do, "not bad" and "no
complaints" are about something else. Another answer does not count where it is denied ("not negative") or stands in a
reason ("because ...").
"""

import re
from collections.abc import Iterator

from cascade_equivalence.tasks.dress import CROSS

OWN, OTHER = "\ue000", "\ue001"
"""What stands in a remark for the names of its answer, and for those of another."""

_REASON = re.compile(r"\b(?:because|since)\s(?:[^.!?\n]|[.!?](?=\w))*", re.IGNORECASE)
_DENYING = (
    rf"(?:no|nope|nah|not|never|nor|wrong|incorrect|false|untrue|mistaken|unlikely|doubt|doubtful|hardly|cannot|[a-z]+n't|"
    rf"{CROSS}+)"
)
_NO_DOUBT = re.compile(r"\b(?:no|without|beyond)\s+(?:(?:an?|any)\s+)?doubt\b")
_DENIES = re.compile(rf"{_DENYING}|0+(?:\.0+)?%?")
_FUNCTION_WORD = re.compile(
    r"a|an|the|this|that|it|he|she|i|you|we|they|there|is|was|are|be|been|am|i'm|it's|that's|does|do|did|seems|my|"
    r"of|at|all|and|or|but|so|as|actually|really|quite|just|very|rather|perhaps|maybe|probably|definitely|"
    r"certainly|clearly|absolutely|completely|entirely|totally|wait|hmm|oh|sorry|sure|certain|right|correct|true|"
    r"answer|label|option|choice|think|say|tell|know|would|could|can|fit|apply"
)
# A full stop before a digit ends nothing ("No. 1", "0.9").
_CLAUSE_ENDS = re.compile(r"[.,](?!\s?\d)|[;:!?()\[\]<>|\u2026\u2013\u2014\n]|\s-+\s")
_DENIED_OTHER = re.compile(
    rf"\b{_DENYING}\s+(?:(?:the|an?|at\s+all|option|choice|answer|label)\s+)*[(\[\"']*{OTHER}", re.IGNORECASE
)
_MARKS = " \t\"'*_`.,/%-"


def without_reasons(text: str) -> str:
    """A text without "because ..." and "since ...", up to the end of the sentence."""
    return _REASON.sub(" ", text)


def stands(remarks: str) -> bool:
    """Whether an answer stands beside the rest of its line.

    Args:
        remarks: The rest, without its reasons, and with `OWN` and `OTHER` for the names of answers.
    """
    left = _DENIED_OTHER.sub(" ", remarks)
    return OTHER not in left and not any(_takes_back(words) for words in _clauses(left))


def opens_with_denial(line: str) -> bool:
    """Whether a later line begins by taking an answer back: "No.", "Wait, that is wrong".

    Args:
        line: The line, with `OWN` and `OTHER` for the names of answers.
    """
    for words in _clauses(line):
        if not all(map(_FUNCTION_WORD.fullmatch, words)):
            return _takes_back(words)
    return False


def _clauses(text: str) -> Iterator[list[str]]:
    """The words of each clause, without the answer's own name."""
    for clause in _CLAUSE_ENDS.split(_NO_DOUBT.sub(" ", text.replace(OWN, " ").lower())):
        if words := [word for each in clause.split() if (word := each.strip(_MARKS))]:
            yield words


def _takes_back(words: list[str]) -> bool:
    rest = [word for word in words if not _FUNCTION_WORD.fullmatch(word)]
    return bool(rest) and all(map(_DENIES.fullmatch, rest))
