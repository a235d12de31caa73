"""The paper's numbers beside a study's: a study that found what the paper found differs nowhere."""

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_mechanism_study import write_behaviour, write_mechanism
from report_study import Study, build

from cascade_equivalence.config.paper import PAPER_MODELS, PAPER_SYSTEMS, PaperConfig
from cascade_equivalence.report.comparison import ANOTHER, COMPARISON, NO, NOTHING_NAMED, SAME, STAND_IN, comparison
from cascade_equivalence.report.comparison_display import display
from cascade_equivalence.report.comparison_lookup import DERIVED, FORMULAS
from cascade_equivalence.report.comparison_study import corresponding, depth
from cascade_equivalence.report.paper_numbers import (
    IMPLICIT,
    KEYED,
    LAST_LAYER,
    LAYER_STEP,
    LENS,
    LENS_ALL,
    SCALES,
    STATISTICS,
    read_numbers,
)
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stats.numbers import by_comparison, read_comparison

NUMBERS = read_numbers(RESOURCES / "paper" / "numbers.csv")
CLEAN = {"condition": "clean"}
NOISE = {  # accuracy on clean speech and at 0 dB, in percent, within the rounding of section 4.4
    ("Cascade-S", "ag_news"): (85.0, 84.5),
    ("Cascade-S", "sst2"): (88.40, 85.85),
    ("Cascade-S", "commonsense_qa"): (79.3, 75.1),
    ("Gemini", "sst2"): (90.42, 80.25),
    ("Gemini", "commonsense_qa"): (80.2, 67.5),
    ("Ultravox", "sst2"): (85.3, 79.4),
}
OTHERS_IN_NOISE = 8.0
DEMO = PaperConfig.model_validate(
    {
        "systems": {
            "talker": {"name": "Ultravox"},
            "base-qwen": {"name": "Whisper+Llama-3.1-8B"},
            "base-smol": {"name": "Cascade-S", "stands_in": False},
            "tiny-qwen": {"name": "Cascade-W", "stands_in": False},
        },
        "models": {"talker-llm": {"name": "Ultravox"}, "base": {"name": "Whisper"}},
    }
)


def ours(name: str) -> str:
    """This study's name of one of the paper's systems or models."""
    return f"our-{name.lower().replace('+', '-')}"


def config(*, stands_in: bool = False) -> PaperConfig:
    """All of the paper's systems and models are there."""
    return PaperConfig.model_validate(
        {
            "systems": {ours(name): {"name": name, "stands_in": stands_in} for name in PAPER_SYSTEMS},
            "models": {ours(name): {"name": name, "stands_in": stands_in} for name in PAPER_MODELS},
        }
    )


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A tidy table; columns that are not given are empty."""
    return pl.DataFrame(rows, schema=TABLES[name].schema, orient="row")


def papers_own() -> Tables:
    """A study that found the paper's numbers."""
    at = {place: NUMBERS.filter(place=place).to_dicts() for place in NUMBERS["place"].unique()}
    accuracy = [
        {"system": ours(row["system"]), "task": row["task"], "accuracy": row["value"] / 100, **CLEAN}
        for row in at["Table 2"]
    ]
    losses = NOISE | {
        (name, task): (80.0, 80.0 - OTHERS_IN_NOISE)
        for name in ("Qwen2-Audio", "Ultravox", "Phi-4-MM")
        for task in ("sst2", "commonsense_qa")
        if (name, task) not in NOISE
    }
    noise = [
        {"system": ours(name), "task": task, "condition": condition, "accuracy": value / 100, "change": change}
        for (name, task), (clean, noisy) in losses.items()
        for condition, value, change in (("clean", clean, None), ("snr0", noisy, (noisy - clean) / 100))
    ]
    overlaps = {"ag_news": (0.96, 1 / 3), "commonsense_qa": (0.85, 1 / 4), "meld": (0.68, 1 / 6)}
    agreement = []
    for row in at["Figure 1"]:
        if row["statistic"] == "kappa":
            found = {"task": row["task"], "kappa": row["value"], **CLEAN}
            if row["reference"] == "Whisper+Llama-3.1-8B" and row["task"] in overlaps:
                found |= dict(zip(("overlap", "overlap_chance"), overlaps[row["task"]], strict=True))
                found |= {"mcnemar_p_adjusted": 0.29}
            # The pair stands the other way round than in the paper.
            agreement.append(found | {"system": ours(row["reference"]), "reference": ours(row["system"])})
    probes = [
        {"model": ours(row["model"]), "untrained": False, "layer": row["layer"], "probe": row["concept"]}
        | {"value": row["value"]}
        for row in at["Table 4"]
    ]
    probes += [row | {"untrained": True, "value": -1.0} for row in probes]
    for layer, value in ((4, 0.48), (12, 0.50), (20, 0.51)):
        place = {"model": ours("Qwen2-Audio"), "untrained": False, "layer": layer}
        probes.append(place | {"probe": "ctc", "value": value})
    lens = [
        {"model": ours(row["model"]), "layer": row["layer"]}
        | {"precision": row["value"] if row["statistic"] == LENS else 0.5}
        | {"all_precision": row["value"] if row["statistic"] == LENS_ALL else 0.5}
        for row in at["Table 5"]
        if row["statistic"] in (LENS, LENS_ALL)
    ]
    sufficiency: dict[str, dict[str, Any]] = {}
    for row in at["Table 6"]:
        found = sufficiency.setdefault(row["task"], {"system": ours("Ultravox"), "task": row["task"]})
        if row["reference"] == IMPLICIT:
            found["kappa_implicit"] = row["value"]
        elif row["system"] == IMPLICIT:
            found["implicit_accuracy"] = row["value"] / 100
    erasure, erasers = [], []
    for row in at["Table 7"]:
        if row["statistic"] == "erased_dimensions":
            for layer in (0, 8, LAST_LAYER):
                loss = 0.25 if (row["model"], layer) == ("Qwen2-Audio", 8) else 0.01
                text = {"text_before": 0.49, "text_after": 0.49 - loss}
                count = {
                    "columns": None if row["concept"] == "random" else int(row["value"]),
                    "rank": int(row["value"]),
                }
                drawn = row["concept"] == "random"
                place = {"model": ours(row["model"]), "concept": "proxy" if drawn else row["concept"], "layer": layer}
                place |= {"control": "random" if drawn else None}
                erasers.append(place | text | count)
        elif row["statistic"] == "accuracy":
            variants = {"none": ["none"], "random": ["random0", "random1", "random2"]}.get(
                row["concept"], ["affine", "linear"]
            )
            for variant in variants:
                off = {"affine": 0.5, "random1": 0.1, "random2": -0.1}.get(variant, 0.0)
                concept = "proxy" if row["concept"] == "random" else row["concept"]
                place = {"model": ours(row["model"]), "task": row["task"], "concept": concept}
                place |= {"variant": variant, "positions": "none" if variant == "none" else "all"}
                erasure.append(place | {"arm": "audio", "accuracy": row["value"] / 100 + off})
                erasure.append(place | {"arm": "text", "accuracy": 0.77})
    pair = {"system": ours("Ultravox"), "reference": ours("Whisper+Llama-3.1-8B"), **CLEAN}
    heard_right = dict(zip(("", "_low", "_high"), (0.34, 0.3, 0.4), strict=True))
    errors = [
        pair | {"task": "ag_news", "correct_joint_errors": 0.81},
        pair | {"task": "sst2"} | {f"correct_shared_errors{end}": value for end, value in heard_right.items()},
    ]
    return Tables(
        errors=frame("errors", errors),
        accuracy=frame("accuracy", accuracy),
        noise=frame("noise", noise),
        agreement=frame("agreement", agreement),
        probes=frame("probes", probes),
        lens=frame("lens", lens),
        sufficiency=frame("sufficiency", list(sufficiency.values())),
        erasers=frame("erasers", erasers),
        erasure=frame("erasure", erasure),
    )


@pytest.fixture(scope="module")
def own() -> pl.DataFrame:
    """The comparison of the study that found the paper's numbers."""
    return comparison(NUMBERS, papers_own(), config())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A made-up study."""
    return write_behaviour(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    """Its tables."""
    return build(study, mechanism=write_mechanism(study.root, tasks=["ag_news"], speakers=["talker-llm"]))


def test_a_study_that_found_the_papers_numbers_differs_nowhere(own: pl.DataFrame) -> None:
    assert own.height == NUMBERS.height and dict(own.schema) == {name: kind() for name, kind in COMPARISON.items()}
    for row in own.iter_rows(named=True):
        assert row["applies"] == (NO if STATISTICS[row["statistic"]].design else SAME), row
        if row["applies"] == NO:
            continue
        places = len(row["printed"].rstrip("%BM\N{MULTIPLICATION SIGN}").partition(".")[2])
        assert row["relation"] in "<>" or abs(row["difference"]) <= 0.5 * 0.1**places + 1e-9 or row["note"], row
        assert row["difference"] == row["ours"] - row["paper"] and row["why_not"] is None


def test_cells_are_looked_up_exactly(own: pl.DataFrame) -> None:
    exact = own.filter(pl.col("place").is_in(["Table 2", "Table 4", "Table 5", "Table 7", "Figure 1"]))
    exact = exact.filter(pl.col("applies") == SAME)
    assert exact.height == 36 + 60 + 18 + 70 + 35
    assert exact["difference"].abs().max() < 1e-9
    layers = exact.drop_nulls("layer")
    assert layers.height == 60 + 18 and layers["layer"].equals(layers["ours_layer"].rename("layer"))
    six = own.filter(
        pl.col("reference").eq_missing(IMPLICIT) | (pl.col("system").eq_missing(IMPLICIT)), place="Table 6"
    )
    assert six.height == 8 and six["difference"].abs().max() < 1e-9


def test_within_is_asked_of_intervals_and_bounds_alone(own: pl.DataFrame) -> None:
    asked = own.filter(pl.col("paper_low").is_not_null() | pl.col("relation").is_in(["<", ">"]))
    assert asked.height == 9 and asked["within"].all()
    assert own.drop_nulls("within").height == asked.height
    far = papers_own()
    far = far.changed(agreement=far.agreement.with_columns(kappa=pl.lit(0.5), kappa_low=pl.lit(0.4), kappa_high=0.8))
    found = comparison(NUMBERS, far, config()).filter(pl.col("paper_low").is_not_null())
    assert found.height == 6 and not found["within"].any()
    assert found["paper_within_ours"].to_list() == [value <= 0.8 for value in found["paper"]]


def test_stand_ins_are_set_beside_but_not_judged(own: pl.DataFrame) -> None:
    found = comparison(NUMBERS, papers_own(), config(stands_in=True))
    assert found["ours"].equals(own["ours"]) and set(found["applies"]) == {STAND_IN, NO}
    assert found["within"].null_count() == found["paper_within_ours"].null_count() == found.height
    assert set(found.filter(applies=STAND_IN)["why_not"]) == {ANOTHER}
    one = config().model_dump()
    one["systems"][ours("Cascade-S")]["stands_in"] = True
    mixed = comparison(NUMBERS, papers_own(), PaperConfig.model_validate(one)).filter(
        place="Figure 1", applies=STAND_IN
    )
    names = mixed.select("system", "reference").unique().rows()
    assert {name for pair in names for name in pair} >= {"Cascade-S"} and all("Cascade-S" in pair for pair in names)


def test_without_names_nothing_applies() -> None:
    for paper in (None, PaperConfig()):
        found = comparison(NUMBERS, papers_own(), paper)
        assert found["place"].equals(NUMBERS["place"]) and found["paper"].equals(NUMBERS["value"].rename("paper"))
        assert set(found["applies"]) == {NO} and set(found["why_not"]) == {NOTHING_NAMED}
        assert found["ours"].null_count() == found.height
        assert display(found, 0.95).rows == []


@pytest.mark.parametrize(
    ("change", "names", "reason"),
    [
        ({}, {"system": "Gemini", "place": "Table 2", "task": "meld"}, "no system of this study is Gemini"),
        ({"accuracy": "sst2"}, {"place": "Table 2", "task": "meld"}, "this study has no MELD"),
        ({"noise": "none"}, {"statistic": "accuracy_noise_voices", "condition": "snr0"}, "no speech at 0"),
        ({"noise": "none"}, {"statistic": "accuracy_noise_voices", "condition": "clean"}, "no speech in noise"),
        ({"agreement": "meld"}, {"place": "Figure 1", "task": "sst2"}, "does not compare our-.* with our-.* on SST-2"),
        ({"sufficiency": "none"}, {"reference": IMPLICIT}, "no implicit cascade of our-ultravox"),
        ({"lens": "none"}, {"place": "Table 5", "statistic": "lens_precision"}, "no such numbers of"),
        ({"erasure": "sst2"}, {"place": "Table 7", "task": "meld", "concept": "boc"}, "did not erase BoC from our-"),
        ({"erasers": "none"}, {"statistic": "erased_dimensions"}, "did not erase"),
        ({}, {"statistic": "items"}, "design"),
    ],
)
def test_why_a_number_has_no_counterpart(change: dict[str, str], names: dict[str, str], reason: str) -> None:
    whole = papers_own()
    kept = {
        name: getattr(whole, name).filter(task=task) if "task" in TABLES[name].schema else getattr(whole, name).head(0)
        for name, task in change.items()
    }
    paper = config()
    if names.get("system") == "Gemini":
        paper = paper.model_copy(update={"systems": {n: s for n, s in paper.systems.items() if s.name != "Gemini"}})
    found = comparison(NUMBERS, whole.changed(**kept), paper).filter(**names)
    assert found.height and set(found["applies"]) == {NO} and not found["ours"].drop_nulls().len()
    assert found["why_not"].str.contains(reason).all(), found["why_not"].to_list()


def test_a_lens_over_other_positions_is_not_set_beside_the_papers() -> None:
    whole = papers_own()
    audio = whole.lens.with_columns(all_precision=pl.lit(None, pl.Float64), all_precision_low=None)
    found = comparison(NUMBERS, whole.changed(lens=audio), config())
    of_all = found.filter(pl.col("statistic").is_in([LENS_ALL, "lens_precision_gap"]))
    assert set(of_all["applies"]) == {NO} and of_all["why_not"].str.contains("mechanism.states.positions: all").all()
    assert set(found.filter(statistic=LENS)["applies"]) == {SAME}


def test_made_up_study_has_the_numbers_of_its_files(study: Study, tables: Tables) -> None:
    found = comparison(NUMBERS, tables, DEMO)
    there = found.filter(pl.col("applies") != NO)
    assert there.filter(place="Table 2").height == 3 * 4 and set(there["applies"]) == {SAME, STAND_IN}
    for row in there.filter(place="Table 2").iter_rows(named=True):
        answers = pl.read_parquet(study.root / "answers" / row["ours_system"] / row["task"] / "clean.parquet")
        assert row["ours"] == pytest.approx(100 * answers["correct"].mean())
        assert row["ours_low"] <= row["ours"] <= row["ours_high"]
        assert row["applies"] == (STAND_IN if row["system"] == "Ultravox" else SAME)
    for row in there.filter(place="Figure 1").iter_rows(named=True):
        folder = study.root / f"agreement/{row['ours_system']}~{row['ours_reference']}/{row['task']}"
        ((_, numbers),) = by_comparison(read_comparison(folder / "clean.csv"))
        assert row["ours"] == numbers["kappa"].value
        assert row["why_not"] == (numbers["kappa"].reason if row["ours"] is None else ANOTHER)


def test_what_was_misheard_is_what_was_not_heard_right(own: pl.DataFrame) -> None:
    found = own.filter(statistic="joint_errors_misheard").row(0, named=True)
    assert [found["ours_low"], found["ours"], found["ours_high"]] == pytest.approx([60, 66, 70])


def test_contrasts_give_the_difference_an_interval_in_either_direction() -> None:
    names = {"system": ours("Ultravox"), "task": "commonsense_qa", **CLEAN}
    matched, other = ours("Whisper+Llama-3.1-8B"), ours("Cascade-S")
    ends = {"kappa_difference": 0.2, "kappa_difference_low": 0.1, "kappa_difference_high": 0.4}
    for first, second, sign in ((matched, other, 1), (other, matched, -1)):
        contrast = frame("contrasts", [names | {"first": first, "second": second} | ends])
        row = comparison(NUMBERS, papers_own().changed(contrasts=contrast), config())
        found = row.filter(statistic="kappa_difference").row(0, named=True)
        expected = sorted((sign * 0.1, sign * 0.4))
        assert [found["ours"], found["ours_low"], found["ours_high"]] == pytest.approx([sign * 0.2, *expected])


def test_what_statistics_are_found_by_is_there(tables: Tables) -> None:
    columns = {name: DERIVED[name](tables).columns if name in DERIVED else tables[name].columns for name in KEYED}
    for name, place in KEYED.items():
        assert {*place.key, *place.lacks} <= {*columns[name]}, name
    for name, statistic in STATISTICS.items():
        assert bool(statistic.found) != statistic.design, name
        for way in statistic.found:
            assert way.formula in FORMULAS and {*way.when} <= {*NUMBERS.columns}, name
            for term in way.of:
                assert {term.value, *filter(None, [term.reason])} <= {*columns[term.table]}, (name, term)
                assert {*term.where} <= {*KEYED[term.table].key}, (name, term)
        # The last way says why there is no such number.
        assert statistic.design or all(KEYED[term.table].absent for term in statistic.found[-1].of), name


def test_a_pair_whose_errors_were_not_asked_has_none() -> None:
    whole = papers_own()
    found = comparison(NUMBERS, whole.changed(errors=whole.errors.head(0)), config())
    asked = found.filter(pl.col("statistic").str.starts_with("joint_errors"))
    assert asked["ours"].null_count() == asked.height and asked["why_not"].null_count() == 0


def test_result_does_not_depend_on_the_order_of_rows(own: pl.DataFrame) -> None:
    reversed_rows = {name: table.reverse() for name, table in papers_own().items() if name != "erasers"}
    mixed = papers_own().changed(**reversed_rows)
    lot = list(range(NUMBERS.height))
    random.Random(0).shuffle(lot)
    found = comparison(NUMBERS[lot], mixed, config())
    assert found["difference"].to_list() == pytest.approx(own["difference"][lot].to_list(), nan_ok=True)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True).map(sorted),
    st.sampled_from([*range(0, LAST_LAYER, LAYER_STEP), LAST_LAYER]),
    st.booleans(),
)
def test_layers_correspond(watched: list[int], layer: int, exact: bool) -> None:
    found = corresponding(layer, watched, exact=exact)
    if exact or watched[-1] == LAST_LAYER:
        assert found == (layer if layer in watched else None)
        return
    gaps = {each: abs(depth(each, watched, exact=False) - layer / LAST_LAYER) for each in watched}
    assert found is None or (gaps[found] == min(gaps.values()) and gaps[found] <= LAYER_STEP / LAST_LAYER)
    assert found is not None or min(gaps.values()) > LAYER_STEP / LAST_LAYER
    assert corresponding(LAST_LAYER, watched, exact=False) == watched[-1]
    assert len(watched) == 1 or corresponding(0, watched, exact=False) == watched[0]


def test_shallow_models_are_compared_at_the_same_depth_and_say_so(tables: Tables) -> None:
    found = comparison(NUMBERS, tables, DEMO).filter(place="Table 5", model="Ultravox")
    layers = dict(found.drop_nulls("layer").select("layer", "ours_layer").iter_rows())
    # Layers 0, 4 and 8 are watched, which stand at 0, half and all of the depth.
    assert layers == {0: 0, 4: 0, 8: None, 12: 4, 16: 4, 20: None, 24: None, 28: 8, 31: 8}
    missing = found.filter(pl.col("ours_layer").is_null() & pl.col("layer").is_not_null())
    assert missing["why_not"].str.contains("none at its depth").all()
    exact = DEMO.model_copy(
        update={"models": {"talker-llm": DEMO.models["talker-llm"].model_copy(update={"stands_in": False})}}
    )
    found = comparison(NUMBERS, tables, exact).filter(place="Table 5", model="Ultravox", applies=SAME)
    assert found["layer"].to_list() == found["ours_layer"].to_list() == [0, 4, 8]


def test_display_shows_what_applies_and_tells_stand_ins(tables: Tables) -> None:
    found = comparison(NUMBERS, tables, DEMO)
    shown = display(found, 0.95)
    there = found.filter(pl.col("applies") != NO)
    assert 0 < len(shown.rows) < there.height
    assert {row[0] for row in shown.rows} >= {"Table 2", "Table 6", "Figure 1"}
    assert all(len(row) == len(shown.columns) for row in shown.rows)
    assert f"{there.height} of the paper's {found.height} numbers" in shown.remarks[0]
    judged = {row[-1] for row in shown.rows if row[2].startswith(("Ultravox", "Whisper", "Implicit"))}
    assert judged == {STAND_IN}
    assert any("talker for Ultravox" in remark for remark in shown.remarks)
    assert any("base-smol (Cascade-S)" in remark for remark in shown.remarks)
    assert any("layer 16 (here 4)" in row[3] for row in shown.rows)
    # The running text repeats cells of tables; Figure 1's differ from Table 6's, so both stay.
    pair = [row for row in shown.rows if row[1:4] == ["κ", "Ultravox vs. Whisper+Llama-3.1-8B", "AG News"]]
    assert [row[0] for row in pair] == ["Table 6", "Figure 1"]
    assert SCALES["percent"] == 100
