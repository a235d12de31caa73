"""The dial: found in the config by weights and scales; judged on planted studies; drawn where there is one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from figure_text import assert_nothing_overlaps
from matplotlib import pyplot as plt
from report_study import LABELS, OUTLINE, STATISTICS, save
from study_config import BASE, FILES, ROOT, STUDIES

from cascade_equivalence import stages
from cascade_equivalence.config.dial import FEWEST_SCALES, Dial, Setting, dials
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.report.attributions_table import SCHEMA as ATTRIBUTIONS
from cascade_equivalence.report.build import build_tables
from cascade_equivalence.report.claims_orders import steady
from cascade_equivalence.report.claims_paper import CLAIMS
from cascade_equivalence.report.claims_rows import Facts
from cascade_equivalence.report.claims_table import asked, claims_table
from cascade_equivalence.report.dial_table import display_curve
from cascade_equivalence.report.dial_trends import FALLS, FEW, OPEN, RISES
from cascade_equivalence.report.figures.dial import DIAL, dial_figure
from cascade_equivalence.report.figures.figure import figure_name
from cascade_equivalence.report.figures.looks import COLORS
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.mechanism_schemas import ERASURE, ERASURE_CONTROLS, PROBES
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables, displays
from cascade_equivalence.resources import PAPER_NUMBERS
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.numbers import write_comparison
from cascade_equivalence.tasks.registry import TASKS

SCALES = (0.0, 0.25, 0.5, 1.0)
NAMES = [f"ears-{scale:g}" for scale in SCALES]
DIAL_OF = Dial(
    "base", "whisper", tuple(Setting(s, f"{n}-llm", n, f"{n}-own") for s, n in zip(SCALES, NAMES, strict=True))
)
PLANTED = Outline(
    systems={
        **{name: E2ESpec(kind="e2e", model=f"{name}-llm") for name in NAMES},
        **{f"{name}-own": CascadeSpec(kind="cascade", asr="whisper", llm=f"{name}-llm") for name in NAMES},
    },
    pairs=[PairSpec(system=name, reference=f"{name}-own", label=name) for name in NAMES],
    tasks=["sst2", "mustard"],
    dials=[DIAL_OF],
)
DIAL_CLAIMS = [name for name, claim in CLAIMS.items() if claim.needs]
MOVES = ("dial_agreement", "dial_accuracy", "dial")
DIAL_TABLES = ("dial", "dial_trends")
Hears = Callable[[float, str], float]


def planted(root: Path, hears: Hears, texts: int = 20) -> Tables:
    """A study: a scale gives the gold label in a share of the clips, else what its own cascade says."""
    answers, agreement = [], []
    for task in PLANTED.tasks:
        frames = {}
        rng = np.random.default_rng(len(task))
        labels = np.array(LABELS[task])
        rows = [(f"{text:03}", voice) for text in range(texts) for voice in ("us", "gb", "heart")]
        gold, habit = (labels[rng.integers(0, 2, len(rows))] for _ in range(2))
        luck = rng.random(len(rows))
        for scale, name in zip(SCALES, NAMES, strict=True):
            said = np.where(luck < hears(scale, task), gold, habit)
            # A word or two of each is its own.
            said = np.where(rng.random(len(rows)) < 0.05, labels[rng.integers(0, 2, len(rows))], said)
            for who, parsed in ((name, said), (f"{name}-own", habit)):
                ids, voices = zip(*rows, strict=True)
                frame = pl.DataFrame({"id": ids, "voice": voices, "group": ids, "label": gold, "parsed": parsed})
                frames[who] = frame.with_columns(raw=pl.col("parsed"), correct=pl.col("parsed") == pl.col("label"))
                answers.append(save(frames[who], root / "answers" / who / task / "clean.parquet"))
        for pair in PLANTED.pairs:
            found = compare(frames[pair.system], frames[pair.reference], LABELS[task], draws=50) | {"match": "exact"}
            path = root / f"agreement/{pair.system}/{task}.csv"
            of = {"system": pair.system, "reference": pair.reference, "task": task, "condition": "clean"}
            write_comparison(found, of, path)
            agreement.append(path)
    return build_tables(answers, agreement, [], [], labels=LABELS, outline=PLANTED, statistics=STATISTICS)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Hears more of how something is said with each part, where that matters."""
    return planted(
        tmp_path_factory.mktemp("moving"), lambda scale, task: 0.95 * scale if task == "mustard" else 0.9, 60
    )


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Hears something, as much at every scale."""
    return planted(tmp_path_factory.mktemp("still"), lambda *_: 0.5)


def judged(tables: Tables) -> dict[str, dict[str, Any]]:
    table = claims_table(
        asked(CLAIMS.values(), tables),
        tables,
        sufficient={name: task.text_sufficient for name, task in TASKS.items()},
        labels=LABELS,
        paper=None,
        numbers=read_numbers(PAPER_NUMBERS),
        statistics=STATISTICS,
    )
    return {row["claim"]: row for row in table.iter_rows(named=True)}


def trend(tables: Tables, task: str) -> dict[str, Any]:
    (row,) = tables.dial_trends.filter(task=task).iter_rows(named=True)
    return row


# --- the config ---


def config(scales: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A study of an adapter at some scales, by model; each with its own-weights cascade."""
    source = {"kind": "path", "path": "/models/adapter"}
    models = {
        name: {"role": "speech-llm", "licence": "MIT", "source": source, "base": "mini-speech-llm"}
        | (entry if isinstance(entry, dict) else {"scale": entry})
        for name, entry in scales.items()
    }
    systems = {name: {"kind": "e2e", "model": name} for name in scales}
    systems |= {f"{name}-own": {"kind": "cascade", "asr": "whisper-base", "llm": name} for name in scales}
    pairs = [{"system": name, "reference": f"{name}-own", "label": "own"} for name in scales]
    return (
        BASE | {"systems": list(systems), "pairs": pairs, "definitions": {"models": models, "systems": systems}} | more
    )


def found(raw: dict[str, Any]) -> list[Dial]:
    return dials(load_study(raw, ROOT))


def test_a_dial_is_one_adapter_at_three_scales_whatever_they_are_called() -> None:
    (dial,) = found(config({"zebra": 0.0, "apple": 1.0, "mango": 0.5}))
    assert [(one.scale, one.model, one.system, one.reference) for one in dial.settings] == [
        (scale, name, name, f"{name}-own") for scale, name in ((0.0, "zebra"), (0.5, "mango"), (1.0, "apple"))
    ]
    assert (dial.base, dial.asr, dial.most.model) == ("mini-speech-llm", "whisper-base", "apple")
    assert found(config(dict(zip("abc"[: FEWEST_SCALES - 1], SCALES, strict=False)))) == []


def test_other_weights_another_base_and_a_scale_that_is_there_twice_do_not_count() -> None:
    other = {"scale": 0.3, "source": {"kind": "path", "path": "/models/other"}}
    assert found(config({"a": 0.0, "b": 1.0, "c": other})) == []
    assert found(config({"a": 0.0, "b": 1.0, "c": 1.0})) == []
    (dial,) = found(config({"a": 0.0, "b": 1.0, "c": other, "d": 0.5}))
    assert [one.model for one in dial.settings] == ["a", "d", "b"]


def test_only_a_pair_with_the_own_weights_counts_in_either_order() -> None:
    raw = config({"a": 0.0, "b": 0.5, "c": 1.0})
    turned = [{"system": pair["reference"], "reference": pair["system"], "label": "own"} for pair in raw["pairs"]]
    assert found(raw | {"pairs": turned}) == found(raw)
    crossed = [*raw["pairs"][:2], {"system": "c", "reference": "b-own", "label": "another's"}]
    assert found(raw | {"pairs": crossed}) == []


def test_the_projects_study_of_a_dial_has_one_and_no_other_study_shows_one() -> None:
    with_dial = []
    for name in STUDIES:
        study = Study(load_study(FILES[name], ROOT))
        shown = "dial" in stages.report.figures(study), "dial_trends" in stages.report.tables(study)
        assert shown == (bool(dials(study.config)),) * 2
        assert ("dials" in stages.report.params(study, "collect_tables")) == shown[0]
        with_dial += [name] * shown[0]
    assert with_dial == ["dial.yaml"]


# --- what is judged ---


def test_what_is_planted_is_found_on_its_task_and_nothing_on_the_other(moving: Tables) -> None:
    row = trend(moving, "mustard")
    assert (row["kappa_trend"], row["accuracy_trend"]) == (FALLS, RISES)
    assert row["kappa_slope"] == pytest.approx(-0.95, abs=0.2) and row["kappa_slope_high"] < 0
    assert row["accuracy_slope"] == pytest.approx(0.47, abs=0.15) and row["accuracy_slope_low"] > 0
    other = trend(moving, "sst2")
    assert (other["kappa_trend"], other["accuracy_trend"]) == (OPEN, OPEN)


def test_the_curve_is_made_of_the_numbers_of_other_tables(moving: Tables) -> None:
    ends = ("", "_low", "_high")
    for measure, table, keys in (
        ("kappa", moving.agreement, ["system", "reference"]),
        ("accuracy", moving.accuracy, ["system"]),
    ):
        mine = moving.dial.filter(measure=measure)
        assert mine.height == len(SCALES) * len(PLANTED.tasks)
        both = mine.join(table, on=[*keys, "task"], how="inner")
        assert both.height == mine.height
        for end in ends:
            assert both[f"value{end}"].equals(both[f"{measure}{end}"])
    assert moving.dial.filter(measure="accuracy")["beside"].unique().to_list() == [0.5]


def test_the_claims_hold_on_the_planted_study(moving: Tables) -> None:
    rows = judged(moving)
    assert set(DIAL_CLAIMS) <= set(rows) and {rows[name]["outcome"] for name in DIAL_CLAIMS} == {HOLDS}
    assert rows["dial_agreement"]["value_high"] < 0 < rows["dial_accuracy"]["value_low"]
    assert rows["dial_agreement"]["tasks"] == "mustard"


def test_they_do_not_hold_where_nothing_moves(still: Tables) -> None:
    rows = judged(still)
    assert HOLDS not in {rows[name]["outcome"] for name in MOVES}
    for task in PLANTED.tasks:
        row = trend(still, task)
        assert (row["kappa_trend"], row["accuracy_trend"]) == (OPEN, OPEN)


def test_a_step_back_that_is_shown_refutes_them_though_the_slope_is_right(tmp_path: Path) -> None:
    shares = dict(zip(SCALES, (0.0, 0.9, 0.3, 1.0), strict=True))
    tables = planted(tmp_path, lambda scale, _: shares[scale], texts=40)
    row = trend(tables, "mustard")
    assert row["kappa_slope"] < 0 < row["kappa_back_low"] and row["kappa_back_at"] == "0.25 to 0.5"
    assert row["accuracy_slope"] > 0 > row["accuracy_back_high"]
    rows = judged(tables)
    assert {rows[name]["outcome"] for name in MOVES} == {FAILS}


def test_the_other_way_round_refutes_them(tmp_path: Path) -> None:
    rows = judged(planted(tmp_path, lambda scale, _: 1 - 0.9 * scale, texts=40))
    assert {rows[name]["outcome"] for name in ("dial_accuracy", "dial")} == {FAILS}


def test_a_model_that_loses_the_words_refutes_the_dial_though_all_else_is_as_it_must(tmp_path: Path) -> None:
    """Where the words tell it gets worse with each part; a study without such tasks would not see it."""
    rows = judged(
        planted(tmp_path, lambda scale, task: 0.95 * scale if task == "mustard" else 0.9 - 0.9 * scale, texts=40)
    )
    assert {rows[name]["outcome"] for name in ("dial_agreement", "dial_accuracy")} == {HOLDS}
    assert {rows[name]["outcome"] for name in ("dial_words", "dial")} == {FAILS}
    assert rows["dial_words"]["value"] < -rows["dial_words"]["against"] and rows["dial_words"]["tasks"] == "sst2"


def test_a_scale_in_the_middle_that_loses_the_words_refutes_them(tmp_path: Path) -> None:
    words = dict(zip(SCALES, (0.9, 0.9, 0.2, 0.95), strict=True))
    tables = planted(tmp_path, lambda scale, task: 0.95 * scale if task == "mustard" else words[scale], texts=60)
    assert abs(trend(tables, "sst2")["accuracy_slope"]) < 0.1
    assert judged(tables)["dial_words"]["outcome"] == FAILS


def test_words_that_were_guessed_cannot_be_lost(tmp_path: Path) -> None:
    tables = planted(tmp_path, lambda scale, task: 0.95 * scale if task == "mustard" else 0.0, texts=60)
    row = judged(tables)["dial_words"]
    assert row["outcome"] == UNTOLD and "above chance" in row["reason"]


def test_a_task_without_an_interval_leaves_the_words_open(moving: Tables) -> None:
    claim = CLAIMS["dial_words"].model_copy(update={"tasks": ["sst2", "mustard"]})
    ends = [f"accuracy_away{end}" for end in ("", "_low", "_high")]
    nothing = pl.when(pl.col("task") != "mustard")
    tables = moving.changed(
        dial_trends=moving.dial_trends.with_columns(nothing.then(name).alias(name) for name in ends)
    )
    facts = Facts(tables, {}, LABELS, PaperConfig(), read_numbers(PAPER_NUMBERS), 0.95)
    found = steady(claim, facts)
    assert found.p is None and "MUStARD has no interval" in found.reason


def test_of_few_texts_nothing_can_be_told_and_it_is_said_why(tmp_path: Path) -> None:
    tables = planted(tmp_path, lambda scale, _: scale, texts=6)
    rows = judged(tables)
    assert {rows[name]["outcome"] for name in DIAL_CLAIMS} == {UNTOLD}
    assert "6 groups" in rows["dial_agreement"]["reason"]
    row = trend(tables, "mustard")
    assert row["kappa_trend"] == FEW and row["kappa_p"] is None and row["kappa_slope"] < 0


def test_a_study_without_a_dial_is_asked_nothing_and_shows_nothing(tmp_path: Path, moving: Tables) -> None:
    tables = moving.changed(**{name: Results(outline=OUTLINE, statistics=STATISTICS)[name] for name in DIAL_TABLES})
    assert not tables.dial.height and not tables.dial_trends.height
    assert not {claim.id for claim in asked(CLAIMS.values(), tables)} & set(DIAL_CLAIMS)
    assert not set(DIAL_TABLES) & {shown.name for shown in displays(tables, 0.95)}
    assert "dial" not in {figure_name(path.stem) for path in write_figures(tables, tmp_path / "figures")}


# --- what is drawn ---


def inside(table: pl.DataFrame) -> pl.DataFrame:
    """A dial table with what was found inside, and a surplus."""
    first = table.row(0, named=True)
    empty = dict.fromkeys(table.columns)
    named = {name: first[name] for name in ("adapter", "base", "asr")}
    ends = {"value": 0.3, "value_low": 0.1, "value_high": 0.5, "beside": 0.02}
    rows = [
        empty | named | {"scale": scale} | about | ends
        for scale in SCALES
        for about in (
            {"measure": "probe", "of": "pitch", "layer": 0},
            {"measure": "probe", "of": "pitch", "layer": 29},
            {"measure": "erasure", "of": "acoustic", "task": "mustard"},
        )
    ]
    rows.append(empty | named | {"measure": "surplus", "task": "mustard", "value": 0.62})
    return pl.concat([table, pl.DataFrame(rows, schema=table.schema)])


@pytest.mark.parametrize("opened", [False, True])
def test_nothing_written_in_it_overlaps_and_what_is_missing_has_no_panel(moving: Tables, opened: bool) -> None:
    table = inside(moving.dial) if opened else moving.dial
    figure = dial_figure(table)
    assert_nothing_overlaps(figure)
    visible = [axes for axes in figure.findobj(plt.Axes) if axes.get_visible()]
    assert len(visible) == 4 + 2 * opened
    text = "".join(axes.get_title() for axes in visible)
    assert ("0.62" in text) == opened
    plt.close(figure)


def test_two_adapters_have_a_strip_each(moving: Tables) -> None:
    other = moving.dial.with_columns(adapter=pl.lit("another"))
    figure = dial_figure(pl.concat([moving.dial, other]))
    assert_nothing_overlaps(figure)
    assert len([axes for axes in figure.findobj(plt.Axes) if axes.get_visible()]) == 8
    plt.close(figure)


def test_lines_can_be_told_apart_without_colour_and_seen_on_white(moving: Tables) -> None:
    from matplotlib.colors import to_rgb

    from cascade_equivalence.report.figures.agreement import luminance

    figure = dial_figure(inside(moving.dial))
    for axes in figure.findobj(plt.Axes):
        named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
        looks = {str(line.get_label()): (str(line.get_linestyle()), line.get_marker()) for line in named}
        assert len(set(looks.values())) == len(looks)
        for line in named:
            assert 1.05 / (luminance(to_rgb(line.get_color())) + 0.05) >= 4.5, line.get_label()
    plt.close(figure)
    assert COLORS and DIAL.has(moving.dial)


@pytest.mark.parametrize("positions", ["behind", "last"])
def test_it_reads_what_was_found_inside_opened_models(positions: str) -> None:
    """Probes of the trained blocks within voices; the sound erased from audio, beside what drawn directions do."""
    place = {"model": "ears-1-llm", "task": "mustard", "arm": "audio", "positions": "all", "concept": "acoustic"}
    linear = place | {"variant": "linear", "accuracy": 0.6, "accuracy_change": -0.3}
    erased = [linear, linear | {"arm": "text", "accuracy_change": 0.0}, linear | {"concept": "proxy"}]
    erased.append(linear | {"variant": "random0", "accuracy": 0.85})
    beside = {"measure": "accuracy", "control": "random", "control_mean": 0.85, "draws": 4}
    controls = [place | {"variant": "linear"} | beside]
    controls += [
        controls[0] | {"control": "principal", "control_mean": 0.8},
        controls[0] | {"measure": "forced_accuracy"},
    ]
    probe = {"model": "ears-1-llm", "untrained": False, "layer": 29, "probe": "pitch", "value": 0.4, "shuffled": 0.01}
    probes = [
        probe,
        probe | {"untrained": True, "value": 0.2},
        probe | {"probe": "energy"},
        probe | {"model": "another"},
    ]
    results = Results(outline=PLANTED, statistics=STATISTICS)
    results._made["probes"] = pl.DataFrame(probes, schema=PROBES)
    words = {"model": "ears-1-llm", "task": "mustard", "agreement": 0.5, "agreement_low": 0.4, "places": 0.1}
    results._made["attributions"] = pl.DataFrame([words], schema=ATTRIBUTIONS)
    apart = {"model": "ears-1-llm", "task": "mustard", "heard_apart": 2.0, "heard_apart_low": 1.5, "read_apart": 0.2}
    places = ("words", positions)
    patched = [apart | {"positions": each, "layer": layer} for each in places for layer in (0, 9)]
    patched[0] |= {"heard_apart": 3.0}
    results._made["patching"] = pl.DataFrame(patched, schema=TABLES["patching"].schema)
    bits = {"task": "mustard", "transcript": "oracle", "surplus": 0.5}
    results._made["surplus"] = pl.DataFrame([bits], schema=TABLES["surplus"].schema)
    results.__dict__["erasure"] = pl.DataFrame(erased, schema=ERASURE), pl.DataFrame(controls, schema=ERASURE_CONTROLS)
    table = results["dial"]
    (read,) = table.filter(measure="probe").iter_rows(named=True)
    assert (read["scale"], read["layer"], read["value"], read["beside"]) == (1.0, 29, 0.4, 0.01)
    (fall,) = table.filter(measure="erasure").iter_rows(named=True)
    assert (fall["of"], fall["task"], fall["value"]) == ("acoustic", "mustard", -0.3)
    assert fall["beside"] == pytest.approx(0.8 - 0.9)
    for measure, value, low, beside in (("attributions", 0.5, 0.4, 0.1), ("apart", 2.0, 1.5, 0.2)):
        (row,) = table.filter(measure=measure).iter_rows(named=True)
        assert (row["scale"], row["task"], row["value"]) == (1.0, "mustard", value)
        assert (row["value_low"], row["beside"]) == (low, beside)
    (row,) = table.filter(measure="surplus").iter_rows(named=True)
    assert (row["asr"], row["task"], row["value"], row["scale"]) == ("oracle", "mustard", 0.5, None)
    assert any("nats" in row[1] for row in display_curve(table, 0.95).rows)
