"""MUStARD: whether one utterance from a television show is sarcastic."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import clean_until_stable
from cascade_equivalence.tasks.published import read_text, text_field


class Mustard(Task):
    """MUStARD: all clips, the utterance alone, without the turns before it.

    Each clip is a group of its own: their contexts are all distinct, and the set has only four shows, by which nothing
    could ever be shown. What the intervals are by show, and by show and speaker, stands beside.
    """

    name = "mustard"
    title = "MUStARD"
    short_title = "MUS"
    asked = 690
    longest = 70
    planned = Length(words=12.4, letters=64, recorded_seconds=5.2)
    text_sufficient = False
    labels = ("sarcastic", "sincere")
    styles = labels
    subjects = ("tone",)
    wider = ("show and speaker", "show")
    patterns = ("sarcasm_data.json",)
    obtain = (
        "`sarcasm_data.json` of github.com/soujanyaporia/MUStARD, folder data, as mustard/sarcasm_data.json (an object "
        "keyed by clip: utterance, speaker, show, sarcasm, ...)."
    )

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        del earlier
        for key, row in json.loads(read_text(path)).items():
            if not isinstance(row["sarcasm"], bool):
                raise ValueError(f"clip {key}: `sarcasm` is neither true nor false")
            show = text_field(row, "show")
            wider = (f"{show}/{text_field(row, 'speaker')}", show)
            yield Item(
                id=key,
                text=clean_line(text_field(row, "utterance")),
                label="sarcastic" if row["sarcasm"] else "sincere",
                group=key,
                wider=tuple(zip(self.wider, wider, strict=True)),
            )


def clean_line(text: str) -> str:
    """Clean a line for speech; in some, an apostrophe of another encoding stands as a letter ("it\u00d5s")."""
    return clean_until_stable(text, lambda line: re.sub(r"(?<=[a-z])\u00d5(?=[a-z])", "'", line))
