"""Parses a model's answer into a label. Strict: what is not plainly one answer is `invalid`.

How an answer is read, whatever the task: it is undressed (`dress.undress`), and what it is announced with ("The answer
is", "It is", the task's own answer prefix) comes off. Then the first line that says something must begin with one
answer, which ends there or at a mark. What is said beside it does not count, unless it names another answer or takes
this one back (`remarks`). A line with a cross or an empty box at one of its ends is left out.
"""

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from cascade_equivalence.tasks.dress import WRAPPING, is_crossed_out, plain_characters, plain_quotes, undress_line
from cascade_equivalence.tasks.lead_in import answer_lines, closed_lines
from cascade_equivalence.tasks.remarks import OTHER, OWN, opens_with_denial, stands, without_reasons
from cascade_equivalence.vocabulary import INVALID

_TERMINAL = ".!?,;:\u2026"
_BRACKETS = "()[]<> \t"
_REASON = r"\s+(?:because|since)\b"
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


def parse_label(raw: str, answers: Mapping[str, str], subjects: Sequence[str] = (), prefix: str = "") -> str:
    """Parse an answer from a closed set.

    Accepted on the first line that says anything, in any case and dress, after an optional lead-in such as "The answer
    is", "Topic:" or the prompt's own: a label or its word, alone, twice, with the subject ("positive sentiment"), or
    before punctuation or "because" and more text that leaves it standing (`remarks.stands`). An answer with another one
    on a line of its own, or with a line that takes it back, is invalid, and so is everything else.

    Args:
        raw: The model's answer.
        answers: Label: the word used for it.
        subjects: What the lead-in may name besides "answer" and its like.
        prefix: Words that the prompt has an answer begin with.

    Returns:
        A label, or `invalid`.
    """
    forms: dict[str, set[str]] = {}
    for label, word in answers.items():
        for form in (label, word):
            forms.setdefault(plain_quotes(plain_characters(form)).lower(), set()).add(label)
    return _first_alone(
        closed_lines(answer_lines(raw, subjects, prefix), forms),
        lambda line: _read_label(line, forms, subjects),
        lambda line: forms.get(_plain(line.strip(_BRACKETS + _TERMINAL)), set()),
        lambda line, label: _with_names(line, forms, [form for form, labels in forms.items() if label in labels]),
    )


def parse_option(raw: str, options: Sequence[str], subjects: Sequence[str] = (), prefix: str = "") -> str:
    """Parse an answer to a question with lettered options.

    Accepted on the first line that says anything, in any dress, after an optional lead-in: a letter alone ("C", "(C)",
    "C."); a letter, a mark and more text ("C) bank"); the exact text of one option, alone or before punctuation and
    more text that leaves it standing (`remarks.stands`). An answer with another one on a line of its own, or with a
    line that takes it back, is invalid, and so is everything else. Words of another option inside the option's own text
    do not name it.

    Args:
        raw: The model's answer.
        options: Option texts, the first under A.
        subjects: What the lead-in may name besides "answer" and its like.
        prefix: Words that the prompt has an answer begin with.

    Returns:
        A letter, or `invalid`.
    """
    texts = {
        letter: _plain(undress_line(plain_characters(option)))
        for letter, option in zip(string.ascii_uppercase, options, strict=False)
    }
    return _first_alone(
        closed_lines(answer_lines(raw, subjects, prefix), texts.values()),
        lambda line: _read_option(line, texts),
        lambda line: _bare_option(line, texts),
        lambda line, letter: _with_options(line, texts, letter),
    )


def normalize_answer(text: str) -> str:
    """Normalise a free answer as TriviaQA's own evaluation does (triviaqa_evaluation.py, `normalize_answer`).

    Underscores become spaces, letters lower-case, punctuation spaces; articles go and spaces are squeezed. Where that
    leaves nothing, which no answer could then be equal to, articles stay ("The The"), or signs ("?").
    """
    plain = text.replace("_", " ").lower().translate(_PUNCTUATION)
    if left := " ".join(_ARTICLES.sub(" ", plain).split()) or " ".join(plain.split()):
        return left
    return "".join(sign for sign in text if sign not in _EMPTY_SIGNS and not sign.isspace())


def parse_free(raw: str, prefix: str = "") -> str:
    """Undress and normalise the first line of a free answer that says anything; `invalid` if nothing is left of it.

    A reason after a mark ("Paris, because ...") goes, too. An answer that a later line takes back is invalid. To parse
    what comes back changes nothing.
    """
    answer, before = raw, None
    while answer != before:
        before = answer
        lines = answer_lines(answer, (), prefix)
        if any(opens_with_denial(_with_names(line, lines[:1], lines[:1])) for line in lines[1:]):
            return INVALID
        answer = normalize_answer(
            _FREE_REASON.sub("", lines[0]).strip(WRAPPING + ".,;:\u2026") if lines else _signs(answer)
        )
    return answer or INVALID


def matches_alias(answer: str, aliases: Iterable[str]) -> bool:
    """Whether a parsed answer equals one of the aliases once they are normalised: TriviaQA's exact match.

    An alias is also what is left of it when it is parsed as an answer, so that each can be answered.
    """
    return answer not in ("", INVALID) and any(answer in _alias_forms(alias) for alias in aliases)


def _first_alone(
    lines: Sequence[str],
    read: Callable[[str], str],
    alone: Callable[[str], set[str]],
    with_names: Callable[[str, str], str],
) -> str:
    """What the first line answers, unless a later line is nothing but another answer, or takes it back."""
    answer = read(lines[0]) if lines else INVALID
    if any(not alone(line) <= {answer} or opens_with_denial(with_names(line, answer)) for line in lines[1:]):
        return INVALID
    return answer


def _read_label(line: str, forms: Mapping[str, set[str]], subjects: Sequence[str]) -> str:
    line = plain_quotes(line).lower().lstrip(WRAPPING + "([<")
    for form in sorted(forms, key=len, reverse=True):
        if form and line.startswith(form):
            own = [other for other, labels in forms.items() if labels == forms[form]]
            # "Positive sentiment", "positive positive"; but "no answer" is no "no".
            tail = "|".join(re.escape(word) for word in (*own, *(() if form == "no" else subjects)))
            rest = re.sub(rf"^(?:[\s,/|]+(?:{tail})(?![^\W_]))+", "", line[len(form) :])
            if _AFTER.match(rest):
                clear = len(forms[form]) == 1 and stands(_with_names(without_reasons(rest), forms, own))
                return next(iter(forms[form])) if clear else INVALID
    return INVALID


def _with_names(text: str, forms: Iterable[str], own: Iterable[str]) -> str:
    """A text in which the longest names that occur as words of their own are `OWN` and `OTHER`."""
    names = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True) if form)
    own = {form.lower() for form in own}
    pattern = re.compile(rf"(?<![^\W_])(?:{names})(?![^\W_])", re.IGNORECASE)
    return pattern.sub(lambda match: OWN if match[0].lower() in own else OTHER, text) if names else text


def _read_option(line: str, texts: Mapping[str, str]) -> str:
    line = re.sub(r"^([A-Z])(?:[\s,/|]+\1)+(?![\w'])", r"\1", _NAMED_LETTER.sub("", plain_quotes(line)))
    named = _bare_option(line, texts)
    if not named and (match := _LETTERED.match(line)) and (letter := match[1].upper()) in texts:
        named = {letter} | _objections(match[2], texts, letter)
    elif not named and (match := _BRACKETED.match(line)) and match[1] in texts:
        # "A (small) bank" has an article.
        own, whole = texts[match[1]], match[2].rstrip(_TERMINAL).endswith((")", "]"))
        if match[1] != "A" or whole or _after(match[2], own) is not None:
            named = {match[1]} | _objections(match[2], texts, match[1])
    elif not named:
        for text in sorted(set(texts.values()), key=len, reverse=True):
            if text and (rest := _after(line, text)) is not None and _AFTER.match(rest):
                named = {letter for letter, other in texts.items() if other == text}
                named |= _objections(rest, texts, min(named))
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


def _plain(text: str) -> str:
    """An option text or an answer as compared: lower-case, single spaces, no quotes or closing punctuation."""
    return " ".join(plain_quotes(text).lower().split()).strip(WRAPPING + _TERMINAL)


def _after(text: str, option: str) -> str | None:
    """What follows an option's text at the beginning of another; None if that does not begin with it."""
    squeezed = " ".join(text.split()).lstrip(WRAPPING + "([")
    match = re.match(rf"{re.escape(option)}(?![^\W_])", squeezed, re.IGNORECASE)
    return squeezed[match.end() :] if match else None


def _objections(text: str, texts: Mapping[str, str], letter: str) -> set[str]:
    """`invalid` where the text after an answer names another option or takes the answer back; else nothing.

    Nothing where it is the option's own text, whatever words of others are in that.
    """
    begun = [option for option in set(texts.values()) if option and _after(text, option) is not None]
    if (first := max(begun, key=len, default="")) and first == texts[letter]:
        text = _after(text, first) or ""
    return set() if stands(_with_options(without_reasons(text), texts, letter)) else {INVALID}


def _with_options(text: str, texts: Mapping[str, str], letter: str) -> str:
    """A text in which the names of options, text or letter or both, are `OWN` and `OTHER`."""
    rest = _plain(text)
    if len(rest) == 1 and rest.upper() in texts:
        return OWN if rest.upper() == letter else OTHER
    own = [texts[letter]] if letter in texts else []
    text = _with_names(" ".join(text.split()), texts.values(), own)
    # A capital A before a small letter is an article.
    letters = re.compile(rf"(?<![^\W_'])(?!A\s+[a-z])[{''.join(texts) or 'A'}](?![^\W_'])")
    text = letters.sub(lambda match: OWN if match[0] == letter else OTHER, text)
    return re.sub(rf"({OWN}|{OTHER})[)\].:]*\s*[(\[]?\1", r"\1", text)


def _signs(text: str) -> str:
    """A text without letters, digits and crosses; none where it has some, but only in thinking or crossed out."""
    return (
        ""
        if is_crossed_out(text) or any(character.isalnum() for character in text)
        else undress_line(plain_characters(text))
    )


def _alias_forms(alias: str) -> set[str]:
    return {normalize_answer(alias), parse_free(alias)} - {"", INVALID}
