"""Recorded against synthetic speech: values are those of each side alone, and the interval holds what it says."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.statistics import PairSpec, StatisticsConfig
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.report.naming import NodeFile, Outline
from cascade_equivalence.report.recorded_table import TABLE, frame
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.shown import PlannedStudy

LABELS = ["negative", "positive"]
VOICES = ["person", "heart", "us"]
OUTLINE = Outline(
    systems={"ears": E2ESpec(kind="e2e", model="m"), "cascade": CascadeSpec(kind="cascade", asr="base", llm="q")},
    pairs=[PairSpec(system="ears", reference="cascade", label="matched")],
    tasks=["sst2"],
    recorded=["person"],
)
CLEAN = NodeFile("ears", "sst2", "clean"), NodeFile("cascade", "sst2", "clean")


def answers(draws: np.random.Generator, items: int, skill: dict[str, float], gold: np.ndarray) -> pl.DataFrame:
    rows = []
    for voice in VOICES:
        right = draws.random(items) < skill[voice]
        rows += [
            {
                **{"id": f"i{item}", "voice": voice, "group": f"g{item}", "label": LABELS[gold[item]]},
                **{"parsed": LABELS[gold[item] ^ (not right[item])], "correct": bool(right[item])},
            }
            for item in range(items)
        ]
    return pl.DataFrame(rows)


def results(draws: np.random.Generator, items: int = 80, recorded: float = 0.75, synthetic: float = 0.75) -> Results:
    gold = draws.integers(0, 2, items)
    skill = dict.fromkeys(VOICES, synthetic) | {"person": recorded}
    one, other = (answers(draws, items, skill, gold) for _ in range(2))
    words = 1 + draws.integers(4, 12, items * len(VOICES))
    wrong = draws.binomial(words, np.repeat([1 - skill[voice] for voice in VOICES], items))
    heard = one.select("id", "voice").with_columns(
        reference_words=pl.Series(words), word_errors=pl.Series(wrong), text=pl.lit("a")
    )
    return Results(
        outline=OUTLINE,
        statistics=StatisticsConfig(),
        answers=dict(zip(CLEAN, (one, other), strict=True)),
        transcripts={NodeFile("base", "sst2", "clean"): heard, NodeFile("oracle", "sst2", "clean"): heard},
        labels={"sst2": LABELS},
        items={"sst2": pl.DataFrame({"id": [f"i{n}" for n in range(items)], "group": [f"g{n}" for n in range(items)]})},
    )


def test_values_are_those_of_each_side_alone() -> None:
    found = results(np.random.default_rng(0), recorded=0.9)
    table = frame(found)
    # What was given to cascades as text was heard by nobody.
    assert table.select("measure", "of").rows() == [
        ("word_errors", "base"),
        ("accuracy", "ears"),
        ("accuracy", "cascade"),
        ("kappa", "ears"),
    ]
    one, other = (found.answers[node] for node in CLEAN)
    heard = found.transcripts[NodeFile("base", "sst2", "clean")]
    for name, chosen in (("recorded", ["person"]), ("synthetic", ["heart", "us"])):
        inside = pl.col("voice").is_in(chosen)
        some = heard.filter(inside)
        assert table[name][0] == pytest.approx(some["word_errors"].sum() / some["reference_words"].sum())
        assert table[name][1] == pytest.approx(one.filter(inside)["correct"].mean())
        kappa = cohen_kappa_score(one.filter(inside)["parsed"], other.filter(inside)["parsed"])
        assert table[name][3] == pytest.approx(kappa)
    assert np.allclose(table["difference"], table["recorded"] - table["synthetic"])
    assert table["items"].to_list() == table["groups"].to_list() == [80] * 4
    assert set(table["voices"]) == {"person / heart, us"}


def test_what_is_at_chance_is_marked() -> None:
    """Half of the answers right of two labels, as often as by guessing."""
    told, guessed = (frame(results(np.random.default_rng(5), 100, *both)) for both in ((0.9, 0.9), (0.5, 0.5)))
    assert told["against_chance"].to_list() == [None] * 4
    # A pair is as its worse side is.
    heard, one, other, pair = guessed["against_chance"].to_list()
    assert heard is None and pair == "at" and "at" in (one, other)
    shown = TABLE.display(SimpleNamespace(recorded=guessed), 0.95).rows
    for row, where in zip(shown, guessed["against_chance"], strict=True):
        assert ("‡" in row[3]) == ("‡" in row[4]) == (where == "at")


def test_what_differs_is_found_and_what_is_one_is_not() -> None:
    told = frame(results(np.random.default_rng(1), 200, recorded=0.95, synthetic=0.7))
    assert (told["difference_low"][1:] > 0).all() and told["difference_high"][0] < 0
    same = results(np.random.default_rng(2), 60)
    person = {node: table.filter(voice="person") for node, table in same.answers.items()}
    same.answers = {  # one sound under two names
        node: pl.concat([table, table.with_columns(voice=pl.lit("heart"))]) for node, table in person.items()
    }
    same.transcripts = {}
    alike = frame(same)
    assert (alike["difference"] == 0).all() and (alike["difference_low"] <= 0).all()
    assert (alike["difference_high"] >= 0).all()


@pytest.mark.parametrize("items", [30, 127])
def test_intervals_of_the_differences_hold_what_they_say(items: int) -> None:
    """At the sizes at which they are shown; both sides have one law, so that the truth is 0."""
    draws, held, tried = np.random.default_rng(3), np.zeros(4), 300
    for _ in range(tried):
        table = frame(results(draws, items))
        held += ((table["difference_low"] <= 0) & (table["difference_high"] >= 0)).to_numpy()
    # Three standard errors of a share of 0.95 below it.
    assert (held / tried > 0.95 - 3 * np.sqrt(0.95 * 0.05 / tried)).all(), held / tried


def test_items_of_one_kind_alone_do_not_count_and_only_studies_of_both_are_told_of() -> None:
    found = results(np.random.default_rng(4), 40)
    few = pl.col("id").is_in([f"i{n}" for n in range(20)]) | (pl.col("voice") != "person")
    found.answers = {node: table.filter(few) for node, table in found.answers.items()}
    assert set(frame(found).filter(pl.col("measure") != "word_errors")["items"]) == {20}
    found.answers = {node: table.filter(voice="us") for node, table in found.answers.items()}
    found.transcripts = {}
    assert frame(found).is_empty()


def test_it_is_planned_where_voices_of_both_kinds_speak_a_task(tmp_path: object) -> None:
    base = {
        "registry": ["config/models.yaml", "config/systems.yaml", "config/voices.yaml", "config/tasks.yaml"],
        "tasks": ["sst2"],
        "systems": ["base-smollm2"],
        "definitions": {"voices": {"person": {"provider": "recordings", "folder": "config"}}},
    }
    for voices, planned in ((["us"], False), (["person"], False), (["us", "person"], True)):
        study = load_study(base | {"speech": {"voices": voices}})
        assert TABLE.planned(PlannedStudy(study, {})) == planned
