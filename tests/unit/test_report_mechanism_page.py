"""The figures and the page on the inside of opened models: nothing overlaps, nothing needs colour, all is escaped."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import pytest
from figure_text import assert_nothing_overlaps, written_in
from report_mechanism_study import EARS, MATCHED, SPEAKERS, TASKS, World, write_behaviour, write_mechanism
from report_study import IMPLICIT_OUTLINE, PLANTED, STATISTICS, build
from test_report_page import Page, check_page

from cascade_equivalence.report.figures.erasure import BANDS, DOTS, LEAST, LINES, STROKES, erasure_figure
from cascade_equivalence.report.figures.layer_axis import CUT
from cascade_equivalence.report.figures.lens import lens_figure
from cascade_equivalence.report.figures.probes import LOOKS, probe_figure
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.headline import print_headline
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.mechanism_frames import lens_table
from cascade_equivalence.report.mechanism_names import ALL, DRAW, HEARD, MechanismFiles, concept_title
from cascade_equivalence.report.probe_frame import probes_table
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_mechanism import findings

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

LAYERS = {"two": (0, 11), "nine": (0, 4, 8, 12, 16, 20, 24, 28, 31), "every": tuple(range(36)), "one": (5,)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the made-up study."""
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def tables(root: Path) -> Tables:
    """The tables of a study that opens models."""
    files = write_mechanism(root, World(draws=20), TASKS, SPEAKERS[:1])
    return build(write_behaviour(root), mechanism=files)


@pytest.fixture(scope="module")
def drawn(tables: Tables, root: Path) -> list[Path]:
    """The figures on the inside of its models."""
    return write_figures(tables.changed(agreement=tables.agreement.clear()), root / "figures")


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_nothing_written_over_the_layers_overlaps(tmp_path: Path, layers: tuple[int, ...]) -> None:
    files = write_mechanism(tmp_path, World(layers=layers, draws=1), tasks=())
    for figure in (
        probe_figure(probes_table(files.probes, STATISTICS)),
        lens_figure(lens_table(files.lens, STATISTICS)),
    ):
        assert_nothing_overlaps(figure)
        numbers = {text for text, _ in written_in(figure)}
        assert {str(layers[0]), str(layers[-1])} <= numbers
        plt.close(figure)


def test_decodability_has_an_axis_of_its_own(tables: Tables) -> None:
    figure = probe_figure(tables.probes)
    panels = [axes for axes in figure.findobj(mpl.axes.Axes) if axes.get_title()]
    assert len(panels) == 3 * len({SPEAKERS[0], *EARS})
    for axes in panels:
        assert ("CER" in axes.get_ylabel()) == ("CTC" in axes.get_title()) != (axes.get_ylabel() == "R²")
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        marked = [line for line in lines if line.get_marker() not in ("", "None", None)]
        trained = [line for line in marked if line.get_markerfacecolor() != "white"]
        twins = [line for line in marked if line not in trained]
        # Every probe has its twin in grey dashes, with the same marker.
        assert {line.get_marker() for line in trained} == {line.get_marker() for line in twins}
        assert all(line.get_linestyle() != "-" and float(line.get_color()) < 1 for line in twins)
    plt.close(figure)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("tasks", [1, 5])
def test_nothing_written_in_the_erasure_figure_overlaps(tables: Tables, models: int, tasks: int) -> None:
    table = tables.erasure.filter(task=TASKS[0])
    many = pl.concat(
        table.with_columns(model=pl.lit(f"model-{model}"), task=pl.lit(task))
        for model in range(models)
        for task in ("ag_news", "sst2", "commonsense_qa", "meld", "mustard")[:tasks]
    )
    figure = erasure_figure(many)
    assert_nothing_overlaps(figure)
    assert sum(text.startswith("model-") for text, _ in written_in(figure)) == models
    plt.close(figure)


def test_dots_and_lines_differ_without_colour() -> None:
    def shape(look: dict[str, Any]) -> tuple[Any, ...]:
        return look.get("marker"), look.get("markerfacecolor") == "white", look.get("linestyle", "-")

    for looks in (DOTS, LINES, STROKES, LOOKS):
        assert len({shape(look) for look in looks.values()}) == len(looks)
        assert len({look["label"] for look in looks.values()}) == len(looks)


def test_the_null_is_the_span_of_the_draws(tables: Tables) -> None:
    figure = erasure_figure(tables.erasure)
    (axes,) = [each for each in figure.findobj(mpl.axes.Axes) if each.get_title() == "AG News"]
    concepts = [label.get_text() for label in axes.get_yticklabels()]
    found = {
        (concepts[round(box.get_y() + box.get_height() / 2)], box.get_label()): (box.get_x(), box.get_width())
        for box in axes.patches
        if isinstance(box, mpl.patches.Rectangle)
    }
    assert len(found) == len(axes.patches) == len(MATCHED) * len(BANDS)
    for concept in MATCHED:
        for control, look in BANDS.items():
            drawn = pl.col("variant").str.starts_with(control)
            levels = 100 * tables.erasure.filter(drawn, task="ag_news", concept=concept)["accuracy"]
            left, width = found[concept_title(concept), look["label"]]
            assert (left, left + width) == pytest.approx((levels.min() - LEAST, levels.max() + LEAST))
    plt.close(figure)


def test_few_draws_are_strokes_and_no_distribution(tables: Tables) -> None:
    kept = [f"{control}{number}" for control in BANDS for number in (0, 1)]
    drawn = pl.col("variant").str.contains(DRAW)
    table = tables.erasure.filter(~drawn | pl.col("variant").is_in(kept))
    few = table.filter(drawn).select("variant").unique()
    assert sorted(few["variant"]) == sorted(kept)
    figure = erasure_figure(table)
    (axes,) = [each for each in figure.findobj(mpl.axes.Axes) if each.get_title() == "AG News"]
    assert not [box for box in axes.patches if isinstance(box, mpl.patches.Rectangle)]
    for control, look in STROKES.items():
        lines = [each for each in axes.collections if isinstance(each, LineCollection)]
        strokes = [each for each in lines if each.get_label() == look["label"]]
        found = sorted(path[0][0] for each in strokes for path in each.get_segments())
        mine = table.filter(pl.col("variant").str.starts_with(control), task="ag_news", arm=HEARD)
        assert found == pytest.approx(sorted(100 * mine.filter(positions=ALL)["accuracy"]))
    plt.close(figure)


def test_what_goes_on_below_an_axis_is_marked_there(tables: Tables) -> None:
    pitch = pl.col("probe").eq("pitch") & ~pl.col("untrained")
    deep = tables.probes.with_columns(value_low=pl.when(pitch).then(-5.9).otherwise("value_low"))
    for table, marks in ((tables.probes, 0), (deep, tables.probes.filter(pitch)["value"].drop_nulls().len())):
        figure = probe_figure(table)
        cut = [
            line
            for axes in figure.findobj(mpl.axes.Axes)
            for line in axes.lines
            if line.get_marker() == CUT["marker"] and set(line.get_ydata()) == {axes.get_ylim()[0]}
        ]
        assert sum(len(line.get_xdata()) for line in cut) == marks
        plt.close(figure)


def test_figures_come_with_what_was_run_and_are_the_same_every_time(
    tables: Tables, drawn: list[Path], tmp_path: Path
) -> None:
    assert [path.name for path in drawn if path.suffix == ".svg"] == [
        "figure4_probes.svg",
        "figure5_lens.svg",
        "figure6_erasure.svg",
        "kappa_loss.svg",
    ]
    nothing = {name: tables[name].clear() for name in ("agreement", "probes", "erasure", "kappa_loss")}
    for path in write_figures(tables.changed(**nothing), tmp_path):
        assert path.stem == "figure5_lens" and path.read_bytes() == (drawn[0].parent / path.name).read_bytes()
        assert path.suffix == ".png" or "<text" not in path.read_text()


def test_the_page_looks_inside_and_escapes_what_it_is_told(tables: Tables, drawn: list[Path], tmp_path: Path) -> None:
    last = pl.col("probe").eq("pitch") & pl.col("layer").eq(8)
    hollow = [pl.when(last).then(None).otherwise(name).alias(name) for name in ("value", "value_low", "value_high")]
    spoilt = tables.probes.with_columns(*hollow, reason=pl.when(last).then(pl.lit(PLANTED)))
    told = tables.changed(probes=spoilt)
    text = write_report(
        tmp_path / "report.html",
        title="t",
        tables=told,
        figures=drawn,
        outline=IMPLICIT_OUTLINE,
        statistics=STATISTICS,
    ).read_text()
    page = Page(text)
    check_page(page)
    assert PLANTED in page.text
    ids = [value for name, value in page.attributes if name == "id"]
    inside = ids.index("inside")
    assert ids.index("agreement") < inside < ids.index("figure-probes") < ids.index("probes")
    assert ids.index("probes") < ids.index("figure-erasure") < ids.index("erasers")
    for finding in findings(told, STATISTICS):
        assert finding.claim.title in page.text
        assert finding.numbers[1:] in page.text, finding.numbers
    for level in ("Probes: what is encoded", "Logit lens: how", "Implicit cascade: whether", "Erasure: whether"):
        assert level in page.text


def test_a_study_that_opens_nothing_shows_nothing(tables: Tables, root: Path, tmp_path: Path) -> None:
    cut = [pair for pair in IMPLICIT_OUTLINE.pairs if "implicit" not in pair.system + pair.reference]
    systems = {name: spec for name, spec in IMPLICIT_OUTLINE.systems.items() if "implicit" not in name}
    outline = replace(IMPLICIT_OUTLINE, systems=systems, pairs=cut, contrasts=[])
    closed = build(write_behaviour(tmp_path, outline), contrast_files=[])
    text = write_report(
        tmp_path / "r.html", title="t", tables=closed, figures=[], outline=outline, statistics=STATISTICS
    ).read_text()
    assert 'id="inside"' not in text and "#inside" not in text and not findings(closed, STATISTICS)
    stream = io.StringIO()
    print_headline(closed, STATISTICS, stream)
    assert "Inside the models" not in stream.getvalue()
    stream = io.StringIO()
    print_headline(tables, STATISTICS, stream)
    lines = stream.getvalue().splitlines()
    assert any(line.startswith(SPEAKERS[0]) and "What breaks is hearing" in line for line in lines)


def test_no_files_are_no_tables() -> None:
    assert MechanismFiles.of({"probes": [], "lens": [], "erasers": [], "erasure": []}) == MechanismFiles([], [], [], [])
