"""Speaking a task: once a text, however often the run is stopped and with any number of workers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cascade_equivalence.config.speech import EspeakVoice, HibariVoice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.espeak_voice import EspeakProvider
from cascade_equivalence.speech.provider import open_provider
from cascade_equivalence.speech.store import clip_key
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import Waveform

US = EspeakVoice(provider="espeak", name="en-us+f5")
ITEMS = [Utterance(f"item-{n}", f"This is sentence number {n}.") for n in range(12)]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What espeak was really asked to say."""
    texts: list[tuple[str, str | None]] = []
    speak = EspeakProvider.speak

    def noted(self: EspeakProvider, text: str, style: str | None) -> Waveform:
        texts.append((text, style))
        return speak(self, text, style)

    monkeypatch.setattr(EspeakProvider, "speak", noted)
    return texts


def run(store: Path, items: list[Utterance] = ITEMS, spec: VoiceSpec = US, workers: int = 1) -> list[Clip]:
    return synthesize_clips(items, "voice", spec, 30.0, store, workers)


def test_clips_are_what_the_voice_says(tmp_path: Path) -> None:
    clip = run(tmp_path, ITEMS[:1])[0]
    with open_provider(US) as provider:
        said = provider.speak(ITEMS[0].text, None)
        assert clip.provider == provider.identity()
    assert np.abs(decode(clip) - said).max() < 1 / 32768
    assert clip.seconds == said.size / 16_000
    assert (clip.text, clip.voice, clip.snr_db, clip.problem) == (ITEMS[0].text, "voice", None, None)


def test_nothing_is_spoken_twice(tmp_path: Path, spoken: list[tuple[str, str | None]]) -> None:
    first = run(tmp_path)
    assert len(spoken) == len(ITEMS)
    more = [*ITEMS, Utterance("again", ITEMS[0].text), Utterance("new", "Something new.")]
    second = run(tmp_path, more)
    assert spoken[len(ITEMS) :] == [("Something new.", None)]
    assert second[: len(ITEMS)] == first
    assert second[-2].flac == first[0].flac
    assert second[-2].id == "again"


def test_same_text_in_another_style_is_another_clip(tmp_path: Path, spoken: list[tuple[str, str | None]]) -> None:
    items = [Utterance(f"{style}-{n}", "Again?", style) for style in ("joy", "sadness", None) for n in range(2)]
    clips = run(tmp_path, items)
    assert len(spoken) == 3
    assert [clips.index(next(c for c in clips if c.sha256 == clip.sha256)) for clip in clips] == [0, 0, 2, 2, 4, 4]


def test_corrupt_clips_are_noticed_and_spoken_again(tmp_path: Path, spoken: list[tuple[str, str | None]]) -> None:
    first = run(tmp_path)
    spoken.clear()
    flipped, cut, emptied = sorted(tmp_path.glob("*.flac"))[:3]
    flac = bytearray(flipped.read_bytes())
    flac[len(flac) // 2] ^= 1
    flipped.write_bytes(flac)
    cut.write_bytes(cut.read_bytes()[:-10])
    emptied.write_bytes(b"")
    assert run(tmp_path) == first
    assert len(spoken) == 3
    assert run(tmp_path) == first
    assert len(spoken) == 3


def test_killed_run_goes_on_where_it_stopped(tmp_path: Path, spoken: list[tuple[str, str | None]]) -> None:
    items = [
        Utterance(f"i{n}", f"Number {n} of a long list of numbers that takes a while to read.") for n in range(200)
    ]
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from cascade_equivalence.config.speech import EspeakVoice\n"
        "from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips\n"
        "items = [Utterance(*item) for item in json.loads(sys.argv[2])]\n"
        "spec = EspeakVoice.model_validate_json(sys.argv[3])\n"
        "synthesize_clips(items, 'voice', spec, 30.0, Path(sys.argv[1]), 2)\n"
    )
    listed = json.dumps([[item.id, item.text] for item in items])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path), listed, US.model_dump_json()]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.flac"))) < 10 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = len(list(tmp_path.glob("*.flac")))
    assert 10 <= kept < len(items)
    clips = run(tmp_path, items)
    assert len(spoken) == len(items) - kept
    assert [clip.text for clip in clips] == [item.text for item in items]


def test_name_in_the_store_depends_on_all_that_is_heard() -> None:
    base = ("espeak 1", US, "text", None)
    others = [
        ("espeak 2", US, "text", None),
        ("espeak 1", US.model_copy(update={"rate": 170}), "text", None),
        ("espeak 1", US, "Text", None),
        ("espeak 1", US, "text", "joy"),
        ("espeak 1", US, "text", "anger"),
    ]
    keys = {clip_key(*arguments) for arguments in [base, *others]}
    assert len(keys) == 6
    assert clip_key(*base) == clip_key(*base)


def test_bad_requests_are_refused_before_anything_is_spoken(
    tmp_path: Path, spoken: list[tuple[str, str | None]]
) -> None:
    with pytest.raises(StudyError, match="item-0 occurs twice"):
        run(tmp_path, [ITEMS[0], ITEMS[0]])
    with pytest.raises(StudyError, match="no speaking style"):
        run(tmp_path, [ITEMS[0], Utterance("x", "text", "bored")])
    with pytest.raises(StudyError, match="cannot speak in a style"):
        run(tmp_path, [Utterance("x", "text", "joy")], HibariVoice(provider="hibari"))
    assert not spoken
    assert run(tmp_path, []) == []
