"""The items of the page: every kind of every pair, the same every time, with sound within a budget."""

import base64
import json
from collections import Counter
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from report_study import LABELS, NOISE_VOICES, PLANTED, SPEECH_OUTLINE, SPEECH_SYSTEMS, VOICES, Study, save, write_study

from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import names_in
from cascade_equivalence.report import audio
from cascade_equivalence.report.browser import BY_ITSELF, KINDS, NOT_KEPT, Items, browser_items
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.speech.clips import Clip, hash_audio, write_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import write_items


@dataclass
class World:
    """A made-up study with speech and items."""

    study: Study
    speech: list[Path]
    items: list[Path]

    def browse(self, **changed: Any) -> Items:
        """The items of its page."""
        files = {
            "answer_files": self.study.answers,
            "transcript_files": self.study.transcripts,
            "speech_files": self.speech,
            "item_files": self.items,
            "outline": SPEECH_OUTLINE,
        }
        return browser_items(**(files | changed))


def tone(frequency: float, seconds: float = 0.3) -> bytes:
    times = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    return encode_flac((0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32))


def write_speech(root: Path, task: str, voice: str, condition: str, flac: bytes) -> Path:
    path = root / "speech" / task / voice / f"{condition}.parquet"
    sha256 = hash_audio(flac)
    clips = [
        Clip(f"{item:03}", voice, flac, SAMPLING_RATE, 0.3, "test 1.0", f"{PLANTED} {item}", sha256)
        for item in range(60)
    ]
    write_clips(clips, path, {"task": task, "voice": voice, "condition": condition})
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("study")
    study = write_study(root, SPEECH_OUTLINE)
    speech, items = [], []
    for place, task in enumerate(LABELS):
        for condition in ("clean", "snr-5") if task in ("ag_news", "sst2") else ("clean",):
            for number, voice in enumerate(VOICES if condition == "clean" else NOISE_VOICES):
                flac = tone(300 + 100 * place + 20 * number + (7 if condition == "clean" else 0))
                speech.append(write_speech(root, task, voice, condition, flac))
        path = root / "tasks" / task / "items.parquet"
        write_items([Item(f"{i:03}", f"text {i}", "A", "g", options=("left", "right")) for i in range(60)], path, task)
        items.append(path)
    return World(study, speech, items)


@pytest.fixture(scope="module")
def items(world: World) -> Items:
    return world.browse(per_kind=2)


@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "invalid"])] * 3), min_size=1))
def test_every_clip_is_of_one_kind(rows: list[tuple[str, str, str]]) -> None:
    table = pl.DataFrame(rows, schema=["label", "system_parsed", "reference_parsed"], orient="row")
    right = [
        ((pl.col(f"{side}_parsed") == pl.col("label")) & (pl.col("label") != "invalid")).alias(f"{side}_correct")
        for side in ("system", "reference")
    ]
    kinds = table.with_columns(right).select(**KINDS)
    assert (kinds.sum_horizontal() == 1).all()
    same = kinds["both wrong, same answer"]
    assert not (same & (table["system_parsed"] == "invalid")).any()


def test_each_kind_has_as_many_clips_as_there_are(world: World, items: Items) -> None:
    drawn = Counter(
        (items.clips[entry.clip].task, items.clips[entry.clip].condition, entry.pair, entry.kind)
        for entry in items.entries
    )
    for path in world.study.answers:
        system, task, condition = path.parts[-3], path.parts[-2], path.stem
        for number, pair in enumerate(items.pairs):
            if pair.system != system:
                continue
            if condition in ("snr10", "snr0"):
                assert not [key for key in drawn if key[:2] == (task, condition)]
                continue
            other = pl.read_parquet(path.parents[2] / pair.reference / task / path.name)
            there: Counter[str] = Counter()
            for mine, its in zip(pl.read_parquet(path).to_dicts(), other.to_dicts(), strict=True):
                assert (mine["id"], mine["voice"]) == (its["id"], its["voice"])
                rights = int(mine["correct"]), int(its["correct"])
                alike = mine["parsed"] == its["parsed"] != "invalid"
                there[list(KINDS)[{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3 if alike else 4}[rights]]] += 1
            for kind in KINDS:
                assert drawn[task, condition, number, kind] == min(2, there[kind])


def test_a_clip_holds_what_the_files_say(world: World, items: Items) -> None:
    answers = {path.parts[-3:]: pl.read_parquet(path) for path in world.study.answers}
    for clip in items.clips:
        assert clip.spoken == f"{PLANTED} {int(clip.item)}" and clip.options == ("left", "right")
        assert clip.seconds == pytest.approx(0.3) and Path(str(clip.file)) in world.speech
        assert set(clip.sides) == set(SPEECH_SYSTEMS)
        for system, side in clip.sides.items():
            table = answers[system, clip.task, f"{clip.condition}.parquet"]
            (row,) = table.filter(id=clip.item, voice=clip.voice).to_dicts()
            assert (side.raw, side.parsed, side.correct) == (row["raw"], row["parsed"], row["correct"])
            assert clip.gold == row["label"] and (side.parsed == clip.gold) == side.correct
    talker, mumbler, cascade = (items.clips[0].sides[name] for name in ("talker", "mumbler", "base-qwen"))
    assert talker.origin.startswith("Own transcription") and talker.transcribed and talker.heard == "heard as <b>"
    assert (mumbler.origin, mumbler.heard, mumbler.transcribed) == ("Heard", BY_ITSELF, False)
    assert (cascade.origin, cascade.transcribed) == ("Heard", True)
    assert items.clips[0].sides["talker-oracle"].origin == "Read, as it was spoken"


def test_equal_studies_give_equal_items(world: World, items: Items, tmp_path: Path) -> None:
    shuffled = []
    for path in world.study.answers:
        table = pl.read_parquet(path)
        shuffled.append(save(table.sample(table.height, shuffle=True, seed=1), tmp_path / Path(*path.parts[-3:])))
    backwards = {"transcript_files": world.study.transcripts[::-1], "speech_files": world.speech[::-1]}
    again = world.browse(per_kind=2, answer_files=shuffled[::-1], **backwards)
    assert {clip.sides["talker"] for clip in again.clips} == {clip.sides["talker"] for clip in items.clips}
    assert again.payload() == items.payload()
    assert world.browse(per_kind=2, seed=1).entries != items.entries


def test_pairs_share_clips(items: Items) -> None:
    clean = {entry.clip for entry in items.entries if items.clips[entry.clip].condition == "clean"}
    uses = Counter(entry.clip for entry in items.entries)
    assert len(clean) < sum(uses[clip] for clip in clean) / 2
    assert set(uses) == set(range(len(items.clips)))


def test_more_of_a_kind_keeps_what_was_there(world: World, items: Items) -> None:
    def drawn(found: Items) -> set[tuple[object, ...]]:
        clips = found.clips
        return {
            (entry.pair, entry.kind, clips[entry.clip].task, clips[entry.clip].item, clips[entry.clip].voice)
            for entry in found.entries
        }

    assert drawn(items) < drawn(world.browse(per_kind=3, audio_budget_bytes=0))


@pytest.mark.parametrize("budget", [0, 1, 5_000, 40_000, 200_000, 10**9])
def test_sound_stays_within_its_budget(world: World, budget: int) -> None:
    found = world.browse(per_kind=2, audio_budget_bytes=budget)
    lengths = [len(clip.audio) for clip in found.clips if clip.audio is not None]
    assert sum(lengths) <= budget
    assert len(lengths) == (len(found.clips) if budget == 10**9 else len(lengths))
    # Nothing that would still fit is left out.
    assert len(lengths) == len(found.clips) or sum(lengths) + max(lengths, default=10_000) > budget


def test_sound_is_spread_over_tasks_and_kinds(world: World, items: Items) -> None:
    strata = {
        (items.clips[entry.clip].task, items.clips[entry.clip].condition, entry.kind): set() for entry in items.entries
    }
    longest = max(len(clip.audio or "") for clip in items.clips)
    found = world.browse(per_kind=2, audio_budget_bytes=longest * len(strata))
    for entry in found.entries:
        clip = found.clips[entry.clip]
        strata[clip.task, clip.condition, entry.kind].add(clip.audio is not None)
    assert all(True in heard for heard in strata.values())
    assert any(clip.audio is None for clip in found.clips)


def test_what_is_heard_is_the_clip(items: Items) -> None:
    kinds = {"audio/mpeg": "MP3", "audio/flac": "FLAC"}
    clip = items.clips[0]
    kind, _, sound = str(clip.audio).removeprefix("data:").partition(";base64,")
    heard, rate = soundfile.read(BytesIO(base64.b64decode(sound)), dtype="float32")
    assert soundfile.info(BytesIO(base64.b64decode(sound))).format == kinds[kind]
    said, _ = soundfile.read(
        BytesIO(pl.read_parquet(Path(str(clip.file))).filter(id=clip.item)["audio"][0]["bytes"]), dtype="float32"
    )
    assert rate == SAMPLING_RATE and len(heard) == len(said)
    # MP3 may shift a tone in time, not in pitch.
    loudest = [int(np.abs(np.fft.rfft(wave)).argmax()) for wave in (heard, said)]
    assert loudest[0] == loudest[1] > 0


def test_equal_clips_give_equal_addresses_and_formats_follow_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    flac = tone(440)
    assert audio.data_uri(flac) == audio.data_uri(flac) != audio.data_uri(tone(441))
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"FLAC": "FLAC"})
    audio.small_format.cache_clear()
    try:
        address = audio.data_uri(flac)
    finally:
        audio.small_format.cache_clear()
    assert address == f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"


def test_clips_without_a_sample_have_no_sound() -> None:
    assert audio.within([(0, b""), (1, tone(440))], 10**6).keys() == {1}


def test_corrupt_sound_is_refused(world: World, tmp_path: Path) -> None:
    source = next(path for path in world.speech if path.parts[-3:] == ("ag_news", "us", "clean.parquet"))
    broken = pl.read_parquet(source).with_columns(sha256=pl.lit("0" * 64))
    files = [path for path in world.speech if path != source]
    files.append(save(broken, tmp_path / "broken.parquet", names_in(source)))
    with pytest.raises(StudyError, match="is corrupt"):
        world.browse(speech_files=files)


def test_a_study_without_speech_items_or_transcripts_can_still_be_looked_at(world: World) -> None:
    found = world.browse(speech_files=[], item_files=[], transcript_files=[])
    assert found.entries and all(
        (clip.audio, clip.file, clip.spoken, clip.seconds, clip.options) == (None, None, None, None, ())
        for clip in found.clips
    )
    sides = found.clips[0].sides
    assert sides["base-qwen"].heard == NOT_KEPT and sides["talker"].heard == BY_ITSELF
    nobody = replace(SPEECH_OUTLINE, pairs=[])
    assert world.browse(outline=nobody).entries == []
    assert world.browse(answer_files=[]).pairs == []


def test_the_payload_is_json_and_names_things_for_a_reader(items: Items) -> None:
    payload = json.loads(json.dumps(items.payload(), allow_nan=False))
    assert payload["tasks"]["ag_news"] == "AG News" and list(payload["tasks"]) == list(SPEECH_OUTLINE.ordered_tasks())
    assert payload["conditions"] == {"clean": "clean", "snr-5": "\N{MINUS SIGN}5\N{NO-BREAK SPACE}dB"}
    for entry in payload["entries"]:
        pair, clip = payload["pairs"][entry["pair"]], payload["clips"][entry["clip"]]
        assert {pair["system"], pair["reference"]} <= clip["sides"].keys() and entry["kind"] in payload["kinds"]


def test_samples_are_one_of_each_kind_of_one_pair_a_task(items: Items) -> None:
    samples = items.samples()
    assert [task for task, _ in samples] == ["AG News", "SST-2", "MUStARD", "TriviaQA"]
    for _, found in samples:
        assert len({kind for _, _, kind in found}) == len(found) and len({pair.label for pair, _, _ in found}) == 1


def test_only_systems_of_the_study_are_shown(world: World) -> None:
    pairs = [pair for pair in SPEECH_OUTLINE.pairs if pair.system == "talker"]
    found = world.browse(outline=Outline(SPEECH_SYSTEMS, pairs, ["sst2"]), per_kind=1)
    assert {clip.task for clip in found.clips} == {"sst2"} and len(found.pairs) == len(pairs)
