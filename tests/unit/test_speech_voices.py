"""The voices: real speech at 16 kHz, the same samples on every run, whatever was said before."""

import hashlib
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
from cascade_equivalence.speech.espeak_voice import WORKER, EspeakProvider
from cascade_equivalence.speech.provider import check_styles, open_provider
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

TEXTS = [
    "The harbour town voted for a new bridge on Monday.",
    "Who wrote the play about two young lovers in Verona?",
    "A warm, funny film about growing old together.",
]
HEART = HibariVoice(provider="hibari")
BREATHY = "en-us+f5"  # breath is random in espeak-ng
VOICES: list[VoiceSpec] = [HEART, *(EspeakVoice(provider="espeak", name=name) for name in ("en-us", "en-gb", BREATHY))]


def espeak(name: str = "en-us") -> EspeakVoice:
    return EspeakVoice(provider="espeak", name=name)


def say(spec: VoiceSpec, texts: list[str], style: str | None = None) -> list[Waveform]:
    with open_provider(spec) as provider:
        return [provider.speak(text, style) for text in texts]


def fingerprint(clips: list[Waveform]) -> str:
    return hashlib.sha256(b"".join(clip.tobytes() for clip in clips)).hexdigest()


@pytest.fixture(scope="module", params=VOICES, ids=lambda spec: spec.name)
def voice(request: pytest.FixtureRequest) -> tuple[VoiceSpec, list[Waveform]]:
    return request.param, say(request.param, TEXTS)


def test_speech_lasts_as_long_as_its_words_take(voice: tuple[VoiceSpec, list[Waveform]]) -> None:
    for text, clip in zip(TEXTS, voice[1], strict=True):
        words_a_second = len(text.split()) / (clip.size / SAMPLING_RATE)
        assert clip.dtype == np.float32
        assert clip.ndim == 1
        assert 1.5 < words_a_second < 4.5  # people read at 2 to 4
        assert 0.01 < rms(clip) < 0.3
        assert np.abs(clip).max() < 1


def test_speech_has_the_spectrum_of_16_khz(voice: tuple[VoiceSpec, list[Waveform]]) -> None:
    # Samples taken for another rate would leave the upper band empty, or fold what should be above it.
    power = np.abs(np.fft.rfft(np.concatenate(voice[1]))) ** 2
    frequency = np.linspace(0, SAMPLING_RATE / 2, power.size)
    share = {
        band: power[(frequency >= band[0]) & (frequency < band[1])].sum() / power.sum()
        for band in [(60, 1000), (4000, 8000)]
    }
    assert share[60, 1000] > 0.4
    assert 1e-4 < share[4000, 8000] < 0.4


def test_other_process_says_the_same_samples_in_any_order(voice: tuple[VoiceSpec, list[Waveform]]) -> None:
    spec, clips = voice
    time.sleep(1.1)  # espeak-ng seeds its noise with the seconds of the clock
    code = (
        "import sys, hashlib\n"
        "from pydantic import TypeAdapter\n"
        "from cascade_equivalence.config.speech import VoiceSpec\n"
        "from cascade_equivalence.speech.provider import open_provider\n"
        "spec = TypeAdapter(VoiceSpec).validate_json(sys.argv[1])\n"
        "with open_provider(spec) as provider:\n"
        "    clips = {text: provider.speak(text, None) for text in reversed(sys.argv[2:])}\n"
        "print(hashlib.sha256(b''.join(clips[text].tobytes() for text in sys.argv[2:])).hexdigest())\n"
    )
    command = [sys.executable, "-c", code, spec.model_dump_json(), *TEXTS]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert printed.strip() == fingerprint(clips)


def test_hibari_seed_and_speed_are_heard() -> None:
    plain = say(HEART, TEXTS[:1])[0]
    other = say(HEART.model_copy(update={"seed": 1}), TEXTS[:1])[0]
    slow = say(HEART.model_copy(update={"speed": 0.7}), TEXTS[:1])[0]
    assert plain.shape == other.shape
    assert not np.array_equal(plain, other)
    assert slow.size > 1.2 * plain.size


def test_hibari_refuses_styles_and_unknown_voices() -> None:
    with pytest.raises(StudyError, match="style"):
        say(HEART, TEXTS[:1], "joy")
    with pytest.raises(StudyError, match="heart"):
        say(HEART.model_copy(update={"name": "hart"}), TEXTS[:1])


def test_hibari_voice_that_cannot_be_fetched_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hibari import voices

    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.setattr(voices, "BASE_URL", "http://127.0.0.1:9/")  # nothing listens there
    with pytest.raises(StudyError, match=r"'emma' .* could not be fetched"):
        say(HEART.model_copy(update={"name": "emma"}), TEXTS[:1])


@pytest.mark.parametrize(
    ("name", "near"), [("en-uss", "en-us"), ("en-us+f33", r"\+f3"), ("en-us+nothing", r"\+"), ("qqq", "near it are")]
)
def test_espeak_names_the_voices_near_an_unknown_one(name: str, near: str) -> None:
    with pytest.raises(StudyError, match=rf"no (voice|variant) .*near it are .*{near}|{near}"):
        EspeakProvider(espeak(name))


def test_espeak_finds_a_voice_by_language_file_and_any_case() -> None:
    clips = [say(espeak(name), TEXTS[:1])[0] for name in ("en-us", "EN-US", "gmw/en-US")]
    assert len({fingerprint([clip]) for clip in clips}) == 1


def test_espeak_does_not_read_markup_or_codes() -> None:
    # The text is data: neither SSML nor phoneme codes nor a second line may steer the voice.
    plain, markup, phonemes, lines = say(
        espeak(), ["hello", "<prosody rate='10%'>hello</prosody>", "[[h@l'oU]]", "hello\nhello"]
    )
    assert markup.size > 2 * plain.size  # the markup is read out
    assert not np.array_equal(phonemes, plain)
    assert lines.size > 1.3 * plain.size  # one pause fewer


def test_espeak_speaks_any_characters() -> None:
    odd = ["caf\u00e9 \u2014 na\u00efve", "nul\0byte", "\u65e5\u672c", '"quoted" \\ back', "x" * 5000]
    assert all(clip.size for clip in say(espeak(), odd))


def test_espeak_settings_are_heard() -> None:
    plain = say(espeak(), TEXTS[:1])[0]
    changed = {
        key: say(espeak().model_copy(update={key: value}), TEXTS[:1])[0]
        for key, value in {"rate": 110, "volume": 50, "pitch": 70, "range": 90}.items()
    }
    assert changed["rate"].size > 1.3 * plain.size
    assert rms(changed["volume"]) == pytest.approx(rms(plain) / 2, rel=0.05)
    assert len({fingerprint([clip]) for clip in [plain, *changed.values()]}) == 5


def test_espeak_starts_again_once_after_a_crash() -> None:
    with open_provider(espeak(BREATHY)) as provider:
        assert isinstance(provider, EspeakProvider)
        before = provider.speak(TEXTS[0], None)
        assert provider._process is not None
        provider._process.send_signal(signal.SIGKILL)
        provider._process.wait()
        after = provider.speak(TEXTS[0], None)
    assert np.array_equal(before, after)


def test_espeak_gives_up_when_the_worker_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that greets and then ends, as one that the library brings down over each text
    source = WORKER.read_text().replace("        send(out, *speak_in_fork(engine, json.loads(line)))", "        return")
    worker = tmp_path / "worker.py"
    worker.write_text(source)
    monkeypatch.setattr("cascade_equivalence.speech.espeak_voice.WORKER", worker)
    with open_provider(espeak()) as provider, pytest.raises(StudyError, match="dies over the text 'The harbour"):
        provider.speak(TEXTS[0], None)


def test_espeak_reports_a_breakdown_while_speaking_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "        self._sound.clear()\n"
    crash = '        if request["text"] == "crash":\n            os.kill(os.getpid(), signal.SIGSEGV)\n'
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.read_text().replace(line, crash + line))
    monkeypatch.setattr("cascade_equivalence.speech.espeak_voice.WORKER", worker)
    with open_provider(espeak()) as provider:
        with pytest.raises(StudyError, match=r"could not speak 'crash'.*broke down"):
            provider.speak("crash", None)
        assert provider.speak(TEXTS[0], None).size


def test_espeak_worker_ends_with_its_provider() -> None:
    with open_provider(espeak()) as provider:
        assert isinstance(provider, EspeakProvider)
        process = provider._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() == 0


def test_espeak_is_loaded_in_no_other_process() -> None:
    say(espeak(), TEXTS[:1])
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("the system does not list a process's libraries")
    assert "libespeak" not in maps.read_text()


def test_espeak_data_may_lie_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library itself cuts paths at 160 characters.
    import espeakng_loader

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    plain = say(espeak(), TEXTS[:1])[0]
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert np.array_equal(say(espeak(), TEXTS[:1])[0], plain)


def test_styles_are_checked_before_anything_is_spoken() -> None:
    check_styles(espeak(), "us", ["joy", None, "sarcastic"])
    check_styles(HEART, "heart", [None, None])
    with pytest.raises(StudyError, match=r"heart .*anger, joy"):
        check_styles(HEART, "heart", ["joy", "anger", None])
    with pytest.raises(StudyError, match=r"'sadnes'.*'sadness'"):
        check_styles(espeak(), "us", ["sadnes"])
