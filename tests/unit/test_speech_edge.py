"""Voices of a service that throttles, drops and forgets: every clip is whole or asked for again, and none twice.

The service is a stand-in on loopback that speaks its protocol; the library that asks it is the real one.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edge_server import RATE, VOICES, StandIn, Trouble, encode_mp3, serving, sound_of
from edge_tts.data_classes import TTSConfig
from edge_tts.drm import DRM
from pydantic import ValidationError

from cascade_equivalence.config.speech import EdgeVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech import edge_voice
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.speech.edge_service import EdgeSpeech, UnspokenError
from cascade_equivalence.speech.edge_voice import JITTER, LONGEST_HOLD, LONGEST_PAUSE, EdgeProvider, check_speech
from cascade_equivalence.speech.provider import check_styles, open_provider, workers
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, resample

TEXT = "The harbour town voted for a new bridge on Monday."
ITEMS = [Utterance(f"item-{n}", f"This is sentence number {n} of some.") for n in range(8)]
JENNY = EdgeVoice(provider="edge", name="en-US-JennyNeural", attempts=3, timeout=10)
TROUBLES = ["drop", "leave", "cut", "lose", "damage", "sound", "silence", "junk", "stall", "riddle", "haste"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as server:
        yield server


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited for, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(edge_voice, "EdgeProvider", partial(EdgeProvider, wait=seconds.append))
    return seconds


def say(text: str, spec: EdgeVoice = JENNY) -> Waveform:
    with open_provider(spec) as provider:
        return provider.speak(text, None)


def run(store: Path, items: list[Utterance] = ITEMS, spec: EdgeVoice = JENNY, count: int = 1) -> list[Clip]:
    return synthesize_clips(items, "jenny", spec, 30.0, store, count)


def test_a_clip_is_what_the_service_sent(server: StandIn) -> None:
    audio, rate = soundfile.read(BytesIO(sound_of(TEXT, JENNY.name)), dtype="float32")
    said = say(TEXT)
    assert rate == RATE
    assert said.dtype == np.float32
    assert np.array_equal(said, resample(audio, rate))
    assert said.size / SAMPLING_RATE == pytest.approx(audio.size / rate, abs=1e-3)


def test_settings_and_words_reach_the_service_as_they_are(server: StandIn) -> None:
    spec = EdgeVoice(provider="edge", name="en-GB-SoniaNeural", rate="-10%", volume="+20%", pitch="-5Hz")
    text = "\"Fish & chips\" <break time='9s'/> for caf\u00e9 owners; R&amp;D's \u201cquoted\u201d."
    say(text, spec)
    assert [(asked.text, asked.voice) for asked in server.asked] == [(text, spec.name)]
    assert server.asked[0].prosody == {"rate": "-10%", "volume": "+20%", "pitch": "-5Hz"}


@pytest.mark.parametrize("kind", TROUBLES)
def test_a_reply_that_is_not_whole_is_asked_for_again(server: StandIn, pauses: list[float], kind: str) -> None:
    clean = say(TEXT)
    server.plan = lambda number: Trouble(kind) if number == 1 else None
    spec = JENNY.model_copy(update={"timeout": 0.3}) if kind == "stall" else JENNY
    assert np.array_equal(say(TEXT, spec), clean)
    assert server.texts == [TEXT] * 3
    assert len(pauses) == 1


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_refused_connection_is_tried_again(server: StandIn, pauses: list[float], status: int) -> None:
    # The library itself asks once more after a 403, with the service's clock.
    server.plan = lambda number: Trouble("refuse", status) if number < 2 else None
    assert say(TEXT).size
    assert server.texts == [TEXT]
    assert len(pauses) == (1 if status == 403 else 2)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("drop", "connection ended before the speech"),
        ("leave", "connection ended before the speech"),
        ("cut", "cut off at"),
        ("lose", "cut off at"),
        ("damage", "damaged"),
        ("sound", r"no sound\. .*throttling"),
        ("silence", "silent"),
        ("junk", "no whole MP3"),
        ("stall", r"nothing more came within 0\.2 s"),
        ("riddle", "makes no sense"),
        ("haste", "cannot be a text that takes"),
        ("refuse", "HTTP 503"),
    ],
)
def test_trouble_that_stays_is_explained(server: StandIn, pauses: list[float], kind: str, said: str) -> None:
    server.plan = lambda number: Trouble(kind)
    spec = JENNY.model_copy(update={"timeout": 0.2}) if kind == "stall" else JENNY
    with pytest.raises(StudyError, match=rf"en-US-JennyNeural was asked 3 times in vain; at last .*{said}") as caught:
        say(TEXT, spec)
    assert "run again to go on from there" in str(caught.value)
    assert server.connections == 3
    assert len(pauses) == 2


def test_what_was_finished_before_the_trouble_is_not_asked_for_again(
    tmp_path: Path, server: StandIn, pauses: list[float]
) -> None:
    server.plan = lambda number: Trouble("refuse", 429) if number >= 5 else None
    with pytest.raises(StudyError, match=r"Item item-5: the edge voice en-US-JennyNeural .*run again"):
        run(tmp_path)
    server.plan = lambda number: None
    clips = run(tmp_path)
    assert server.texts == [item.text for item in ITEMS]
    assert [clip.id for clip in clips] == [item.id for item in ITEMS]
    assert run(tmp_path) == clips
    assert len(server.asked) == len(ITEMS)


def test_pauses_grow_with_jitter_up_to_a_limit(server: StandIn, pauses: list[float]) -> None:
    server.plan = lambda number: Trouble("refuse", 503)
    with pytest.raises(StudyError, match="9 times"):
        say(TEXT, JENNY.model_copy(update={"attempts": 9, "pause": 4.0}))
    wanted = [4.0, 8.0, 16.0, 32.0, 64.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert all(base <= pause <= (1 + JITTER) * base for base, pause in zip(wanted, pauses, strict=True))
    assert len({pause / base for base, pause in zip(wanted, pauses, strict=True)}) > 1


@pytest.mark.parametrize(
    ("header", "held"), [("77", 77.0), ("86400", LONGEST_HOLD), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", 0.0)]
)
def test_the_service_is_left_alone_as_long_as_it_says(
    server: StandIn, pauses: list[float], header: str, held: float
) -> None:
    server.plan = lambda number: Trouble("refuse", 429, {"Retry-After": header}) if number == 0 else None
    say(TEXT)
    assert pauses == [pytest.approx(held)] if held else 5.0 <= pauses[0] <= 7.5


def test_a_clock_that_is_wrong_is_no_trouble(server: StandIn, pauses: list[float]) -> None:
    server.ahead = 7200.0
    assert say(TEXT).size
    assert say(TEXT).size
    assert server.connections == 3  # refused once, and right from then on
    assert pytest.approx(7200, abs=5) == DRM.clock_skew_seconds
    assert not pauses


def test_a_misspelt_voice_is_told_at_once(server: StandIn, pauses: list[float]) -> None:
    with pytest.raises(StudyError, match=r"no voice 'en-US-JenyNeural'; near it are en-US-JennyNeural"):
        say(TEXT, EdgeVoice(provider="edge", name="en-US-JenyNeural"))
    assert (server.connections, server.lists) == (1, 1)
    assert not pauses


def test_voices_are_listed_only_where_a_voice_gave_cause(server: StandIn, pauses: list[float]) -> None:
    server.plan = lambda number: Trouble("sound") if 1 <= number <= 2 else None
    with open_provider(JENNY) as provider:
        provider.speak(TEXT, None)
        assert server.lists == 0
        provider.speak(TEXT, None)
    assert server.lists == 1


def test_a_list_that_cannot_be_had_ends_nothing(
    server: StandIn, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_tts.voices.VOICE_LIST", "http://127.0.0.1:9/")  # nothing listens there
    server.plan = lambda number: Trouble("sound") if number == 0 else None
    assert say(TEXT).size


def test_no_network_is_told(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_tts.communicate.WSS_URL", "ws://127.0.0.1:9/edge?")
    with pytest.raises(StudyError, match=r"no connection \(.*\b9\b.*\)\. Check the network"):
        say(TEXT)


def test_text_without_words_is_not_asked_for(tmp_path: Path, server: StandIn) -> None:
    clips = run(tmp_path, [Utterance("none", ""), Utterance("marks", "... !?"), ITEMS[0]])
    assert [clip.problem for clip in clips] == ["empty", "empty", None]
    assert server.texts == [ITEMS[0].text]


def test_long_texts_are_whole_too(server: StandIn, pauses: list[float]) -> None:
    # Dashes of three bytes and no time.
    text = " ".join(f"{n}{20 * chr(0x2014)}" for n in range(10, 80))
    assert len(text.encode()) > 4096
    whole = say(text)
    parts = server.texts.copy()
    assert len(parts) == 2
    assert " ".join(parts) == text
    assert whole.size / SAMPLING_RATE > sum(map(str.isalnum, text)) / 14
    # The second part breaks off: the library keeps quiet about it.
    server.plan = lambda number: Trouble("drop") if number == 3 else None
    assert np.array_equal(say(text), whole)
    assert server.texts == parts * 3


def test_styles_are_refused_before_anything_is_asked(tmp_path: Path, server: StandIn) -> None:
    with pytest.raises(StudyError, match=r"jenny \(edge\) cannot speak in a style \(joy\)"):
        run(tmp_path, [Utterance("a", "Again?", "joy")])
    with open_provider(JENNY) as provider, pytest.raises(StudyError, match="style"):
        provider.speak("Again?", "joy")
    check_styles(JENNY, "jenny", [None])
    assert not server.connections


def test_connections_are_few_however_many_threads_there_are(tmp_path: Path, server: StandIn) -> None:
    server.slow = 0.05
    assert workers(JENNY, 64) == JENNY.connections == 2
    several = run(tmp_path / "2", count=workers(JENNY, 64))
    assert server.most == 2
    assert several == run(tmp_path / "1")
    assert Counter(server.texts) == {item.text: 2 for item in ITEMS}


def test_a_pause_ends_when_nobody_waits_any_more(server: StandIn) -> None:
    server.plan = lambda number: Trouble("refuse", 503)
    stop = threading.Event()
    with open_provider(JENNY.model_copy(update={"pause": 100.0}), stop) as provider:
        threading.Timer(0.2, stop.set).start()
        before = time.monotonic()
        with pytest.raises(StudyError, match="stopped"):
            provider.speak(TEXT, None)
    assert time.monotonic() - before < 30
    assert server.connections == 1


def test_a_killed_run_asks_for_nothing_twice(tmp_path: Path, server: StandIn) -> None:
    items = [Utterance(f"i{n}", f"Number {n} of a list.") for n in range(40)]
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from edge_server import redirect\n"
        "from cascade_equivalence.config.speech import EdgeVoice\n"
        "from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips\n"
        "redirect(int(sys.argv[1]))\n"
        "items = [Utterance(*item) for item in json.loads(sys.argv[3])]\n"
        "synthesize_clips(items, 'jenny', EdgeVoice.model_validate_json(sys.argv[4]), 30.0, Path(sys.argv[2]), 2)\n"
    )
    listed = json.dumps([[item.id, item.text] for item in items])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(server.port), str(tmp_path), listed, JENNY.model_dump_json()]
    server.slow = 0.02
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.flac"))) < 6 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = len(list(tmp_path.glob("*.flac")))
    assert 6 <= kept < len(items)
    before = len(server.asked)
    assert before <= kept + 2  # but for the two that were under way
    clips = run(tmp_path, items)
    assert len(server.asked) - before == len(items) - kept
    assert max(Counter(server.texts).values()) <= 2
    assert [clip.text for clip in clips] == [item.text for item in items]


def test_more_patience_asks_for_nothing_again(tmp_path: Path, server: StandIn) -> None:
    clips = run(tmp_path)
    patient = JENNY.model_copy(update={"connections": 1, "attempts": 9, "pause": 1.0, "timeout": 5.0})
    assert run(tmp_path, spec=patient) == clips
    assert len(server.asked) == len(ITEMS)
    run(tmp_path, spec=JENNY.model_copy(update={"rate": "+5%"}))
    assert len(server.asked) == 2 * len(ITEMS)


def test_a_run_that_fails_does_not_wait_for_the_pauses_of_its_other_connection(tmp_path: Path, server: StandIn) -> None:
    server.plan = lambda number: Trouble("refuse", 503, {"Retry-After": "60"} if number == 0 else {})
    before = time.monotonic()
    with pytest.raises(StudyError, match="asked 2 times in vain"):
        run(tmp_path, spec=JENNY.model_copy(update={"attempts": 2, "pause": 0.1}), count=2)
    assert time.monotonic() - before < 30


@pytest.mark.parametrize("rate", ["+0%", "-0%", "+100%", "-50%", "+99%", "-7%"])
def test_what_the_config_takes_the_library_takes(rate: str) -> None:
    for name in [*VOICES, "zh-CN-liaoning-XiaobeiNeural", "fil-PH-AngeloNeural", "en-US-AndrewMultilingualNeural"]:
        spec = EdgeVoice(provider="edge", name=name, rate=rate, volume="-99%", pitch="+120Hz")
        TTSConfig(spec.name, spec.rate, spec.volume, spec.pitch, "WordBoundary")


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", value) for value in ("Jenny", "en-US-Jenny", "en-US-JennyNeural'/>", "", "en-us-JennyNeural")]
    + [("rate", value) for value in ("0%", "+101%", "-51%", "fast", "+10", "+1.5%", "-100%")]
    + [("volume", value) for value in ("loud", "-100%", "+101%")]
    + [("pitch", value) for value in ("+5", "+5%", "high", "+1000Hz")]
    + [("connections", 0), ("connections", 9), ("attempts", 0), ("pause", 0), ("timeout", float("inf"))],
)
def test_settings_that_the_service_does_not_take_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        EdgeVoice.model_validate(JENNY.model_dump() | {key: value})


def reply_of(seconds: float, spoken: float = 0.0) -> EdgeSpeech:
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
    return EdgeSpeech(encode_mp3(noise.astype(np.float32)), spoken)


@pytest.mark.parametrize("rate", ["+0%", "+100%", "-50%"])
def test_lengths_that_people_read_in_are_plausible_at_any_rate(rate: str) -> None:
    spec = JENNY.model_copy(update={"rate": rate})
    faster = 1 + int(rate[:-1]) / 100
    for letters_a_second in (10, 14, 18):
        seconds = 41 / letters_a_second / faster
        assert check_speech(reply_of(seconds, seconds), TEXT, spec).size
    with pytest.raises(UnspokenError, match="cannot be"):
        check_speech(reply_of(41 / 30 / faster), TEXT, spec)
    with pytest.raises(UnspokenError, match="cannot be"):
        check_speech(reply_of(41 / faster + 8), TEXT, spec)


@pytest.mark.parametrize("text", ["I.", "A", "9", "OK", "777,777"])
def test_short_texts_are_plausible(text: str) -> None:
    for seconds in (0.5, 1.5, 4.0):
        assert check_speech(reply_of(seconds, seconds - 0.3), text, JENNY).size


def test_sound_may_not_end_before_its_last_word() -> None:
    assert check_speech(reply_of(3.0, 3.05), TEXT, JENNY).size
    with pytest.raises(UnspokenError, match="cut off at 3"):
        check_speech(reply_of(3.0, 3.4), TEXT, JENNY)
