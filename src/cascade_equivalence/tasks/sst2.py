"""SST-2: the polarity of a sentence from a film review."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.cleaning import settle
from cascade_equivalence.tasks.published import read_records, read_text

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "(", "-rsb-": ")", "-lcb-": "(", "-rcb-": ")"}
_BRACKET = re.compile(r"-[lr][rsc]b-", re.IGNORECASE)


class Sst2(Task):
    """SST-2 as GLUE publishes it: lower-cased, tokenised; the labelled part is the validation split."""

    name = "sst2"
    labels = ("positive", "negative")
    subjects = ("sentiment", "polarity")
    patterns = ("dev.tsv", "validation*.parquet")
    obtain = (
        "`dev.tsv` of GLUE's SST-2.zip (header `sentence label`), or the validation Parquet file of "
        "huggingface.co/datasets/nyu-mll/glue, config sst2, as sst2/validation-00000-of-00001.parquet."
    )

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        if path.suffix == ".parquet":
            rows = [(str(row["sentence"]), int(row["label"])) for row in read_records(path)]
        else:
            table = csv.DictReader(io.StringIO(read_text(path)), delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = [(row["sentence"], int(row["label"])) for row in table]
        for index, (sentence, label) in enumerate(rows, start=earlier):
            # GLUE's own index is the row number, and 0 is negative.
            name = f"sst2-{index:04d}"
            yield Item(id=name, text=clean_review(sentence), label={0: "negative", 1: "positive"}[label], group=name)


def clean_review(text: str) -> str:
    """Undo the tokenisation of a review sentence so that it can be read aloud.

    "it does n't , -lrb- really -rrb- ." becomes "It doesn't, (really)."
    """
    return settle(text, _detokenise)


def _detokenise(text: str) -> str:
    text = _BRACKET.sub(lambda match: _BRACKETS[match[0].lower()], text)
    # The corpus restored capitals as "( t ) his" and plurals as "put ( s )".
    text = re.sub(r"^\s*\(\s(\w)\s\)\s(?=[a-z])", r"\1", text)
    text = re.sub(r"(?<=\w)\s\(\s(\w)\s\)", r"\1", text)
    text = re.sub(r"``\s*", '"', text)
    text = re.sub(r"\s*''", '"', text)
    text = re.sub(r"`\s*", "'", text)
    text = re.sub(r"\s+(?=(?:n't|'(?:s|m|re|ve|ll|d))\b)", "", text)
    text = re.sub(r"\s+'(?=\s|$)", "'", text)
    text = re.sub(r"\bi\b(?=$|[\s,]|'[a-z])", "I", text)
    return re.sub(r"^(\W*)(\w)", lambda match: match[1] + match[2].upper(), text)
