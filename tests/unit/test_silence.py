"""Silence is what it says, the floor is what systems do without hearing, and the prior is no cascade."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_study import build, write_study
from study_config import ROOT, changed

from cascade_equivalence import stages
from cascade_equivalence.conditions import CLEAN, SILENCE, families, parse_condition, sort_conditions
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.config.study import CascadeSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.nodes.transcripts import given_texts
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.pair_tables import ceilings
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.kinds import make_condition
from cascade_equivalence.speech.silence import silenced
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.accuracy import summarise
from cascade_equivalence.stats.compare import compare
from cascade_equivalence.stats.floor import alone, floor
from cascade_equivalence.vocabulary import INVALID

LABELS = ("negative", "positive")
VOICES = ("us", "gb")


def clip(samples: int, name: str = "a") -> Clip:
    flac = encode_flac(np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32))
    return Clip(name, "us", flac, SAMPLING_RATE, samples / SAMPLING_RATE, "test", "some words", hash_audio(flac))


def answers(parsed: list[str], voices: tuple[str, ...] = VOICES[:1]) -> pl.DataFrame:
    """Answers to as many items, the same in each voice; gold labels take turns."""
    gold = [LABELS[number % 2] for number in range(len(parsed))]
    rows = [
        {"id": f"{number:02}", "voice": voice, "group": f"{number:02}", "label": right, "parsed": given}
        for voice in voices
        for number, (right, given) in enumerate(zip(gold, parsed, strict=True))
    ]
    return pl.DataFrame(rows).with_columns(correct=pl.col("parsed") == pl.col("label"))


def study(**places: object) -> Study:
    return Study(load_study(changed(**places), ROOT))


# -- sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 400, SAMPLING_RATE])
def test_a_silent_clip_is_as_long_and_holds_nothing(samples: int) -> None:
    spoken = [clip(samples), clip(samples + 7, "b")]
    made = list(silenced(spoken))
    assert [(each.id, each.voice, each.text, each.seconds) for each in made] == [
        (each.id, each.voice, "", each.seconds) for each in spoken
    ]
    for silent, heard in zip(made, spoken, strict=True):
        assert not decode(silent).any() and decode(silent).shape == decode(heard).shape
        assert silent.sha256 == hash_audio(silent.flac) != heard.sha256


@given(texts=st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), most=st.integers(1, 14))
@settings(deadline=None, max_examples=30)
def test_some_items_are_silenced_each_text_before_another_style_of_one(texts: list[str], most: int) -> None:
    spoken = [replace(clip(40 + place, str(place)), text=text) for place, text in enumerate(texts)]
    names = [each.id for each in silenced(spoken, most)]
    assert names == [each.id for each in spoken if each.id in set(names)] and len(names) == min(most, len(spoken))
    told = [each.text for each in spoken if each.id in set(names)]
    left = [each.text for each in spoken if each.id not in set(names)]
    assert len(set(told)) == min(most, len(set(texts)))
    assert all(told.count(text) + 1 >= max(map(told.count, told)) for text in left)


def test_silence_is_a_condition_without_a_kind_of_noise_or_a_level() -> None:
    condition = parse_condition(SILENCE)
    assert condition.is_silent and condition.kind is condition.level is None
    assert condition != parse_condition(CLEAN)
    assert sort_conditions([SILENCE, "snr0", CLEAN, "reverb600"]) == [CLEAN, "snr0", "reverb600", SILENCE]
    assert families([SILENCE, CLEAN]) == {}
    with pytest.raises(StudyError, match="clean speech is no noise"):
        list(make_condition([], "sst2", parse_condition(CLEAN), NoiseConfig()))


# -- what is planned --------------------------------------------------------------------------------------------------


def test_every_system_is_asked_over_silence_in_one_voice_of_each_task() -> None:
    without, silent = study(), study(speech__silence=True)
    assert without.silent_nodes == [] and stages.silence.all_files(without) == []
    assert [node.task for node in silent.silent_nodes] == silent.config.tasks
    assert silent.conditions == without.conditions
    for task in silent.config.tasks:
        assert silent.voices_of(task, SILENCE) == silent.voices_of(task)[:1]
        assert len(stages.silence.answers(silent, task, SILENCE)) == len(silent.config.systems)
    assert SILENCE in stages.wildcards.constraints(silent)["condition"].split("|")
    assert SILENCE not in stages.wildcards.constraints(without)["condition"].split("|")
    # What the others depend on is as it was.
    for system in silent.config.systems:
        assert stages.answer.params(silent, system, "sst2") == stages.answer.params(without, system, "sst2")


def test_silence_can_be_of_some_items() -> None:
    some, every = study(speech__silence=True, speech__silence_items=3), study(speech__silence=True)
    for task in some.config.tasks:
        assert some.clip_count(task, SILENCE) == min(3, every.clip_count(task, SILENCE))
        assert some.clip_count(task, CLEAN) == every.clip_count(task, CLEAN)
    assert stages.silence.clip_params(some) != stages.silence.clip_params(every)


# -- the floor --------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([*LABELS, INVALID]), min_size=12, max_size=30))
@settings(deadline=None, max_examples=40)
def test_a_system_that_uses_no_sound_agrees_with_itself(parsed: list[str]) -> None:
    found = alone(answers(parsed), answers(parsed, VOICES), LABELS)
    assert found["rows"] == len(parsed)
    assert found["observed_agreement"]["value"] == 1 and found["accuracy_difference"]["value"] == 0
    assert found["kappa"]["value"] == (None if len(set(parsed)) == 1 else pytest.approx(1))
    assert found["accuracy"] == summarise(answers(parsed), LABELS)["accuracy"]
    # Over some of the items: as if no others had been spoken.
    some = answers(parsed)[:11]
    assert alone(some, answers(parsed, VOICES), LABELS) == alone(some, some, LABELS)
    assert found["commonest_share"] == max(parsed.count(each) for each in parsed) / len(parsed)
    assert parsed.count(found["commonest"]) == pytest.approx(found["commonest_share"] * len(parsed))


@given(st.data())
@settings(deadline=None, max_examples=20)
def test_a_pair_over_silence_is_compared_as_any_other(data: st.DataObject) -> None:
    drawn = st.lists(st.sampled_from(LABELS), min_size=14, max_size=14)
    one, other = (answers(data.draw(drawn)) for _ in range(2))
    spoken = {"one": answers([*LABELS] * 7, VOICES), "other": answers([*LABELS] * 7, VOICES)}
    found = floor({"one": one, "other": other}, spoken, [("one", "other")], LABELS)
    assert [each["system"] for each in found["systems"]] == ["one", "other"]
    (pair,) = found["pairs"]
    usual = compare(one, other, LABELS, draws=50)
    for name in ("kappa", "observed_agreement"):
        assert pair[name] == usual[name]
    assert (pair["rows"], pair["groups"]) == (usual["rows"], usual["groups"])


def test_silence_that_was_not_spoken_is_refused() -> None:
    with pytest.raises(StudyError, match="no answer"):
        alone(answers([*LABELS] * 6), answers([*LABELS] * 5, VOICES), LABELS)


# -- a cascade without a transcript -----------------------------------------------------------------------------------


def test_the_prior_hears_nothing_and_the_oracle_everything() -> None:
    clips = [clip(400), replace(clip(400, "b"), text="other words")]
    assert [each.text for each in given_texts("prior", clips)] == ["", ""]
    assert [each.text for each in given_texts("oracle", clips)] == [each.text for each in clips]


def test_a_cascade_on_the_prior_needs_no_recogniser() -> None:
    system = {"kind": "cascade", "asr": "prior", "llm": "smollm2-135m-instruct"}
    found = study(definitions={"systems": {"unheard": system}}, systems=["mini", "unheard"], pairs=[], contrasts=[])
    assert stages.resolve.transcribing_manifests(found, "prior") == []
    assert stages.preflight.files(found, "prior") == []
    assert found.answering_models("unheard") == ["smollm2-135m-instruct"]
    assert stages.transcribe.need(found, "prior", "sst2", CLEAN).batch_size == 0
    assert not found.is_speech_llm("prior")


def test_a_cascade_on_the_prior_is_no_ceiling_and_no_cascade_of_a_claim() -> None:
    systems = {
        "unheard": CascadeSpec(kind="cascade", asr="prior", llm="llm"),
        "read": CascadeSpec(kind="cascade", asr="oracle", llm="llm"),
        "heard": CascadeSpec(kind="cascade", asr="ears", llm="llm"),
    }
    outline = Outline(systems=systems, pairs=[], tasks=["sst2"])
    kinds = {name: outline.parts(name)["kind"] for name in systems}
    assert kinds == {"unheard": "prior", "read": "cascade", "heard": "cascade"}
    rows = [
        {"system": "heard", "reference": other, "system_kind": "cascade", "reference_kind": kinds[other]}
        for other in ("unheard", "read")
    ]
    table = pl.DataFrame(rows).with_columns(match=pl.lit("exact"))
    assert ceilings(table)["reference"].to_list() == ["read"]
    assert {outline.asr_kind(spec.asr) for spec in systems.values()} == {"prior", "oracle", "asr"}


def test_no_model_can_be_called_prior(tmp_path: Path) -> None:
    entry = {"role": "llm", "licence": "none", "source": {"kind": "path", "path": str(tmp_path)}}
    with pytest.raises(StudyError, match="no text at all"):
        study(definitions={"models": {"prior": entry}})


def test_a_floor_of_an_older_version_is_told(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    old = tmp_path / "silence.json"
    for content, said in (('{"task": "sst2", "systems": [], "pairs": []}', "another version"), ("{", "again")):
        old.write_text(content)
        with pytest.raises(StudyError, match=said):
            build(study, silence_files=[old])


@pytest.mark.parametrize("silence", [True, False])
def test_items_of_a_silence_that_nobody_hears_are_told(silence: bool) -> None:
    raw = changed(speech__silence=silence, speech__silence_items=3)
    told: list[str] = []
    load_study(raw, ROOT, tell=told.append)
    assert any("silence_items" in line for line in told) is not silence
