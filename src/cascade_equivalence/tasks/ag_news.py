"""AG News: the topic of a news brief, headline and description."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import as_sentence, clean_until_stable
from cascade_equivalence.tasks.published import read_csv, read_rows, text_field

# Agencies and papers that the set's texts name as their source.
_AGENCIES = (
    r"AP|Reuters|AFP|CP|UPI|AAP|PA|IRNA|Xinhua|Bloomberg|Canadian Press|NewsFactor|PC World|InfoWorld|Ziff Davis|"
    r"MacCentral|TechWeb|The Motley Fool|Sports Network|Ticker|BusinessWeek Online|Investor's Business Daily|"
    r"Los Angeles Times|CBS\.MW|CNN/Money|HealthDayNews|[A-Za-z]+\.com"
)
# Ampersands of the original became spaces: " amp;", " quot;", " #39;" each stand for one sign, space included.
_ENTITY = re.compile(r"(?:&| ?)(#\d{2,4}|quot|amp|lt|gt|hellip|nbsp|apos|[lr][sd]quo|[mn]dash);")
# "Procter &amp; Gamble" lost its sign altogether and kept the three spaces.
_LOST_AND = re.compile(r"(?<=\w) {3}(?=[A-Z])")
_TICKER = re.compile(r"<A HREF=[^<>]*(?:ticker|quote)[^<>]*>[^<>]*</A>|<[A-Z0-9]+\.[A-Z]{1,2}>", re.IGNORECASE)
_LISTING = re.compile(
    r"\(\s?(?:NYSE|NASDAQ|AMEX|LSE|TSX|OTC)\s?:[^()]*\)|\((?:[\w.]+\s?: ?)?quote,[^()]*\)|\(\w{1,6}\.[A-Z]{1,3}\)",
    re.IGNORECASE,
)
_ADVERTISEMENT = re.compile(r"<p>\s*ADVERTISEMENT\s*</p>.*|<FONT[^<>]*><B>-[^<>]*</B></FONT>", re.DOTALL)
_BYLINE = re.compile(
    r"^\s*(?:<p>\s*(?:</p>)?\s*)*By [A-Z][\w.'-]*(?: [A-Z][\w.'-]*){1,3}(?:</p>\s*<p>|,[^\n,]{0,40}\s{3}|\s{3})"
)
_DATELINE = re.compile(r"^([^()]{0,60}?)\s*(?:\([^()]{2,40}\)|/PRNewswire[^/]*/)\s*(?:--\s*|-\s+)")
_UPDATE = re.compile(r"^\s*UPDATE(?: ?\d+ ?[-:]|:)\s*", re.IGNORECASE)
_LEADING_AGENCY = re.compile(rf"^\s*(?:{_AGENCIES})\s+-{{1,2}}\s+")
_AGENCY_TAG = re.compile(rf"\s*\((?:(?:{_AGENCIES})(?: Photo[^()]*)?|Update\s?\d+)\)")
# The hub joins title and description; an agency named at the end of one and the head of the other marks the seam.
_SEAM = re.compile(r"\s*\(([^()]{2,40})\)\s+(?=\1 -{1,2} )")


class AgNews(Task):
    """AG News' test split. Title and description are spoken as two sentences."""

    name = "ag_news"
    title = "AG News"
    short_title = "AG"
    asked = 1000
    planned = Length(words=36.3, letters=226)
    labels = ("World", "Sports", "Business", "Sci/Tech")
    subjects = ("category", "topic", "section")
    patterns = ("test.csv", "test*.parquet")
    obtain = (
        "`test.csv` of AG News (no header: class 1 to 4, title, description), or the test Parquet file of "
        "huggingface.co/datasets/fancyzhx/ag_news (columns text, label) as ag_news/test-00000-of-00001.parquet."
    )

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        if path.suffix == ".parquet":
            rows = ((int(row["label"]), *_split_title(text_field(row, "text"))) for row in read_rows(path))
        else:
            rows = ((int(label) - 1, title, description) for label, title, description in read_csv(path))
        for number, (label, title, description) in enumerate(rows, start=earlier + 1):
            if not 0 <= label < len(self.labels):
                raise ValueError(f"row {number} is of class {label}")
            name = f"ag_news-{number:05d}"
            text = " ".join(as_sentence(clean_news(part)) for part in (title, description) if part.strip())
            yield Item(id=name, text=text, label=self.labels[label], group=name)


def clean_news(text: str) -> str:
    """Clean a headline or a description for speech: no markup, tickers, bylines and agency names.

    The place of a dateline is kept: "LONDON (Reuters) - Oil fell" becomes "LONDON, Oil fell".
    """
    return clean_until_stable(text, _without_debris, _without_sources)


def _without_debris(text: str) -> str:
    text = _ENTITY.sub(lambda match: html.unescape(f"&{match[1]};"), text)
    text = re.sub(r"(?<=\w)\s+'s\b", "'s", text)
    text = _LOST_AND.sub(" & ", text)
    # A backslash is a line break of the original, but for "\$".
    text = re.sub(r"\\+(?=\$)|(?<=\w-)\\+(?=\w)", "", text)
    text = re.sub(r"\\+", " ", text)
    text = _ADVERTISEMENT.sub("", text)
    return _LISTING.sub(" ", _TICKER.sub("", text))


def _without_sources(text: str) -> str:
    text = _UPDATE.sub("", _BYLINE.sub("", text))
    text = _LEADING_AGENCY.sub("", text)
    text = _DATELINE.sub(r"\1 - ", text)
    return _AGENCY_TAG.sub("", text)


def _split_title(text: str) -> tuple[str, str]:
    """Title and description of a joined text; the description is empty where the seam cannot be told."""
    parts = _SEAM.split(text, maxsplit=1)
    return (parts[0], parts[-1]) if len(parts) > 1 else (text, "")
