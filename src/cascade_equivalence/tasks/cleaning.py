"""Written text made fit to be read aloud.

What is spoken is also the reference of the word error rate, so text is changed only where a voice would stumble: markup
and broken encodings go; signs that are words ($, %, &, No.) become words; dashes that are pauses become commas. Digits
stay, because voices read numbers, ordinals, years and times well, and so do abbreviations such as "Inc." or "U.S.".
Every cleaner is idempotent: cleaning a cleaned text changes nothing.
"""

import html
import re
import unicodedata
from collections.abc import Callable

_MAX_ROUNDS = 64

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)
_BLOCK = re.compile(r"</?(?:p|br|div|li|ul|ol|tr|td|table|h[1-6])\b[^<>]*>", re.IGNORECASE)
_OPEN_TAG = re.compile(r"<[A-Za-z]+\s+[A-Za-z-]+\s*=[^<>]*$")
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)

# UTF-8 read as a one-byte code page; the first letter is "â" in the Western and "ā" in the Baltic one.
_MOJIBAKE = {"\u2122": "'", "\u02dc": "'", "\u0153": '"', "\u009d": '"', "\u201c": "-", "\u201d": "-", "\u00a6": "..."}
_MOJIBAKE_SIGN = re.compile(f"[\u00e2\u0101]\u20ac([{''.join(_MOJIBAKE)}])")
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2212", "-"),
        **dict.fromkeys("\u2012\u2013\u2014\u2015", "\u2014"),
        **dict.fromkeys("[{", "("),
        **dict.fromkeys("]}", ")"),
        **dict.fromkeys("\\|_~*^<>", " "),
        **dict.fromkeys("\u2022\u00b7", ", "),
        "\u2026": "...",
    }
)
# Unicode categories without a sound: controls, separators and pictures become a space; invisible marks go.
_BLANK = ("Cc", "Zs", "Zl", "Zp", "So", "Sk")
_GONE = ("Cf", "Cs", "Co", "Cn")

_AMOUNT = r"(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)"
_SCALES = {
    "mln": "million",
    "mil": "million",
    "mn": "million",
    "m": "million",
    "bln": "billion",
    "bn": "billion",
    "b": "billion",
} | {
    "tn": "trillion",
    "k": "thousand",
}
_SCALE = r"(?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|mln|mil|bln|mn|bn|tn)|(?P<short>[mbk]))\b"
_MONEY = re.compile(
    rf"(?:\b(?P<place>US|AU|CA|HK|NZ|[ACS]))?(?P<sign>[$€£])(?P<after>US|AU|HK|NZ|[ACS])?\s?"
    rf"(?P<low>{_AMOUNT})(?:-[$€£]?(?P<high>{_AMOUNT}))?(?:{_SCALE})?",
    re.IGNORECASE,
)
_PLACES = {"US": "US", "AU": "Australian", "A": "Australian", "CA": "Canadian", "C": "Canadian"} | {
    "HK": "Hong Kong",
    "NZ": "New Zealand",
    "S": "Singapore",
}
_UNITS = {"$": ("dollar", "cent", "cents"), "€": ("euro", "cent", "cents"), "£": ("pound", "penny", "pence")}
_BARE_SCALE = re.compile(r"(?<=\d)\s?\b(mln|bln|bn)\b", re.IGNORECASE)
_MONTHS = {
    month[:length]: month
    for month in ("January", "February", "August", "September", "October", "November", "December")
    for length in ((3, 4) if month == "September" else (3,))
}
_MONTH = re.compile(rf"\b({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.\s?(?=\d)")
# "34-17" is read "34 to 17"; "9-11", "1-2-3" and "555-0123-4" are left alone.
_SPAN = re.compile(
    rf"(?<![\w.,/-])(?!9-11\b)({_AMOUNT})-({_AMOUNT})(?![\w/-]|[.,]\d)|(?<!\d)(\d{{4}}) [-—] (\d{{4}})(?!\d)"
)

# A hyphen between spaces, or beside one, is a dash; but "-5" is a number.
_DASH = re.compile(r"\s*(?:-{2,}|—)[\s—-]*|(?:^|\s+)-(?:\s+|$|(?=[^\W\d]))|(?<=[^\s-])-(?:\s+|$)")


def clean_text(text: str) -> str:
    """Clean a text for speech.

    Returns:
        One line with single spaces, no markup, controls or pictures. Not empty if the text has a letter or a digit.
    """
    return clean_until_stable(text)


def clean_until_stable(text: str, *rules: Callable[[str], str]) -> str:
    """Apply a task's own rules and then the common ones, until nothing changes.

    A text of which the rules would leave no letter and no digit (one that is all markup) keeps its bare words.
    """
    cleaned = _until_stable(text, rules)
    if _words(text) and not _words(cleaned):
        cleaned = _until_stable(" ".join(_words(text)), rules)
    return cleaned


def as_sentence(text: str) -> str:
    """End a text with a full stop unless it ends a sentence already."""
    return text if not text or re.search(r"[.!?][\"')]*$", text) else f"{text}."


def _until_stable(text: str, rules: tuple[Callable[[str], str], ...]) -> str:
    for _ in range(_MAX_ROUNDS):
        before = text
        for rule in (*rules, _markup, _characters, _words_for_signs, _punctuation):
            text = rule(text)
        if text == before:
            break
    return text


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text))


def _markup(text: str) -> str:
    """Drop HTML and addresses. Entities may be escaped more than once."""
    while (plain := html.unescape(text)) != text:
        text = plain
    text = _TAG.sub("", _BLOCK.sub(" ", text))
    return _URL.sub(" ", _OPEN_TAG.sub(" ", text))


def _characters(text: str) -> str:
    """Repair broken encodings and keep one form of quotes, dashes and spaces."""
    text = _MOJIBAKE_SIGN.sub(lambda match: _MOJIBAKE[match[1]], text)
    # The C1 controls are Windows-1252 quotes and dashes that were read as Latin-1.
    text = re.sub(r"[\x80-\x9f]", lambda match: match[0].encode("latin-1").decode("cp1252", errors="ignore"), text)
    text = re.sub("'{2,}", '"', unicodedata.normalize("NFC", text).translate(_CHARACTERS))
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_audible, text))
    return " ".join(text.split())


def _audible(character: str) -> str:
    category = unicodedata.category(character)
    return " " if category in _BLANK else "" if category in _GONE else character


def _words_for_signs(text: str) -> str:
    """Write out what a sign stands for: "$3.5 million" as "3.5 million dollars", "25%" as "25 percent"."""
    text = _MONEY.sub(_money, text)
    text = re.sub(r"[$€£]", lambda match: f" {_UNITS[match[0]][0]} ", text)
    text = _BARE_SCALE.sub(lambda match: f" {_SCALES[match[1].lower()]}", text)
    text = re.sub(r"\s?%", " percent ", text)
    # Voices read "AT&T" and "S&P" as they stand.
    text = re.sub(r"(?<![A-Z])&|&(?![A-Z])", " and ", text)
    text = re.sub(r"#\s?(?=\d)|\b[Nn]o\.\s?(?=\d)", "number ", text)
    text = text.replace("#", " ").replace("@", " at ")
    text = re.sub(r"={2,}", " ", text).replace("=", " equals ")
    text = _MONTH.sub(lambda match: f"{_MONTHS[match[1]]} ", text)
    text = re.sub(r"(?<=[^\W\d_])/(?=[^\W\d_])", " ", text)
    return _SPAN.sub(lambda match: f"{match[1] or match[3]} to {match[2] or match[4]}", text)


def _money(match: re.Match[str]) -> str:
    unit, cent, cents = _UNITS[match["sign"]]
    low, high = match["low"], match["high"]
    scale = (match["scale"] or match["short"] or "").lower()
    place = match["place"] or match["after"] or ""
    plural = "s" if scale or high or low != "1" else ""
    # A letter before another currency's sign is part of the text; an abbreviation of a country is not.
    name = f"{_PLACES[place.upper()]} {unit}" if place and unit == "dollar" else unit
    if not scale and not high and (parts := re.fullmatch(r"([\d,]*)\.(\d\d)", low)):
        whole, rest = parts[1] or "0", int(parts[2])
        main = f"{whole} {name}{'' if whole == '1' else 's'}" if whole != "0" or not rest else ""
        small = f"{rest} {cent if rest == 1 else cents}" if rest else ""
        amount = " and ".join(part for part in (main, small) if part)
    else:
        amount = " ".join(
            part for part in (low, high and f"to {high}", _SCALES.get(scale, scale), name + plural) if part
        )
    lead = f"{place} " if place and unit != "dollar" else ""
    tail = match.string[match.end() : match.end() + 1]
    return f"{lead}{amount}{' ' if tail.isalnum() else ''}"


def _pause(match: re.Match[str]) -> str:
    """A comma for a dash, unless the mark before it is a pause already; the stop of an abbreviation is not."""
    before, after = match.string[: match.start()], match.string[match.end() : match.end() + 1]
    return " " if before.endswith(tuple(",;:!?(")) or (before.endswith(".") and not after.islower()) else ", "


def _punctuation(text: str) -> str:
    """Set spaces as in print, turn dashes into commas, and drop marks that carry nothing."""
    text = _DASH.sub(_pause, text)
    text = re.sub(r"\(\s*[\W_]*\s*\)", " ", text)
    text = re.sub(r"\s+(?=[,;:!?)]|\.(?!\d))", "", text)
    text = re.sub(r"\(\s+", "(", text)
    text = re.sub(r"\s+/\s+|\s*/\s*$|^\s*/\s*", ", ", text)
    text = re.sub(r"\.{2,}", "...", text)
    text = re.sub(r"\.\.\.(?=[^\W_])", "... ", text)
    text = re.sub(r"([,;:!?])\1+", r"\1", text)
    text = re.sub(r'"{2,}', '"', text)
    text = re.sub(r"(?<=\(),|,\s?(?=[.;:!?)])", "", text)
    text = re.sub(r"[\s,;:(]+$|^[\s.,;:!?)]+", "", text)
    return " ".join(text.split())
