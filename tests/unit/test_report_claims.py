"""The paper's claims as data, and judged: a claim is shown, refuted or left open by the numbers alone."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from report_mechanism_study import write_mechanism
from report_study import IMPLICIT_OUTLINE, LABELS, STATISTICS, build, write_study

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.claims_paper import CLAIM_TESTS, CLAIMS, PICKS, read_claims
from cascade_equivalence.report.claims_rows import Value, dependent, independent
from cascade_equivalence.report.claims_table import SCHEMA, _outcome, asked, claims_table, display
from cascade_equivalence.report.claims_tested import ClaimResult
from cascade_equivalence.report.outcomes import FAILS, HOLDS, OUTCOMES, UNTOLD
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables, write_csv
from cascade_equivalence.resources import PAPER_CLAIMS, PAPER_NUMBERS
from cascade_equivalence.tasks.registry import TASKS

ALL = list(CLAIMS.values())
NUMBERS = read_numbers(PAPER_NUMBERS)
CLOSED = {name: task.labels for name, task in TASKS.items()}
SUFFICIENT = {name: task.text_sufficient for name, task in TASKS.items()}
CLEAN = {"condition": "clean"}
FINITE = st.floats(-10, 10)
VALUES = st.lists(
    st.builds(lambda v, a, b: Value(v, v - a, v + b), FINITE, st.floats(0, 5), st.floats(0, 5)), min_size=1
)
Row = dict[str, Any]


def around(name: str, value: float, reach: float = 0.02) -> Row:
    """A value and its limits."""
    return {name: value, f"{name}_low": value - reach, f"{name}_high": value + reach}


def study(**rows: list[Row]) -> Tables:
    """Two speech LLMs and two cascades on four tasks; other tables have the rows that are given."""
    systems = [{"system": name, "kind": "e2e", "model": f"{name}-llm"} for name in ("ears", "ears2")]
    systems += [{"system": name, "kind": "cascade", "asr": "whisper", "llm": name} for name in ("own", "other")]
    accuracy = [row | {"task": task, **CLEAN, **around("accuracy", 0.8)} for row in systems for task in CLOSED]
    given = {"accuracy": accuracy} | rows
    frames = {name: pl.DataFrame(each, schema=TABLES[name].schema, orient="row") for name, each in given.items()}
    return Tables(**frames)


def judged(tables: Tables, paper: PaperConfig | None = None, **changed: Any) -> dict[str, Row]:
    """Claims by name."""
    how: dict[str, Any] = {"sufficient": SUFFICIENT, "labels": CLOSED, "numbers": NUMBERS, "statistics": STATISTICS}
    table = claims_table(asked(ALL, tables), tables, paper=paper, **(how | changed))
    return {row["claim"]: row for row in table.iter_rows(named=True)}


def pairs(kappas: Mapping[str, float], *, column: str = "kappa", reach: float = 0.02, **more: Any) -> list[Row]:
    """A speech LLM and the cascade with its LLM, by task."""
    pair = {"system": "ears", "reference": "own", "match": "exact", **CLEAN}
    return [pair | {"task": task} | around(column, value, reach) | more for task, value in kappas.items()]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A study with speech LLMs, noise and opened models, none of them the paper's."""
    root = tmp_path_factory.mktemp("claims")
    return build(write_study(root, IMPLICIT_OUTLINE), mechanism=write_mechanism(root / "mechanism"))


def test_every_claim_of_the_file_can_be_judged_and_names_columns_that_there_are() -> None:
    for claim in ALL:
        assert claim.test in CLAIM_TESTS or claim.parts
        for rows in filter(None, (claim.rows, claim.second)):
            assert {f"{rows.value}{end}" for end in ("", "_low", "_high")} <= set(TABLES[rows.table].schema), claim.id
            assert set(rows.pick) <= set(PICKS), claim.id
            if isinstance(claim.against, str):
                assert claim.against.removeprefix("-") in TABLES[rows.table].schema, claim.id


@pytest.mark.parametrize("tables", ["empty", "made-up"])
def test_every_study_has_an_outcome_a_claim_with_its_reason(tables: str, made_up: Tables) -> None:
    found = judged(Tables() if tables == "empty" else made_up, labels=LABELS if tables == "made-up" else CLOSED)
    # Neither study has what a claim that needs a table of its own is judged on.
    assert list(found) == [claim.id for claim in ALL if claim.needs is None]
    for row in found.values():
        assert row["outcome"] in OUTCOMES
        assert bool(row["reason"]) or row["outcome"] != UNTOLD, row
        assert row["sentence"] and "{" not in row["sentence"]
    if tables == "empty":
        assert {row["outcome"] for row in found.values()} == {UNTOLD}


def test_text_sufficiency_is_a_property_of_the_task() -> None:
    kappas = {"ag_news": 0.9, "sst2": 0.8, "meld": 0.3, "mustard": 0.2}
    assert judged(study(agreement=pairs(kappas)))["text_sufficiency"]["outcome"] == HOLDS
    turned = {task: not each for task, each in SUFFICIENT.items()}
    assert judged(study(agreement=pairs(kappas)), sufficient=turned)["text_sufficiency"]["outcome"] == FAILS
    row = judged(study(agreement=pairs(kappas)))["text_sufficiency"]
    assert row["value"] == pytest.approx(0.6) and row["value_low"] < 0.6 < row["value_high"]


def test_no_difference_of_any_size_refutes_and_a_wide_interval_tells_nothing() -> None:
    same = {"ag_news": 0.5, "sst2": 0.5, "meld": 0.5, "mustard": 0.5}
    assert judged(study(agreement=pairs(same)))["text_sufficiency"]["outcome"] == FAILS
    assert judged(study(agreement=pairs(same, reach=0.4)))["text_sufficiency"]["outcome"] == UNTOLD


def test_open_answers_do_not_count() -> None:
    kappas = {"ag_news": 0.9, "trivia_qa": 0.0, "meld": 0.3}
    assert judged(study(agreement=pairs(kappas)))["text_sufficiency"]["value"] == pytest.approx(0.6)


@pytest.mark.parametrize("turned", [False, True])
def test_a_contrast_counts_from_the_matched_backbone_whichever_stands_first(turned: bool) -> None:
    names = ("other", "own") if turned else ("own", "other")
    matches = ("none", "exact") if turned else ("exact", "none")
    row = {"system": "ears", "first": names[0], "second": names[1], "match_first": matches[0]}
    row |= {"match_second": matches[1], "task": "ag_news", **CLEAN}
    row |= around("kappa_difference", -0.1 if turned else 0.1)
    found = judged(study(contrasts=[row]))
    assert found["matched_backbones"]["outcome"] == HOLDS and found["matched_backbones"]["value"] == pytest.approx(0.1)
    assert found["takeaway_backbones"]["outcome"] == HOLDS


def test_a_transcript_of_its_own_is_no_other_recogniser() -> None:
    tables = study(agreement=pairs({"ag_news": 0.9, "meld": 0.1}))
    asr = pl.when(system="own").then(pl.lit("ears-llm")).otherwise("asr")
    own = tables.changed(accuracy=tables.accuracy.with_columns(asr=asr))
    assert judged(tables)["text_sufficiency"]["outcome"] == HOLDS
    assert judged(own)["text_sufficiency"]["outcome"] == UNTOLD


@pytest.mark.parametrize(("speech", "cascade", "outcome"), [(-0.1, -0.02, HOLDS), (-0.02, -0.1, FAILS)])
def test_who_loses_more_in_babble(speech: float, cascade: float, outcome: str) -> None:
    rows = [
        {"system": name, "task": "sst2", "condition": f"snr{level}", "noise": "babble", "snr_db": float(level)}
        | around("change", change if level == 0 else -change, 0.01)
        for name, change in (("ears", speech), ("own", cascade))
        for level in (0, -5)
    ]
    # The paper's 0 dB is judged where it was run, though there is more babble.
    assert judged(study(noise=rows))["noise"]["outcome"] == outcome


@pytest.mark.parametrize("system", ["ears", "own"])
def test_a_difference_is_the_speech_llms_whichever_stands_first(system: str) -> None:
    ahead = 0.2 if system == "ears" else -0.2
    row = {"system": system, "reference": "own" if system == "ears" else "ears", "match": "exact", **CLEAN}
    row |= {"task": "meld", "accuracy_margin": 0.03, **around("accuracy_difference", ahead)}
    found = judged(study(equivalence=[row]))["sound_unused"]
    assert found["outcome"] == FAILS and found["value"] == pytest.approx(0.2)


def mechanism(lost: Mapping[str, float], precision: Mapping[str, float]) -> dict[str, list[Row]]:
    """Pitch that is lost and text that the lens shows, by model."""
    probes = [
        {"model": model, "untrained": False, "layer": layer, "probe": "pitch"}
        | around("value", 0.6 - loss)
        | around("first_value", 0.6)
        for model, loss in lost.items()
        for layer in (0, 8)
    ]
    lens = [{"model": name, "layer": 8, **around("precision", value)} for name, value in precision.items()]
    return {"probes": probes, "lens": lens}


@pytest.mark.parametrize(("loss", "outcome"), [((0.1, 0.4), HOLDS), ((0.4, 0.1), FAILS), ((0.2, 0.2), UNTOLD)])
def test_two_models_have_an_order_only_where_both_differences_are_shown(
    loss: tuple[float, float], outcome: str
) -> None:
    agreement = pairs({"ag_news": 0.9})
    agreement += [row | {"system": "ears2"} for row in pairs({"ag_news": 0.3})]
    names = ("ears-llm", "ears2-llm")
    inside = mechanism(dict(zip(names, loss, strict=True)), dict(zip(names, (0.4, 0.1), strict=True)))
    found = judged(study(agreement=agreement, **inside))
    assert found["pitch_gradient"]["outcome"] == outcome and found["lens_gradient"]["outcome"] == HOLDS
    assert found["spectrum"]["outcome"] == HOLDS


def test_one_model_is_no_gradient() -> None:
    inside = mechanism({"ears-llm": 0.1}, {"ears-llm": 0.3})
    found = judged(study(agreement=pairs({"ag_news": 0.9}), **inside))
    assert found["pitch_gradient"]["outcome"] == found["spectrum"]["outcome"] == UNTOLD


def own_order(turn: int) -> tuple[Tables, PaperConfig]:
    """A study on the paper's systems with the paper's accuracies, or with the order turned round."""
    rows = [
        {"system": f"our-{row['system'].lower()}", "kind": "e2e", "model": row["system"], "task": row["task"], **CLEAN}
        | {"accuracy": 0.5 + turn * row["value"] / 300}
        for row in NUMBERS.filter(place="Table 2", statistic="accuracy").iter_rows(named=True)
    ]
    names = NUMBERS.filter(place="Table 2")["system"].unique()
    systems = {f"our-{name.lower()}": {"name": name, "stands_in": False} for name in names}
    return study(accuracy=rows), PaperConfig.model_validate({"systems": systems})


@pytest.mark.parametrize(("turn", "outcome"), [(1, HOLDS), (-1, FAILS)])
def test_order_of_the_papers_own_systems(turn: int, outcome: str) -> None:
    tables, paper = own_order(turn)
    row = judged(tables, paper)["order"]
    assert row["outcome"] == outcome and row["value"] == pytest.approx(turn)


def test_order_of_stand_ins_is_not_judged() -> None:
    tables, paper = own_order(1)
    others = {name: {"name": each.name} for name, each in paper.systems.items()}
    assert judged(tables, PaperConfig.model_validate({"systems": others}))["order"]["outcome"] == UNTOLD


@pytest.mark.parametrize(("noisy", "outcome"), [(-0.2, HOLDS), (0.2, FAILS), (-0.001, UNTOLD)])
def test_noise_turns_an_order_or_does_not(noisy: float, outcome: str) -> None:
    pair = {"system": "ears", "reference": "own", "task": "sst2", "noise": "babble"}
    rows = [
        pair | {"condition": name} | around("difference", value) for name, value in (("clean", 0.2), ("snr0", noisy))
    ]
    assert judged(study(ranking=rows))["reversal"]["outcome"] == outcome


def test_claims_are_corrected_together() -> None:
    # Alone p is below 0.05; among claims that show nothing it is not.
    weak = {"ag_news": 0.9, "meld": 0.3}
    alone = judged(study(agreement=pairs(weak, reach=0.4)))["text_sufficiency"]
    assert alone["outcome"] == HOLDS
    nothing = [
        row | {"overlap_informative": True} for row in pairs({"ag_news": 1.0}, column="overlap_ratio", reach=0.5)
    ]
    nothing = [row | around("correct_joint_errors", 0.5) for row in nothing]
    among = judged(study(agreement=pairs(weak, reach=0.4), errors=nothing))["text_sufficiency"]
    assert among["p"] == alone["p"] and among["p_adjusted"] > alone["p_adjusted"] and among["outcome"] == UNTOLD


@given(VALUES)
def test_pooled_limits_hold_the_value_and_dependent_ones_are_no_narrower(values: list[Value]) -> None:
    one, other = dependent(values), independent(values)
    assert one.value == other.value
    assert one.low <= other.low + 1e-9 <= one.value + 2e-9 and one.value <= other.high + 1e-9 <= one.high + 2e-9


def test_pooled_intervals_of_independent_tasks_cover_as_often_as_they_say() -> None:
    rng, truth, reach = np.random.default_rng(1), 0.3, 1.96 * 0.1
    hits = [
        each.low <= truth <= each.high
        for each in (
            independent([Value(v, v - reach, v + reach) for v in rng.normal(truth, 0.1, 4)]) for _ in range(2000)
        )
    ]
    assert 0.93 < np.mean(hits) < 0.97


@pytest.mark.parametrize(
    "change",
    [
        {"holds": "{nothing}"},
        {"test": "guess"},
        {"parts": ["missing"], "test": "all_of"},
        {"rows": None},
        {"colour": "red"},
    ],
)
def test_a_claim_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, change: Row) -> None:
    file = tmp_path / "claims.yaml"
    claims = yaml.safe_load(PAPER_CLAIMS.read_text(encoding="utf-8"))["claims"]
    file.write_text(json.dumps({"claims": [claims[0] | change]}), encoding="utf-8")
    with pytest.raises(StudyError, match=r"claims\.yaml: claims") as told:
        read_claims(file)
    assert "\n" not in str(told.value)


def test_the_table_is_read_as_it_was_written_and_shown_with_every_claim(made_up: Tables, tmp_path: Path) -> None:
    table = claims_table(
        ALL, made_up, sufficient=SUFFICIENT, labels=LABELS, paper=None, numbers=NUMBERS, statistics=STATISTICS
    )
    write_csv(table, tmp_path / "claims.csv")
    assert pl.read_csv(tmp_path / "claims.csv", schema=SCHEMA).equals(table)
    shown = display(table, 0.95)
    assert [row[1] for row in shown.rows] == table["outcome"].to_list()
    assert all(len(row) == len(shown.columns) for row in shown.rows)


def test_what_is_shown_to_be_less_than_counts_does_not_hold() -> None:
    """However surely it is above nothing; of several values the widest has to be less."""
    claims = [claim for claim in ALL if claim.smallest and claim.expect == "above"]
    assert claims
    for claim in claims:
        size = float(claim.smallest or 0)
        little = ClaimResult(found=Value(0.5 * size, 0.1 * size, 0.9 * size), p=1e-4, supports=True)
        assert _outcome(claim, little, 1e-4, 0.05) == FAILS
        assert _outcome(claim, replace(little, most=2 * size), 1e-4, 0.05) == HOLDS
        assert _outcome(claim, replace(little, most=2 * size), 0.5, 0.05) == UNTOLD
