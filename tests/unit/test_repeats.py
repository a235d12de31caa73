"""A system that is asked again is the same system: what is changed is one thing, and answers mean what they meant."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_config import FILES, ROOT, changed, lines_of, one_line

from cascade_equivalence import stages
from cascade_equivalence.config.check_prompts import named, prompt_problems
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.models import answering
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.nodes.answers import scored_answers
from cascade_equivalence.nodes.retest import asked_items, in_words, restored
from cascade_equivalence.report import retest_table
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.numbers import write_comparison
from cascade_equivalence.stats.retest import retest
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import TASKS, get_task
from cascade_equivalence.tasks.repeats import SETTING, original, reordered

TASK_NAMES = sorted(TASKS)
REGISTRIES = ("tasks.yaml", "tasks-paper.yaml")
ASKED = {(registry, name): TaskSpec(**FILES[registry]["tasks"][name]) for registry in REGISTRIES for name in TASK_NAMES}
LETTERS = "ABCDE"
ITEM = Item("i", "Where?", "B", "g", ("bed", "sink", "car", "box", "hat"))
ORDERS = st.permutations(range(5)).map(tuple)


def study(**places: Any) -> Study:
    return Study(load_study(changed(**{f"statistics__{key}": value for key, value in places.items()}), ROOT))


# -- what is changed --------------------------------------------------------------------------------------------------


@given(ORDERS, st.sampled_from(LETTERS))
def test_an_answer_names_the_same_option_whatever_the_order(order: tuple[int, ...], letter: str) -> None:
    moved = reordered(ITEM, order)
    assert sorted(moved.options) == sorted(ITEM.options)
    assert moved.options[LETTERS.index(letter)] == ITEM.options[LETTERS.index(original(letter, order))]
    assert original(moved.label, order) == ITEM.label
    assert original("invalid", order) == "invalid"


@given(st.text(), st.integers(2, 5))
def test_every_option_stands_under_another_letter(item: str, count: int) -> None:
    order = VARIANTS["options"].order(item, count)
    assert sorted(order) == list(range(count))
    assert all(place != option for place, option in enumerate(order))


def test_answers_to_moved_options_are_judged_as_those_of_the_original() -> None:
    variant, spec = VARIANTS["options"], ASKED[REGISTRIES[0], "commonsense_qa"]
    items = [Item(f"i{n}", "Where?", LETTERS[n % 5], "g", ITEM.options) for n in range(10)]
    asked = asked_items(items, variant)
    rows = pl.DataFrame({"id": [item.id for item in items], "voice": ["us"] * 10, "text": ["heard"] * 10})
    # It always wants the hat, and says the letter that the hat has in what it was asked.
    said = [Answer(LETTERS[item.options.index("hat")], "", 1, 1, 0.0, {}) for item in asked]
    found = restored(scored_answers("commonsense_qa", spec, "generate", asked, rows, said), items, variant)
    assert found["parsed"].unique().to_list() == ["E"]
    assert found["label"].to_list() == [item.label for item in items]
    assert found["correct"].to_list() == [item.label == "E" for item in items]


@pytest.mark.parametrize(("registry", "task"), list(ASKED))
@pytest.mark.parametrize("name", list(VARIANTS))
def test_what_is_asked_again_keeps_labels_placeholders_and_prefix(registry: str, task: str, name: str) -> None:
    spec = ASKED[registry, task]
    again = VARIANTS[name].ask(get_task(task), spec)
    if again is None:
        assert not get_task(task).labels
        return
    assert prompt_problems(task, spec) == prompt_problems(task, again) == []
    assert again.model_dump(exclude={"prompt"}) == spec.model_dump(exclude={"prompt"})
    for label in () if get_task(task).has_options else get_task(task).labels:
        assert named(spec.label_words.get(label, label)).search(again.prompt)
    options = ITEM.options if get_task(task).has_options else ()
    said = build_messages(again, "", "what was heard", options)[-1]["content"]
    assert "what was heard" in said and all(option in said for option in options)
    only_prompt = {"paraphrase", "options"} if not get_task(task).has_options else {"paraphrase"}
    assert (again.prompt != spec.prompt) == (name in only_prompt)


@pytest.mark.parametrize(
    "prompt", ["Bad.\nIs {speech} negative or positive?", "- negative: a\n- positive: b\n{speech}"]
)
def test_labels_that_a_prompt_lists_are_listed_in_reverse(prompt: str) -> None:
    spec = TaskSpec(prompt=prompt)
    again = VARIANTS["options"].ask(get_task("sst2"), spec)
    assert again is not None
    assert (prompt.index("negative") < prompt.index("positive")) is (
        again.prompt.index("negative") > again.prompt.index("positive")
    )
    assert sorted(again.prompt) == sorted(prompt)
    assert VARIANTS["options"].ask(get_task("sst2"), again) == spec


@given(st.integers(1, 512), st.sampled_from(["float32", "bfloat16", "float16"]))
def test_one_setting_is_changed_and_said(size: int, dtype: Any) -> None:
    usual = AnswerConfig(batch_size=size, dtype=dtype)
    for name, key in (("batch", "batch_size"), ("precision", "dtype")):
        found = stages.repeat.changed(name, usual)
        assert list(found) == [key] and found[key] != getattr(usual, key)
        told = in_words(VARIANTS[name], usual, found)
        assert str(found[key]) in told and str(getattr(usual, key)) in told


# -- what is kept -----------------------------------------------------------------------------------------------------


def keys_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[str]:
    monkeypatch.setattr(
        answering, "_answer", lambda missing, *_: [{key: Answer("yes", "", 1, 1, 0.0, {}) for key in missing}]
    )
    store = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
    question = Question(({"role": "user", "content": "Is it?"},), "It is", {})
    files = ModelFiles(Path("/m"), "revision", chat=True)
    config = AnswerConfig(device="cpu", dtype="float32")
    answering.answer_questions([question], files, config, 6, store, "label", **more)
    return [json.loads(line)["key"] for line in store.read_text().splitlines()]


def test_keys_of_usual_answers_stay_and_those_of_others_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = keys_of(tmp_path, monkeypatch)
    # Answers that were paid for before anything could be asked again.
    assert usual == ["d9f6bab470c79aab2d5186b0e7b9721076f4a6220eda44e9e64b27a95637dc31"]
    found = [usual, *(keys_of(tmp_path, monkeypatch, again={"variant": name}) for name in VARIANTS)]
    assert len({key for (key,) in found}) == len(found)


def test_repeats_change_no_parameter_of_other_nodes() -> None:
    none, some = study(), study(repeats=list(VARIANTS), repeat_tasks=["sst2"])
    for system in none.config.systems:
        assert stages.answer.params(none, system, "sst2") == stages.answer.params(some, system, "sst2")
    assert stages.agree.params(none) == stages.agree.params(some)
    assert "paraphrase" not in none.task("sst2").asked()


# -- which nodes there are --------------------------------------------------------------------------------------------


def test_nodes_are_those_of_systems_variants_and_tasks() -> None:
    assert stages.repeat.all_files(study()) == []
    systems, tasks = 3, 6
    assert len(stages.repeat.all_files(study(repeats=["batch"]))) == systems * tasks
    # The one task without options and without labels.
    assert len(stages.repeat.all_files(study(repeats=["batch", "options"]))) == systems * (2 * tasks - 1)
    some = study(repeats=["batch"], repeat_systems=["base-gemma"], repeat_tasks=["sst2"])
    assert stages.repeat.all_files(some) == [stages.repeat.file(some, "base-gemma", "batch", "sst2")]
    assert "retest" in stages.report.tables(some) and "retest" not in stages.report.tables(study())


def test_an_unknown_variant_is_told_with_the_nearest() -> None:
    line = one_line(changed(statistics__repeats=["paraphrases"]))
    assert "statistics.repeats" in line and "'paraphrase'" in line


@pytest.mark.parametrize(
    ("places", "key"),
    [
        ({"repeats": ["options"], "repeat_tasks": ["trivia_qa"]}, "statistics.repeats"),
        ({"repeats": ["batch"], "repeat_systems": ["base-gema"]}, "statistics.repeat_systems"),
        ({"repeats": ["batch"], "repeat_tasks": ["sst2", "sst2"]}, "statistics.repeat_tasks"),
        ({"repeats": ["batch", "batch"]}, "statistics.repeats"),
    ],
)
def test_repeats_that_cannot_be_are_told(places: dict[str, Any], key: str) -> None:
    assert one_line(changed(**{f"statistics__{name}": value for name, value in places.items()})).startswith(key)


def test_a_task_without_a_paraphrase_is_named() -> None:
    bare = {"sst2": {"prompt": "Negative or positive? {speech}"}}
    lines = lines_of(changed(statistics__repeats=["paraphrase"], definitions__tasks=bare))
    assert [line.partition(":")[0] for line in lines] == ["tasks.sst2.paraphrase"]


@pytest.mark.parametrize("paraphrase", ["Negative or positive?", "Negative? {speech}"])
def test_a_paraphrase_keeps_placeholder_and_labels(paraphrase: str) -> None:
    spec = {"prompt": "Negative or positive? {speech}", "paraphrase": paraphrase}
    assert "paraphrase" in one_line(changed(definitions__tasks={"sst2": spec}))


# -- what is found ----------------------------------------------------------------------------------------------------


def answers(parsed: list[str]) -> pl.DataFrame:
    rows = [
        {"id": f"i{n}", "voice": "us", "group": f"i{n}", "label": "ab"[n % 2], "parsed": text}
        for n, text in enumerate(parsed)
    ]
    return pl.DataFrame(rows).with_columns(correct=pl.col("parsed") == pl.col("label"))


@given(st.lists(st.sampled_from(["a", "b", "invalid"]), min_size=12, max_size=40))
def test_the_same_answers_are_the_same_system(parsed: list[str]) -> None:
    found = retest(answers(parsed), answers(parsed), ("a", "b"))
    assert found["rows"] == found["groups"] == len(parsed)
    assert found["accuracy_difference"]["value"] == 0
    assert found["observed_agreement"]["value"] == 1
    if len(set(parsed)) > 1:
        assert found["kappa"]["value"] == 1 and found["kappa"]["reason"] is None
    else:
        assert found["kappa"]["value"] is None and found["kappa"]["reason"]


def test_the_lowest_of_both_systems_stands_beside_kappa() -> None:
    place = {"task": "sst2", "condition": "clean"}
    kappas = {("talker", "batch"): 0.9, ("talker", "precision"): 0.7, ("base", "batch"): 0.8, ("other", "batch"): 0.1}
    table = pl.DataFrame(
        [
            {"system": system, "variant": variant, SETTING: "", "kappa": kappa} | place
            for (system, variant), kappa in kappas.items()
        ],
        schema=retest_table.SCHEMA,
    )
    pairs = [
        {"system": "talker", "reference": "base", "task": task, "condition": condition}
        for task, condition in (("sst2", "clean"), ("sst2", "snr10"), ("meld", "clean"))
    ]
    found = retest_table.beside(pl.DataFrame(pairs), table)
    assert found["retest_kappa"].to_list() == [0.7, None, None]
    assert len(retest_table.heads(found)) == len(retest_table.cells(found, found.row(0, named=True))) == 1
    assert "0.70" in retest_table.sentence(found.head(1))
    assert retest_table.sentence(found.tail(1)) == ""
    alone = retest_table.beside(pl.DataFrame(pairs), table.clear())
    assert retest_table.heads(alone) == retest_table.remarks(alone) == []


def test_every_file_is_a_row_that_a_reader_sees(tmp_path: Path) -> None:
    asked = study(repeats=["batch", "precision"], repeat_tasks=["sst2", "meld"])
    files = []
    for number, each in enumerate(reversed(stages.repeat.retests(asked))):
        parsed = ["a", "b"] * 10 if number else ["a"] * 20
        of = {"system": each.system, "reference": each.system, "task": each.task, "condition": "clean"}
        told = {"variant": each.variant, SETTING: "x"}
        files.append(tmp_path / f"{number}.csv")
        write_comparison(told | retest(answers(parsed), answers(parsed), ("a", "b")), of, files[-1])
    table = retest_table.frame(files, stages.report.outline(asked))
    order = [(each.system, each.variant, each.task) for each in stages.repeat.retests(asked)]
    assert sorted(table.select("system", "variant", "task").rows()) == sorted(order)
    assert table["system"].unique(maintain_order=True).to_list() == list(asked.config.systems)
    assert table["kappa"].null_count() == table["reason"].is_not_null().sum() == 1
    shown = retest_table.display(table, 0.95)
    assert len(shown.rows) == len(files) and {len(row) for row in shown.rows} == {len(shown.columns)}
    assert not retest_table.display(table.clear(), 0.95).rows
