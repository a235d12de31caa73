"""From a model's answer to a label. Strict: what is not plainly one answer is `invalid`."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence

INVALID = "invalid"

_EMPHASIS = re.compile(r"(?<!\w)[*_`]+|[*_`]+(?!\w)")
_WRAPPING = " \t\"'\u2018\u2019\u201c\u201d«»"
_LISTED = re.compile(r"^(?:#+|>+|[-\u2022])\s+")
_TERMINAL = ".!?,;:"
_LEAD_IN = r"^(?:the\s+)?(?:correct\s+|final\s+|best\s+)?(?:{subjects})\s*(?:is\s*:|is\s|:)\s*"
# What may follow a label on its line: the end; closing punctuation and then no letter or digit; an opening bracket;
# a dash that stands apart.
_AFTER = re.compile(r"""^(?:$|\s*[.,:;!?)\]"'\u2019\u201d]+(?![^\W_])|\s+[(\[]|\s*[-\u2013\u2014]+\s|\s*\u2014)""")
_STANDING_LETTER = re.compile(r"(?<![^\W_'\u2019])([A-Z])(?![^\W_'\u2019])")
# A full stop or comma needs a space behind it, or "e.g." would answer E.
_LETTERED = re.compile(
    r"^[(\[]?([A-Za-z])(?:\s*[)\]:]+\.?|\s*[.,;]+(?=\s|$)|\s+[-\u2013\u2014]+(?=\s))(.*)$", re.DOTALL
)
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "\u2018\u2019\u00b4`", " "))
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def first_line(raw: str) -> str:
    """The first line with a letter or digit on it, without list marks, emphasis, quotes and outer space."""
    for line in raw.splitlines():
        if any(character.isalnum() for character in line):
            return _LISTED.sub("", _EMPHASIS.sub("", line).strip()).strip(_WRAPPING)
    return ""


def parse_label(raw: str, answers: Mapping[str, str], subjects: Sequence[str] = ()) -> str:
    """Parse an answer from a closed set.

    Accepted on the first line that says anything, in any case, without markdown, quotes and closing punctuation: a
    label or its word alone; a label or its word first, then punctuation and more text; either after a lead-in such as
    "The answer is" or "Topic:". A line that also names another label is invalid, and so is everything else.

    Args:
        raw: The model's answer.
        answers: Label: the word used for it.
        subjects: What may stand in the lead-in besides "answer" and "label".

    Returns:
        A label, or `invalid`.
    """
    line = drop_lead_in(first_line(raw), subjects).lower()
    forms: dict[str, set[str]] = {}
    for label, word in answers.items():
        forms.setdefault(label.lower(), set()).add(label)
        forms.setdefault(word.lower(), set()).add(label)
    for form in sorted(forms, key=len, reverse=True):
        rest = line[len(form) :]
        if form and line.startswith(form) and _AFTER.match(rest):
            others = (other for other, labels in forms.items() if labels != forms[form])
            return INVALID if len(forms[form]) > 1 or _names_any(rest, others) else next(iter(forms[form]))
    return INVALID


def parse_option(raw: str, options: Sequence[str], subjects: Sequence[str] = ()) -> str:
    """Parse an answer to a question with lettered options.

    Accepted on the first line that says anything, after an optional lead-in: a letter alone ("C", "(C)", "C."); a
    letter, a mark and more text ("C) bank"); the exact text of one option. A line that names a second letter or the
    text of another option is invalid, and so is everything else.

    Args:
        raw: The model's answer.
        options: Option texts, the first under A.
        subjects: What may stand in the lead-in besides "answer" and "label".

    Returns:
        A letter, or `invalid`.
    """
    line = drop_lead_in(first_line(raw), subjects)
    texts = dict(zip(string.ascii_uppercase, (_plain(option) for option in options), strict=False))
    named = {letter for letter, text in texts.items() if text and text == _plain(line)}
    # Brackets and closing punctuation may surround a letter that stands alone.
    bare = line.strip("()[] \t" + _TERMINAL)
    if len(bare) == 1 and bare.upper() in texts:
        named.add(bare.upper())
    elif (match := _LETTERED.match(line)) and match[1].upper() in texts:
        named |= {match[1].upper()} | _options_in(match[2], texts, texts[match[1].upper()])
    return named.pop() if len(named) == 1 else INVALID


def drop_lead_in(line: str, subjects: Sequence[str] = ()) -> str:
    """Take "The answer is", "Answer:", "<Subject>:" off the front of a line."""
    names = "|".join(re.escape(subject) for subject in ("answer", "label", *subjects))
    return re.sub(_LEAD_IN.format(subjects=names), "", line, count=1, flags=re.IGNORECASE).strip(_WRAPPING)


def normalize_answer(text: str) -> str:
    """Normalise a free answer as TriviaQA's own evaluation does (triviaqa_evaluation.py, `normalize_answer`).

    Underscores become spaces, letters lower-case, punctuation spaces; articles go and spaces are squeezed.
    """
    plain = text.replace("_", " ").lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def parse_free(raw: str) -> str:
    """Normalise the first line of a free answer; `invalid` if nothing is left of it."""
    lines = raw.strip().splitlines()
    return (normalize_answer(lines[0]) if lines else "") or INVALID


def matches_alias(answer: str, aliases: Iterable[str]) -> bool:
    """Whether a normalised answer equals one of the aliases once they are normalised: TriviaQA's exact match."""
    return answer != INVALID and answer in {normalize_answer(alias) for alias in aliases} - {""}


def contains_alias(answer: str, aliases: Iterable[str]) -> bool:
    """Whether the words of one alias occur in an answer, in order and without gaps, once both are normalised.

    Looser than the exact match, as some harnesses score: "it is Paris in France" contains "Paris".
    """
    if answer == INVALID:
        return False
    words = f" {normalize_answer(answer)} "
    return any(alias and f" {alias} " in words for alias in map(normalize_answer, aliases))


def _names_any(text: str, forms: Iterable[str]) -> bool:
    """Whether a form occurs in the text as a word of its own."""
    return any(re.search(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", text) for form in forms if form)


def _plain(text: str) -> str:
    """An option text or an answer as compared: lower-case, single spaces, no quotes or closing punctuation."""
    return " ".join(text.lower().split()).strip(_WRAPPING + _TERMINAL)


def _options_in(text: str, texts: Mapping[str, str], own: str) -> set[str]:
    """Letters of the options that the text after a letter names; nothing where it is that letter's own text."""
    rest = _plain(text)
    if rest == own:
        return set()
    # A capital A before a small letter is an article.
    marks = re.sub(r"\bA(?=\s+[a-z])", "", text.strip())
    letters = {letter for letter in _STANDING_LETTER.findall(marks) if letter in texts}
    if len(rest) == 1 and rest.upper() in texts:
        letters.add(rest.upper())
    return letters | {letter for letter, option in texts.items() if option != own and _names_any(rest, [option])}
