"""What is heard against what is typed: who follows one of both has a text dominance of 1 or 0, who follows none 0.5."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from report_study import OUTLINE, STATISTICS
from scipy import stats
from study_config import ROOT, changed, lines_of

from cascade_equivalence.config.conflict import ConflictConfig
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import CascadeSpec, E2ESpec, TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import Answer
from cascade_equivalence.nodes.conflict import Conflict, build_conflicts, write_conflicts
from cascade_equivalence.report import tone_table
from cascade_equivalence.report.conflict_table import display, frame
from cascade_equivalence.report.naming import NodeFile
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.stages.conflict import all_files, systems
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER, INVALID

SPEC = TaskSpec(prompt="Sentiment?\n{speech}")
LABELS = ("negative", "positive")
ITEMS = [Item(f"i{n}", f"Text {n} {{typed}}.", LABELS[n % 2], f"g{n}") for n in range(40)]
SAID = {item.id: f"heard {item.id}" for item in ITEMS}
CONFIG = ConflictConfig(tasks=["sst2"], per_task=30)
Answerer = Callable[[Conflict], str]
ANSWERERS: dict[str, tuple[Answerer, float]] = {
    "typed": (lambda each: each.typed.label, 1.0),
    "heard": (lambda each: each.heard.label, 0.0),
    "constant": (lambda each: "positive", 0.5),
    "first": (lambda each: (each.heard if each.wording == 0 else each.typed).label, 0.5),
}


def test_a_prompt_holds_what_is_heard_and_the_other_text_in_both_orders() -> None:
    conflicts, asked = build_conflicts("sst2", SPEC, "", ITEMS, SAID, CONFIG)
    assert len(asked) == CONFIG.per_task * len(CONFIG.wordings)
    for each, question in zip(conflicts, asked, strict=True):
        text = question.messages[-1]["content"]
        places = text.index(SAID[each.heard.id]), text.index(each.typed.text)
        assert (places[0] < places[1]) == (each.wording == 0)
        assert each.heard.label != each.typed.label and set(question.candidates) == set(LABELS)
    # Each pair both ways round.
    both = {(each.heard.id, each.typed.id) for each in conflicts}
    assert both == {(one, other) for other, one in both}


def test_a_speech_llm_hears_in_the_place_of_the_transcript() -> None:
    silent = dict.fromkeys(SAID, AUDIO_PLACEHOLDER)
    _, heard = build_conflicts("sst2", SPEC, "", ITEMS, silent, CONFIG)
    conflicts, read = build_conflicts("sst2", SPEC, "", ITEMS, SAID, CONFIG)
    for each, one, other in zip(conflicts, heard, read, strict=True):
        content = one.messages[-1]["content"].replace(AUDIO_PLACEHOLDER, SAID[each.heard.id])
        assert content == other.messages[-1]["content"]


def test_texts_in_conflict_differ_and_pairs_are_whole() -> None:
    """Each text once with each label, and once in a group of its own."""
    items = [Item(f"r{n}{label}", f"Text {n}.", label, f"g{n}") for n in range(12) for label in LABELS]
    items += [Item(f"o{n}", f"Text {n}.", LABELS[n % 2], f"own{n}") for n in range(12)]
    for per_task in (7, 30):
        config = CONFIG.model_copy(update={"per_task": per_task})
        found, _ = build_conflicts("sst2", SPEC, "", items, {item.id: "heard" for item in items}, config)
        assert found and all(each.heard.text != each.typed.text for each in found)
        assert all(each.heard.label != each.typed.label for each in found)
        pairs = [(each.heard.id, each.typed.id) for each in found if not each.wording]
        assert set(pairs) == {(other, one) for one, other in pairs} and len(pairs) <= per_task


def test_an_item_that_is_not_heard_is_told() -> None:
    with pytest.raises(StudyError, match="is not heard"):
        build_conflicts("sst2", SPEC, "", ITEMS, dict(list(SAID.items())[:3]), CONFIG)


def written(folder: Path, system: str, answerer: Answerer, mode: str = "generate") -> Path:
    conflicts, _ = build_conflicts("sst2", SPEC, "", ITEMS, SAID, CONFIG)
    answers = [Answer(answerer(each), "", 1, 1, 0.1, {}) for each in conflicts]
    scored = [replace(answer, scores={label: float(label == answer.text) for label in LABELS}) for answer in answers]
    path = folder / system / "sst2.parquet"
    of = {"system": system, "task": "sst2"}
    write_conflicts("sst2", SPEC, mode, conflicts, answers, scored, path, of)
    return path


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
@pytest.mark.parametrize("name", ANSWERERS)
def test_who_is_followed_is_found(tmp_path: Path, name: str, mode: str) -> None:
    answerer, dominance = ANSWERERS[name]
    files = [written(tmp_path, "ears", answerer, mode), written(tmp_path, "cascade", ANSWERERS["typed"][0], mode)]
    found = frame(files, [("ears", "cascade", "exact")], STATISTICS)
    row, *orders = found.iter_rows(named=True)
    assert [row["variant"], *(each["variant"] for each in orders)] == ["all", "1", "2"]
    alone = [each["system_dominance"] for each in orders]
    assert alone == ([0, 1] if name == "first" else [dominance] * 2)
    assert row["system_dominance"] == pytest.approx(dominance) and row["reference_dominance"] == 1
    assert row["difference"] == pytest.approx(dominance - 1)
    assert row["system_dominance_low"] <= dominance <= row["system_dominance_high"]
    assert row["system_log_odds"] == pytest.approx(2 * dominance - 1)
    assert row["system_typed"] + row["system_heard"] == pytest.approx(1)
    assert row["prompts"] == CONFIG.per_task * 2 and row["groups"] == CONFIG.per_task // 2
    table = pl.DataFrame([row], schema=TABLES["conflict"].schema)
    (shown,) = display(table, 0.95).rows
    assert len(shown) == len(display(table, 0.95).columns)


def test_who_follows_neither_has_no_dominance(tmp_path: Path) -> None:
    files = [written(tmp_path, "ears", lambda _: "purple"), written(tmp_path, "cascade", ANSWERERS["heard"][0])]
    row, *_ = frame(files, [("ears", "cascade", "exact")], STATISTICS).iter_rows(named=True)
    assert row["system_dominance"] is None and row["difference"] is None and row["reason"]
    assert row["system_typed"] == row["system_heard"] == 0


# -- words against tone -----------------------------------------------------------------------------------------------

SYSTEMS = {
    "ears": E2ESpec(kind="e2e", model="ears-llm"),
    "true": CascadeSpec(kind="cascade", asr="oracle", llm="ears-llm"),
    "other": CascadeSpec(kind="cascade", asr="oracle", llm="other-llm"),
}
MANNERS = ("sarcastic", "sincere")


def manners(answer: Callable[[int, str], str]) -> pl.DataFrame:
    """Answers to forty sentences, each said in two manners."""
    rows = []
    for number in range(40):
        for label in MANNERS:
            parsed = answer(number, label)
            row = {"id": f"i{number}{label}", "voice": "one", "group": f"g{number}", "label": label, "parsed": parsed}
            rows.append(row | {"correct": parsed == label})
    return pl.DataFrame(rows)


TEXTS = pl.DataFrame({"id": [f"i{n}{label}" for n in range(40) for label in MANNERS]}).with_columns(
    text=pl.col("id").str.extract(r"i(\d+)")
)


def told(hears: pl.DataFrame, read: pl.DataFrame, texts: pl.DataFrame = TEXTS) -> pl.DataFrame:
    answers = {NodeFile(name, "mustard", "clean"): table for name, table in (("ears", hears), ("true", read))}
    outline = replace(OUTLINE, systems=SYSTEMS)
    return tone_table.frame(answers, {"mustard": texts}, {"mustard": MANNERS}, outline, STATISTICS)


@pytest.mark.parametrize(
    ("hears", "words", "tone", "otherwise"),
    [
        (lambda number, label: MANNERS[number % 2], 1, 0, 0),
        (lambda number, label: label, 0, 1, 0.5),
        # It hears no manner, and is right where the words would be wrong.
        (lambda number, label: MANNERS[1 - number % 2], 0, 1, 1),
        (lambda number, label: INVALID, 0, 0, 0),
    ],
)
def test_who_follows_the_words_and_who_the_tone_is_found(
    hears: Callable[[int, str], str], words: float, tone: float, otherwise: float
) -> None:
    """The words alone are answered in turns: of every sentence they are right in one manner."""
    found = told(manners(hears), manners(lambda number, label: MANNERS[number % 2]))
    (row,) = found.iter_rows(named=True)
    assert (row["system"], row["words"], row["rows"], row["groups"]) == ("ears", "true", 40, 40)
    assert (row["follows_words"], row["follows_tone"]) == (words, tone)
    assert row["otherwise"] == otherwise and row["difference"] == tone - otherwise
    (shown,) = tone_table.display(found, 0.95).rows
    assert len(shown) == len(tone_table.display(found, 0.95).columns)


def test_who_guesses_follows_no_tone() -> None:
    draw = random.Random(4)
    read = manners(lambda number, label: MANNERS[number % 2])
    (row,) = told(manners(lambda number, label: draw.choice(MANNERS)), read).iter_rows(named=True)
    assert row["difference_low"] < 0 < row["difference_high"]


@pytest.mark.parametrize("followed", [0, 1])
def test_of_a_dozen_texts_the_interval_reaches_what_may_be_missed(followed: int) -> None:
    """Each text in seven manners, one of them followed in so many texts; beside the exact limit of so many in 12."""
    labels, rows = tuple("abcdefg"), []
    for number in range(12):
        for label in labels:
            parsed = label if label == "a" and number < followed else "z"
            row = {"id": f"{number}{label}", "voice": "one", "group": f"g{number}", "label": label}
            rows.append(row | {"parsed": parsed, "correct": parsed == label})
    heard = pl.DataFrame(rows)
    read = heard.with_columns(parsed=pl.lit("z"), correct=pl.lit(False))
    found = tone_table.followed(heard, read, {row["id"]: row["group"] for row in rows}, 0.95)
    exact = stats.binomtest(followed, 12).proportion_ci(0.95).high
    assert found["difference_low"] <= 0
    assert found["difference_high"] > 0.85 * exact * (1 - 1 / len(labels)) / len(labels)


def test_words_that_are_said_in_one_manner_cannot_tell() -> None:
    read = manners(lambda number, label: MANNERS[number % 2])
    (row,) = told(manners(lambda number, label: label), read, TEXTS.with_columns(text="id")).iter_rows(named=True)
    assert row["follows_tone"] == 1 and row["difference"] is None and tone_table.NOT_OTHERWISE in row["reason"]


def test_where_the_words_lead_nowhere_astray_nothing_is_told() -> None:
    right = manners(lambda number, label: label)
    found = told(right, right)
    assert found["rows"].to_list() == [0] and found["follows_tone"].to_list() == [None]
    assert tone_table.display(found, 0.95).rows


# -- the config -------------------------------------------------------------------------------------------------------


def test_speech_llms_and_cascades_of_pairs_are_asked() -> None:
    raw = changed(
        systems=["mini", "base-smollm2", "tiny-smollm2", "mini-implicit"],
        pairs=[
            {"system": "mini", "reference": "base-smollm2", "label": "own"},
            {"system": "mini", "reference": "mini-implicit", "label": "inside"},
            {"system": "tiny-smollm2", "reference": "base-smollm2", "label": "two recognisers"},
        ],
        conflict={"tasks": ["sst2"]},
    )
    study = Study(load_study(raw, Path(__file__).parents[2]))
    assert systems(study) == ["mini", "base-smollm2"] and len(all_files(study)) == 2
    assert all_files(Study(load_study(raw | {"conflict": {}}, Path(__file__).parents[2]))) == []


PAIRED = changed(
    systems=["mini", "base-smollm2", "tiny-smollm2", "mini-implicit"],
    pairs=[
        {"system": "mini", "reference": "base-smollm2", "label": "own"},
        {"system": "tiny-smollm2", "reference": "base-smollm2", "label": "two recognisers"},
    ],
)


@pytest.mark.parametrize(
    "section",
    [
        {"tasks": ["trivia_qa"]},
        {"tasks": ["commonsense_qa"]},
        {"tasks": ["meld"]},
        {"tasks": ["mustard"]},
        {"tasks": ["sst2"], "systems": ["base-gemma"]},
        {"tasks": ["sst2"], "systems": ["mini", "base-smollm2", "mini-implicit"]},
        {"tasks": ["sst2"], "voice": "nobody"},
    ],
)
def test_what_cannot_be_asked_is_told(section: dict[str, object]) -> None:
    lines = lines_of(PAIRED | {"conflict": section})
    assert lines and all(line.startswith("conflict.") for line in lines)
    load_study(PAIRED | {"conflict": {"tasks": ["sst2"]}}, ROOT)


@pytest.mark.parametrize("asked", [[], ["base-smollm2", "tiny-smollm2"], ["mini", "tiny-smollm2"]])
def test_without_a_pair_of_a_speech_llm_and_a_cascade_nothing_is_asked(asked: list[str]) -> None:
    raw = PAIRED | {"conflict": {"tasks": ["sst2"], "systems": asked}}
    raw |= {"pairs": PAIRED["pairs"][1:]} if not asked else {}
    (line,) = lines_of(raw)
    assert line.startswith("conflict.tasks: ")


def test_who_stands_in_no_pair_is_told() -> None:
    told: list[str] = []
    for names in (["mini", "base-smollm2"], ["mini", "base-smollm2", "tiny-smollm2"]):
        assert not told
        load_study(PAIRED | {"conflict": {"tasks": ["sst2"], "systems": names}}, ROOT, tell=told.append)
    (line,) = told
    assert "tiny-smollm2" in line


@pytest.mark.parametrize("wording", ["{speech}", "{typed}", "{speech} {speech} {typed}"])
def test_a_wording_without_one_of_both_is_refused(wording: str) -> None:
    with pytest.raises(ValidationError):
        ConflictConfig(wordings=[wording])
