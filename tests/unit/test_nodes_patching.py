"""Which items are paired for patching, and what the table, the figure and the page make of what goes over."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from study_config import ROOT, changed, one_line

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.mechanism import WORD_POSITIONS, PatchingConfig
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import write_table
from cascade_equivalence.nodes.patching import SCHEMA, build_pairs, write_restored
from cascade_equivalence.report.figures.figure import FIGURES
from cascade_equivalence.report.figures.patching import patching_figure
from cascade_equivalence.report.patching_table import NO_PAIR, NOT_APART, PLACES, display, frame
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.resources import REPOSITORY
from cascade_equivalence.stages import patching
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.mean import is_off_zero, ratio
from cascade_equivalence.stats.statistic import estimate
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.pairs import pair_items


def item(name: str, group: str, label: str) -> Item:
    return Item(id=name, text=f"text of {group}", label=label, group=group)


ITEMS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=40).map(
    lambda drawn: [item(f"i{place}", f"g{group}", label) for place, (group, label) in enumerate(drawn)]
)


@given(ITEMS, st.integers(2, 60), st.integers(0, 3))
def test_pairs_differ_in_label_and_share_no_text_beyond_their_cluster(items: list[Item], most: int, seed: int) -> None:
    pairs = pair_items(items, most, "ag_news", seed)
    assert len(pairs) <= most
    owner: dict[str, str] = {}
    for one, other, cluster in pairs:
        assert one.label != other.label
        for side in (one, other):
            assert owner.setdefault(side.group, cluster) == cluster
    there = [(one.id, other.id) for one, other, _ in pairs]
    assert len(set(there)) == len(there)
    # Both ways round.
    assert all((other, one) in there for one, other in there)
    assert pair_items(items[::-1], most, "ag_news", seed) == pairs
    assert pair_items(items, most + 5, "ag_news", seed)[: len(pairs)] == pairs
    assert bool(pairs) == (len({each.label for each in items}) > 1)
    # No cluster gives a second pair before each has given one.
    clusters = [cluster for _, _, cluster in pair_items(items, 1000, "ag_news", seed)]
    assert len(set(clusters[: 2 * len(set(clusters))])) == len(set(clusters))


def test_readings_of_one_text_are_paired_with_each_other() -> None:
    items = [item(f"{text}{label}", text, label) for text in ("one", "two", "three") for label in "abcd"]
    pairs = pair_items(items, 1000, "meld", 0)
    assert len(pairs) == len(items) and all(one.group == other.group == cluster for one, other, cluster in pairs)


def planted(clusters: int, share: dict[str, float], apart: float, seed: int = 0, noise: float = 0.5) -> pl.DataFrame:
    """Log-odds of pairs, two a cluster, of which a share goes over."""
    generator = np.random.default_rng(seed)
    rows = []
    for cluster in range(clusters):
        for way in range(2):
            target = generator.normal()
            for arm in ("audio", "text"):
                source = target + apart + generator.normal()
                for layer in (0, 5):
                    for positions in ("behind", "last"):
                        moved = share[arm] * (source - target) * layer / 5
                        patched = target + moved + noise * generator.normal() * apart
                        place = (f"a{cluster}{way}", f"b{cluster}{way}")
                        rows.append((arm, positions, layer, f"c{cluster}", *place, source, target, patched))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def tabled(tmp_path: Path, table: pl.DataFrame, model: str = "m", task: str = "sst2") -> pl.DataFrame:
    path = tmp_path / f"{model}-{task}.parquet"
    write_table(table, path, {"model": model, "task": task})
    return frame([path], StatisticsConfig())


def test_whether_what_is_heard_is_kept_makes_nothing_again() -> None:
    opened = {"models": ["mini-speech-llm"], "patching": {"tasks": ["sst2"]}}
    found = []
    for how in ("auto", "never"):
        study = Study(load_study(changed(mechanism=opened, answer__keep_heard=how), ROOT))
        found.append(patching.params(study, "mini-speech-llm", "sst2"))
    assert found[0] == found[1]


def test_a_planted_share_is_found_and_a_planted_nothing_is_not(tmp_path: Path) -> None:
    found = tabled(tmp_path, planted(60, {"audio": 0.3, "text": 0.9}, apart=3.0))
    late = found.filter(layer=5, positions="behind").row(0, named=True)
    assert late["heard_low"] < 0.3 < late["heard_high"] and late["read_low"] < 0.9 < late["read_high"]
    assert late["difference_high"] < 0 and late["groups"] == 60 and late["pairs"] == 120
    early = found.filter(layer=0, positions="last").row(0, named=True)
    assert early["heard_low"] < 0 < early["heard_high"]
    assert late["heard_apart"] == pytest.approx(3.0, abs=0.4)
    assert late["heard_apart_low"] < 3.0 < late["heard_apart_high"]
    # The two runs are the same, whatever is exchanged.
    assert found["heard_apart"].n_unique() == found["heard_apart_low"].n_unique() == 1


def test_what_does_not_differ_has_no_share(tmp_path: Path) -> None:
    found = tabled(tmp_path, planted(40, {"audio": 0.3, "text": 0.9}, apart=0.0))
    assert found["heard"].null_count() == found.height and NOT_APART in str(found["reason"][0])
    # What lies apart by nothing has an interval around it, though no share.
    assert (found["heard_apart_low"] < 0).all() and (found["heard_apart_high"] > 0).all()
    shown = display(found, 0.95)
    assert any(NOT_APART in remark for remark in shown.remarks)


def test_a_task_of_free_answers_is_refused() -> None:
    opened = {"models": ["mini-speech-llm"], "patching": {"tasks": ["trivia_qa"]}}
    line = one_line(changed(mechanism=opened, tasks=["sst2", "trivia_qa"], noise=None))
    assert line.startswith("mechanism.patching.tasks: trivia_qa has free answers")


def test_items_of_one_label_are_told_and_end_nothing(tmp_path: Path) -> None:
    spec = read_study(REPOSITORY / "config" / "demo.yaml").task("sst2")
    items = [item(f"i{place}", f"g{place}", "positive") for place in range(4)]
    pairs, arms = build_pairs("sst2", spec, "", items, [], PatchingConfig())
    assert not pairs and not arms
    write_restored("m", "sst2", pairs, [], tmp_path / "none.parquet")
    table = frame([tmp_path / "none.parquet"], StatisticsConfig())
    assert table["reason"].to_list() == [NO_PAIR] and table["layer"].to_list() == [None]
    assert any(NO_PAIR in remark for remark in display(table, 0.95).remarks)
    assert not FIGURES["patching"].has(table)


@pytest.mark.parametrize("place", PLACES)
def test_each_place_that_has_a_title_can_be_asked_for(place: str) -> None:
    assert PatchingConfig.model_validate({"positions": [place]}).positions == [place]
    assert {"behind", "last", *WORD_POSITIONS} == {*PLACES}


def test_a_figure_is_drawn_where_there_is_a_line_in_it(tmp_path: Path) -> None:
    """Halves of the words, and words in reverse, have none."""
    behind = planted(30, {"audio": 0.5, "text": 0.9}, apart=3.0)
    aside = behind.with_columns(pl.col("positions").replace({"behind": "words_reversed", "last": "second_half"}))
    assert not FIGURES["patching"].has(tabled(tmp_path, aside))
    assert FIGURES["patching"].has(tabled(tmp_path, pl.concat([aside, behind.filter(positions="last")])))


def test_the_table_and_the_figure_show_it(tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    behind = planted(30, {"audio": 0.5, "text": 0.9}, apart=3.0)
    at_words = behind.with_columns(pl.col("positions").replace({"behind": "words", "last": "second_half"}))
    told = tabled(tmp_path, pl.concat([behind, at_words]))
    assert dict(told.group_by("positions").len().rows()) == dict.fromkeys(told["positions"].unique(), 2)
    untold = tabled(tmp_path, planted(30, {"audio": 0.5, "text": 0.9}, apart=0.0), task="mustard")
    table = pl.concat([told, untold])
    assert table.schema == pl.Schema(TABLES["patching"].schema)
    shown = display(table, 0.95)
    assert len(shown.rows) == table.height and {len(row) for row in shown.rows} == {len(shown.columns)}
    figure = patching_figure(table)
    figure.canvas.draw()
    plt.close(figure)


@pytest.mark.parametrize("clusters", [10, 25, 100])
def test_the_interval_of_a_ratio_covers_at_the_sizes_at_which_it_is_shown(clusters: int) -> None:
    generator, held, told, truth = np.random.default_rng(clusters), 0, 0, 0.6
    each = Clusters.of([str(row // 2) for row in range(2 * clusters)])
    for _ in range(600):
        shared = np.repeat(generator.normal(size=clusters), 2)
        bottom = 1.5 + shared + generator.normal(size=2 * clusters)
        top = (
            truth * bottom
            + 0.8 * np.repeat(generator.normal(size=clusters), 2)
            + 0.5 * generator.normal(size=2 * clusters)
        )
        if not is_off_zero(each, bottom, 3.0):
            continue
        found = estimate({"share": ratio(each, top, bottom, "none")}, each.count, 0.95)["share"]
        assert found.low is not None and found.high is not None
        told += 1
        held += found.low <= truth <= found.high
    assert told > 300
    assert 0.92 <= held / told <= 0.985


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=30))
def test_off_zero_is_the_t_statistic_of_cluster_totals(values: list[float]) -> None:
    clusters, array = Clusters.of([f"{place:03}" for place in range(len(values))]), np.array(values)
    if array.std() < 1e-3:
        return
    statistic = stats.ttest_1samp(array, 0).statistic
    if abs(statistic - 3) > 1e-6:
        assert is_off_zero(clusters, array, 3.0) == (statistic > 3)
