"""The project's own items and the published sets in their own layouts."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.cleaning import clean_text
from cascade_equivalence.tasks.items import check_items
from cascade_equivalence.tasks.registry import TASKS

ROOT = Path(__file__).parents[2]
DEMO = RESOURCES / "items"
REAL = ROOT.parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the published sets are not at {REAL}")

COUNTS = {
    "ag_news": {"World": 1900, "Sports": 1900, "Business": 1900, "Sci/Tech": 1900},
    "sst2": {"positive": 444, "negative": 428},
    "commonsense_qa": {"A": 239, "B": 255, "C": 241, "D": 251, "E": 235},
    "meld": {"neutral": 1256, "joy": 402, "anger": 345, "surprise": 281, "sadness": 208, "disgust": 68, "fear": 50},
    "mustard": {"sarcastic": 345, "sincere": 345},
}
DEBRIS = re.compile(
    r"[<>\\{}\[\]|_*^~`$\u20ac\u00a3%#@]|(?<![A-Z])&|&(?![A-Z])|\b(?:quot|amp|lt|gt|hellip);|#?\d+;\w|--| - |''|\"\"|"
    r"\s[,;:!?)]|\(\s|-[lr]rb-|\s(?:n't|'s|'re|'ve)\b|\((?:Reuters|AP|AFP)\)|^(?:AP|Reuters|AFP) - |"
    r"\b(?:HREF|href|http)\b|Quote, "
)


@cache
def real(name: str) -> tuple[Item, ...]:
    return tuple(TASKS[name].load_published(REAL))


def letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


@needs_real
@pytest.mark.parametrize("name", TASKS)
def test_published_sets_are_complete(name: str) -> None:
    items = real(name)
    check_items(items, TASKS[name].labels)
    assert Counter(item.label for item in items) == COUNTS[name] if name in COUNTS else len(items) == 150
    assert {item.style for item in items} == {None}


@needs_real
def test_clusters_are_dialogues_and_clips() -> None:
    assert len({item.group for item in real("meld")}) == 280
    assert all(item.group == item.id for item in real("mustard"))
    assert all(re.fullmatch(rf"{item.group}_utt\d+", item.id) for item in real("meld"))


@needs_real
@pytest.mark.parametrize("name", TASKS)
def test_no_debris_in_any_real_text(name: str) -> None:
    dirty = {item.id: found[0] for item in real(name) if (found := DEBRIS.search(item.text))}
    assert not dirty
    assert not [item.id for item in real(name) if re.match(r"[\s.,;:!?)]", item.text)]
    assert all(item.text.isprintable() and clean_text(item.text) == item.text for item in real(name))


@needs_real
@pytest.mark.parametrize("name", ["sst2", "commonsense_qa", "meld", "mustard"])
def test_cleaning_keeps_every_word(name: str) -> None:
    readers: dict[str, Callable[[], list[str]]] = {
        "sst2": lambda: [line.split("\t")[0] for line in (REAL / "sst2/dev.tsv").read_text().splitlines()[1:]],
        "commonsense_qa": lambda: [
            json.loads(line)["question"] for line in (REAL / "commonsense_qa/validation.jsonl").read_text().splitlines()
        ],
        "meld": lambda: [
            row["Utterance"]
            for row in csv.DictReader((REAL / "meld/test_sent_emo.csv").open(encoding="utf-8", newline=""))
        ],
        "mustard": lambda: [
            row["utterance"] for row in json.loads((REAL / "mustard/sarcasm_data.json").read_text()).values()
        ],
    }
    raw = readers[name]()
    # Signs that become words, tags, stage directions and broken apostrophes are meant to change the letters.
    plain = [
        (text, item)
        for text, item in zip(raw, real(name), strict=True)
        if not re.search(r"[$%&<(\[\u0101\u00d5]", text)
    ]
    assert len(plain) > 0.9 * len(raw)
    assert [item.id for text, item in plain if letters(text) != letters(item.text)] == []


@needs_real
def test_gold_answers_score() -> None:
    for name, task in TASKS.items():
        assert all(task.score(task.parse(item.label, item.options, {}), item) for item in real(name)[:400])


@needs_real
def test_hub_layouts_give_the_same_items(tmp_path: Path) -> None:
    for name in ("sst2", "commonsense_qa"):
        (tmp_path / name).mkdir()
    rows = [json.loads(line) for line in (REAL / "commonsense_qa/validation.jsonl").read_text().splitlines()]
    pl.DataFrame(rows).write_parquet(tmp_path / "commonsense_qa" / "validation-00000-of-00001.parquet")
    table = pl.read_csv(REAL / "sst2/dev.tsv", separator="\t", quote_char=None)
    table.slice(0, 500).write_parquet(tmp_path / "sst2" / "validation-00000-of-00002.parquet")
    table.slice(500).with_row_index("idx").write_parquet(tmp_path / "sst2" / "validation-00001-of-00002.parquet")
    assert TASKS["commonsense_qa"].load_published(tmp_path) == list(real("commonsense_qa"))
    hub = TASKS["sst2"].load_published(tmp_path)
    assert hub == list(real("sst2"))


def test_hub_news_is_split_at_the_seam(tmp_path: Path) -> None:
    (tmp_path / "ag_news").mkdir()
    text = ["Oil Falls (Reuters) Reuters - Oil fell\\on Monday.", "A Team Wins It was a \\$5 win."]
    pl.DataFrame({"text": text, "label": [2, 1]}).write_parquet(tmp_path / "ag_news" / "any.parquet")
    items = TASKS["ag_news"].load_published(tmp_path)
    assert [item.text for item in items] == ["Oil Falls. Oil fell on Monday.", "A Team Wins It was a 5 dollars win."]
    assert [item.label for item in items] == ["Business", "Sports"]


def test_hub_trivia_has_each_question_once(tmp_path: Path) -> None:
    (tmp_path / "trivia_qa").mkdir()
    answer = {"value": "Thames", "aliases": ["River Thames"], "normalized_aliases": ["river thames"]}
    row = {"question": "Which river?", "question_id": "q1", "answer": answer}
    pl.DataFrame([row, row, row | {"question_id": "q2"}]).write_parquet(tmp_path / "trivia_qa" / "validation-0.parquet")
    items = TASKS["trivia_qa"].load_published(tmp_path)
    assert [item.id for item in items] == ["q1", "q2"]
    assert items[0].aliases == ("Thames", "River Thames", "river thames")


def test_windows_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "meld").mkdir()
    lines = 'Utterance,Emotion,Dialogue_ID,Utterance_ID\n"It\u2019s me",joy,0,1\n'
    (tmp_path / "meld" / "test_sent_emo.csv").write_bytes(lines.encode("cp1252"))
    assert TASKS["meld"].load_published(tmp_path)[0].text == "It's me"
