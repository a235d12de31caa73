"""Joining answers: every pair of answers to one item is compared once, and whatever is left out is said."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.joining import join_sets
from cascade_equivalence.imported.rows import AnswerRow, AnswerSet, as_table

NAMES = ("one", "other", "again")
IDS = st.lists(st.sampled_from([f"q{number}" for number in range(8)]), min_size=1, max_size=10)


def answers(*rows: AnswerRow) -> AnswerSet:
    return AnswerSet(Path("f"), "table", "", as_table(rows))


def of_ids(ids: list[str]) -> AnswerSet:
    return answers(*(AnswerRow(name, label="x", answer=f"{name} {place}") for place, name in enumerate(ids)))


@given(ids=st.lists(IDS, min_size=2, max_size=3))
@settings(deadline=None)
def test_an_item_is_compared_if_and_only_if_each_has_one_answer_and_the_rest_is_said(ids: list[list[str]]) -> None:
    sets, names = [of_ids(each) for each in ids], NAMES[: len(ids)]
    expected = set.intersection(*({name for name in each if each.count(name) == 1} for each in ids))
    if not expected:
        with pytest.raises(StudyError, match=r"no item has an answer in all files|more than one answer"):
            join_sets(sets, names)
        return
    (joined,), lines = join_sets(sets, names)
    assert not lines
    for each, table in zip(ids, joined.tables, strict=True):
        assert sorted(table["id"]) == sorted(expected)
        assert table["id"].to_list() == joined.tables[0]["id"].to_list()
        assert all(answer == f"{name} {each.index(name)}" for name, answer in table.select("id", "answer").iter_rows())
    doubled = {name for name, each in zip(names, ids, strict=True) if len(set(each)) < len(each)}
    single = [{name for name in each if each.count(name) == 1} for each in ids]
    lacking = {name for name, each in zip(names, single, strict=True) if each != set.union(*single)}
    assert {line.split()[0] for line in joined.apart if "more than one answer" in line} == doubled
    assert {line.split()[0] for line in joined.apart if "no answer" in line} == lacking
    assert len(joined.apart) == len(doubled) + len(lacking)


@given(order=st.permutations(range(6)))
@settings(deadline=None)
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    rows = [AnswerRow(f"q{number}", label="x", answer=str(number)) for number in range(6)]
    (joined,), _ = join_sets([answers(*rows), answers(*(rows[place] for place in order))], NAMES[:2])
    assert joined.tables[0]["answer"].to_list() == joined.tables[1]["answer"].to_list()


def test_items_with_other_gold_labels_or_texts_are_left_out_a_line_each() -> None:
    one = [AnswerRow(f"q{n}", label="Yes", answer="a", text="t", content="a  text") for n in range(4)]
    other = [row._replace(label=" yes", content="a\ntext ") for row in one]
    (joined,), _ = join_sets([answers(*one), answers(*other)], NAMES[:2])
    assert joined.tables[0].height == 4 and not joined.apart
    changed = [other[0]._replace(label="no"), other[1]._replace(content="another"), *other[2:]]
    (joined,), _ = join_sets([answers(*one), answers(*changed)], NAMES[:2])
    assert joined.tables[0]["id"].to_list() == ["q2", "q3"]
    assert [("gold label" in line, "text" in line) for line in joined.apart] == [(True, False), (False, True)]
    (joined,), _ = join_sets([answers(*one), answers(*changed)], NAMES[:2], ignore_texts=True)
    assert joined.tables[0]["id"].to_list() == ["q1", "q2", "q3"]
    with pytest.raises(StudyError, match="no item is the same"):
        join_sets([answers(*one), answers(*(row._replace(label="no") for row in one))], NAMES[:2])


def test_what_one_file_does_not_say_is_taken_from_the_other() -> None:
    bare = answers(AnswerRow("q", answer="a"))
    full = answers(AnswerRow("q", answer="b", label="x", group="g", text="words", content="words"))
    for sets in ((bare, full), (full, bare)):
        (joined,), _ = join_sets(sets, NAMES[:2])
        for table in joined.tables:
            assert table.select("label", "group", "text").row(0) == ("x", "g", "words")
    (joined,), _ = join_sets([bare, bare], NAMES[:2])
    assert joined.tables[0]["group"].to_list() == ["q"]


def test_answers_without_voices_stand_beside_those_in_every_voice() -> None:
    spoken = answers(*(AnswerRow(name, voice=voice, answer=voice) for name in "pq" for voice in ("us", "gb")))
    written = answers(AnswerRow("p", answer="1"), AnswerRow("q", answer="2"))
    (joined,), _ = join_sets([spoken, written], NAMES[:2])
    rows = joined.tables[1].select("id", "voice", "answer").rows()
    assert sorted(rows) == [("p", "gb", "1"), ("p", "us", "1"), ("q", "gb", "2"), ("q", "us", "2")]
    assert "no voices" in joined.apart[0] and joined.tables[0]["group"].to_list() == ["p", "p", "q", "q"]


def test_tasks_are_joined_by_name_and_a_file_without_names_is_of_each_that_is_asked_for() -> None:
    named = answers(AnswerRow("q", task="sums"), AnswerRow("q", task="names"))
    part, bare = answers(AnswerRow("q", task="sums"), AnswerRow("q", task="more")), answers(AnswerRow("q"))
    (joined,), lines = join_sets([named, part], NAMES[:2])
    assert joined.task == "sums" and len(lines) == 2
    (joined,), lines = join_sets([named, bare], NAMES[:2], ["names"])
    assert joined.task == "names" and not lines
    with pytest.raises(StudyError, match="no task in common"):
        join_sets([named, bare], NAMES[:2])
    with pytest.raises(StudyError, match="--task gone: the files have sums, names"):
        join_sets([named, named], NAMES[:2], ["gone"])


def test_a_study_of_the_project_on_clean_speech_joins_by_the_plain_name_of_its_task() -> None:
    own = answers(*(AnswerRow("a", f"sst2/{heard}", label="x", answer=heard) for heard in ("clean", "snr0")))
    plain, bare = answers(AnswerRow("a", "sst2", answer="z")), answers(AnswerRow("a", answer="z"))
    for other, asked in ((plain, []), (plain, ["sst2"]), (bare, ["sst2"]), (own, ["sst2"])):
        for sets in ([own, other], [other, own]):
            (joined,), _ = join_sets(sets, NAMES[:2], asked)
            assert joined.task == "sst2" and "clean" in [table["answer"][0] for table in joined.tables]
    assert [each.task for each in join_sets([own, own], NAMES[:2])[0]] == ["sst2/clean", "sst2/snr0"]
    both = answers(AnswerRow("a", "sst2", answer="z"), AnswerRow("a", "sst2/clean", answer="y"))
    assert [each.task for each in join_sets([both, both], NAMES[:2])[0]] == ["sst2", "sst2/clean"]


def test_a_task_without_a_name_is_told_as_such() -> None:
    several = answers(AnswerRow("a", "one"), AnswerRow("a", "two"))
    with pytest.raises(StudyError, match=r"other: \w"):
        join_sets([several, answers(AnswerRow("a"))], NAMES[:2])


def test_answers_of_several_systems_in_one_file_are_told_as_that() -> None:
    with pytest.raises(StudyError, match=r"other has more than one answer to 2 items.*one system"):
        join_sets([of_ids(["a", "b"]), of_ids(["a", "b", "a", "b"])], NAMES[:2])


def test_a_hash_in_the_place_of_words_is_compared_with_hashes_alone() -> None:
    said = {word: f"sha256:{hashlib.sha256(word.encode()).hexdigest()}" for word in ("gold", "text", "other")}
    plain = answers(AnswerRow("a", label="gold", answer="x", text="text", content="text"))
    hashed, another = (
        answers(AnswerRow("a", label=said["gold"], answer="x", score=1, text=said[word], content=said[word]))
        for word in ("text", "other")
    )
    for sets in ([plain, hashed], [hashed, plain]):
        (joined,), _ = join_sets(sets, NAMES[:2])
        assert not joined.apart
        assert all(table.select("label", "text").rows() == [("gold", "text")] for table in joined.tables)
    with pytest.raises(StudyError, match="another text"):
        join_sets([hashed, another], NAMES[:2])
