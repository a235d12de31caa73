"""CommonsenseQA: a question with five lettered answers. The question is spoken, the answers are text."""

import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import clean_text
from cascade_equivalence.tasks.parsing import parse_option
from cascade_equivalence.tasks.published import list_field, read_rows, text_field


class CommonsenseQa(Task):
    """CommonsenseQA's validation split (the test split has no answers)."""

    name = "commonsense_qa"
    title = "CSQA"
    asked = 1000
    planned = Length(words=13.2, letters=69, options=46)
    labels = ("A", "B", "C", "D", "E")
    has_options: bool = True
    subjects = ("option", "choice")
    patterns = ("validation*.jsonl", "validation*.parquet")
    obtain = (
        "the validation split of huggingface.co/datasets/tau/commonsense_qa, as commonsense_qa/validation.jsonl (one "
        "object a line: id, question, choices{label, text}, answerKey) or as its Parquet file validation-*.parquet."
    )

    def parse(self, raw: str, options: Sequence[str], label_words: Mapping[str, str], prefix: str = "") -> str:
        """Turn a model's answer into a letter, or `invalid`."""
        del label_words
        return parse_option(raw, options, self.subjects, prefix)

    def answers(self, options: Sequence[str], label_words: Mapping[str, str]) -> dict[str, str]:
        """The letters of the options there are."""
        del label_words
        return {letter: letter for letter, _ in zip(self.labels, options, strict=False)}

    def _demo_items(self, row: dict[str, Any]) -> list[Item]:
        options = tuple(text_field(row["options"], letter) for letter in self.labels)
        return [Item(id=row["id"], text=row["text"], label=row["label"], group=row["id"], options=options)]

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        del earlier
        for row in read_rows(path):
            name, choices = text_field(row, "id"), row["choices"]
            letters, texts = list_field(choices, "label"), list_field(choices, "text")
            if list(letters) != list(string.ascii_uppercase[: len(texts)]):
                raise ValueError(f"the options of {name} are not lettered from A")
            yield Item(
                id=name,
                text=clean_text(text_field(row, "question")),
                label=text_field(row, "answerKey"),
                group=name,
                options=tuple(" ".join(text.split()) for text in texts),
            )
