"""The figures of a study with speech LLMs: nothing hides anything else, and colour is never needed."""

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from figure_text import written_in
from report_study import SPEECH_OUTLINE, build, write_study

from cascade_equivalence.report.figures.agreement import COLOURS, GROUPS, agreement_heatmap, ink, luminance, ranked
from cascade_equivalence.report.figures.figure import figure_name
from cascade_equivalence.report.figures.noise import noise_curves
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.tables import Tables

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of the made-up study."""
    return build(write_study(tmp_path_factory.mktemp("study"), SPEECH_OUTLINE))


@pytest.mark.parametrize("speech", [True, False])
def test_nothing_written_in_the_heatmap_overlaps(tables: Tables, speech: bool) -> None:
    table = tables.agreement.with_columns(pair=pl.col("pair") + ", with a label that goes on for two whole lines")
    if speech:
        # Two speech LLMs: a heading of their own.
        two = (pl.col("system") == "talker") & (pl.col("reference") == "talker-own")
        table = table.with_columns(reference_kind=pl.when(two).then(pl.lit("e2e")).otherwise("reference_kind"))
    else:
        table = table.filter((pl.col("system_kind") == "cascade") & (pl.col("reference_kind") == "cascade"))
    figure = agreement_heatmap(table)
    written = written_in(figure)
    heads = [text for text, _ in written if text in GROUPS.values()]
    assert heads == (list(GROUPS.values()) if speech else [])
    assert sum(text in ("exact", "none") for text, _ in written) == table.select("system", "reference").n_unique()
    for (text, box), (other, second) in combinations(written, 2):
        assert not box.overlaps(second), (text, other)
    plt.close(figure)


@pytest.mark.parametrize("shade", [step / 200 for step in range(201)])
def test_what_stands_in_a_cell_can_be_read_on_its_colour(shade: float) -> None:
    light = luminance(mpl.colormaps[COLOURS](shade)[:3])
    text = luminance((1.0, 1.0, 1.0) if ink(shade) == "white" else (0.0, 0.0, 0.0))
    assert (max(light, text) + 0.05) / (min(light, text) + 0.05) >= 4.5


def test_pairs_at_chance_are_hatched_and_have_no_colour(tables: Tables) -> None:
    row = tables.agreement.filter(condition="clean").drop_nulls("kappa").head(1)
    for standing in ("above", "at", "below", "unknown"):
        figure = agreement_heatmap(row.with_columns(system_against_chance=pl.lit(standing)))
        axes = figure.axes[0]
        hatched = [patch for patch in axes.patches if patch.get_hatch()]
        coloured = np.ma.count(axes.collections[0].get_array())
        assert (len(hatched), coloured) == ((1, 0) if standing in ("at", "below") else (0, 1))
        assert any(f"{row['kappa'][0]:.2f}" in text for text, _ in written_in(figure))
        plt.close(figure)


def test_pairs_are_ranked_by_the_tasks_that_they_share() -> None:
    rows = [("easy", "ag_news", 0.7), ("easy", "meld", None), ("all", "ag_news", 0.9), ("all", "meld", 0.1)]
    rows += [("none", "ag_news", None)]
    cells = pl.DataFrame(
        [
            {"system": name, "reference": "r", "pair": name, "match": "exact", "task": t, "kappa": k}
            for name, t, k in rows
        ]
    )
    assert ranked(cells)["system"].to_list() == ["all", "easy", "none"]


@pytest.mark.parametrize("smallest", [-0.53, -0.2, -0.07, 0.0, 0.4])
def test_the_colour_bar_begins_and_ends_at_a_labelled_tick(tables: Tables, smallest: float) -> None:
    kappa = pl.when(pl.int_range(pl.len()) == 0).then(smallest).otherwise(pl.col("kappa").abs())
    figure = agreement_heatmap(tables.agreement.filter(condition="clean").with_columns(kappa=kappa))
    figure.canvas.draw()
    bar = figure.axes[-1]
    ticks, ends = sorted(bar.get_yticks()), bar.get_ylim()
    assert ticks[0] == pytest.approx(ends[0]) and ticks[-1] == pytest.approx(ends[1])
    assert ends[0] <= min(0.0, smallest) and all(label.get_text() for label in bar.get_yticklabels())
    plt.close(figure)


def test_lines_of_ten_systems_differ_without_colour(tables: Tables) -> None:
    extra = [
        tables.noise.filter(pl.col("system") == "tiny-qwen").with_columns(system=pl.lit(f"more-{i}")) for i in "abc"
    ]
    table = pl.concat([tables.noise, *extra])
    figure = noise_curves(table)
    figure.canvas.draw()
    axes = [each for each in figure.axes if each.get_visible()]
    lines = [line for line in axes[0].lines if not str(line.get_label()).startswith("_")]
    assert [line.get_label() for line in lines] == table["system"].unique(maintain_order=True).to_list()
    assert len({(line.get_linestyle(), line.get_marker(), str(line.get_markerfacecolor())) for line in lines}) == 10
    assert len({line.get_marker() for line in lines}) == 10
    widths = {str(line.get_label()): line.get_linewidth() for line in lines}
    assert min(widths["talker"], widths["mumbler"]) > max(widths[name] for name in widths if name.startswith("more"))
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(each.get_window_extent()) for each in axes)
    plt.close(figure)


def test_a_figure_that_is_asked_for_is_there_even_if_it_has_nothing_to_show(tables: Tables, tmp_path: Path) -> None:
    names = {figure_name(path.stem) for path in write_figures(tables, tmp_path)}
    assert "lens" not in names
    asked = write_figures(tables, tmp_path, always=["lens", "agreement"])
    assert {figure_name(path.stem) for path in asked} == names | {"lens"} and all(path.stat().st_size for path in asked)
