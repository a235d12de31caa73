"""Takes marks that say nothing of their own off an answer before it is parsed.

Markdown, LaTeX, HTML, the tags of thinking models and of chat templates, invisible and full-width characters, quotes,
ticks and emoji at the ends, and what is struck out. Nothing else that says something goes: a second answer, a reason, a
cross or an empty box stays.
"""

import re
import unicodedata

# Thinking is no answer, and thinking that has not ended never came to one.
_THOUGHT = re.compile(
    r"[<\u25c1]\s*(think(?:ing)?|thought|reasoning|reflection|scratchpad)\s*[>\u25b7]"
    r".*?[<\u25c1]\s*/\s*\1\s*[>\u25b7]",
    re.DOTALL | re.IGNORECASE,
)
_THOUGHT_OPENS = re.compile(r"[<\u25c1]\s*(?:think(?:ing)?|thought|reasoning|reflection|scratchpad)\s*[>\u25b7]", re.I)
# Where the template has opened it, only the end stands in the answer.
_THOUGHT_ENDS = re.compile(
    r"^.*[<\u25c1]\s*/\s*(?:think(?:ing)?|thought|reasoning|reflection|scratchpad)\s*[>\u25b7]", re.DOTALL | re.I
)
_TOKEN = re.compile(r"<\|[^|<>]*\|>|</?s>|<(?:start|end)_of_turn>|<(?:eos|bos|pad)>|\[/?INST\]")
_BREAK_TAG = re.compile(r"<(?:br|/?(?:p|div|li|ul|ol|h[1-6]))\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:answer|final_answer|final|label|output|response|result)\b[^<>]*>", re.IGNORECASE)
# In pairs only: "<B>" alone is a letter in brackets.
_PAIRED_TAG = re.compile(
    r"<(b|strong|i|em|u|mark|code|pre|span|center)\b[^<>]*>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE
)
_FENCE = re.compile(
    r"^\s*(?:`{3,}|~{3,})\s*(?:text|txt|plaintext|plain|markdown|md|json|latex|tex|html|xml|answer)?\s*$"
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox|text\w*|math\w+|emph|operatorname\*?)\s*\{([^{}]*)\}")
_BOXED_BARE = re.compile(r"\\boxed\s+(?=\w)")
# As Pandoc reads them: no space inside, no digit behind, so that "$5 and $10" are amounts.
_MATHS = re.compile(r"(?<![\w\\$])(\${1,2})(?=[^\s$])([^$]*[^\s$\\])\1(?![\w$])")
_MATHS_SIGN = re.compile(r"\\[()\[\]]")
_ESCAPED = re.compile(r"\\(?=[%&_#$*`{}])")
_STRUCK = re.compile(r"~~[^~]+~~|<(del|strike)\b[^<>]*>[^<>]*</\1\s*>", re.IGNORECASE)
_JSON_LIST = re.compile(r"^\[\s*([\"'])([^\"']*)\1\s*\]$")
_LINK = re.compile(r"\[([^\[\]]+)\]\((?:https?:|#|/)[^()\s]*\)")
_EMPHASIS = re.compile(r"(?<!\w)[*_`]+|[*_`]+(?!\w)")
_LISTED = re.compile(r"^(?:(?:#+|>+|[-*+\u2022\u2023\u25aa\u25cf\u25e6\u2043\u2219\u00b7]|[-=]{1,2}>)\s+)+")

CROSS = (
    "[\u2610\u2612\u2613\u2715-\u2718\u274c\u274e\u274f-\u2752\u25a1\u25a2\u25fb\u25fd\u26d4\u2b1c\u2a2f"
    "\U0001f532\U0001f533\U0001f5d9\U0001f5f4-\U0001f5f7\U0001f6ab]"
)
"""A pattern for one cross, "no entry" or empty box: what stands beside an answer that is not given."""
_TICK = "[\u2611\u2705\u2713\u2714\U0001f5f8\U0001f5f9]"
_EMPTY_BOX = r"(?:\[\s*\]|\(\s+\))"
_TICKED_BOX = rf"(?:\[\s*(?:x|{_TICK})\s*\]|\(\s*(?:x|{_TICK})\s*\))"
# "(x)" and "[X]" behind a free answer may be part of it ("Malcolm (X)").
_TICKED = re.compile(rf"^(?i:{_TICKED_BOX})\s+|\s+\[\s*(?:x|{_TICK})\s*\]$")
_CROSSED = re.compile(rf"^[\W_]*?(?:{CROSS}|{_EMPTY_BOX}(?=\s|$))|(?:{CROSS}|\s{_EMPTY_BOX})[\W_]*$")
_MARK = rf"(?:{_TICK}|{CROSS}|{_EMPTY_BOX}|{_TICKED_BOX})\ufe0f?"
_MARK_FIRST = re.compile(rf"^[^\w(\[]*{_MARK}\s", re.IGNORECASE)
_MARK_LAST = re.compile(rf"\s{_MARK}[^\w)\]]*$", re.IGNORECASE)
_TO_MARK = re.compile(rf"[\s,;|]+(?={_MARK}\s)", re.IGNORECASE)
_FROM_MARK = re.compile(rf"(\s{_MARK})[\s,;|]+", re.IGNORECASE)
WRAPPING = (
    " \t\"'{}|\u00a0\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb\u300c\u300d\u300e\u300f"
)
"""Quotes and frames around an answer."""
_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u00a0\u3000", " "),
    }
)
# The punctuation of other scripts, which need no space behind it.
_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("\u3002\uff0e\uff61\u0964\u0965\u06d4\u0589\u1362", ". "),
        **dict.fromkeys("\u3001\uff0c\uff64\u060c", ", "),
        **dict.fromkeys("\uff1a\ufe55", ": "),
        **dict.fromkeys("\uff1b\u061b", "; "),
        **dict.fromkeys("\uff1f\u061f", "? "),
        **dict.fromkeys("\uff01", "! "),
        **dict.fromkeys("\u00a1\u00bf", ""),
        **dict.fromkeys("\u3010\u3014\u3008\u300a", "["),
        **dict.fromkeys("\u3011\u3015\u3009\u300b", "]"),
    }
)
_COMPATIBLE = ("<wide>", "<font>", "<circle>")
# Arrows, variation selectors, the frame of a key.
_PART_OF_PICTURE = re.compile(r"[\u2190-\u21ff\u27f0-\u27ff\ufe00-\ufe0f\u20e3]")


def plain_characters(text: str) -> str:
    """A text with full-width, bold and circled letters and other scripts' stops as plain ones; none are invisible."""
    if text.isascii():
        return text
    return "".join(map(_plain_character, text.translate(_PUNCTUATION)))


def plain_quotes(text: str) -> str:
    """A text whose quotes and spaces are those of a keyboard."""
    return text.translate(_QUOTES)


def undress_line(line: str) -> str:
    """A line without list marks, emphasis, links, mathematics signs, quotes, and emoji at its ends."""
    line = _JSON_LIST.sub(r"\2", _LINK.sub(r"\1", _STRUCK.sub("", line)))
    while (opened := _BOX.sub(r"\1", line)) != line:
        line = opened
    line = _MATHS.sub(r"\2", _BOXED_BARE.sub("", _MATHS_SIGN.sub("", line)))
    line = _EMPHASIS.sub("", _ESCAPED.sub("", line))
    before = None
    while line != before:
        before = line
        line = _TICKED.sub("", _LISTED.sub("", _without_pictures(line.strip(WRAPPING)))).strip(WRAPPING)
    return line


def is_crossed_out(line: str) -> bool:
    """Whether a line has a cross or an empty box at one of its ends: what it names is not the answer."""
    return bool(_CROSSED.search(line))


def undress(raw: str) -> list[str]:
    """The lines of an answer that say something, undressed.

    Args:
        raw: A model's answer.

    Returns:
        Its lines with a letter, a digit or a cross on them, in their order; a line with several ticks or crosses is one
        line for each. None where it is only thinking, or thinking that has not come to an end.
    """
    text = _THOUGHT.sub("\n", plain_characters(raw))
    text = _THOUGHT_ENDS.sub("", text)
    if _THOUGHT_OPENS.search(text):
        return []
    text = _TAG.sub("", _BREAK_TAG.sub("\n", _TOKEN.sub("\n", text)))
    while (bare := _PAIRED_TAG.sub(r"\2", text)) != text:
        text = bare
    lines = (part for line in text.splitlines() if not _FENCE.match(line) for part in _marked_parts(line))
    return [undressed for line in lines if _says_something(undressed := undress_line(line))]


def _says_something(line: str) -> bool:
    return bool(re.search(rf"[^\W_]|{CROSS}", line))


def _marked_parts(line: str) -> list[str]:
    """A line with ticks and crosses, cut so that each stays with its text: "[x] one [ ] two", "one [x] two [ ]"."""
    if _MARK_FIRST.match(line):
        return _TO_MARK.sub("\n", line).splitlines()
    return _FROM_MARK.sub("\\1\n", line).splitlines() if _MARK_LAST.search(line) else [line]


def _plain_character(character: str) -> str:
    if unicodedata.category(character) == "Cf":
        return ""
    if unicodedata.decomposition(character).startswith(_COMPATIBLE):
        return unicodedata.normalize("NFKC", character)
    return character


def _without_pictures(line: str) -> str:
    """A line without ticks, emoji and arrows at its ends; nothing is left of one that has nothing else."""
    start, end = 0, len(line)
    while start < end and _is_picture(line[start]):
        start += 1
    while end > start and _is_picture(line[end - 1]):
        end -= 1
    return line[start:end]


def _is_picture(character: str) -> bool:
    if character.isascii():
        return character.isspace()
    if re.match(CROSS, character):
        return False
    return unicodedata.category(character) in ("So", "Sk", "Zs") or bool(_PART_OF_PICTURE.match(character))
