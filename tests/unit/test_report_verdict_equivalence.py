import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.config import names
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.prose import environment
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.verdict_equivalence import SENTENCES, closing, judged

TASKS = list(names.TASKS)
SHOWN: dict[str, str] = vars(environment().get_template(SENTENCES).module)["verdicts"]
VERDICTS = st.dictionaries(st.sampled_from(TASKS), st.sampled_from(list(SHOWN)), min_size=1)


def table(verdicts: dict[str, str], system: str = "talker", condition: str = "clean") -> pl.DataFrame:
    rows = [
        {"system": system, "reference": "cascade", "task": task, "condition": condition, "verdict": verdict}
        | {"accuracy_margin": 0.05, "ceiling_margin": 0.2, "kappa_bound": 0.75}
        for task, verdict in verdicts.items()
    ]
    return pl.DataFrame(rows, schema=TABLES["equivalence"].schema)


@given(VERDICTS)
def test_every_task_is_said_once_under_its_verdict(verdicts: dict[str, str]) -> None:
    text = judged(table(verdicts), "talker", "cascade", TASKS)
    assert "±5 points" in text and "κ above 0.75" in text
    body = text.split("), talker", 1)[1]
    clauses = body.split("; they ")
    assert len(clauses) == len(set(verdicts.values()))
    for task, verdict in verdicts.items():
        own = [clause for clause in clauses if task_title(task) in clause]
        assert len(own) == 1 and SHOWN[verdict] in own[0]


def test_each_task_is_told_by_the_rule_that_it_was_judged_by() -> None:
    mine = table({"sst2": "equivalent", "meld": "different", "ag_news": "inconclusive"})
    gaps = pl.when(pl.col("task") == "sst2").then(-0.1)
    held = mine.with_columns(gap=gaps, ceiling=pl.when(pl.col("task") == "sst2").then(pl.lit("base vs. tiny")))
    text = judged(held, "talker", "cascade", TASKS)
    bounds = text.split("), talker", 1)[0]
    ceiling, absolute = (bounds.index(words) for words in ("below that of base vs. tiny", "κ above 0.75"))
    assert ceiling < bounds.index(task_title("sst2")) < absolute
    assert absolute < min(bounds.index(task_title(task)) for task in ("meld", "ag_news"))


@given(VERDICTS, st.sets(st.sampled_from(TASKS)))
def test_tasks_that_are_not_to_be_read_are_not_spoken_of(verdicts: dict[str, str], told: set[str]) -> None:
    text = judged(table(verdicts), "talker", "cascade", sorted(told))
    assert {task for task in TASKS if task_title(task) in text} == told & set(verdicts)


@pytest.mark.parametrize("other", [{"system": "another"}, {"condition": "snr0"}])
def test_other_pairs_and_noise_are_not_this_pair_on_clean_speech(other: dict[str, str]) -> None:
    assert judged(table({"sst2": "equivalent"}, **other), "talker", "cascade", TASKS) == ""


@given(VERDICTS)
def test_the_closing_denies_equivalence_unless_it_was_shown(verdicts: dict[str, str]) -> None:
    denied = "None of this shows that" in closing(table(verdicts), ["talker"])
    assert denied == ("equivalent" not in verdicts.values())
    assert "None of this shows that" in closing(table(verdicts), ["nobody"])
