"""Agreement against what the voice tells: the slope of least squares, with limits that follow from those of kappa."""

from functools import partial

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress, t

from cascade_equivalence.report import gradient_table
from cascade_equivalence.report.figures.gradient import gradient_figure
from cascade_equivalence.report.gradient_table import CHANCE_MARK, FEWEST_TASKS, display
from cascade_equivalence.report.table import TABLES

TASKS = ["ag_news", "sst2", "meld", "mustard", "commonsense_qa"]
BITS = 2.0
frame = partial(gradient_table.frame, confidence=0.95)


def surplus_of(shares: list[float | None]) -> pl.DataFrame:
    rows = [
        {
            "task": task,
            "h_y": BITS,
            **{
                f"surplus{end}": None if share is None else BITS * share + aside
                for end, aside in (("", 0.0), ("_low", -0.1), ("_high", 0.1))
            },
        }
        for task, share in zip(TASKS, shares, strict=False)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def agreement_of(kappas: list[float], half: float = 0.1, **more: str) -> pl.DataFrame:
    rows = [
        {
            **{"system": "ears", "reference": "cascade", "task": task, "condition": "clean", "match": "exact"},
            **{"system_kind": "e2e", "kappa": kappa, "kappa_low": kappa - half, "kappa_high": kappa + half},
            **{"reference_kind": "cascade", "system_against_chance": "above", "reference_against_chance": "above"},
        }
        | more
        for task, kappa in zip(TASKS, kappas, strict=False)
    ]
    return pl.DataFrame(rows)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=FEWEST_TASKS, max_size=5).filter(
        lambda points: np.ptp([x for x, _ in points]) > 0.05
    ),
    st.floats(0.01, 0.3),
)
def test_the_slope_is_that_of_least_squares_with_its_own_interval_or_the_errors_of_each_kappa_if_wider(
    points: list[tuple[float, float]], half: float
) -> None:
    shares, kappas = map(list, zip(*points, strict=True))
    table = frame(surplus_of(shares), agreement_of(kappas, half), {"cascade"})
    assert table.height == len(points) and table["slope"].n_unique() == 1
    (fitted, _), covariance = np.polyfit(shares, kappas, 1), np.array(shares) - np.mean(shares)
    row = table.row(0, named=True)
    assert row["slope"] == pytest.approx(fitted, abs=1e-6)
    own = t.ppf(0.975, len(points) - 2) * linregress(shares, kappas).stderr
    reach = max(half / np.sqrt(covariance @ covariance), own)
    assert row["slope_low"] == pytest.approx(fitted - reach, rel=1e-5, abs=1e-5)
    assert row["slope_high"] == pytest.approx(fitted + reach, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("scatter", [0.0, 0.15, 0.3])
@pytest.mark.parametrize("tasks", [3, 5])
def test_its_interval_covers_the_slope_however_tasks_lie_about_the_line(scatter: float, tasks: int) -> None:
    """Kappas with normal errors of the size that their limits say, of tasks that are no points of a line."""
    generator, shares, held = np.random.default_rng(1), [0.0, 0.4, 1.0, 0.8, 0.1][:tasks], 0
    surplus = surplus_of(list(shares))
    for _ in range(400):
        kappas = 0.9 - 0.7 * np.array(shares) + generator.normal(0, np.hypot(0.05, scatter), len(shares))
        row = frame(surplus, agreement_of(kappas.tolist(), 1.96 * 0.05), {"cascade"}).row(0, named=True)
        held += row["slope_low"] <= -0.7 <= row["slope_high"]
    assert held / 400 >= 0.92


def test_two_tasks_are_no_slope_and_one_surplus_for_all_is_none() -> None:
    two = frame(surplus_of([0.1, 0.9]), agreement_of([0.9, 0.1]), {"cascade"})
    assert two["slope"].null_count() == 2 and "fewer than 3" in two["reason"][0]
    same = frame(surplus_of([0.5] * 3), agreement_of([0.9, 0.1, 0.4]), {"cascade"})
    assert same["slope"].null_count() == 3 and "equally much" in same["reason"][0]


def test_only_speech_llms_beside_the_cascade_with_their_llm_count() -> None:
    surplus = surplus_of([0.0, 0.5, 1.0])
    for more in ({"system_kind": "cascade"}, {"match": "none"}, {"condition": "snr10"}, {"reference": "oracle"}):
        assert not frame(surplus, agreement_of([0.9, 0.5, 0.1], **more), {"cascade"}).height
    unknown = frame(surplus_of([0.0, None, 1.0]), agreement_of([0.9, 0.5, 0.1]), {"cascade"})
    assert unknown["task"].to_list() == ["ag_news", "meld"]


def test_a_pair_that_is_written_the_other_way_round_is_the_same_pair() -> None:
    surplus, kappas = surplus_of([0.0, 0.5, 1.0]), [0.9, 0.5, 0.1]
    turned = agreement_of(
        kappas, **{"system": "cascade", "system_kind": "cascade", "reference": "ears", "reference_kind": "e2e"}
    )
    assert frame(surplus, turned, {"cascade"}).equals(frame(surplus, agreement_of(kappas), {"cascade"}))


def test_the_table_and_the_figure_show_who_guesses() -> None:
    from matplotlib import pyplot as plt

    surplus = surplus_of([0.0, 0.5, 1.0])
    table = pl.concat(
        [
            frame(surplus, agreement_of([0.9, 0.5, 0.1]), {"cascade"}),
            frame(surplus, agreement_of([0.9, 0.5, 0.1], system="deaf", system_against_chance="at"), {"cascade"}),
        ]
    )
    assert table.schema == pl.Schema(TABLES["gradient"].schema)
    shown = display(table, 0.95)
    assert [CHANCE_MARK in row[4] for row in shown.rows] == [True] * 3 + [False] * 3
    figure = gradient_figure(table)
    figure.canvas.draw()
    plt.close(figure)
