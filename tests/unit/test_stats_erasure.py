"""What erasing does to a model's answers, against brute force and by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.erasure import (
    ACCURACY,
    FORCED,
    ErasedAnswers,
    against_draws,
    against_reading,
    align,
    among,
    changes,
    measures,
)
from cascade_equivalence.stats.mean import mean
from cascade_equivalence.stats.statistic import Statistic, estimate

LABELS = ["a", "b"]
ROWS = 30
SHARES = st.integers(0, 20).map(lambda count: count / 20)


def value(statistic: Statistic, clusters: Clusters) -> float:
    """A statistic of the data as they are."""
    return float(statistic.of(np.ones((1, clusters.count)))[0])


def drawn(seed: int, share: float = 0.6) -> ErasedAnswers:
    """Random answers to the same items."""
    generator = np.random.default_rng(seed)
    correct = generator.random(ROWS) < share
    forced = (generator.random(ROWS) < share).astype(float)
    answers = pl.Series(np.where(correct, "a", "b"))
    return ErasedAnswers(
        answers,
        correct,
        correct | (generator.random(ROWS) < 0.5),
        forced,
        np.arange(ROWS) % 3 == 0,
        generator.random(ROWS),
        generator.random(ROWS),
    )


CLUSTERS = Clusters.of([f"{row // 2:02}" for row in range(ROWS)])


def answers(order: list[int] | None = None) -> pl.DataFrame:
    """An erasure table."""
    rows = [
        {
            "id": f"{item:02}",
            "voice": "v",
            "group": f"{item // 2:02}",
            "label": LABELS[item % 2],
            "parsed": LABELS[item % 3 == 0] if item % 5 else "invalid",
            "correct": bool(item % 5) and LABELS[item % 3 == 0] == LABELS[item % 2],
            "forced_correct": None if item == 4 else item % 2 == 0,
            "kl": float("inf") if item == 5 else item / 10,
            "seen": item < 10,
        }
        for item in (order or range(ROWS))
    ]
    return pl.DataFrame(rows)


@given(accuracy=SHARES, draws=st.lists(SHARES, min_size=1, max_size=25))
def test_p_is_the_share_of_draws_that_do_as_much(accuracy: float, draws: list[float]) -> None:
    found = among(accuracy, draws)
    as_much = len([draw for draw in draws if not draw > accuracy])
    assert found.p == pytest.approx((1 + as_much) / (1 + len(draws))) and 1 / (len(draws) + 1) <= found.p <= 1
    assert found.at_or_below == as_much and found.draws == len(draws)
    assert found.lowest == min(draws) <= found.mean <= max(draws) == found.highest
    assert found.mean == pytest.approx(sum(draws) / len(draws))
    assert among(accuracy, [*draws, accuracy + 1]).p < found.p or found.at_or_below == 0


@given(seed=st.integers(0, 1000), other=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_changes_are_differences_of_levels_and_change_sign(seed: int, other: int) -> None:
    erased, baseline = drawn(seed), drawn(other)
    before, after = measures(CLUSTERS, baseline), measures(CLUSTERS, erased)
    forth, back = changes(CLUSTERS, erased, baseline), changes(CLUSTERS, baseline, erased)
    for name in (ACCURACY, "parse_rate", FORCED, "unseen_accuracy"):
        moved = value(forth[f"{name}_change"], CLUSTERS)
        assert moved == pytest.approx(value(after[name], CLUSTERS) - value(before[name], CLUSTERS))
        assert moved == pytest.approx(-value(back[f"{name}_change"], CLUSTERS))
    assert value(after["unseen_accuracy"], CLUSTERS) == pytest.approx(erased.correct[~erased.seen].mean())
    found = estimate(forth, CLUSTERS.count, 0.95)
    known = [each for each in found.values() if each.low is not None]
    assert all(each.low <= each.value <= each.high for each in known)


def test_nothing_erased_changes_nothing() -> None:
    same = drawn(1)
    every = estimate(changes(CLUSTERS, same, same), CLUSTERS.count, 0.95)
    loss = every.pop("loss_change")
    # A jackknife has nothing to go by where no item changes.
    assert loss.value == 0 and loss.low is None and loss.reason
    for found in every.values():
        # That no item changed does not show that none would.
        assert found.value == 0 and found.low == pytest.approx(-found.high) and found.high > 0.01


@given(seeds=st.lists(st.integers(0, 999), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_difference_to_a_control_is_that_to_its_mean(seeds: list[int]) -> None:
    mine, draws = drawn(7), [drawn(seed) for seed in seeds]
    for measure in (ACCURACY, FORCED):
        levels = [float(draw.measured(measure).mean()) for draw in draws]
        found = value(against_draws(CLUSTERS, mine, draws, measure), CLUSTERS)
        assert found == pytest.approx(mine.measured(measure).mean() - np.mean(levels))


def test_hearing_minus_reading_is_the_difference_of_the_changes() -> None:
    hearing, heard, reading, read = (drawn(seed) for seed in range(4))
    found = value(against_reading(CLUSTERS, hearing, heard, reading, read, ACCURACY), CLUSTERS)
    one, two = hearing.correct.mean() - heard.correct.mean(), reading.correct.mean() - read.correct.mean()
    assert found == pytest.approx(one - two)
    assert value(against_reading(CLUSTERS, heard, heard, heard, heard, FORCED), CLUSTERS) == 0


def test_items_that_change_together_give_a_paired_interval() -> None:
    # Both fall on the same items: the changes vary from draw to draw, their difference does not.
    def right(correct: np.ndarray) -> ErasedAnswers:
        ones, none = np.ones(ROWS), np.zeros(ROWS)
        return ErasedAnswers(pl.Series(["a"] * ROWS), correct, ones.astype(bool), ones, none.astype(bool), none, none)

    base, fallen = right(np.ones(ROWS, bool)), right(np.arange(ROWS) < 12)
    statistics = {
        "change": changes(CLUSTERS, fallen, base)["accuracy_change"],
        "apart": against_reading(CLUSTERS, fallen, base, fallen, base, ACCURACY),
    }
    found = estimate(statistics, CLUSTERS.count, 0.95)
    assert found["change"].low < -0.6 < found["change"].high and found["change"].value == -0.6
    assert found["apart"].value == 0
    assert found["apart"].high - found["apart"].low < 0.8 * (found["change"].high - found["change"].low)


def test_answers_are_brought_into_the_order_of_the_baseline() -> None:
    baseline = answers()
    straight = align(baseline, baseline, LABELS, "these")
    mixed = align(answers(np.random.default_rng(0).permutation(ROWS).tolist()), baseline, LABELS, "these")
    for name, values in vars(straight).items():
        np.testing.assert_array_equal(values, vars(mixed)[name])
    assert straight.parsed.sum() == ROWS - ROWS // 5 and np.isnan(straight.forced).sum() == 1
    found = measures(CLUSTERS, straight)
    assert value(found["kl"], CLUSTERS) == pytest.approx(np.mean([item / 10 for item in range(ROWS) if item != 5]))
    assert value(found[FORCED], CLUSTERS) == pytest.approx(14 / 29)


def test_open_answers_have_no_forced_choice() -> None:
    table = answers().with_columns(forced_correct=pl.lit(None, dtype=pl.Boolean))
    found = measures(CLUSTERS, align(table, table, LABELS, "these"))[FORCED]
    assert np.isnan(value(found, CLUSTERS)) and "label set" in found.undefined


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (answers().head(ROWS - 1), "no answer for 29"),
        (pl.concat([answers(), answers().head(1)]), "more than one row"),
        (answers().drop("parsed"), "lack the columns parsed"),
        (answers().with_columns(correct=~pl.col("correct")), "against their own labels"),
    ],
)
def test_answers_that_do_not_fit_the_baseline_are_refused(spoilt: pl.DataFrame, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        align(spoilt, answers(), LABELS, "these answers")


@given(values=st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_mean_leaves_out_what_is_missing(values: list[float | None]) -> None:
    clusters = Clusters.of([str(place % 3) for place in range(len(values))])
    there = [each for each in values if each is not None]
    array = np.array([np.nan if each is None else each for each in values])
    found = value(mean(clusters, array, "nothing"), clusters)
    assert found == pytest.approx(np.mean(there)) if there else np.isnan(found)
