"""A set is complete or says what is missing; samples are filled up fairly; known faults are listed with reasons."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.tasks.report_sets import COLUMNS, report_sets
from cascade_equivalence.tasks.sampling import sample
from cascade_equivalence.tasks.sources.checks import LoadedSet, load_set
from cascade_equivalence.tasks.sources.draw import draw, top_up
from cascade_equivalence.tasks.sources.exclusions import Exclusion, Exclusions, read_exclusions
from cascade_equivalence.tasks.sources.pins import Expected
from cascade_equivalence.tasks.sources.resources import exclusions_file, read_resources
from cascade_equivalence.tasks.sst2 import Sst2

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the published sets are not at {REAL}")
NONE = Exclusions(Path("none.csv"))
SST2 = Sst2()


def write_sst2(folder: Path, rows: Sequence[tuple[str, int]], name: str = "dev.tsv") -> None:
    (folder / "sst2").mkdir(exist_ok=True)
    lines = "".join(f"{sentence}\t{label}\n" for sentence, label in rows)
    (folder / "sst2" / name).write_text(f"sentence\tlabel\n{lines}")


def items(label: str, numbers: range, prefix: str = "") -> list[Item]:
    return [Item(id=f"{prefix}{label}{n}", text=f"{prefix}{label} {n}", label=label, group=str(n)) for n in numbers]


# -- whether a set is complete ------------------------------------------------------------------------------------


def test_a_complete_set_passes(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0), ("good .", 1)])
    loaded = load_set(SST2, tmp_path, [Expected(items=3, labels={"positive": 2, "negative": 1})], NONE)
    assert (loaded.rows, len(loaded.items), loaded.repeated_texts, loaded.repeated_rows) == (3, 3, 1, 0)
    assert loaded.labels() == {"positive": 2, "negative": 1}
    assert not loaded.differences


def test_a_part_of_a_set_says_what_was_expected_and_where(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0), ("worse .", 0)])
    expected = [Expected(items=872, labels={"positive": 444, "negative": 428})]
    with pytest.raises(StudyError) as refused:
        load_set(SST2, tmp_path, expected, NONE)
    for part in (
        str(tmp_path / "sst2"),
        "items: expected 872, found 3",
        "label positive: expected 444, found 1",
        "label negative: expected 428, found 2",
        "items.complete",
    ):
        assert part in str(refused.value)
    loaded = load_set(SST2, tmp_path, expected, NONE, complete=False)
    assert len(loaded.differences) == 4
    assert len(loaded.items) == 3


def test_as_many_items_with_other_labels_are_another_set(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0)])
    with pytest.raises(StudyError, match="label negative: expected 2, found 1"):
        load_set(SST2, tmp_path, [Expected(items=2, labels={"negative": 2})], NONE)


def test_one_of_several_editions_is_enough_and_the_nearest_is_compared(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0)])
    assert not load_set(SST2, tmp_path, [Expected(items=9), Expected(items=2)], NONE).differences
    with pytest.raises(StudyError, match="expected 3, found 2"):
        load_set(SST2, tmp_path, [Expected(items=9), Expected(items=3)], NONE)


def write_trivia(folder: Path, ids: str) -> None:
    (folder / "trivia_qa").mkdir()
    answer = {"value": "Thames", "aliases": ["River Thames"], "normalized_aliases": ["river thames"]}
    rows = [{"question": f"Which is {n}?", "question_id": name, "answer": answer} for n, name in enumerate(ids)]
    pl.DataFrame(rows).write_parquet(folder / "trivia_qa" / "validation-00000-of-00001.parquet")


def test_questions_that_occur_twice_count_once(tmp_path: Path) -> None:
    write_trivia(tmp_path, "abcab")
    task = TASKS["trivia_qa"]
    loaded = load_set(task, tmp_path, [Expected(items=3, rows=5)], NONE)
    assert [item.id for item in loaded.items] == ["a", "b", "c"]
    assert loaded.items == task.load_published(tmp_path)
    assert loaded.items[0].text == "Which is 0?"
    assert (loaded.rows, loaded.repeated_rows) == (5, 2)
    with pytest.raises(StudyError, match="rows: expected 6, found 5"):
        load_set(task, tmp_path, [Expected(items=3, rows=6)], NONE)


def test_an_id_that_may_not_repeat_is_refused(tmp_path: Path) -> None:
    write_trivia(tmp_path, "aba")
    with pytest.raises(StudyError, match=r"ids occur more than once: a\."):
        load_set(TASKS["trivia_qa"], tmp_path, [Expected(items=2)], NONE)


@needs_real
@pytest.mark.parametrize("name", [name for name in TASKS if name != "trivia_qa"])
def test_the_real_sets_are_complete(name: str) -> None:
    known = read_resources(name, RESOURCES)
    loaded = load_set(TASKS[name], REAL, known.pin.expected, known.exclusions)
    asked, _ = draw(TASKS[name], loaded, REAL, TASKS[name].asked or 1, 0, TASKS[name].longest)
    assert len(asked) == {"sst2": 872, "meld": 2610, "mustard": 690}.get(name, 1000)
    assert max(len(item.text.split()) for item in asked) <= TASKS[name].longest


@needs_real
def test_a_sample_of_a_real_set_is_named_as_one() -> None:
    known = read_resources("trivia_qa", RESOURCES)
    with pytest.raises(StudyError, match="items: expected 9960, found 150"):
        load_set(TASKS["trivia_qa"], REAL, known.pin.expected, known.exclusions)


# -- filling a sample up ------------------------------------------------------------------------------------------


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 120), st.integers(0, 3))
def test_a_sample_is_filled_up_evenly_and_the_same_everywhere(good: int, bad: int, wanted: int, seed: int) -> None:
    drawn = items("good", range(good)) + items("bad", range(bad))
    reserve = items("good", range(50), "r") + items("bad", range(50), "r")
    shuffled = random.Random(seed).sample(reserve, len(reserve))
    added = top_up(drawn, reserve, wanted, seed, 60, balanced=True)
    assert added == top_up(drawn, shuffled, wanted, seed, 60, balanced=True)
    assert len(added) == max(0, min(100, wanted - len(drawn)))
    counts = Counter(item.label for item in drawn + added)
    # As even as what was drawn before and what there is allow.
    if wanted >= 2 * max(good, bad) and max(counts.values(), default=0) < 50:
        assert abs(counts["good"] - counts["bad"]) <= 1
    assert added == top_up(drawn, reserve, wanted + 5, seed, 60, balanced=True)[: len(added)]


def test_words_that_are_asked_already_are_passed_over() -> None:
    drawn = [Item(id="a", text="It's good.", label="good", group="a")]
    reserve = [
        Item(id="b", text="Its good!", label="good", group="b"),
        Item(id="c", text="Good, it is.", label="good", group="c"),
        Item(id="d", text="GOOD IT IS", label="good", group="d"),
    ]
    added = top_up(drawn, reserve, 9, 0, 60, balanced=True)
    assert len(added) == 1
    assert added[0].id in "cd"


def test_unbalanced_sets_are_filled_up_in_the_order_of_the_draw() -> None:
    reserve = items("good", range(9)) + items("bad", range(9))
    assert top_up([], reserve, 5, 1, 60, balanced=False) == sample(reserve, 5, 1, 60, balanced=False)


def test_long_items_and_repeated_ids_of_the_reserve() -> None:
    assert top_up([], [], 5, 0, 60, balanced=True) == []
    long = Item(id="l", text="word " * 61, label="good", group="l")
    assert top_up([], [long, *items("good", range(3))], 9, 0, 60, balanced=True) == top_up(
        [], items("good", range(3)), 9, 0, 60, balanced=True
    )
    with pytest.raises(StudyError, match="in the set and in its reserve: good0"):
        top_up(items("good", range(1)), items("good", range(2)), 5, 0, 60, balanced=True)


TRAIN = [
    ("a fine film .", 1),
    ("a fine", 1),
    ("film .", 1),
    ("it is a bore", 0),
    ("and it is a bore .", 0),
    ("it is a bore .", 0),
    ("`` bravo ! ''", 1),
    ("bravo !", 1),
    ("what now ?", 0),
    ("what now ?", 0),
    ("good .", 1),
]


def test_the_reserve_of_sst2_is_made_of_whole_sentences(tmp_path: Path) -> None:
    write_sst2(tmp_path, TRAIN, "train.tsv")
    reserve = SST2.load_reserve(tmp_path)
    assert {item.id: item.text for item in reserve} == {
        "sst2-train-00000": "A fine film.",
        "sst2-train-00004": "And it is a bore.",
        "sst2-train-00006": '"Bravo!"',
        "sst2-train-00008": "What now?",
        "sst2-train-00010": "Good.",
    }
    pl.DataFrame(TRAIN, schema=["sentence", "label"], orient="row").write_parquet(
        tmp_path / "sst2" / "train-00000-of-00001.parquet"
    )
    (tmp_path / "sst2" / "train.tsv").unlink()
    assert SST2.load_reserve(tmp_path) == reserve


def test_sst2_is_filled_up_without_overlap_and_the_log_names_every_item(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("better .", 1), ("bad .", 0)])
    loaded = load_set(SST2, tmp_path, [Expected(items=3)], NONE)
    alone, notes = draw(SST2, loaded, tmp_path, 7, 0, 60)
    assert len(alone) == 3
    assert any("is not there" in line for line in notes)
    write_sst2(tmp_path, TRAIN, "train.tsv")
    asked, notes = draw(SST2, loaded, tmp_path, 7, 0, 60)
    assert asked[:3] == alone
    added = asked[3:]
    assert "sst2-train-00010" not in {item.id for item in added}
    assert [item.label for item in added] == ["negative", "negative", "positive", "positive"]
    assert ", ".join(item.id for item in added) in notes
    assert notes[-1] == "7 items asked; 4 positive, 3 negative"
    # The set's own items come first: nothing is added where they are enough.
    assert {item.id for item in draw(SST2, loaded, tmp_path, 2, 0, 60)[0]} < {item.id for item in alone}


def test_a_foreign_reserve_is_explained(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("x .", 7)], "train.tsv")
    with pytest.raises(StudyError, match=r"train\.tsv is not the training part"):
        SST2.load_reserve(tmp_path)


# -- known faults -------------------------------------------------------------------------------------------------


def test_the_lists_of_the_project_are_sound() -> None:
    for path in sorted((RESOURCES / "exclusions").iterdir()):
        assert path == exclusions_file(path.stem, RESOURCES)
        assert path.stem in TASKS
        for split in ("train", "dev", "test"):
            assert read_exclusions(path, split).ignored("._dia0_utt0")


@needs_real
def test_no_item_of_meld_is_dropped_and_all_it_names_exist() -> None:
    exclusions = read_resources("meld", RESOURCES).exclusions
    loaded = TASKS["meld"].load_published(REAL)
    assert exclusions.apply(loaded) == loaded
    assert set(exclusions.clips("cut")) == {"dia38_utt4", "dia220_utt0"}
    names = {item.id for item in loaded}
    assert not [name for name in names if exclusions.ignored(name)]
    assert exclusions.ignored("final_videos_testdia108_utt0")


def test_a_dropped_item_is_not_asked_and_its_reason_is_noted(tmp_path: Path) -> None:
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0)])
    line = Exclusion("test", "sst2-0001", "drop", "its clip is silent")
    loaded = load_set(SST2, tmp_path, [Expected(items=2)], Exclusions(Path("list.csv"), (line,)))
    assert [item.id for item in loaded.items] == ["sst2-0000"]
    assert loaded.repeated_rows == 0
    assert "sst2-0001 is left out: its clip is silent" in loaded.notes(60)
    stranger = Exclusions(Path("list.csv"), (Exclusion("test", "sst2-9", "drop", "gone"),))
    with pytest.raises(StudyError, match=r"list\.csv names items that the set does not have: sst2-9"):
        load_set(SST2, tmp_path, [Expected(items=2)], stranger)
    # In a part of a set they may be missing.
    assert len(load_set(SST2, tmp_path, [Expected(items=9)], stranger, complete=False).items) == 2


HEADER = "split,clip,treatment,reason\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,reason\n", "must begin with the line split,clip,treatment,reason"),
        (HEADER + "test,a,drop,\n", "line 2: each of"),
        (HEADER + "test,a,drop,why,more\n", "line 2: each of"),
        (HEADER + "eval,a,drop,why\n", "'eval' is none of the splits"),
        (HEADER + "test,a,delete,why\n", "'delete' is none of the treatments ignore, drop, cut, keep"),
        (HEADER + "test,a,drop,why\ntest,a,cut,why\n", "names a of test twice"),
        (HEADER + 'test,a,drop,"why\n', "unexpected end of data"),
    ],
)
def test_a_list_with_a_fault_names_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "meld.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=message) as refused:
        read_exclusions(path, "test")
    assert str(path) in str(refused.value)


def test_lines_of_other_parts_and_missing_lists_concern_nobody(tmp_path: Path) -> None:
    path = tmp_path / "meld.csv"
    assert read_exclusions(path, "test") == Exclusions(path)
    path.write_text(HEADER + "train,a,drop,why\n*,._*,ignore,macOS\n")
    assert [line.clip for line in read_exclusions(path, "test").lines] == ["._*"]


# -- the table ----------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_set_there_is(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="none of the sets"):
        report_sets(tmp_path, RESOURCES)
    write_sst2(tmp_path, [("good .", 1), ("bad .", 0)])
    write_sst2(tmp_path, TRAIN, "train.tsv")
    lines = [line.strip("| ").split(" | ") for line in report_sets(tmp_path, RESOURCES).splitlines()]
    assert tuple(lines[0]) == COLUMNS
    (row,) = lines[2:]
    cells = dict(zip(COLUMNS, row, strict=True))
    assert (cells["Set"], cells["Rows"], cells["Items"], cells["Asked"]) == ("sst2", "2", "2", "6")
    assert "items: expected 872, found 2" in cells["As published"]


def test_counts_of_a_loaded_set() -> None:
    loaded = LoadedSet(items("good", range(3)) + items("bad", range(1)), 9, {"x": "why"}, ["items: expected 9"])
    assert (loaded.repeated_rows, loaded.longer_than(1), loaded.longer_than(2)) == (4, 4, 0)
    assert loaded.notes(1)[:2] == ["9 rows, 4 items", "items: expected 9"]
