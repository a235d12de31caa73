"""What the paper's claims rest on: whose systems are not above chance is told, the best of several is corrected."""

import re
from typing import Any

import polars as pl
import pytest
from test_report_claims import ALL, CLEAN, CLOSED, around, judged, mechanism, own_order, pairs, study

from cascade_equivalence.report.claims_paper import CLAIM_TESTS
from cascade_equivalence.report.claims_rows import Value
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.equivalence import p_of_interval

Row = dict[str, Any]
PAIR = {"system": "ears", "reference": "own", "match": "exact", **CLEAN}
NOISY = {"condition": "snr0", "noise": "babble", "snr_db": 0.0}


def everything() -> Tables:
    """A study with something for every claim but the order of the paper's systems."""
    kappas = {"ag_news": 0.9, "sst2": 0.8, "meld": 0.3, "mustard": 0.2}
    agreement = pairs(kappas)
    for name in ("ears2", "ears3"):
        agreement += [row | {"system": name} for row in pairs(dict.fromkeys(kappas, 0.3))]
    agreement += [
        {"system": "own", "reference": "other", "match": "exact", "task": task, **CLEAN, **around("kappa", 0.95)}
        for task in kappas
    ]
    bounds = {"accuracy_margin": 0.03, "ceiling_margin": 0.1}
    equivalence = [
        PAIR | bounds | {"task": task} | around("gap", -0.2 + kappa / 5) | around("accuracy_difference", 0.1)
        for task, kappa in kappas.items()
    ]
    shares = ("overlap", "overlap_ratio", "correct_joint_errors", "correct_shared_errors")
    errors = [
        PAIR
        | {"task": task, "match": match, "overlap_informative": True}
        | {name: value for share in shares for name, value in around(share, size).items()}
        for task in kappas
        for match, size in (("exact", 0.8), ("none", 0.3))
    ]
    contrasts = [
        {"system": "ears", "first": "own", "second": "other", "match_first": "exact", "match_second": "none"}
        | {"task": task, **CLEAN}
        | around("kappa_difference", 0.1)
        for task in kappas
    ]
    noise = [
        {"system": name, "task": "sst2", **NOISY} | around("change", -0.1 if name == "ears" else -0.02, 0.01)
        for name in ("ears", "own")
    ]
    ranking = [
        {"system": "ears", "reference": "own", "task": "sst2", "noise": "babble", "condition": name}
        | around("difference", value)
        for name, value in (("clean", 0.2), ("snr0", -0.2))
    ]
    models = ("ears-llm", "ears2-llm")
    inside = mechanism(dict(zip(models, (0.1, 0.4), strict=True)), dict(zip(models, (0.4, 0.1), strict=True)))
    surplus = [{"task": task} | around("surplus", 1 - kappa) for task, kappa in kappas.items()]
    tables = study(
        agreement=agreement,
        equivalence=equivalence,
        errors=errors,
        contrasts=contrasts,
        noise=noise,
        ranking=ranking,
        surplus=surplus,
        **inside,
    )
    third = tables.accuracy.filter(system="ears").with_columns(system=pl.lit("ears3"), model=pl.lit("ears3-llm"))
    return tables.changed(accuracy=pl.concat([tables.accuracy, third]))


def standing_at(tables: Tables, **states: str) -> Tables:
    """The same where some systems stand so to chance, on everything they heard."""

    def told(table: pl.DataFrame) -> pl.DataFrame:
        state = pl.col("system").replace_strict(states, default="above", return_dtype=pl.String)
        return table.with_columns(against_chance=state)

    return tables.changed(accuracy=told(tables.accuracy), noise=told(tables.noise))


@pytest.mark.parametrize(
    ("state", "column"), [("at", "at_chance"), ("below", "at_chance"), ("unknown", "chance_unclear")]
)
def test_a_claim_says_what_it_rests_on_whatever_it_is_judged_on(state: str, column: str) -> None:
    tables = everything()
    sure = judged(standing_at(tables))
    guessed = judged(standing_at(tables, ears=state, own=state))
    other = {"at_chance": "chance_unclear", "chance_unclear": "at_chance"}[column]
    for claim, row in guessed.items():
        if claim == "order":
            continue
        assert sure[claim]["estimates"] > 0, claim
        assert sure[claim]["at_chance"] == sure[claim]["chance_unclear"] == 0, claim
        assert row[column] > 0 and row[other] == 0, claim
        if all(row[name] == sure[claim][name] for name in ("outcome", "reason", "detail")):
            # It is said where the claim is told, and nothing else is said otherwise.
            assert row["sentence"].startswith(sure[claim]["sentence"]) and row["sentence"] != sure[claim]["sentence"]
        else:
            # What systems that guess share shows nothing.
            assert (row["outcome"] == UNTOLD and row[column] == row["estimates"]) or claim.startswith("takeaway"), claim
    assert guessed["errors_backbone"]["outcome"] == UNTOLD != sure["errors_backbone"]["outcome"]
    assert guessed["noise"]["outcome"] == sure["noise"]["outcome"] != UNTOLD
    one = judged(standing_at(tables, ears=state))["spectrum"]
    assert one[column] == 2 < one["estimates"] == 6


def test_the_order_of_accuracies_rests_on_every_system() -> None:
    tables, paper = own_order(1)
    row = judged(standing_at(tables, **dict.fromkeys(tables.accuracy["system"].unique(), "at")), paper)["order"]
    assert row["at_chance"] == row["estimates"] == row["systems"] * len(row["tasks"].split(", "))


def test_what_is_lost_in_noise_rests_on_clean_speech_too() -> None:
    tables = everything()
    at = pl.when(system="ears").then(pl.lit("at")).otherwise(pl.lit("above"))
    clean = tables.changed(accuracy=tables.accuracy.with_columns(against_chance=at))
    noisy = tables.changed(noise=tables.noise.with_columns(against_chance=at))
    for each in (clean, noisy):
        found = judged(each)
        assert found["noise"]["at_chance"] == found["reversal"]["at_chance"] == 1


def sentences(found: dict[str, Row]) -> list[str]:
    return [row[name] for row in found.values() for name in ("sentence", "reason", "detail") if row[name]]


def test_sentences_agree_in_number_and_have_no_stray_spaces() -> None:
    full = everything()
    one = study(agreement=pairs({"ag_news": 0.9}), **mechanism({"ears-llm": 0.1}, {"ears-llm": 0.3}))
    ranking = full.ranking.with_columns(difference=0.2, difference_low=0.1, difference_high=0.3)
    kept = Tables(accuracy=full.accuracy, ranking=ranking)
    weak = standing_at(one, ears="at")
    for tables in (Tables(), one, weak, kept, full, standing_at(full, ears="at", own="unknown")):
        found = judged(tables)
        for text in sentences(found):
            assert text == text.strip() and "  " not in text, text
            assert not re.search(r"\b(are|were|have|rest) 1\b|\b1 (?!of)\w+s\b|\b1 \w+ (are|were|have|rest)\b", text)
            assert not re.search(r"\s[.,;:)]|\(\)|; ?[.;]|\.\.", text), text
        assert all(row["sentence"].endswith(".") for row in found.values())


def test_the_most_turned_of_several_orders_is_corrected_for_as_many_as_were_looked_at() -> None:
    """Bonferroni: a p that alone would be small is nothing among many."""
    noisy = Value(-0.2, -0.39, -0.01)
    p = p_of_interval(*noisy, 0.0, 0.95)
    assert p is not None and p < 0.05
    for many in (1, 2, 6):
        rows = [
            {"system": "ears", "reference": "own", "task": "sst2", "noise": "babble", "condition": condition}
            | dict(zip(("difference", "difference_low", "difference_high"), value, strict=True))
            for condition, value in [
                ("clean", Value(0.5, 0.45, 0.55)),
                ("snr-5", noisy),
                *((f"snr{level}", Value(0.3, 0.25, 0.35)) for level in range(many - 1)),
            ]
        ]
        found = judged(study(ranking=rows))["reversal"]
        assert found["p"] == pytest.approx(many * p)
        assert found["outcome"] == (HOLDS if many * p <= 0.05 else UNTOLD)
        assert found["estimates"] == many


@pytest.mark.parametrize("models", [2, 3, 4])
def test_the_widest_of_several_differences_is_corrected_for_all_pairs_of_models(models: int) -> None:
    claim = next(claim for claim in ALL if claim.test == "spread")
    names = [f"ears{i}" for i in range(models)]
    kappas = dict.fromkeys(names, 0.5) | {names[0]: 0.7}
    rows = [row | {"system": name} for name in names for row in pairs({"sst2": kappas[name]}, reach=0.13)]
    systems: list[Row] = [{"system": name, "kind": "e2e", "model": f"{name}-llm"} for name in names]
    systems.append({"system": "own", "kind": "cascade", "asr": "whisper", "llm": "own"})
    accuracy = [system | {"task": task, **CLEAN} for system in systems for task in CLOSED]
    found = judged(study(agreement=rows, accuracy=accuracy))[claim.id]
    alone = Value(0.7, 0.57, 0.83).minus(Value(0.5, 0.37, 0.63))
    p = p_of_interval(*alone, 0.0, 0.95)
    assert p is not None and found["p"] == pytest.approx(models * (models - 1) / 2 * p)
    assert found["outcome"] == (HOLDS if found["p"] <= 0.05 else UNTOLD)


def test_every_test_has_a_claim() -> None:
    assert set(CLAIM_TESTS) == {claim.test for claim in ALL} - {"all_of"}
    assert FAILS not in {row["outcome"] for row in judged(Tables()).values()}
