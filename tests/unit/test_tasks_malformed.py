"""Malformed files: a byte changes itself alone and is reported; what is no item is named with its file and row."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import LONGEST_ID, check_items
from cascade_equivalence.tasks.published import foreign_bytes, read_text
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.tasks.sources.checks import load_set
from cascade_equivalence.tasks.sources.exclusions import Exclusions
from cascade_equivalence.tasks.sources.pins import Expected

TEXTS = ["The caf\u00e9", "A na\u00efve Zo\u00eb \u2014 \u201cyes\u201d", "It's me", "\u041d\u0435\u0442 \U0001f60a"]


def meld_csv(texts: list[bytes]) -> bytes:
    rows = [b'"%s",joy,0,%d' % (text, number) for number, text in enumerate(texts)]
    return b"\n".join([b"Utterance,Emotion,Dialogue_ID,Utterance_ID", *rows, b""])


CSQA = {"id": "q1", "question": "Where?", "choices": {"label": ["A", "B"], "text": ["here", "there"]}, "answerKey": "B"}
TRIVIA = {"qid": "t1", "question": "Who?", "gold_answer": "Abba", "aliases": ["ABBA"]}
MUSTARD = {"utterance": "Sure.", "show": "BBT", "speaker": "SHELDON", "sarcasm": True}
HUB_TRIVIA = {"question_id": "t1", "question": "Who?", "answer": {"value": "Abba", "aliases": ["ABBA"]}}


def json_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_one_byte_changes_only_itself_and_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "meld" / "test_sent_emo.csv"
    path.parent.mkdir()
    path.write_bytes(meld_csv([text.encode() for text in TEXTS]))
    before = TASKS["meld"].load_published(tmp_path)
    assert not foreign_bytes(path)
    path.write_bytes(meld_csv([TEXTS[0].encode(), TEXTS[1].encode(), b"It\x92s me", TEXTS[3].encode()]))
    assert TASKS["meld"].load_published(tmp_path) == before
    (line,) = foreign_bytes(path)
    assert str(path) in line and "line 4" in line and "0x92" in line and "\u2019" in line
    loaded = load_set(TASKS["meld"], tmp_path, [Expected(items=4)], Exclusions(tmp_path / "none.csv"))
    assert line in loaded.notes(60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.text(), st.integers(0x80, 0xFF))
def test_any_byte_anywhere_changes_only_itself(tmp_path: Path, before: str, after: str, byte: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"x{before}".encode() + bytes([byte]) + f"x{after}".encode())
    windows = bytes([byte]).decode("cp1252", errors="replace")
    assert read_text(path) == f"x{before}{windows}x{after}"
    assert len(foreign_bytes(path)) == 1


def test_many_foreign_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("It\u2019s a caf\u00e9\n".encode("cp1252") * 50)
    assert read_text(path) == "It\u2019s a caf\u00e9\n" * 50
    assert len(foreign_bytes(path)) == 6 and "95 more" in foreign_bytes(path)[-1]


# -- rows --------------------------------------------------------------------------------------------------------------


def broken(row: dict[str, Any], *place: str) -> list[tuple[str, dict[str, Any]]]:
    """The row with something that is no text at a place, or nothing."""
    changed = []
    for value in (None, 7, 1.5, True, ["x"], {}):
        copy = json.loads(json.dumps(row))
        inner = copy
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        changed.append((f"{'.'.join(place)} {value!r}", copy))
    return changed


def named(*groups: tuple[str, str, list[tuple[str, dict[str, Any]]], dict[str, Any]]) -> dict[str, Any]:
    return {f"{task} {name}": (task, file, row, good) for task, file, rows, good in groups for name, row in rows}


ROWS = named(
    *(("commonsense_qa", "validation.jsonl", broken(CSQA, key), CSQA) for key in ("id", "question", "answerKey")),
    ("commonsense_qa", "validation.jsonl", broken(CSQA, "choices", "text")[:4], CSQA),
    *(("trivia_qa", "validation.jsonl", broken(TRIVIA, key), TRIVIA) for key in ("qid", "question", "gold_answer")),
    (
        "trivia_qa",
        "validation.jsonl",
        [(str(value), TRIVIA | {"aliases": value}) for value in (None, "ABBA", 7, [7])],
        TRIVIA,
    ),
    *(
        ("trivia_qa", "validation.jsonl", broken(HUB_TRIVIA, *at), HUB_TRIVIA)
        for at in (("question_id",), ("answer", "value"))
    ),
)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_are_no_item_are_named(tmp_path: Path, name: str) -> None:
    task, file, row, good = ROWS[name]
    path = tmp_path / task / file
    path.parent.mkdir()
    path.write_bytes(json_lines([good, row]))
    with pytest.raises(StudyError) as caught:
        TASKS[task].load_published(tmp_path)
    assert str(path) in str(caught.value) and "row 2" in str(caught.value)


@pytest.mark.parametrize("row", ["text", 7, None, ["a"], "{", '{"id": NaN', "[" * 100_000])
def test_lines_that_are_no_row_are_named(tmp_path: Path, row: object) -> None:
    path = tmp_path / "commonsense_qa" / "validation.jsonl"
    path.parent.mkdir()
    raw = row if isinstance(row, str) and row != "text" else json.dumps(row)
    path.write_bytes(json_lines([CSQA]) + str(raw).encode() + b"\n")
    with pytest.raises(StudyError, match=r"validation\.jsonl.*row 2"):
        TASKS["commonsense_qa"].load_published(tmp_path)


@pytest.mark.parametrize(
    ("task", "file", "content", "row"),
    [
        ("meld", "test_sent_emo.csv", meld_csv([b"Yes."]) + b"Short\n", 2),
        ("ag_news", "test.csv", b'"1","Title","Text"\n"","Title","Text"\n', 2),
        ("ag_news", "test.csv", b'"1","Title","Text"\n"2","Title"\n', 2),
        ("ag_news", "test.csv", b'"1","Title","Text"\n"9","Title","Text"\n', 2),
        ("sst2", "dev.tsv", b"sentence\tlabel\ngood .\t1\nbad .\n", 2),
        ("sst2", "dev.tsv", b"sentence\tlabel\ngood .\t1\nbad .\t7\n", 2),
        ("mustard", "sarcasm_data.json", json.dumps({"1": MUSTARD, "2": MUSTARD | {"utterance": None}}).encode(), 2),
        ("mustard", "sarcasm_data.json", json.dumps({"1": MUSTARD, "2": MUSTARD | {"sarcasm": 7}}).encode(), 2),
        ("mustard", "sarcasm_data.json", json.dumps([MUSTARD]).encode(), 1),
        ("trivia_qa", "validation_sample.json", json.dumps({"qid": "1"}).encode(), 1),
    ],
)
def test_rows_of_other_layouts_are_named(tmp_path: Path, task: str, file: str, content: bytes, row: int) -> None:
    path = tmp_path / task / file
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        TASKS[task].load_published(tmp_path)
    assert str(path) in str(caught.value) and f"row {row}" in str(caught.value)


def test_a_missing_sentence_in_a_table_is_not_the_word_none(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    table = pl.DataFrame({"sentence": ["good .", None], "label": [1, 0]})
    table.write_parquet(tmp_path / "sst2" / "validation-00000-of-00001.parquet")
    with pytest.raises(StudyError, match="row 2"):
        TASKS["sst2"].load_published(tmp_path)


# -- own items ---------------------------------------------------------------------------------------------------------

OWN: dict[str, dict[str, Any]] = {
    "sst2": {"id": "a", "split": "test", "text": "Good.", "label": "positive"},
    "meld": {"id": "a", "split": "test", "text": "Good."},
    "trivia_qa": {"id": "a", "split": "test", "text": "Who?", "answer": "Abba", "aliases": ["ABBA"]},
    "commonsense_qa": {
        "id": "a",
        "split": "test",
        "text": "Where?",
        "label": "A",
        "options": {letter: f"place {letter}" for letter in "ABCDE"},
    },
}
OWN_BROKEN = {
    f"{task} {name}": (task, row)
    for task, good in OWN.items()
    for key in good
    if key != "split"
    for name, row in broken(good, key)
    if not (key == "aliases" and row[key] == ["x"])
}


@pytest.mark.parametrize("name", OWN_BROKEN)
def test_own_items_that_are_none_are_named(tmp_path: Path, name: str) -> None:
    task, row = OWN_BROKEN[name]
    (tmp_path / f"{task}.jsonl").write_bytes(json_lines([OWN[task], row]))
    with pytest.raises(StudyError) as caught:
        TASKS[task].load_demo(tmp_path)
    assert f"{task}.jsonl, line 2" in str(caught.value)


@pytest.mark.parametrize("line", [b"{", b"[]", b"7", b"null", b'"split"', b"[" * 100_000, b'{"split": "test"}'])
def test_lines_that_are_no_own_item_are_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "sst2.jsonl").write_bytes(json_lines([OWN["sst2"]]) + b"\n" + line)
    with pytest.raises(StudyError, match=r"sst2\.jsonl, line 3"):
        TASKS["sst2"].load_demo(tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_own_items_in_another_encoding_are_told(tmp_path: Path, encoding: str) -> None:
    text = json.dumps(OWN["sst2"] | {"text": "A caf\u00e9."}, ensure_ascii=False)
    (tmp_path / "sst2.jsonl").write_bytes(f"\n{text}".encode(encoding))
    with pytest.raises(StudyError, match=r"sst2\.jsonl, line \d: .*not UTF-8"):
        TASKS["sst2"].load_demo(tmp_path)


def test_separators_inside_a_text_do_not_end_a_line(tmp_path: Path) -> None:
    text = json.dumps(OWN["sst2"] | {"text": "One.\u2028Two.\x85"}, ensure_ascii=False)
    (tmp_path / "sst2.jsonl").write_text(f"\ufeff{text}\r\n\n", encoding="utf-8")
    assert len(TASKS["sst2"].load_demo(tmp_path)) == 1


UNFIT: dict[str, Callable[[Item], Item]] = {
    "long id": lambda item: replace(item, id="x" * (LONGEST_ID + 1)),
    "long id in bytes": lambda item: replace(item, id="\u00e9" * (LONGEST_ID // 2 + 1)),
    "line break in the id": lambda item: replace(item, id="a\nb"),
    "NUL in the id": lambda item: replace(item, id="a\0b"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_ids_that_cannot_name_a_file_are_refused(name: str) -> None:
    item = Item(id="a", text="Good.", label="positive", group="a")
    check_items([item, replace(item, id="x" * LONGEST_ID)])
    with pytest.raises(StudyError, match="these ids") as caught:
        check_items([item, UNFIT[name](item)])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


# -- gold answers ------------------------------------------------------------------------------------------------------


def test_gold_answers_that_no_answer_reaches_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "trivia_qa").mkdir()
    rows = [
        TRIVIA | {"qid": f"t{n}", "gold_answer": gold, "aliases": []}
        for n, gold in enumerate(["Abba", "---", "invalid"])
    ]
    path = tmp_path / "trivia_qa" / "validation.jsonl"
    path.write_bytes(json_lines(rows))
    with pytest.raises(StudyError, match=r"validation\.jsonl.*: t1, t2\."):
        TASKS["trivia_qa"].load_published(tmp_path)
    own = [OWN["trivia_qa"], OWN["trivia_qa"] | {"id": "b", "answer": "...", "aliases": ["-"]}]
    (tmp_path / "trivia_qa.jsonl").write_bytes(json_lines(own))
    with pytest.raises(StudyError, match=r"trivia_qa\.jsonl.*: b\."):
        TASKS["trivia_qa"].load_demo(tmp_path)


@pytest.mark.parametrize("gold", ["A", "The The", "?", "An"])
def test_gold_answers_of_articles_and_signs_are_reached(tmp_path: Path, gold: str) -> None:
    (tmp_path / "trivia_qa").mkdir()
    path = tmp_path / "trivia_qa" / "validation.jsonl"
    path.write_bytes(json_lines([TRIVIA | {"gold_answer": gold, "aliases": [gold]}]))
    (item,) = TASKS["trivia_qa"].load_published(tmp_path)
    assert TASKS["trivia_qa"].score(TASKS["trivia_qa"].parse(gold, (), {}), item)
