"""Cascades that are told what the voice tells: tags by rank, labels from other texts, the share of a gap they close."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from report_study import OUTLINE
from study_config import ROOT, changed

from cascade_equivalence.config.augmented import TAGS, AugmentedSpec
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.surplus_features import FEATURES
from cascade_equivalence.nodes import voice_words
from cascade_equivalence.nodes.read_texts import with_voice
from cascade_equivalence.nodes.voice_words import LEVELS, MEASURES, describe_voices, thirds
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.verdict_speech import described as described_system
from cascade_equivalence.report.words_table import compared, display, trios
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.stages import answer
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.told import NOT_TOLD, told_labels
from cascade_equivalence.tasks.base import Item

TEXTS, LABELS = 30, ("sarcastic", "sincere")
ITEMS = [Item(f"i{n}{label[1]}", f"Text {n}.", label, f"g{n}") for n in range(TEXTS) for label in LABELS]
CLIPS = [Clip(item.id, voice, item.text, 1.0, b"", "0" * 64, "test", {}) for voice in ("one", "two") for item in ITEMS]
TRANSCRIPTS = pl.DataFrame([{"id": clip.id, "voice": clip.voice, "text": clip.text} for clip in CLIPS])
TOLD = AugmentedSpec(kind="augmented", asr="base", llm="smol")


def described(monkeypatch: pytest.MonkeyPatch, folder: Path, planted: float) -> pl.DataFrame:
    """Tags of clips of noise, but for a pitch that rises with sarcasm; voice two speaks an octave higher."""
    generator = np.random.default_rng(3)
    sounds = iter(
        dict(zip(FEATURES, generator.normal(size=len(FEATURES)), strict=True))
        | {"log_f0_mean": (voice == "two") + generator.normal() + planted * (item.label == "sarcastic")}
        for voice in ("one", "two")
        for item in ITEMS
    )
    monkeypatch.setattr(voice_words, "decode", lambda clip: clip)
    monkeypatch.setattr(voice_words, "prosody", lambda *_: next(sounds))
    target, of = folder / "tags.parquet", {"asr": "base", "task": "mustard", "condition": "clean"}
    describe_voices(CLIPS, TRANSCRIPTS, ITEMS, "mustard", SurplusConfig(), target, of)
    return pl.read_parquet(target)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40, unique=True))
def test_thirds_follow_ranks_alone(values: list[float]) -> None:
    levels = thirds(np.array(values))
    assert [LEVELS.index(str(level)) for _, level in sorted(zip(values, levels, strict=True))] == sorted(
        LEVELS.index(str(level)) for level in levels
    )
    counts = [levels.count(level) for level in LEVELS]
    assert max(counts) - min(counts) <= 1
    assert thirds(np.exp(np.array(values))) == levels or len({*np.exp(values)}) < len(values)


def test_what_is_not_there_is_not_told_and_what_is_the_same_is_in_the_middle() -> None:
    assert thirds(np.array([np.nan, 1.0, 1.0])) == [None, "middle", "middle"]


def test_a_planted_pitch_is_told_and_so_is_the_label_it_makes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = described(monkeypatch, tmp_path, planted=6.0)
    gold = {item.id: item.label for item in ITEMS}
    right = [told == gold[name] for name, told in found.select("id", "label").iter_rows()]
    assert np.mean(right) > 0.9
    high = found.filter(pl.col("pitch") == "high")
    assert {gold[name] for name in high["id"]} == {"sarcastic"}
    # Each voice is its own measure.
    for _, part in found.group_by("voice"):
        assert Counter(part["pitch"]) == dict.fromkeys(LEVELS, len(ITEMS) // 3)


def test_of_sounds_that_tell_nothing_no_label_is_learnt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A classifier that had seen a clip's own label could tell it: there are as many features as texts."""
    found = described(monkeypatch, tmp_path, planted=0.0)
    gold = {item.id: item.label for item in ITEMS}
    told = [label == gold[name] for name, label in found.select("id", "label").drop_nulls().iter_rows()]
    assert not told or np.mean(told) < 0.65


def test_noise_is_hardly_ever_told_a_label_and_a_sign_of_it_nearly_always() -> None:
    generator, clusters = np.random.default_rng(1), Clusters.of([str(n) for n in range(60)])
    shares = []
    for planted in (0.0, 3.0):
        told = []
        for seed in range(8):
            gold = generator.integers(0, 2, 60)
            sound = generator.normal(size=(60, 8)) + planted * gold[:, None] * np.eye(8)[0]
            told.append(told_labels(sound, gold, clusters, 3, seed) != NOT_TOLD)
        shares.append(np.mean(told))
    assert shares[0] < 0.15 and shares[1] > 0.85


def test_a_clip_without_a_transcript_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(voice_words, "decode", lambda clip: clip)
    with pytest.raises(StudyError, match="no transcript"):
        describe_voices(CLIPS, TRANSCRIPTS[1:], ITEMS, "mustard", SurplusConfig(), tmp_path / "t.parquet", {})


def tags_of(**columns: Any) -> pl.DataFrame:
    """Tags of some clips of the first voice, null where none are given."""
    height = len(next(iter(columns.values())))
    base = {"id": TRANSCRIPTS["id"][:height], "voice": TRANSCRIPTS["voice"][:height]}
    empty = {tag: pl.Series([None] * height, dtype=pl.String) for tag in TAGS}
    return pl.DataFrame(base | empty | columns)


def test_words_stand_behind_the_transcript_in_the_declared_wording() -> None:
    texts = TRANSCRIPTS[:3].with_columns(pl.Series("text", ["a {tags} b", "", "c"]))
    tags = tags_of(pitch=["high", "low", None], label=["sincere", None, None])
    found = with_voice(texts, tags, TOLD.model_copy(update={"wording": "{tags}: {speech}"}), {"sincere": "meant"})
    # What nothing is told of is read as a cascade reads it.
    assert found["text"].to_list() == ["high pitch, meant: a {tags} b", "low pitch: ", "c"]
    one = with_voice(texts, tags, TOLD.model_copy(update={"tags": ["label"]}), {})["text"].to_list()
    assert "sincere" in one[0] and one[1:] == ["", "c"]


def test_words_for_labels_are_of_labels_alone() -> None:
    """A label of the user's own may be called as a level is."""
    told = with_voice(TRANSCRIPTS[:1], tags_of(pitch=["high"], label=["high"]), TOLD, {"high": "thrilled"})["text"][0]
    assert "high pitch" in told and "thrilled" in told


def test_other_words_for_a_tag_ask_anew_who_is_told_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = changed(systems=["base-smollm2", "mini-told", "mini-described"], pairs=[])
    study = Study(load_study(raw, ROOT))

    def asked() -> list[dict[str, Any]]:
        return [answer.params(study, name, "sst2") for name in study.config.systems]

    before = asked()
    monkeypatch.setitem(TAGS, "label", "perhaps {}")
    assert [one == other for one, other in zip(before, asked(), strict=True)] == [True, False, True]


def test_a_voice_told_in_words_is_named_where_a_pair_is_described() -> None:
    systems = {
        "ears": E2ESpec(kind="e2e", model="ears-llm"),
        "cascade": CascadeSpec(kind="cascade", asr="base", llm="smol"),
        "told": TOLD,
        "other": TOLD.model_copy(update={"shuffled": True}),
    }
    outline = replace(OUTLINE, systems=systems)
    plain, *more = (described_system(name, "ears", "exact", outline) for name in ("cascade", "told", "other"))
    assert all(text.startswith(plain) and "voice" in text for text in more) and len({plain, *more}) == 3


def test_shuffled_tags_are_the_same_tags_of_other_clips_of_the_voice() -> None:
    names = [f"label{n}" for n in range(len(CLIPS))]
    tags = TRANSCRIPTS.select("id", "voice").with_columns(
        *(pl.lit(None, pl.String).alias(tag) for tag in MEASURES), pl.Series("label", names)
    )
    own, others = (
        with_voice(TRANSCRIPTS, tags, TOLD.model_copy(update={"shuffled": shuffled, "wording": "{tags}{speech}"}), {})
        for shuffled in (False, True)
    )
    both = own.rename({"text": "own"}).with_columns(others["text"])
    for _, part in both.group_by("voice"):
        told = part.select(pl.all_horizontal(pl.col("own") == pl.col("text")).any()).item()
        assert not told and len({text.split("Text")[0] for text in part["text"]}) == part.height
        assert {text.split("Text")[0] for text in part["text"]} == {text.split("Text")[0] for text in part["own"]}


def test_tags_of_other_clips_are_refused() -> None:
    with pytest.raises(StudyError, match="not of the same clips"):
        with_voice(TRANSCRIPTS, tags_of(pitch=["low"]), TOLD, {})


@pytest.mark.parametrize("entry", [{"wording": "{speech}"}, {"wording": "{tags}"}, {"tags": ["pitch", "pitch"]}])
def test_an_entry_that_cannot_be_meant_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AugmentedSpec.model_validate({"kind": "augmented", "asr": "base", "llm": "smol"} | entry)


def answers(right: np.ndarray) -> pl.DataFrame:
    rows = [
        {"id": f"i{n}", "voice": "one", "group": f"g{n}", "label": "a", "parsed": "a" if r else "b", "correct": bool(r)}
        for n, r in enumerate(right)
    ]
    return pl.DataFrame(rows)


def test_the_share_of_the_gap_is_one_where_words_tell_all_and_none_where_they_tell_nothing() -> None:
    # Each right on other clips; told as much as was heard, and nothing.
    generator = np.random.default_rng(0)
    heard, told, read, guess = (generator.permutation(400) < count for count in (360, 360, 160, 160))
    whole = compared(*map(answers, (heard, read, told)), confidence=0.95)
    assert whole["share"] == pytest.approx(1) and 0.7 < whole["share_low"] < 1 < whole["share_high"]
    none = compared(*map(answers, (heard, read, guess)), confidence=0.95)
    assert none["share_low"] < 0 < none["share_high"] and none["gained_low"] < 0 < none["gained_high"]
    # Told nothing, it is its cascade.
    same = compared(*map(answers, (heard, read, read)), confidence=0.95)
    assert same["gained"] == 0 and same["share"] == 0
    # One accuracy, one difference: the sides can change places.
    assert compared(*map(answers, (told, read, heard)), confidence=0.95)["gained"] == pytest.approx(whole["gap"])


def test_of_no_gap_there_is_no_share() -> None:
    generator = np.random.default_rng(0)
    heard, read, told = generator.random((3, 100)) < 0.5
    found = compared(*map(answers, (heard, read, told)), confidence=0.95)
    assert found["share"] is None and "no gap" in found["reason"]


def test_a_cascade_stands_beside_the_pair_whose_models_it_has() -> None:
    systems = {
        "ears": E2ESpec(kind="e2e", model="ears-llm"),
        "cascade": CascadeSpec(kind="cascade", asr="base", llm="smol"),
        "other": CascadeSpec(kind="cascade", asr="base", llm="qwen"),
        "told": TOLD,
        "told-tiny": TOLD.model_copy(update={"asr": "tiny"}),
    }
    agreement = pl.DataFrame(
        {
            "system": ["cascade", "ears", "ears"],
            "reference": ["ears", "cascade", "other"],
            "match": ["exact", "exact", "none"],
        }
    )
    assert list(trios(replace(OUTLINE, systems=systems), agreement)) == [("ears", "cascade", "told")]


def test_the_table_shows_a_row_that_has_no_share() -> None:
    schema = TABLES["words"].schema
    row = dict.fromkeys(schema) | {"system": "a", "reference": "b", "augmented": "c", "tags": "pitch", "shuffled": True}
    row |= {"task": "sst2", "condition": "clean", "system_against_chance": "at"}
    shown = display(pl.DataFrame([row], schema=schema), 0.95)
    assert len(shown.rows[0]) == len(shown.columns) and any("‡" in remark for remark in shown.remarks)


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (("mini", "base-smollm2"), False),
        (("base-smollm2", "mini"), False),
        (("mini", "base-gemma"), True),
        (("base-gemma", "base-smollm2"), True),
    ],
)
def test_a_cascade_that_is_told_more_beside_no_pair_is_told(pair: tuple[str, str], told: bool) -> None:
    pairs, lines = [{"system": pair[0], "reference": pair[1], "label": "a pair"}], list[str]()
    raw = changed(systems=["mini", "base-smollm2", "base-gemma", "mini-told"], pairs=pairs)
    load_study(raw, ROOT, tell=lines.append)
    assert [("mini-told" in line, "`words`" in line) for line in lines] == [(True, True)] * told
