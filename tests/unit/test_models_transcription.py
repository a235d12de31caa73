"""No clip is transcribed twice, and each transcript serves its own settings only."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from transcribing import CONFIG, config, noise

from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.transcription import run
from cascade_equivalence.models.transcription.run import transcribe_recordings
from cascade_equivalence.models.transcription.table import recordings, write_transcripts
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.speech.clips import Clip, hash_audio
from cascade_equivalence.speech.waveform import encode_flac


class Counting:
    """An engine that names the samples it hears, and counts them."""

    heard: list[list[int]]

    def __init__(self, *_: object) -> None:
        type(self).opened += 1

    opened = 0

    def transcribe(self, audio: Sequence[np.ndarray]) -> list[str]:
        self.heard.append([len(clip) for clip in audio])
        return [said(len(clip)) for clip in audio]


def said(samples: int) -> str:
    return f"  {samples} samples\n\u2028 \u00e9 "


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    class Fresh(Counting):
        heard: list[list[int]] = []  # noqa: RUF012
        opened = 0

    monkeypatch.setattr(run, "open_engine", Fresh)
    return Fresh


LENGTHS = [500, 300, 900, 100, 700, 200, 800, 600, 400, 300]


def clip(samples: int) -> Recording:
    return Recording(
        hashlib.sha256(str(samples).encode()).hexdigest(), samples / 16_000, lambda: np.zeros(samples, np.float32)
    )


CLIPS = [clip(samples) for samples in LENGTHS]


def transcribe(store: Path, clips: Sequence[Recording] = CLIPS, **changes: Any) -> list[str]:
    arguments = {"folder": Path("weights"), "revision": "r1", "config": CONFIG, "label": "tiny"} | changes
    return [transcript.text for transcript in transcribe_recordings(clips, store=store, **arguments)]


def keys(store: Path) -> list[str]:
    return [json.loads(line)["key"] for line in store.read_bytes().split(b"\n")[:-1]]


def test_a_transcript_says_what_it_cost_and_costs_nothing_again(counting: type[Counting], tmp_path: Path) -> None:
    def once() -> list[Transcript]:
        return transcribe_recordings(CLIPS, Path("weights"), "r1", CONFIG, tmp_path / "s", "tiny")

    first = once()
    assert all(transcript.seconds > 0 for transcript in first)
    assert once() == first and counting.opened == 1


def test_a_record_of_an_earlier_version_still_serves(counting: type[Counting], tmp_path: Path) -> None:
    texts = transcribe(tmp_path / "s")
    records = [json.loads(line) for line in (tmp_path / "s").read_bytes().split(b"\n")[:-1]]
    (field,) = records[0].keys() - {"key", "check"}
    earlier = [{"key": record["key"], field: record[field]["text"]} for record in records]
    (tmp_path / "s").write_text("".join(json.dumps(record) + "\n" for record in earlier), encoding="utf-8")
    found = transcribe_recordings(CLIPS, Path("weights"), "r1", CONFIG, tmp_path / "s", "tiny")
    assert found == [Transcript(text) for text in texts] and counting.opened == 1


def test_clips_of_like_length_are_heard_together_and_each_once(counting: type[Counting], tmp_path: Path) -> None:
    assert transcribe(tmp_path / "s") == [said(samples) for samples in LENGTHS]
    assert counting.heard == [[100, 200, 300, 400], [500, 600, 700, 800], [900]]
    assert counting.opened == 1
    assert transcribe(tmp_path / "s", CLIPS[::-1]) == [said(samples) for samples in LENGTHS[::-1]]
    assert transcribe(tmp_path / "s", config=config(batch_size=1)) == [said(samples) for samples in LENGTHS]
    # Nothing is loaded where nothing is missing.
    assert (counting.opened, len(counting.heard)) == (1, 3)
    assert transcribe(tmp_path / "s", [*CLIPS, clip(50)])[-1] == said(50)
    assert counting.heard[3:] == [[50]]


def test_a_stopped_transcription_goes_on(
    counting: type[Counting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = counting.transcribe

    def stop(self: Counting, audio: Sequence[np.ndarray]) -> list[str]:
        if len(self.heard) == 2:
            raise KeyboardInterrupt
        return listen(self, audio)

    with monkeypatch.context() as patch:
        patch.setattr(counting, "transcribe", stop)
        with pytest.raises(KeyboardInterrupt):
            transcribe(tmp_path / "s")
    done = keys(tmp_path / "s")
    assert len(done) == 8
    assert transcribe(tmp_path / "s") == [said(samples) for samples in LENGTHS]
    assert counting.heard[2:] == [[900]]
    assert keys(tmp_path / "s")[:8] == done
    assert len(set(keys(tmp_path / "s"))) == len(keys(tmp_path / "s")) == 9


@pytest.mark.parametrize(
    "changes",
    [
        {"revision": "r2"},
        {"config": config(engine="hybrid")},
        {"config": config(dtype="bfloat16")},
        {"config": config(max_new_tokens=13)},
    ],
    ids=str,
)
def test_a_transcript_serves_only_its_own_settings(
    changes: dict[str, Any], counting: type[Counting], tmp_path: Path
) -> None:
    transcribe(tmp_path / "s")
    before = keys(tmp_path / "s")
    transcribe(tmp_path / "s", **changes)
    assert len(counting.heard) == 6
    assert len(set(keys(tmp_path / "s"))) == 2 * len(before)


def test_a_batch_of_too_few_texts_is_not_stored(
    counting: type[Counting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "transcribe", lambda self, audio: ["one"])
    with pytest.raises(ValueError, match="zip"):
        transcribe(tmp_path / "s")
    assert keys(tmp_path / "s") == []


def test_the_table_says_what_was_said_and_heard(tmp_path: Path) -> None:
    texts = ["Two small dogs.", "A cat."]
    clips = []
    for number, text in enumerate(texts):
        flac = encode_flac(noise(1600 * (number + 1), number))
        clips.append(Clip(f"i{number}", "us", flac, 16_000, 0.1 * (number + 1), "p", text, hash_audio(flac)))
    heard = [
        np.testing.assert_allclose(made.decode(), noise(1600 * (at + 1), at), atol=1e-4)
        for at, made in enumerate(recordings(clips))
    ]
    assert len(heard) == 2
    assert [made.sha256 for made in recordings(clips)] == [one.sha256 for one in clips]
    write_transcripts(
        clips, [Transcript("too small dogs", 0.5), Transcript("a cat")], tmp_path / "new" / "clean.parquet", {}
    )
    assert pl.read_parquet(tmp_path / "new" / "clean.parquet").rows() == [
        ("i0", "us", "too small dogs", 3, 1, 1, 0, 0, False, 0.5, clips[0].sha256),
        ("i1", "us", "a cat", 2, 0, 0, 0, 0, False, None, clips[1].sha256),
    ]
