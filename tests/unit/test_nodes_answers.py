"""Questions and answers belong to the items and transcripts they came from, one to one."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import Answer
from cascade_equivalence.nodes.answers import heard_items, questions, score_answers
from cascade_equivalence.tasks.base import Item

SST2 = TaskSpec(
    prompt="Sentiment?\n{speech}", answer_prefix="It is", label_words={"negative": "bad", "positive": "good"}
)
CSQA = TaskSpec(prompt="{options}\n{speech}")
ITEMS = [Item(f"i{n}", f"Text {n}.", ("negative", "positive")[n % 2], f"g{n // 2}") for n in range(4)]
COLUMNS = {
    "id": pl.String,
    "voice": pl.String,
    "group": pl.String,
    "label": pl.String,
    "raw": pl.String,
    "parsed": pl.String,
    "correct": pl.Boolean,
    "prompt_sha256": pl.String,
    "prompt_tokens": pl.Int64,
    "new_tokens": pl.Int64,
    "seconds": pl.Float64,
}


def transcripts(rows: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [name for name, _ in rows],
            "voice": [voice for _, voice in rows],
            "text": [f"heard {n} in {v}" for n, v in rows],
        },
        schema={"id": pl.String, "voice": pl.String, "text": pl.String},
    )


PAIRS = [(item.id, voice) for voice in ("us", "gb") for item in ITEMS]


def answer(text: str, number: int = 0) -> Answer:
    return Answer(text, f"hash{number}", 40 + number, 3, 0.25, {})


@pytest.mark.parametrize("most", [None, 4, 9])
def test_all_items_are_asked_about_where_all_are_heard(most: int | None) -> None:
    assert heard_items(ITEMS, transcripts(PAIRS[:2]), most) == ITEMS


def test_of_some_items_that_are_heard_none_may_be_missing() -> None:
    assert heard_items(ITEMS, transcripts([PAIRS[2], PAIRS[0]]), 2) == [ITEMS[0], ITEMS[2]]
    for most in (1, 3):
        with pytest.raises(StudyError, match=f"2 items are heard, not {most}"):
            heard_items(ITEMS, transcripts(PAIRS[:2]), most)


@settings(deadline=None, max_examples=20)
@given(st.permutations(PAIRS))
def test_there_is_one_question_a_transcript_in_its_order(rows: list[tuple[str, str]]) -> None:
    asked = questions("sst2", SST2, "", ITEMS, transcripts(rows))
    assert [one.messages[-1]["content"] for one in asked] == [f"Sentiment?\nheard {n} in {v}" for n, v in rows]
    for one in asked:
        assert one.answer_prefix == "It is"
        assert one.candidates == {"negative": "bad", "positive": "good"}
        # The text that was to be said is not what was heard.
        assert "Text" not in str(one.messages)


def test_a_system_prompt_comes_first() -> None:
    [one] = questions("sst2", SST2, "Be brief.", ITEMS[:1], transcripts([("i0", "us")]))
    assert [turn["role"] for turn in one.messages] == ["system", "user"]


def test_options_are_those_of_the_item() -> None:
    items = [Item(f"i{n}", "Where?", "A", "g", options=(f"bed {n}", "sink", "car", "box", "hat")) for n in range(2)]
    asked = questions("commonsense_qa", CSQA, "", items, transcripts([("i1", "us"), ("i0", "us")]))
    assert [one.messages[-1]["content"].splitlines()[0] for one in asked] == ["A. bed 1", "A. bed 0"]
    assert [list(one.candidates) for one in asked] == [list("ABCDE")] * 2


@settings(deadline=None, max_examples=20)
@given(st.permutations(PAIRS))
def test_an_answer_is_judged_by_its_own_item(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    labels = {item.id: item.label for item in ITEMS}
    right = {"negative": "Bad.", "positive": "good"}
    texts = [right[labels[name]] if voice == "us" else "I cannot say" for name, voice in rows]
    path = tmp_path_factory.mktemp("answers") / "new" / "clean.parquet"
    answers = [answer(text, number) for number, text in enumerate(texts)]
    score_answers("sst2", SST2, "generate", ITEMS, transcripts(rows), answers, path, {})
    table = pl.read_parquet(path)
    assert dict(table.schema) == COLUMNS
    assert list(zip(table["id"], table["voice"], strict=True)) == rows
    assert table["label"].to_list() == [labels[name] for name, _ in rows]
    assert table["group"].to_list() == [f"g{int(name[1:]) // 2}" for name, _ in rows]
    assert table["raw"].to_list() == texts
    assert table["correct"].to_list() == [voice == "us" for _, voice in rows]
    assert table["parsed"].to_list() == [labels[name] if voice == "us" else "invalid" for name, voice in rows]
    assert table["prompt_sha256"].to_list() == [f"hash{number}" for number in range(len(rows))]
    assert table["prompt_tokens"].to_list() == [40 + number for number in range(len(rows))]


def test_a_forced_choice_is_a_label_and_not_parsed(tmp_path: Path) -> None:
    rows = PAIRS[:2]
    for mode, parsed, correct in (
        ("forced_choice", "negative", [True, False]),
        ("generate", "negative", [True, False]),
    ):
        score_answers("sst2", SST2, mode, ITEMS[:2], transcripts(rows), [answer("negative")] * 2, tmp_path / mode, {})
        table = pl.read_parquet(tmp_path / mode)
        assert table["parsed"].to_list() == [parsed] * 2
        assert table["correct"].to_list() == correct
    # "negative is it not" is no label: as a free answer it is invalid, and a forced choice never says it.
    score_answers(
        "sst2", SST2, "generate", ITEMS[:2], transcripts(rows), [answer("negative is it not")] * 2, tmp_path / "x", {}
    )
    assert pl.read_parquet(tmp_path / "x")["parsed"].to_list() == ["invalid"] * 2


def test_a_free_answer_is_scored_by_its_aliases(tmp_path: Path) -> None:
    items = [Item("i0", "Who?", "William Shakespeare", "g", aliases=("Shakespeare", "The Bard"))]
    spec = TaskSpec(prompt="{speech}")
    for text, parsed, correct in (("The Bard.", "bard", True), ("Marlowe", "marlowe", False), ("", "invalid", False)):
        score_answers(
            "trivia_qa", spec, "generate", items, transcripts([("i0", "us")]), [answer(text)], tmp_path / "t", {}
        )
        row = pl.read_parquet(tmp_path / "t").row(0, named=True)
        assert (row["raw"], row["parsed"], row["correct"], row["label"]) == (text, parsed, correct, items[0].label)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*PAIRS, ("i9", "us")], r"no item for i9"),
        (PAIRS[:-1], r"no transcript in voice gb for i3"),
        ([*PAIRS, PAIRS[0]], r"several transcripts in voice us for i0"),
        ([], r"no transcript at all"),
        ([(f"x{n}", "us") for n in range(9)], r"no item for x0, x1, x2, x3, x4 and 4 more; no transcript in voice us"),
    ],
    ids=["stray", "short", "twice", "empty", "many"],
)
def test_what_does_not_join_one_to_one_is_refused(rows: list[tuple[str, str]], message: str, tmp_path: Path) -> None:
    table = transcripts(rows)
    for attempt in (
        lambda: questions("sst2", SST2, "", ITEMS, table),
        lambda: score_answers("sst2", SST2, "generate", ITEMS, table, [answer("good")] * len(rows), tmp_path / "a", {}),
    ):
        with pytest.raises(StudyError, match=message):
            attempt()
    assert not (tmp_path / "a").exists()


def test_items_that_share_an_id_are_refused() -> None:
    with pytest.raises(StudyError, match="several items called i0"):
        questions("sst2", SST2, "", [*ITEMS, replace(ITEMS[0], text="Other.")], transcripts(PAIRS))


def test_there_is_one_answer_a_transcript(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        score_answers("sst2", SST2, "generate", ITEMS, transcripts(PAIRS), [answer("good")] * 7, tmp_path / "a", {})
    assert list(tmp_path.iterdir()) == []
