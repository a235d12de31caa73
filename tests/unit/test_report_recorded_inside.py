"""Recorded against synthetic speech inside models: planted losses are found, one sound is no loss, intervals hold."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_config import ROOT

from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import OF, write_table
from cascade_equivalence.report.recorded_inside_table import (
    LENS,
    MEASURES,
    NO_WORD,
    SCHEMA,
    TABLE,
    _compared,
    display,
    frame,
)
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.shown import PlannedStudy
from cascade_equivalence.stages import opened_models
from cascade_equivalence.stages.study import Study

VOICES = ("person", "heart", "us")
RECORDED = ["person"]
PROBES = [name for name in MEASURES if name != LENS]


def told(draws: np.random.Generator, texts: int, losses: dict[str, float], noise: float = 0.1) -> pl.DataFrame:
    """Each voice's readings of the same texts, some of which are easier than others; a voice may lose by so much."""
    easy = draws.normal(0.5, 0.15, texts)
    rows = []
    for voice in VOICES:
        top = easy - losses.get(voice, 0) + draws.normal(0, noise, texts)
        rows.append(pl.DataFrame({"said": range(texts), "voice": [voice] * texts, "top": top, "bottom": [1.0] * texts}))
    return pl.concat(rows)


def lens_file(folder: Path, layer: int, table: pl.DataFrame, chance: float = 0.2) -> Path:
    """As the node writes it: precision, and the same by chance."""
    path = folder / f"lens/layer{layer}.parquet"
    columns = table.select("said", "voice", precision=pl.col("top") + chance, chance_precision=pl.lit(chance))
    write_table(columns, path, {"model": "m", "layer": layer})
    return path


def probe_file(folder: Path, layer: int, table: pl.DataFrame, *, untrained: bool = False) -> Path:
    """As the node writes it; what is missed is what is not told."""
    each = {"said": table["said"], "voice": table["voice"], "missed": 1 - table["top"], "there": table["bottom"]}
    probe = {"by_utterance": {name: values.to_list() for name, values in each.items()}}
    path = folder / f"probes/{untrained}{layer}.json"
    path.parent.mkdir(exist_ok=True)
    of = {"model": "m", "untrained": untrained, "layer": layer}
    path.write_text(json.dumps({OF: of} | dict.fromkeys(PROBES, probe)))
    return path


def test_a_planted_loss_is_found_with_its_sign_and_size(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    table = told(draws, 120, {"person": 0.1, "us": -0.05}, 0.05)
    lens = [lens_file(tmp_path, layer, table) for layer in (0, 7)]
    probes = [probe_file(tmp_path, 7, table), probe_file(tmp_path, 7, table, untrained=True)]
    found = frame(lens, probes, RECORDED, 0.95)
    assert found.schema == pl.Schema(SCHEMA)
    # Recorded ones first, against each synthetic one; then these against each other.
    pairs = [("person", "heart", True), ("person", "us", True), ("heart", "us", False)]
    for _, part in found.group_by("layer", "measure", maintain_order=True):
        assert part.select("voice", "other_voice", "recorded").rows() == pairs
    assert found.select("layer", "measure").unique(maintain_order=True).rows() == [
        (0, LENS),
        *((7, measure) for measure in (LENS, *PROBES)),
    ]
    means = dict(table.group_by("voice").agg(pl.mean("top")).iter_rows())
    for row in found.iter_rows(named=True):
        one, other = means[row["voice"]], means[row["other_voice"]]
        assert [row["value"], row["other_value"]] == pytest.approx([one, other])
        assert row["difference"] == pytest.approx(one - other)
        planted = {"heart": -0.1, "us": -0.15}[row["other_voice"]] if row["recorded"] else -0.05
        assert row["difference_low"] < planted < row["difference_high"] < 0 and row["texts"] == 120
    shown = TABLE.display(SimpleNamespace(recorded_inside=found), 0.95)
    assert {len(row) for row in shown.rows} == {len(shown.columns)} and len(shown.rows) == found.height


def test_one_sound_under_two_names_differs_by_nothing(tmp_path: Path) -> None:
    person = told(np.random.default_rng(1), 40, {}).filter(voice="person")
    table = pl.concat([person, person.with_columns(voice=pl.lit("heart"))])
    found = frame([lens_file(tmp_path, 0, table)], [probe_file(tmp_path, 0, table)], RECORDED, 0.95)
    assert found.height == len(MEASURES) and set(found["difference"]) == {0.0}
    assert found["value"].equals(found["other_value"]) and found["value_low"].equals(found["other_value_low"])


@pytest.mark.parametrize("measure", [LENS, "boc", "ctc"])
@pytest.mark.parametrize("texts", [30, 64, 127])
def test_intervals_of_the_differences_hold_what_they_say(measure: str, texts: int) -> None:
    """At the sizes at which they are shown."""
    draws, tried, loss = np.random.default_rng(2), 150, 0.08
    held = np.zeros(3)
    for _ in range(tried):
        table = told(draws, texts, {"person": loss})
        if measure != LENS:
            table = table.with_columns(top=1 - pl.col("top"))
        rows = list(_compared(measure, table, RECORDED, 0.95))
        truth = [-loss if row["recorded"] else 0 for row in rows]
        held += [row["difference_low"] <= true <= row["difference_high"] for row, true in zip(rows, truth, strict=True)]
    # Three standard errors of a share of 0.95 below it.
    assert (held / tried > 0.95 - 3 * np.sqrt(0.95 * 0.05 / tried)).all(), held / tried


@given(st.integers(2, 4), st.integers(0, 9), st.sampled_from(sorted(MEASURES)))
def test_a_text_that_is_read_again_counts_once(copies: int, seed: int, measure: str) -> None:
    table = told(np.random.default_rng(seed), 15, {})
    once, again = (list(_compared(measure, each, RECORDED, 0.95)) for each in (table, pl.concat([table] * copies)))
    for one, more in zip(once, again, strict=True):
        for name, value in one.items():
            assert more[name] == (pytest.approx(value) if isinstance(value, float) else value)


def test_texts_of_one_voice_alone_do_not_count(tmp_path: Path) -> None:
    table = told(np.random.default_rng(3), 40, {})
    few = table.filter((pl.col("voice") != "person") | (pl.col("said") < 25))
    found = frame([lens_file(tmp_path, 0, few)], [], RECORDED, 0.95)
    assert found["texts"].to_list() == [25, 25, 40]
    # Of voices that take turns no two speak the same.
    turns = table.filter(pl.col("said") % 3 == pl.col("voice").replace_strict({v: n for n, v in enumerate(VOICES)}))
    assert frame([lens_file(tmp_path, 0, turns)], [], RECORDED, 0.95).is_empty()
    silent = table.with_columns(top=pl.when(pl.col("voice") != "us").then("top"))
    found = frame([lens_file(tmp_path, 0, silent)], [], RECORDED, 0.95)
    # A voice of which no word is shown has a row that says so.
    assert dict(found.select("other_voice", "texts").filter(pl.col("other_voice") == "us").rows()) == {"us": 0}
    assert found.filter(texts=0)["reason"].unique().to_list() == [NO_WORD]
    assert found.filter(pl.col("texts") > 0)["other_voice"].to_list() == ["heart"]
    assert len(display(found, 0.95).rows) == 3 and any(NO_WORD in remark for remark in display(found, 0.95).remarks)
    assert TABLE.build(Results(outline=SimpleNamespace(recorded=[]), statistics=None)).is_empty()


def test_files_of_an_older_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lens.parquet"
    write_table(pl.DataFrame({"precision": [0.1], "said": [0]}), path, {"model": "m", "layer": 0})
    with pytest.raises(StudyError, match="lacks voice"):
        frame([path], [], RECORDED, 0.95)
    probe = tmp_path / "probe.json"
    probe.write_text(json.dumps({OF: {"model": "m", "untrained": False, "layer": 0}, "energy": {}}))
    with pytest.raises(StudyError, match="by_utterance"):
        frame([], [probe], RECORDED, 0.95)


def opening(states: dict[str, Any]) -> StudyConfig:
    return load_study(
        {
            "registry": [str(ROOT / f"config/{name}.yaml") for name in ("models", "systems", "voices", "tasks")],
            "tasks": ["sst2"],
            "systems": ["base-smollm2"],
            "speech": {"voices": ["person", "heart", "us"]},
            "definitions": {"voices": {"person": {"provider": "recordings", "folder": "config"}}},
            "mechanism": {"models": ["mini-speech-llm"], "states": {"tasks": ["sst2"]} | states, "erasure": None},
        }
    )


@pytest.mark.parametrize(
    ("states", "voices", "planned"),
    [
        ({"every_voice": True}, 3, True),
        ({}, 1, False),
        ({"every_voice": True, "voices": ["heart", "us"]}, 2, False),
        ({"every_voice": True, "voices": ["us", "person"]}, 2, True),
    ],
)
def test_it_is_planned_where_the_same_texts_are_heard_recorded_and_synthetic(
    states: dict[str, Any], voices: int, planned: bool
) -> None:
    study = opening(states)
    assert TABLE.planned(PlannedStudy(study, {})) == planned
    # What the nodes ask for grows with the voices that each item is heard in.
    once, asked = (opened_models.utterance_count(Study(each)) for each in (opening({}), study))
    assert asked == voices * once
