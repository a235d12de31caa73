"""The comparison of two files: equal to independent programs and to the report's tables; what it takes is said."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from answer_files import write_csv
from report_study import OUTLINE, build, write_study
from sklearn.metrics import accuracy_score, cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar

from cascade_equivalence.config.statistics import EquivalenceConfig, StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.agree import AgreementFound, Wanted, agree
from cascade_equivalence.imported.page import as_page
from cascade_equivalence.imported.tables import both_wrong, content, numbers

LABELS = ("cat", "dog", "bird")
STATISTICS = StatisticsConfig()


def rows(seed: int, count: int = 90, share: float = 0.7, **more: Any) -> list[dict[str, Any]]:
    """Answers to one set of items, of which some are none."""
    draw, gold = np.random.default_rng([seed, 1]), np.random.default_rng(0)
    found = []
    for number in range(count):
        label = str(gold.choice(LABELS))
        answer = label if draw.random() < share else str(draw.choice([*LABELS, ""]))
        found.append({"id": f"q{number}", "answer": answer, "label": label, **more})
    return found


def compared(tmp_path: Path, *files: list[dict[str, Any]], **wanted: Any) -> AgreementFound:
    paths = [write_csv(tmp_path / f"{name}.csv", each) for name, each in zip("abc", files, strict=False)]
    return agree(paths, Wanted(**wanted), STATISTICS)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_mcnemar_are_those_of_two_other_programs(tmp_path: Path, seed: int) -> None:
    one, other = rows(seed), rows(seed + 10, share=0.5)
    (found,) = compared(tmp_path, one, other).tasks
    gold = [row["label"] for row in one]
    a, b = ([row["answer"] or "invalid" for row in each] for each in (one, other))
    assert found.estimates["kappa"]["value"] == pytest.approx(cohen_kappa_score(a, b))
    assert found.estimates["accuracy_a"]["value"] == pytest.approx(accuracy_score(gold, a))
    assert found.estimates["accuracy_b"]["value"] == pytest.approx(accuracy_score(gold, b))
    right = [np.array(each) == np.array(gold) for each in (a, b)]
    table = [[np.sum(one & other) for other in (right[1], ~right[1])] for one in (right[0], ~right[0])]
    discordant = int(table[0][1] + table[1][0])
    exact = mcnemar(table, exact=discordant < 25, correction=True)
    assert found.tests["p"] == pytest.approx(exact.pvalue)
    assert found.tests["permutation"]["p"] == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.tests["clustered"]["p"] == pytest.approx(mcnemar(table, exact=False, correction=False).pvalue)
    assert found.both_wrong == table[1][1] == found.wrong.height
    assert found.same_wrong == found.wrong["same"].sum()


def test_a_study_of_the_projects_own_has_the_numbers_of_its_report(tmp_path: Path) -> None:
    outline = OUTLINE.__class__(systems=OUTLINE.systems, pairs=OUTLINE.pairs[1:], tasks=OUTLINE.tasks)
    study = write_study(tmp_path, outline)
    tables = build(study)
    pair = outline.pairs[0]
    folders = [tmp_path / "answers" / name for name in (pair.system, pair.reference)]
    clean = tables.agreement.filter(condition="clean")
    tasks = [f"{task}/clean" for task in clean["task"]]
    found = {each.task: each for each in agree(folders, Wanted(tasks=tasks), STATISTICS).tasks}
    judged = {row["task"]: row for row in tables.equivalence.filter(condition="clean").iter_rows(named=True)}
    ends = {"value": "", "low": "_low", "high": "_high"}
    columns = {"kappa": "kappa", "same_answer": "observed_agreement", "difference": "accuracy_difference"}
    for row in clean.iter_rows(named=True):
        each = found[f"{row['task']}/clean"]
        for name, column in columns.items():
            for end, suffix in ends.items():
                assert each.estimates[name][end] == pytest.approx(row[column + suffix], nan_ok=True), (name, end)
        if row["overlap_informative"]:
            assert each.estimates["overlap"]["low"] == pytest.approx(row["overlap_low"], nan_ok=True)
        assert (each.rows, each.groups) == (row["rows"], row["groups"])
        assert each.tests["p"] == pytest.approx(row["mcnemar_p"])
        assert each.tests["clustered"]["p"] == pytest.approx(row["clustered_p"])
        assert each.adjusted["difference"] == pytest.approx(row["clustered_p_adjusted"])
        assert (each.both_wrong, each.same_wrong) == (row["both_wrong"], row["same_wrong"])
        assert each.verdicts["accuracy"] == judged[row["task"]]["accuracy_verdict"]
        assert each.verdicts["together"] == judged[row["task"]]["verdict"]


def test_groups_of_a_column_are_the_independent_units(tmp_path: Path) -> None:
    one, other = rows(1), rows(2)
    (alone,) = compared(tmp_path, one, other).tasks
    voiced = [[row | {"voice": voice} for row in each for voice in ("us", "gb", "in")] for each in (one, other)]
    (found,) = compared(tmp_path, *voiced).tasks
    assert (found.rows, found.groups) == (3 * alone.rows, alone.groups)
    assert found.estimates["kappa"]["low"] == pytest.approx(alone.estimates["kappa"]["low"])
    grouped = [[row | {"group": str(place // 3)} for place, row in enumerate(each)] for each in (one, other)]
    (found,) = compared(tmp_path, *grouped).tasks
    assert found.groups == alone.groups / 3 and found.estimates["kappa"]["value"] == alone.estimates["kappa"]["value"]


def test_the_ceiling_is_the_agreement_of_the_first_with_itself(tmp_path: Path) -> None:
    one, other, again = rows(1), rows(2), rows(3)
    (found,) = compared(tmp_path, one, other, again).tasks
    (itself,) = compared(tmp_path, one, again).tasks
    (pair,) = compared(tmp_path, one, other).tasks
    assert found.estimates["ceiling"] == itself.estimates["kappa"]
    gap = pair.estimates["kappa"]["value"] - itself.estimates["kappa"]["value"]
    assert found.estimates["gap"]["value"] == pytest.approx(gap)
    assert pair.estimates["ceiling"]["value"] is None and pair.estimates["ceiling"]["reason"]
    (same,) = compared(tmp_path, one, again, again).tasks
    assert same.verdicts["answers"] == "above" and itself.verdicts["answers"] == "below"


def test_an_answer_that_is_none_is_a_category_and_is_never_dropped(tmp_path: Path) -> None:
    silent = [row | {"answer": ""} for row in rows(1)]
    (found,) = compared(tmp_path, silent, silent).tasks
    assert found.rows == len(silent) and found.estimates["parsed_a"]["value"] == 0
    assert found.estimates["accuracy_a"]["value"] == 0 and found.same_wrong == 0
    assert found.estimates["kappa"]["value"] is None and found.estimates["kappa"]["reason"]


def test_a_gold_label_may_be_called_invalid(tmp_path: Path) -> None:
    one = [{"id": n, "answer": "Invalid" if n % 3 else "", "label": "invalid" if n % 2 else "valid"} for n in range(30)]
    (found,) = compared(tmp_path, one, one).tasks
    right = np.mean([bool(n % 3 and n % 2) for n in range(30)])
    assert found.estimates["accuracy_a"]["value"] == pytest.approx(right)
    assert found.estimates["parsed_a"]["value"] == pytest.approx(2 / 3)


def test_right_and_wrong_alone_call_no_two_wrong_answers_the_same(tmp_path: Path) -> None:
    scored = [[row | {"correct": 0, "answer": f"{side} {row['id']}"} for row in rows(1)] for side in "ab"]
    found = compared(tmp_path, *scored, by="scores")
    (task,) = found.tasks
    assert task.both_wrong == task.wrong.height == task.wrong["same"].null_count() > 0 and task.same_wrong is None
    assert 'class="same"' not in as_page(found) and numbers(found)["same_wrong"][0] is None


def test_where_there_are_scores_alone_these_are_compared_and_it_is_said(tmp_path: Path) -> None:
    scored = [{"id": row["id"], "correct": int(row["answer"] == row["label"])} for row in rows(1)]
    other = rows(2)
    (found,) = compared(tmp_path, scored, other).tasks
    assert found.by == "scores" and any("right and wrong" in remark for remark in found.remarks)
    right = [row["correct"] == 1 for row in scored], [row["answer"] == row["label"] for row in other]
    assert found.estimates["kappa"]["value"] == pytest.approx(cohen_kappa_score(*right))
    assert found.estimates["overlap"]["value"] is None and found.estimates["overlap"]["reason"]
    with pytest.raises(StudyError, match="no answers, only scores"):
        compared(tmp_path, scored, other, by="answers")
    (both,) = compared(tmp_path, rows(1), other, by="scores").tasks
    assert both.estimates["kappa"] == found.estimates["kappa"]


def test_texts_that_are_right_in_both_but_never_the_same_say_little(tmp_path: Path) -> None:
    said = [[{"id": n, "answer": f"{name} says {n}", "correct": n % 2} for n in range(20)] for name in "ab"]
    assert compared(tmp_path, *said).tasks[0].by == "scores"
    assert compared(tmp_path, *said, by="answers").tasks[0].estimates["same_answer"]["value"] == 0
    short = [[row | {"answer": row["id"]} for row in each] for each in said]
    assert compared(tmp_path, *short).tasks[0].by == "answers"


def test_the_parser_of_a_task_of_the_project_reads_answers_and_labels(tmp_path: Path) -> None:
    gold = ["positive" if n % 2 else "negative" for n in range(20)]
    one = [
        {"id": n, "answer": f"The answer is {label.upper()}.", "label": label.title()} for n, label in enumerate(gold)
    ]
    other = [row | {"answer": "I cannot tell"} for row in one]
    (found,) = compared(tmp_path, one, other, tasks=["sst2"]).tasks
    assert found.labels == ("positive", "negative")
    assert found.estimates["accuracy_a"]["value"] == 1 and found.estimates["parsed_b"]["value"] == 0
    foreign = [row | {"label": "1", "answer": "1"} for row in one]
    (found,) = compared(tmp_path, foreign, foreign, tasks=["sst2"]).tasks
    assert found.estimates["accuracy_a"]["value"] == 1 and any(
        "not those of the task" in each for each in found.remarks
    )


def test_options_make_letters_and_texts_the_same_answer(tmp_path: Path) -> None:
    one, other = [], []
    for number in range(30):
        options = [f"{name} {number}" for name in LABELS]
        one.append({"id": number, "answer": "abc"[number % 3], "label": options[0], "options": "|".join(options)})
        other.append({"id": number, "answer": options[number % 3].upper(), "label": options[0]})
        other[-1]["options"] = one[-1]["options"]
    (found,) = compared(tmp_path, one, other).tasks
    assert found.labels == ("A", "B", "C") and found.estimates["same_answer"]["value"] == 1
    assert found.estimates["accuracy_a"]["value"] == pytest.approx(1 / 3)


def test_a_file_that_scores_otherwise_than_by_its_label_is_believed_and_it_is_said(tmp_path: Path) -> None:
    one = [row | {"correct": 1} for row in rows(1)]
    (found,) = compared(tmp_path, one, rows(2)).tasks
    assert found.estimates["accuracy_a"]["value"] == 1
    assert any("the file's score counts" in remark for remark in found.remarks)


def test_labels_that_are_named_close_the_set(tmp_path: Path) -> None:
    one = [row | {"answer": row["answer"] or "fish"} for row in rows(1)]
    (free,) = compared(tmp_path, one, rows(2)).tasks
    (closed,) = compared(tmp_path, one, rows(2), labels=list(LABELS)).tasks
    assert free.labels == () and closed.labels == LABELS
    assert closed.estimates["parsed_a"]["value"] < free.estimates["parsed_a"]["value"] == 1
    with pytest.raises(StudyError, match=r"--labels.*'bird'"):
        compared(tmp_path, one, rows(2), labels=["cat", "dog"])


def test_p_values_are_corrected_over_the_tasks(tmp_path: Path) -> None:
    tasks = [
        [row | {"task": task} for task in ("x", "y") for row in rows(seed, share=skill)]
        for seed, skill in ((1, 0.9), (2, 0.5))
    ]
    found = compared(tmp_path, *tasks)
    assert len(found.tasks) == 2
    for each in found.tasks:
        assert each.adjusted["difference"] == pytest.approx(each.tests["clustered"]["p"])  # twice the same p
    mixed = compared(tmp_path, tasks[0], tasks[1][:90] + tasks[0][90:])
    p = [each.tests["clustered"]["p"] for each in mixed.tasks]
    assert mixed.tasks[int(np.argmin(p))].adjusted["difference"] == pytest.approx(2 * min(p))


def test_the_margin_decides(tmp_path: Path) -> None:
    paths = [write_csv(tmp_path / f"{name}.csv", rows(1, count=400, share=0.9)) for name in "ab"]
    for margin, verdict in ((0.2, "equivalent"), (0.0001, "inconclusive")):
        bounds = StatisticsConfig(equivalence=EquivalenceConfig(accuracy_margin=margin))
        assert agree(paths, Wanted(), bounds).tasks[0].verdicts["accuracy"] == verdict


def test_tables_have_every_number_and_item(tmp_path: Path) -> None:
    found = compared(tmp_path, rows(1), rows(2), rows(3))
    (row,) = numbers(found).to_dicts()
    (task,) = content(found)["tasks"]
    for name in ("kappa", "ceiling", "gap", "accuracy_a", "overlap"):
        assert {end: row[name if end == "value" else f"{name}_{end}"] for end in task[name]} == task[name]
    assert row["both_wrong"] == both_wrong(found).height == len(task["items_both_wrong"]) > 0
    assert isinstance(numbers(found), pl.DataFrame)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"names": ("x",)}, "--names"),
        ({"names": ("x", "x")}, "--names"),
        ({"columns": {"colour": "c"}}, "no such field"),
        ({"strict": True}, "--strict"),
    ],
)
def test_what_the_user_chooses_wrongly_is_named(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        compared(tmp_path, rows(1), rows(2)[1:], **changed)


def test_neither_label_nor_score_is_one_line(tmp_path: Path) -> None:
    bare = [{"id": row["id"], "answer": row["answer"]} for row in rows(1)]
    with pytest.raises(StudyError, match="neither a gold label nor a score"):
        compared(tmp_path, bare, bare)
