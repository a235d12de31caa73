"""From a model's answer to a label. Strict: what is not plainly one answer is `invalid`.

Every kind of answer is undressed in the same way (`dress.undress`) before it is read.
"""

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from cascade_equivalence.tasks.dress import WRAPPING, plain_characters, plain_quotes, undress, undress_line

INVALID = "invalid"

_FOREIGN_STOPS = "\u2026\u3002"
_TERMINAL = ".!?,;:" + _FOREIGN_STOPS
_BRACKETS = "()[]<> \t"
_LEAD_IN = (
    r"^(?:(?:so|thus|therefore|hence)\b,?\s+)?(?:(?:the|my)\s+)?(?:(?:correct|final|best|right)\s+)*"
    r"(?:{subjects})[\"']?"
)
_ANNOUNCES = r"\s*(?:is\s*:|is\s|:|=|[-\u2013\u2014]+\s)\s*"
_NOTHING_MORE = r"\s*(?:is)?\s*[:=.\u2026\u2013\u2014-]*$"
_REASON = r"\s+(?:because|since)\b"
_OPENS_REASON = re.compile(r"^\W*(?:because|since)(?=\s+\w)", re.IGNORECASE)
_CONFIRMED = (
    r"\s+is\s+(?:(?:the|my)\s+)?(?:correct|right|(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice|label))"
    r"[\s.!]*$"
)
# What may follow a label on its line: the end; closing punctuation and then no letter or digit; an opening bracket;
# a dash that stands apart; a reason.
_AFTER = re.compile(
    r"^(?:$|\s*[.,:;!?)\]>\"'\u2026]+(?![^\W_])|\s+[(\[]|\s*[-\u2013\u2014]+\s|\s*\u2014"
    rf"|{_REASON}|{_CONFIRMED})",
    re.IGNORECASE,
)
# What takes an answer back.
_DENIED = re.compile(
    r"^\W*(?:(?:is|was)\s+)?(no(?!\s+(?:doubt|question)\b)|nope|not|isn't|wasn't|wrong|incorrect|false|never)\b",
    re.IGNORECASE,
)
_STANDING_LETTER = re.compile(r"(?<![^\W_'])([A-Z])(?![^\W_'])")
# A full stop or comma needs a space behind it, or "e.g." would answer E.
_LETTERED = re.compile(
    r"^[(\[]?([A-Za-z])(?:\s*[)\]:\"]+\.?|\s*[.,;!?\u2026]+(?=\s|$)|\s+[-\u2013\u2014]+(?=\s)"
    rf"|(?={_REASON})|(?={_CONFIRMED}))(.*)$",
    re.DOTALL,
)
_BRACKETED = re.compile(r"^([A-Z])\s+([(\[].*)$", re.DOTALL)
_NAMED_LETTER = re.compile(r"^(?:option|choice|answer|letter)\s+(?=[(\[]?[A-Z](?![\w']))", re.IGNORECASE)
_FREE_REASON = re.compile(r"\s*[,;.\u2014-]\s*because\b.*$", re.IGNORECASE | re.DOTALL)
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "\u2018\u2019\u00b4`", " "))
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Marks that stand for nothing; "?", "&" or "%" can be an answer.
_EMPTY_SIGNS = set(".,:;-_*`'\"#~|<>()[]{}=/\\^\u2026\u2013\u2014\u2018\u2019\u201c\u201d\u00b4")


def answer_lines(raw: str, subjects: Sequence[str] = ()) -> list[str]:
    """The undressed lines of an answer, from the one that answers on.

    "The answer is", "Answer:", "<Subject>:" are taken off the front of each, and lines that say no more are left out
    before the first that does.
    """
    lines = undress(raw)
    while len(lines) > 1 and re.match(_lead_in(subjects) + _NOTHING_MORE, lines[0], re.IGNORECASE):
        lines = lines[1:]
    return [drop_lead_in(line, subjects) for line in lines]


def parse_label(raw: str, answers: Mapping[str, str], subjects: Sequence[str] = ()) -> str:
    """Parse an answer from a closed set.

    Accepted on the first line that says anything, in any case and dress: a label or its word alone; a label or its word
    first, then punctuation or "because" and more text; either after a lead-in such as "The answer is" or "Topic:", on
    the same line or the one before. A line that also names another label or takes the answer back is invalid, as is an
    answer with another one on a line of its own, and so is everything else.

    Args:
        raw: The model's answer.
        answers: Label: the word used for it.
        subjects: What may stand in the lead-in besides "answer" and "label".

    Returns:
        A label, or `invalid`.
    """
    forms: dict[str, set[str]] = {}
    for label, word in answers.items():
        for form in (label, word):
            forms.setdefault(plain_quotes(plain_characters(form)).lower(), set()).add(label)
    return _first_alone(
        answer_lines(raw, subjects),
        lambda line: _read_label(line, forms),
        lambda line: forms.get(_plain(line.strip(_BRACKETS + _TERMINAL)), set()),
    )


def parse_option(raw: str, options: Sequence[str], subjects: Sequence[str] = ()) -> str:
    """Parse an answer to a question with lettered options.

    Accepted on the first line that says anything, in any dress, after an optional lead-in: a letter alone ("C", "(C)",
    "C."); a letter, a mark and more text ("C) bank"); the exact text of one option, alone or before punctuation and
    more text. A line that names a second letter or the text of another option, or takes the answer back, is invalid, as
    is an answer with another one on a line of its own, and so is everything else. Words of another option inside the
    option's own text do not name it.

    Args:
        raw: The model's answer.
        options: Option texts, the first under A.
        subjects: What may stand in the lead-in besides "answer" and "label".

    Returns:
        A letter, or `invalid`.
    """
    texts = {
        letter: _plain(undress_line(plain_characters(option)))
        for letter, option in zip(string.ascii_uppercase, options, strict=False)
    }
    return _first_alone(
        answer_lines(raw, subjects), lambda line: _read_option(line, texts), lambda line: _bare_option(line, texts)
    )


def drop_lead_in(line: str, subjects: Sequence[str] = ()) -> str:
    """Take "The answer is", "Answer:", "<Subject>:" off the front of a line."""
    lead_in = re.compile(_lead_in(subjects) + _ANNOUNCES, re.IGNORECASE)
    while (rest := undress_line(lead_in.sub("", line, count=1))) != line:
        line = rest
    return line


def normalize_answer(text: str) -> str:
    """Normalise a free answer as TriviaQA's own evaluation does (triviaqa_evaluation.py, `normalize_answer`).

    Underscores become spaces, letters lower-case, punctuation spaces; articles go and spaces are squeezed. Where that
    leaves nothing, which no answer could then be equal to, articles stay ("The The"), or signs ("?").
    """
    plain = text.replace("_", " ").lower().translate(_PUNCTUATION)
    if left := " ".join(_ARTICLES.sub(" ", plain).split()) or " ".join(plain.split()):
        return left
    return "".join(sign for sign in text if sign not in _EMPTY_SIGNS and not sign.isspace())


def parse_free(raw: str) -> str:
    """Undress and normalise the first line of a free answer that says anything; `invalid` if nothing is left of it.

    A reason after a mark ("Paris, because ...") goes, too. To parse what comes back changes nothing.
    """
    answer, before = raw, None
    while answer != before:
        before = answer
        lines = answer_lines(answer)
        answer = normalize_answer(
            _FREE_REASON.sub("", lines[0]).strip(WRAPPING + ".,;:" + _FOREIGN_STOPS) if lines else _signs(answer)
        )
    return answer or INVALID


def matches_alias(answer: str, aliases: Iterable[str]) -> bool:
    """Whether a parsed answer equals one of the aliases once they are normalised: TriviaQA's exact match.

    An alias is also what is left of it when it is parsed as an answer, so that each can be answered.
    """
    return answer not in ("", INVALID) and any(answer in _alias_forms(alias) for alias in aliases)


def contains_alias(answer: str, aliases: Iterable[str]) -> bool:
    """Whether the words of one alias occur in an answer, in order and without gaps, once both are normalised.

    Looser than the exact match, as some harnesses score: "it is Paris in France" contains "Paris".
    """
    if answer == INVALID:
        return False
    words = f" {normalize_answer(answer)} "
    return any(f" {form} " in words for alias in aliases for form in _alias_forms(alias))


def _first_alone(lines: Sequence[str], read: Callable[[str], str], alone: Callable[[str], set[str]]) -> str:
    """What the first line answers, unless a later line is nothing but another answer."""
    answer = read(lines[0]) if lines else INVALID
    return answer if all(alone(line) <= {answer} for line in lines[1:]) else INVALID


def _lead_in(subjects: Sequence[str]) -> str:
    return _LEAD_IN.format(subjects="|".join(re.escape(subject) for subject in ("answer", "label", *subjects)))


def _read_label(line: str, forms: Mapping[str, set[str]]) -> str:
    line = plain_quotes(line).lower().lstrip("([<")
    for form in sorted(forms, key=len, reverse=True):
        rest = line[len(form) :]
        if form and line.startswith(form) and _AFTER.match(rest):
            others = (other for other, labels in forms.items() if labels != forms[form])
            denied = _DENIED.match(rest)
            unclear = len(forms[form]) > 1 or _names_any(rest, others) or (denied and denied[1] != form)
            return INVALID if unclear else next(iter(forms[form]))
    return INVALID


def _read_option(line: str, texts: Mapping[str, str]) -> str:
    line = _NAMED_LETTER.sub("", plain_quotes(line))
    named = _bare_option(line, texts)
    if not named and (match := _LETTERED.match(line)) and (letter := match[1].upper()) in texts:
        named = {letter} | _options_in(match[2], texts, texts[letter])
    elif not named and (match := _BRACKETED.match(line)) and match[1] in texts:
        # "A (small) bank" has an article.
        own, whole = texts[match[1]], match[2].rstrip(_TERMINAL).endswith((")", "]"))
        if match[1] != "A" or whole or _after(match[2], own) is not None:
            named = {match[1]} | _options_in(match[2], texts, own)
    elif not named:
        for text in sorted(set(texts.values()), key=len, reverse=True):
            if text and (rest := _after(line, text)) is not None and _AFTER.match(rest):
                named = {letter for letter, other in texts.items() if other == text}
                named |= _options_in(rest, texts, text)
                break
    return named.pop() if len(named) == 1 and named <= texts.keys() else INVALID


def _bare_option(line: str, texts: Mapping[str, str]) -> set[str]:
    """Letters that a line stands for if it is nothing but a letter, the text of an option, or both."""
    line = _NAMED_LETTER.sub("", plain_quotes(line))
    named = {letter for letter, text in texts.items() if text and _is_text_of(line, letter, texts)}
    # Brackets and closing punctuation may surround a letter that stands alone.
    bare = line.strip(_BRACKETS + _TERMINAL).upper()
    if bare in texts:
        named.add(bare)
    elif (match := _LETTERED.match(line) or _BRACKETED.match(line)) and _is_text_of(match[2], match[1].upper(), texts):
        # The letter counts where options say the same.
        letter = match[1].upper()
        named = {letter} | {other for other in named if texts[other] != texts[letter]}
    return named


def _is_text_of(text: str, letter: str, texts: Mapping[str, str]) -> bool:
    return texts.get(letter) in (_plain(text), _plain(text.strip(_BRACKETS + _TERMINAL)))


def _names_any(text: str, forms: Iterable[str]) -> bool:
    """Whether a form occurs in the text as a word of its own."""
    return any(re.search(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", text) for form in forms if form)


def _plain(text: str) -> str:
    """An option text or an answer as compared: lower-case, single spaces, no quotes or closing punctuation."""
    return " ".join(plain_quotes(text).lower().split()).strip(WRAPPING + _TERMINAL)


def _after(text: str, option: str) -> str | None:
    """What follows an option's text at the beginning of another; None if that does not begin with it."""
    squeezed = " ".join(text.split()).lstrip(WRAPPING + "([")
    match = re.match(rf"{re.escape(option)}(?![^\W_])", squeezed, re.IGNORECASE)
    return squeezed[match.end() :] if match else None


def _options_in(text: str, texts: Mapping[str, str], own: str) -> set[str]:
    """Letters of the options that the text after an answer names besides it; `invalid` where it takes it back.

    Nothing where it is the option's own text, whatever words of others are in that.
    """
    begun = [option for option in set(texts.values()) if option and _after(text, option) is not None]
    first = max(begun, key=len, default="")
    if first and first == own:
        text = _after(text, own) or ""
    # The word that opens a reason may be an option, too.
    text = _OPENS_REASON.sub("", text)
    rest = _plain(text)
    # A capital A before a small letter is an article.
    marks = re.sub(r"\bA(?=\s+[a-z])", "", text.strip())
    letters = {letter for letter in _STANDING_LETTER.findall(marks) if letter in texts}
    if len(rest) == 1 and rest.upper() in texts:
        letters.add(rest.upper())
    if _DENIED.match(text):
        letters.add(INVALID)
    return letters | {letter for letter, option in texts.items() if option != own and _names_any(rest, [option])}


def _signs(text: str) -> str:
    """A text without letters or digits; none where it has some, but only in thinking."""
    return "" if any(character.isalnum() for character in text) else undress_line(plain_characters(text))


def _alias_forms(alias: str) -> set[str]:
    return {normalize_answer(alias), parse_free(alias)} - {"", INVALID}
