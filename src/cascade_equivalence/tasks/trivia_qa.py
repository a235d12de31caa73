"""TriviaQA: a factual question with a free answer, scored against a list of aliases."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import clean_until_stable
from cascade_equivalence.tasks.parsing import matches_alias, parse_free
from cascade_equivalence.tasks.published import list_field, read_rows, text_field


class TriviaQa(Task):
    """TriviaQA's validation split (the test answers are not public), each question once."""

    name = "trivia_qa"
    title = "TriviaQA"
    remark = "TriviaQA: exact match with one of the accepted answers."
    asked = 1000
    planned = Length(words=13.7, letters=80)
    balanced = False
    patterns = ("validation*.parquet", "validation*.jsonl", "validation*.json")
    obtain = (
        "the validation split of huggingface.co/datasets/mandarjoshi/trivia_qa, config unfiltered.nocontext or "
        "rc.nocontext, as trivia_qa/validation-*.parquet or validation.jsonl; or a JSON list of "
        "{qid, question, gold_answer, aliases} as trivia_qa/validation_sample.json."
    )

    def load_published(self, folder: Path) -> list[Item]:
        """Read the published set; rc.* holds many questions twice, of which the first is kept."""
        questions: dict[str, Item] = {}
        for item in super().load_published(folder):
            questions.setdefault(item.id, item)
        return list(questions.values())

    def parse(self, raw: str, options: Sequence[str], label_words: Mapping[str, str], prefix: str = "") -> str:
        """Normalise the first line of a model's answer; `invalid` if it is empty."""
        del options, label_words
        return parse_free(raw, prefix)

    def score(self, parsed: str, item: Item) -> bool:
        """TriviaQA's exact match, with any alias."""
        return matches_alias(parsed, (item.label, *item.aliases))

    def _demo_items(self, row: dict[str, Any]) -> list[Item]:
        aliases = tuple(list_field(row, "aliases"))
        return [Item(id=row["id"], text=row["text"], label=row["answer"], group=row["id"], aliases=aliases)]

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        del earlier
        for row in read_rows(path):
            if "answer" in row:
                name, answer = text_field(row, "question_id"), row["answer"]
                label, aliases = text_field(answer, "value"), list_field(answer, "aliases")
                aliases = [*aliases, *(answer.get("normalized_aliases") or [])]
            else:
                name, label, aliases = (
                    text_field(row, "qid"),
                    text_field(row, "gold_answer"),
                    list_field(row, "aliases"),
                )
            question = clean_question(text_field(row, "question"))
            accepted = tuple(dict.fromkeys([label, *aliases]))
            yield Item(id=name, text=question, label=label, group=name, aliases=accepted)


def clean_question(text: str) -> str:
    r"""Clean a question for speech; some still carry the quoting of a CSV file: `"Who wrote ""Emma""?"`."""
    return clean_until_stable(text, _unquote)


def _unquote(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"') and ('""' in text or '"' not in text[1:-1]):
        text = text[1:-1]
    return re.sub(r'"{2,}', '"', text)
