"""Transcripts with errors added: the reference's rate is reached, by its kinds; nothing changes where none lacks."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from report_study import OUTLINE
from study_config import ROOT, changed, lines_of

from cascade_equivalence.cli.commands.names import _models
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.transcription import degraded
from cascade_equivalence.models.transcription.degraded import degraded_transcripts, with_errors
from cascade_equivalence.models.transcription.words import EDITS, word_edits
from cascade_equivalence.report.degraded_table import DIFFERENCES, changes, display, trios
from cascade_equivalence.report.naming import DEGRADED
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.stages import transcribe
from cascade_equivalence.stages.study import Study

WORDS = ["river", "stone", "garden", "window", "market", "summer", "bottle", "engine", "yellow", "paper"]
SOURCE = DegradedSource(kind="degraded", asr="base", reference="talker-llm")


def texts(seed: int, count: int = 12, words: int = 15) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)).capitalize() + "." for _ in range(count)]


def total(said: list[str], written: list[str]) -> int:
    return sum(each.errors for each in word_edits(said, written))


def spread(errors: int, clips: int = 12) -> list[int]:
    """Errors of a reference: most of them on a few clips."""
    return [max(0, min(errors - 15 * place, 15)) for place in range(clips)]


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 90), st.tuples(*[st.integers(0, 5)] * 3).filter(any), st.integers(0, 5))
def test_the_wanted_errors_are_there_to_the_last(wanted: int, kinds: tuple[int, int, int], seed: int) -> None:
    said, pattern = texts(seed), dict(zip(EDITS, kinds, strict=True))
    own = with_errors(said, said, spread(wanted), pattern, random.Random(seed))
    assert total(said, own) == wanted
    assert own == with_errors(said, said, spread(wanted), pattern, random.Random(seed))
    # They lie as close together as those of the reference.
    if not any(kinds[1:]) or wanted <= 15:
        assert sum(each != other for each, other in zip(own, said, strict=True)) <= -(-wanted // 15) + 2
    # Whoever has as many errors or more is left as it is; one that has fewer keeps them.
    for errors in (spread(wanted), spread(wanted)[::-1], spread(wanted // 2)):
        assert with_errors(said, own, errors, dict.fromkeys(EDITS, 1), random.Random(1)) == own


@pytest.mark.parametrize("kind", EDITS)
def test_errors_are_of_the_kinds_of_the_reference(kind: str) -> None:
    said = texts(0, 30)
    own = with_errors(said, said, [2, 1] * 15, dict.fromkeys(EDITS, 0) | {kind: 7}, random.Random(0))
    found = word_edits(said, own)
    counts = {each: sum(getattr(edits, each) for edits in found) for each in EDITS}
    # A word put in may be counted as one left out and one put in elsewhere, and the like.
    assert counts[kind] > 0.8 * sum(counts.values()) and sum(counts.values()) == 45


def test_another_seed_puts_them_elsewhere() -> None:
    said, kinds = texts(0), dict.fromkeys(EDITS, 1)
    assert len({tuple(with_errors(said, said, spread(20), kinds, random.Random(seed))) for seed in range(4)}) == 4


def written(path: Path, said: list[str], heard: list[str]) -> Path:
    counts = word_edits(said, heard)
    table = pl.DataFrame(
        {
            "id": [f"i{n}" for n in range(len(said))],
            "voice": ["one"] * len(said),
            "text": heard,
            "reference_words": [each.words for each in counts],
            "word_errors": [each.errors for each in counts],
            **{kind: [getattr(each, kind) for each in counts] for kind in EDITS},
            "seconds": [0.5] * len(said),
        }
    )
    table.write_parquet(path)
    return path


def test_a_recogniser_reaches_its_reference_and_itself_without_a_change(tmp_path: Path) -> None:
    said = texts(3)
    good = with_errors(said, said, spread(5), dict.fromkeys(EDITS, 1), random.Random(1))
    bad = with_errors(said, said, spread(50), {"substituted": 3, "deleted": 1, "inserted": 1}, random.Random(2))
    paths = written(tmp_path / "good", said, good), written(tmp_path / "bad", said, bad)
    found = degraded_transcripts("worse", SOURCE, said, *paths, "sst2, clean")
    assert total(said, [each.text for each in found]) == 50 and {each.seconds for each in found} == {0.5}
    for path in paths:
        assert [each.text for each in degraded_transcripts("worse", SOURCE, said, path, path, "sst2, clean")] == (
            pl.read_parquet(path)["text"].to_list()
        )
    # Of another recogniser that errs less nothing is mended.
    kept = degraded_transcripts("worse", SOURCE, said, paths[1], paths[0], "sst2, clean")
    assert [each.text for each in kept] == bad
    with pytest.raises(StudyError, match="not of the same clips"):
        degraded_transcripts("worse", SOURCE, said, written(tmp_path / "few", said[1:], said[1:]), paths[1], "sst2")


def test_a_rate_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    """Nothing was written that words could be drawn from."""
    said = texts(3)
    silent, loud = [""] * len(said), [f"{text} {text}" for text in texts(4)]
    paths = written(tmp_path / "silent", said, silent), written(tmp_path / "loud", said, loud)
    with pytest.raises(StudyError, match="name another recogniser"):
        degraded_transcripts("worse", SOURCE.model_copy(update={"tolerance": 1e-6}), said, *paths, "sst2, clean")


@pytest.mark.parametrize("own", ["", "Thank you."])
def test_over_silence_as_many_words_are_added_as_the_reference_adds(tmp_path: Path, own: str) -> None:
    said, heard = [""] * 6, ["", "a river", "", "", "the old stone bridge again", ""]
    paths = written(tmp_path / "own", said, [own] * 6), written(tmp_path / "other", said, heard)
    found = [each.text for each in degraded_transcripts("worse", SOURCE, said, *paths, "sst2, silence")]
    assert total(said, found) == max(total(said, heard), total(said, [own] * 6))
    # Nor is it a failure that the reference writes nothing.
    assert len(degraded_transcripts("worse", SOURCE, said, paths[0], paths[0], "sst2, silence")) == len(said)


@pytest.mark.parametrize("away", [-3, 3])
def test_a_rate_that_is_missed_on_either_side_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    said, kinds = texts(3), dict.fromkeys(EDITS, 1)
    bad = with_errors(said, said, spread(20), kinds, random.Random(2))
    missed = with_errors(said, said, spread(20 + away), kinds, random.Random(2))
    paths = written(tmp_path / "good", said, said), written(tmp_path / "bad", said, bad)
    monkeypatch.setattr(degraded, "with_errors", lambda *_: missed)
    with pytest.raises(StudyError, match="name another recogniser"):
        degraded_transcripts("worse", SOURCE, said, *paths, "sst2, clean")


def with_source(silence: bool) -> dict[str, Any]:
    """A study over silence in which errors are added to what another program wrote."""
    outside = {"kind": "transcripts", "files": ["t.csv"], "silence": silence}
    made = {"kind": "degraded", "asr": "outside", "reference": "mini-speech-llm"}
    models = {
        name: {"role": "asr", "licence": "none", "source": source}
        for name, source in (("outside", outside), ("worse", made))
    }
    systems = {name: {"kind": "cascade", "asr": name, "llm": "gemma-3-270m"} for name in models}
    return changed(
        definitions={"models": models, "systems": systems},
        systems=["mini-own-transcript", *systems],
        pairs=[],
        speech__silence=True,
    )


@pytest.mark.parametrize("silence", [True, False])
def test_of_silence_there_is_what_there_is_of_the_recogniser(silence: bool) -> None:
    study = Study(load_study(with_source(silence), ROOT))
    assert study.is_asked_over_silence("worse") == study.is_asked_over_silence("outside") == silence
    assert study.is_asked_over_silence("mini-own-transcript")


def answers(right: np.ndarray) -> pl.DataFrame:
    rows = [
        {"id": f"i{n}", "voice": "one", "group": f"g{n}", "label": "a", "parsed": "a" if r else "b", "correct": bool(r)}
        for n, r in enumerate(right)
    ]
    return pl.DataFrame(rows)


def test_a_fall_that_is_the_recognisers_is_that_of_the_cascade_with_errors_added() -> None:
    """Planted: speech LLM and degraded cascade lose a third of the clips, each others; the cascade none."""
    generator, clean = np.random.default_rng(0), np.ones(300, dtype=bool)
    lost, also = (generator.permutation(300) < 200 for _ in range(2))
    pairs = [(answers(noisy), answers(clean)) for noisy in (lost, clean, also)]
    found = changes(pairs, 0.95)
    assert found["system_less_reference"] == pytest.approx(-1 / 3) and found["system_less_reference_high"] < 0
    assert found["degraded_less_reference"] == pytest.approx(-1 / 3) and found["degraded_less_reference_high"] < 0
    assert found["system_less_degraded_low"] < 0 < found["system_less_degraded_high"]
    # Without errors that were added the cascade is itself.
    same = changes([pairs[0], pairs[1], pairs[1]], 0.95)
    assert same["degraded_less_reference"] == 0 and same["system_less_degraded"] == same["system_less_reference"]


def test_three_systems_belong_together_by_their_models() -> None:
    cascade = CascadeSpec(kind="cascade", asr="base", llm="smol")
    systems = {
        "ears": E2ESpec(kind="e2e", model="talker-llm"),
        "deaf": E2ESpec(kind="e2e", model="other-llm"),
        "cascade": cascade,
        "other": cascade.model_copy(update={"llm": "qwen"}),
        "worse": cascade.model_copy(update={"asr": "worse-base"}),
    }
    outline = replace(OUTLINE, systems=systems, degraded={"worse-base": SOURCE})
    assert list(trios(outline)) == [("ears", "cascade", "worse")]
    # It is no cascade that a claim could be about.
    assert outline.parts("worse")["kind"] == DEGRADED == outline.asr_kind("worse-base")


def test_the_table_shows_what_has_no_interval() -> None:
    schema = TABLES["degraded"].schema
    row = dict.fromkeys(schema) | {"system": "a", "reference": "b", "degraded": "c", "task": "sst2"}
    (shown,) = display(pl.DataFrame([row | {"condition": "snr10"}], schema=schema), 0.95).rows
    assert len(shown) == len(display(pl.DataFrame([], schema=schema), 0.95).columns)


def test_a_difference_between_two_at_chance_is_marked() -> None:
    schema = TABLES["degraded"].schema
    row = dict.fromkeys(schema) | dict.fromkeys(DIFFERENCES, -0.1) | {"system": "a", "reference": "b"}
    row |= {"degraded": "c", "task": "sst2", "condition": "snr10", "reference_against_chance": "above"}
    row |= {"system_against_chance": "at", "degraded_against_chance": "at"}
    shown = display(pl.DataFrame([row], schema=schema), 0.95)
    assert ["‡" in cell for cell in shown.rows[0][-3:]] == [name == "system_less_degraded" for name in DIFFERENCES]
    assert sum("‡" in cell for cell in shown.rows[0]) == 2 and any(line.startswith("‡") for line in shown.remarks)


@pytest.mark.parametrize(
    ("asr", "reference", "wrong"),
    [
        ("whisper-base", "mini-speech-llm", None),
        ("whisper-bas", "mini-speech-llm", "asr"),
        ("whisper-tiny.en", "mini-speech-llm", "asr"),
        ("whisper-base", "oracle", "reference"),
        ("whisper-base", "worse", "reference"),
    ],
)
def test_both_must_be_read_in_the_study(asr: str, reference: str, wrong: str | None) -> None:
    source = {"kind": "degraded", "asr": asr, "reference": reference}
    models = {"worse": {"role": "asr", "licence": "none", "source": source}}
    raw = changed(
        definitions={"models": models, "systems": {"w": {"kind": "cascade", "asr": "worse", "llm": "gemma-3-270m"}}},
        systems=["base-smollm2", "mini-own-transcript", "w"],
        pairs=[],
    )
    if wrong is None:
        assert load_study(raw, ROOT).systems == raw["systems"]
        return
    lines = lines_of(raw)
    assert lines and all(line.startswith(f"models.worse.source.{wrong}: ") for line in lines)


@pytest.mark.parametrize(
    ("left_out", "noisy", "lines"),
    [
        (None, None, 0),
        ("mini", None, 1),
        ("base-smollm2", None, 1),
        (None, "mini", 1),
        (None, "base-smollm2", 1),
        (None, "mini-own-transcript", 1),
        (None, "mini-degraded", 0),
    ],
)
def test_where_the_table_would_lack_something_it_is_told(left_out: str | None, noisy: str | None, lines: int) -> None:
    """`left_out` is no system of the study but for its transcripts, `noisy` is not asked in noise."""
    systems = ["mini", "base-smollm2", "base-gemma", "mini-own-transcript", "mini-degraded"]
    systems = [name for name in systems if name != left_out]
    told: list[str] = []
    raw = changed(systems=systems, pairs=[], noise__systems=[name for name in systems if name != noisy])
    load_study(raw, ROOT, tell=told.append)
    assert len(told) == lines and all("mini-degraded" in line and "`degraded`" in line for line in told)


def test_where_no_model_hears_no_gpu_is_asked_for() -> None:
    systems = ["mini", "mini-oracle", "base-smollm2", "mini-own-transcript", "mini-degraded"]
    study = Study(
        load_study(changed(systems=systems, pairs=[], transcribe__device="cuda", answer__device="cuda"), ROOT)
    )
    asked = {asr: transcribe.gpus(study, asr) for asr in study.asrs}
    assert asked == {asr: int(bool(study.hearing_models(asr))) for asr in study.asrs} and set(asked.values()) == {0, 1}


def test_a_model_made_of_another_is_listed_as_that() -> None:
    listed = _models(Study(load_study(changed(), ROOT)).config.definitions)["whisper-base-as-mini"]
    assert "whisper-base" in listed and "mini-speech-llm" in listed and "from a" not in listed
