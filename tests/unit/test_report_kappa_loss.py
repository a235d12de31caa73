"""Disagreement against measures: slopes of least squares over all points, and limits that no correlation breaks."""

import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt

from cascade_equivalence.report.figures.kappa_loss import kappa_loss_figure
from cascade_equivalence.report.kappa_loss_table import MEASURES, frame
from cascade_equivalence.report.kappa_loss_table import display as shown
from cascade_equivalence.report.table import TABLES

TASKS = ["ag_news", "sst2", "meld", "mustard", "commonsense_qa", "trivia_qa"]
SYSTEMS = {"low": "low-model", "high": "high-model"}


def agreement_of(kappas: dict[tuple[str, str], float], half: float, against: str = "above") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                **{"system": system, "reference": "cascade", "task": task, "condition": "clean", "match": "exact"},
                **{"system_kind": "e2e", "kappa": kappa, "kappa_low": kappa - half, "kappa_high": kappa + half},
                **{"reference_kind": "cascade", "system_against_chance": against, "reference_against_chance": "above"},
            }
            for (system, task), kappa in kappas.items()
        ]
    )


def drawn(generator: np.random.Generator, slope: float, shared: float) -> tuple[pl.DataFrame, dict[str, dict]]:  # type: ignore[type-arg]
    """Losses that rise with a measure; errors of systems on one task are related as much as is said."""
    values, kappas = {}, {}
    for place, task in enumerate(TASKS[:4]):
        common = generator.normal()
        for number, (system, model) in enumerate(SYSTEMS.items()):
            value = 0.2 * place + 0.5 * number
            error = np.sqrt(abs(shared)) * common * (1 if shared > 0 or number else -1)
            error += np.sqrt(1 - abs(shared)) * generator.normal()
            values[model, task] = (value, None, None)
            kappas[system, task] = 1 - (0.1 + slope * value + 0.05 * error)
    return agreement_of(kappas, 1.96 * 0.05), {"patching": values}


def found(table: pl.DataFrame, values: dict[str, dict]) -> pl.DataFrame:  # type: ignore[type-arg]
    return frame(table, ["cascade"], SYSTEMS, values, 0.95)


def test_the_slope_is_that_of_least_squares_of_the_loss() -> None:
    agreement, values = drawn(np.random.default_rng(0), 0.4, 0.0)
    row = found(agreement, values).row(0, named=True)
    x = [values["patching"][SYSTEMS[each["system"]], each["task"]][0] for each in agreement.to_dicts()]
    assert row["slope"] == pytest.approx(np.polyfit(x, 1 - agreement["kappa"].to_numpy(), 1)[0], abs=1e-9)
    assert row["points"] == len(x) and row["slope_low"] > 0


@pytest.mark.parametrize("shared", [-0.9, 0.0, 0.9])
@pytest.mark.parametrize("slope", [0.0, 0.4])
def test_the_limits_hold_however_systems_on_one_task_are_related(shared: float, slope: float) -> None:
    generator, held = np.random.default_rng(1), 0
    for _ in range(300):
        row = found(*drawn(generator, slope, shared)).row(0, named=True)
        held += row["slope_low"] <= slope <= row["slope_high"]
    assert held / 300 >= 0.93


@pytest.mark.parametrize("scatter", [0.15, 0.3])
@pytest.mark.parametrize("tasks", [3, 4, 6])
@pytest.mark.parametrize("of", ["task", "both"])
def test_where_nothing_is_planted_little_is_told_however_tasks_lie(scatter: float, tasks: int, of: str) -> None:
    """Each task has a kappa of its own, in part that of both systems; the measure knows nothing of it."""
    generator, told, studies = np.random.default_rng(2), 0, 300
    for study in range(studies):
        together = (1.0, 0.5, 0.0)[study % 3]
        values, kappas = {}, {}
        for task in TASKS[:tasks]:
            common, place = generator.normal(), generator.uniform()
            for system, model in SYSTEMS.items():
                own = np.sqrt(together) * common + np.sqrt(1 - together) * generator.normal()
                values[model, task] = (place if of == "task" else generator.uniform(), None, None)
                kappas[system, task] = 0.5 + scatter * own + 0.05 * generator.normal()
        row = found(agreement_of(kappas, 1.96 * 0.05), {"patching": values}).row(0, named=True)
        told += not row["slope_low"] <= 0 <= row["slope_high"]
    assert told / studies <= 0.085


def test_two_tasks_are_no_slope_however_many_systems_answer_them() -> None:
    systems = {f"s{number}": f"m{number}" for number in range(4)}
    kappas = {(system, task): 0.1 * place for place, system in enumerate(systems) for task in TASKS[:2]}
    values = {
        (model, task): (0.2 * place, None, None) for place, model in enumerate(systems.values()) for task in TASKS
    }
    for measures, some in (({"attributions": values}, 2), ({"attributions": values}, 3)):
        more = dict.fromkeys(((system, TASKS[2]) for system in systems), 0.5) if some == 3 else {}
        table = frame(agreement_of(kappas | more, 0.05), ["cascade"], systems, measures, 0.95)
        assert table["slope"].is_null().all() == (some == 2)
        assert all("fewer than 3" in (reason or "") for reason in table["reason"]) == (some == 2)


def test_one_number_a_model_has_a_slope_over_models_and_not_over_tasks() -> None:
    for count in (2, 3):
        systems = {f"s{number}": f"m{number}" for number in range(count)}
        kappas = {(system, task): 0.1 * place for place, system in enumerate(systems) for task in TASKS}
        values = {(model, None): (0.2 * place, None, None) for place, model in enumerate(systems.values())}
        table = frame(agreement_of(kappas, 0.05), ["cascade"], systems, {"pitch": values}, 0.95)
        assert table["slope"].is_null().all() == (count == 2)


def test_a_measure_of_the_task_or_the_model_counts_for_all_of_it() -> None:
    agreement, _ = drawn(np.random.default_rng(0), 0.4, 0.0)
    values = {
        "surplus": {(None, task): (float(place), None, None) for place, task in enumerate(TASKS[:3])},
        "pitch": {("high-model", None): (0.7, 0.6, 0.8)},
    }
    table = found(agreement, values)
    assert table.schema == pl.Schema(TABLES["kappa_loss"].schema)
    assert table.filter(measure="surplus").height == 6 and set(table.filter(measure="pitch")["system"]) == {"high"}
    (reason,) = table.filter(measure="pitch")["reason"].unique()
    assert "on 1 model, fewer than 3" in reason
    display = shown(table, 0.95)
    assert len(display.rows) == table.height and any(reason in remark for remark in display.remarks)
    assert found(agreement, {}).is_empty()


def test_points_at_chance_are_hollow_and_what_was_not_measured_has_no_panel() -> None:
    values = {
        name: {(model, None): (0.1 * place, None, None) for place, model in enumerate(SYSTEMS.values())}
        for name in list(MEASURES)[:2]
    }
    kappas = {(system, task): 0.5 for system in SYSTEMS for task in TASKS}
    for against in ("above", "at"):
        table = found(agreement_of(kappas, 0.1, against), values)
        figure = kappa_loss_figure(table)
        assert len([axes for axes in figure.axes if axes.get_visible()]) == 2
        points = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "", None)]
        assert len(points) == len(kappas) and {line.get_markerfacecolor() == "white" for line in points} == {
            against == "at"
        }
        figure.canvas.draw()
        plt.close(figure)
