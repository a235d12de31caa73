"""Several kinds of noise in one study: each is a family of its own in every table and figure."""

from collections.abc import Iterator

import matplotlib as mpl
import polars as pl
import pytest
import report_study
from report_study import LABELS, OUTLINE, STATISTICS, Study, build, write_study

from cascade_equivalence.conditions import NOISE_KINDS, parse_condition, sort_conditions
from cascade_equivalence.report import ranking_table, system_tables
from cascade_equivalence.report.browser import _conditions
from cascade_equivalence.report.figures.noise import noise_curves
from cascade_equivalence.report.html import _counted
from cascade_equivalence.report.naming import NodeFile, condition_title, nodes
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict import _noise
from cascade_equivalence.stats.ranking import ranking

mpl.use("Agg")
from matplotlib import pyplot as plt

LOSS = {"snr10": 0.1, "snr0": 0.3, "music5": 0.2, "stationary0": 0.4, "reverb300": 0.1, "reverb900": 0.5}
ORDER = ["clean", *LOSS]
FAMILIES = {"babble": 2, "music": 1, "stationary": 1, "reverb": 2}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_study, "LOSS", {"clean": 0.03} | LOSS)
        patch.setattr(report_study, "CONDITIONS", ORDER)
        yield write_study(tmp_path_factory.mktemp("kinds"), OUTLINE)


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    return build(study)


def test_tables_say_kind_and_level(tables: Tables) -> None:
    for table in (tables.noise, tables.agreement, tables.contrasts, tables.transcription, tables.costs, tables.tests):
        for condition, kind, snr_db, rt60_ms in table.select("condition", "noise", "snr_db", "rt60_ms").iter_rows():
            known = parse_condition(condition)
            assert (kind, snr_db, rt60_ms) == (known.kind, known.snr_db, known.rt60_ms)


def test_rows_stand_clean_first_then_kind_by_kind_from_mild_to_hard(tables: Tables) -> None:
    assert sort_conditions(ORDER[::-1]) == ORDER
    for table, keys in ((tables.noise, ["system", "task"]), (tables.agreement, ["system", "reference", "task"])):
        for _, part in table.filter(pl.col("task") == "sst2").group_by(*keys, maintain_order=True):
            assert part["condition"].to_list() == ORDER


def test_the_noise_table_has_a_column_a_condition_under_a_name_of_its_own(tables: Tables) -> None:
    shown = system_tables.noise(tables.noise, 0.95)
    titles = [condition_title(name) for name in ORDER]
    assert len(set(titles)) == len(titles) and shown.columns[3:] == [f"{title} %" for title in titles]
    assert titles[1:4] == ["10\xa0dB", "0\xa0dB", "music 5\xa0dB"] and titles[-1] == "reverb 900\xa0ms"
    kinds = {parse_condition(name).kind for name in ORDER} - {None}
    only = tables.noise.filter(pl.col("noise").is_null() | (pl.col("noise") == "babble"))
    for title, named in ((shown.title, kinds), (system_tables.noise(only, 0.95).title, {"babble"})):
        assert {name for name, kind in NOISE_KINDS.items() if kind.shown in title} == named


def test_no_kind_is_ranked_with_another(study: Study, tables: Tables) -> None:
    found = tables.ranking
    pairs = found.select("system", "reference", "task").unique()
    assert found.height == pairs.height * sum(count + 1 for count in FAMILIES.values())
    answers = {node: pl.read_parquet(path) for node, path in nodes(study.answers, "system").items()}
    for (system, reference, noise), part in found.filter(task="sst2").group_by(
        "system", "reference", "noise", maintain_order=True
    ):
        assert part["condition"][0] == "clean" and part.height == 1 + FAMILIES[str(noise)]
        scale = NOISE_KINDS[str(noise)].scale
        assert set(part["crossover_unit"]) == {scale.unit}
        levels = {parse_condition(name).level: name for name in part["condition"]}
        voices = answers[NodeFile(str(system), "sst2", "snr0")]["voice"].unique().to_list()
        one, other = (
            {
                level: answers[NodeFile(str(who), "sst2", name)].filter(pl.col("voice").is_in(voices))
                for level, name in levels.items()
            }
            for who in (system, reference)
        )
        alone = ranking(one, other, LABELS["sst2"], scale=scale, draws=STATISTICS.draws)
        assert part["crossover"][0] == alone["crossover"]["value"]
        for row, each in zip(part.iter_rows(named=True), alone["conditions"], strict=True):
            assert parse_condition(row["condition"]).level == each["level"]
            assert row["difference"] == pytest.approx(each["difference"]["value"])
            assert row["reversed"] == each["reversed"]


def test_a_reader_sees_a_row_a_kind(tables: Tables) -> None:
    shown = ranking_table.display(tables.ranking, 0.95)
    assert shown.columns[3] == "Noise"
    by_kind = [row[3] for row in shown.rows[:4]]
    assert by_kind == list(FAMILIES)
    place = shown.columns.index("reverb 900\xa0ms [95%]")
    assert [row[place] == "\N{EN DASH}" or row[place] == shown.rows[0][place] for row in shown.rows[:3]] == [True] * 3
    assert shown.rows[3][place] != shown.rows[0][place]
    assert any("signal-to-noise ratio or reverberation time" in remark for remark in shown.remarks)


def test_curves_of_each_kind_have_axes_of_their_own(tables: Tables) -> None:
    figure = noise_curves(tables.noise)
    figure.canvas.draw()
    axes = [each for each in figure.axes if each.get_visible()]
    tasks = tables.noise["task"].n_unique()
    assert len(axes) == len(FAMILIES) * tasks
    ticks = {}
    for each in axes:
        ticks.setdefault(each.get_xlabel(), set()).add(tuple(label.get_text() for label in each.get_xticklabels()))
        places = each.get_xticks()
        assert list(places) == sorted(places)  # the harder, the further to the right
    assert ticks == {
        "SNR in babble (dB)": {("clean", "10", "0")},
        "SNR in music (dB)": {("clean", "5")},
        "SNR in stationary noise (dB)": {("clean", "0")},
        "Reverberation time (ms)": {("clean", "300", "900")},
    }
    plt.close(figure)


def test_the_verdict_speaks_of_the_hardest_level_of_each_kind(tables: Tables) -> None:
    words = _noise(tables.noise)
    for start in (
        "In babble at 0\xa0dB accuracy",
        "In music at 5\xa0dB accuracy",
        "In stationary noise at 0\xa0dB accuracy",
        "In reverberation of 900\xa0ms accuracy",
    ):
        assert words.count(start) == 1
    assert "10\xa0dB" not in words and "300\xa0ms" not in words


def test_reverberant_clips_are_counted_as_noisy_and_the_browser_has_the_hardest_of_each_kind(
    study: Study, tables: Tables
) -> None:
    (row,) = [each for each in _counted(tables) if each["task"] == "sst2"]
    noisy = tables.noise.filter(pl.col("condition") != "clean", task="sst2").unique("condition")
    assert row["noisy"] == noisy["rows"].sum()
    expected = ["clean", "snr0", "music5", "stationary0", "reverb900"]
    assert _conditions(nodes(study.answers, "system"), "sst2") == expected
    assert _conditions(nodes(study.answers, "system"), "mustard") == ["clean"]
