"""What holds for every provider of voices, the example of docs/plugins among them.

Services are stand-ins on loopback; the others speak for real.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from checkout import REPOSITORY
from edge_server import StandIn, serving
from pydantic import TypeAdapter, ValidationError
from registries import names

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.schema import registry_schema
from cascade_equivalence.config.speech import Voice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.make import make_clips
from cascade_equivalence.speech.prosody import STYLES
from cascade_equivalence.speech.provider import VoiceProvider, open_provider
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, rms

pytestmark = pytest.mark.usefixtures("examples", "_loopback")

PACKAGE = REPOSITORY / "src" / "cascade_equivalence"
TASK = "sst2"
ITEMS = [Utterance("a", "The harbour town has a new bridge."), Utterance("b", "Nobody came."), Utterance("c", "Go on!")]


@dataclass(frozen=True)
class Case:
    """How a provider's entries can differ.

    Attributes:
        settings: What an entry must say; a folder is filled in.
        heard: Settings by which the same words sound otherwise.
        unheard: Settings by which nothing sounds otherwise; a folder and its pattern are moved with the recordings.
        fetched: Settings that need something from elsewhere to be heard.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    heard: Mapping[str, Any] = field(default_factory=dict)
    unheard: Mapping[str, Any] = field(default_factory=dict)
    fetched: Mapping[str, Any] = field(default_factory=dict)


PATIENCE = {"connections": 1, "attempts": 3, "pause": 1.0, "timeout": 9.0}
CASES = {
    "hibari": Case(heard={"speed": 1.3, "seed": 7}, fetched={"name": "bella"}),
    "espeak": Case(heard={"name": "en-gb", "rate": 120, "pitch": 70, "range": 90, "volume": 50}),
    "edge": Case(
        {"name": "en-US-JennyNeural"},
        heard={"name": "en-US-GuyNeural", "rate": "+10%", "volume": "-10%", "pitch": "+5Hz"},
        unheard=PATIENCE,
    ),
    "recordings": Case({"folder": "here"}, unheard={"folder": "there", "pattern": "{id}.{ext}"}),
    "telephone": Case(heard={"name": "en-gb", "low": 900.0, "high": 2000.0}),
}
NAMES = names(VOICES)


@pytest.fixture
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@dataclass(frozen=True)
class Spoken:
    """A provider that can be asked.

    Attributes:
        provider: The provider.
        case: How its entries can differ.
        folder: A folder of the test's own, with recordings of the items.
        service: The stand-in for its service; None where it is none.
    """

    provider: VoiceProvider
    case: Case
    folder: Path
    service: StandIn | None

    def spec(self, **changes: Any) -> Voice:
        settings = dict(self.case.settings) | changes
        if "folder" in settings:
            settings["folder"] = str(self.folder / settings["folder"])
        found: Voice = TypeAdapter(VoiceSpec).validate_python({"provider": self.provider.name} | settings)
        return found

    def clips(
        self, spec: Voice, store: str, items: list[Utterance] = ITEMS, longest: float = 30.0, threads: int = 1
    ) -> list[Clip]:
        return make_clips(items, TASK, "v", spec, longest, self.folder / store, threads)

    def heard(self, spec: Voice, store: str) -> list[object]:
        """What is heard of the first item; of a service, what it is asked for."""
        (clip,) = self.clips(spec, store, ITEMS[:1])
        if self.service is None:
            return [clip.sha256]
        asked = self.service.asked[-1]
        return [asked.text, asked.voice, asked.prosody]


@pytest.fixture(params=NAMES)
def spoken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spoken]:
    for number, item in enumerate(ITEMS):
        for path in (tmp_path / "here" / TASK / f"{item.id}.wav", tmp_path / "here" / f"{item.id}.wav"):
            path.parent.mkdir(parents=True, exist_ok=True)
            times = np.arange(32_000) / 32_000
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * times), 32_000)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    provider = VOICES[request.param]
    with ExitStack() as stack:
        service = stack.enter_context(serving()) if provider.is_service else None
        yield Spoken(provider, CASES[provider.name], tmp_path, service)


def test_every_provider_and_every_setting_is_checked(spoken: Spoken) -> None:
    assert set(CASES) == set(NAMES)
    case = spoken.case
    assert {"provider", *case.heard, *case.unheard, *case.fetched} == set(spoken.provider.spec.model_fields)


def test_the_config_knows_its_keys_and_no_others(spoken: Spoken) -> None:
    spec = spoken.spec()
    assert type(spec) is spoken.provider.spec and spec.provider == spoken.provider.name
    assert all(key.description for key in spoken.provider.spec.model_fields.values())
    assert TypeAdapter(VoiceSpec).validate_python(spec.model_dump(mode="json")) == spec
    assert spoken.provider.spec.__name__ in registry_schema()["$defs"]
    with pytest.raises(ValidationError):
        spoken.spec(loudness=3)


def test_clips_are_of_their_items_and_the_same_every_time(spoken: Spoken) -> None:
    spec = spoken.spec()
    clips = spoken.clips(spec, "store")
    assert [(clip.id, clip.text, clip.voice) for clip in clips] == [(item.id, item.text, "v") for item in ITEMS]
    for clip in clips:
        sound = decode(clip)
        assert clip.sampling_rate == SAMPLING_RATE and clip.seconds == sound.size / SAMPLING_RATE > 0.1
        assert sound.dtype == np.float32 and np.isfinite(sound).all() and rms(sound) > 0.005
        assert clip.sha256 == hash_audio(clip.flac) and clip.provider and clip.problem is None
        assert (clip.snr_db, clip.rt60_ms) == (None, None)
    assert len({clip.sha256 for clip in clips}) == len(ITEMS)
    asked = len(spoken.service.asked) if spoken.service else 0
    assert spoken.clips(spec, "store") == clips
    assert asked == (len(spoken.service.asked) if spoken.service else 0), "what is in the store is asked for again"
    assert spoken.clips(spec, "another store", ITEMS[::-1], threads=2)[::-1] == clips


def test_a_voice_says_who_it_is(spoken: Spoken) -> None:
    if spoken.provider.is_recorded:
        with pytest.raises(StudyError, match="here"), open_provider(spoken.spec()):
            pass
        return
    identities = set()
    for _ in range(2):
        with open_provider(spoken.spec()) as voice:
            assert voice.name == spoken.provider.name
            identities.add(voice.identity())
    (identity,) = identities
    assert spoken.clips(spoken.spec(), "store", ITEMS[:1])[0].provider == identity
    # What is installed says its version; a service has none to say.
    assert spoken.service is not None or re.search(r"\d+\.\d+", identity)


def test_what_is_heard_differs_if_and_only_if_its_sound_does(spoken: Spoken) -> None:
    spec, case = spoken.spec(), spoken.case
    plain = spoken.heard(spec, "store")
    for key, value in case.heard.items():
        other = spoken.spec(**{key: value})
        assert other.sound() != spec.sound() and spoken.heard(other, "store") != plain, key
    for key, value in case.unheard.items():
        other = spoken.spec(**{key: value})
        assert other != spec and other.sound() == spec.sound(), key
        assert spoken.heard(other, f"store of another {key}") == plain, key
    for key, value in case.fetched.items():
        assert spoken.spec(**{key: value}).sound() != spec.sound(), key


def test_files_and_packages_that_it_names_are_there(spoken: Spoken) -> None:
    provider = spoken.provider
    assert all(version(package) for package in provider.packages)
    own = set(VOICES.of_plugins())
    assert bool(provider.modules) == (provider.name not in own) and bool(VOICES.files(provider.name)) != bool(
        provider.modules
    )
    assert all(list(PACKAGE.glob(pattern)) for pattern in provider.modules)
    assert (provider.files is not None) == provider.is_recorded
    if provider.files is not None:
        files = provider.files(spoken.spec(), TASK)
        assert {item.id for item in ITEMS} <= {path.stem for path in files.values()}
        assert all(path.is_file() for path in files.values())
    assert provider.connections_of(spoken.spec()) == (2 if spoken.service else 0)


def test_clips_that_are_too_long_for_the_models_are_noted(spoken: Spoken) -> None:
    spec = spoken.spec()
    plain = spoken.clips(spec, "store")
    longest = sorted(clip.seconds for clip in plain)[-1]
    assert {clip.problem for clip in spoken.clips(spec, "store", longest=longest)} == {None}
    # The store keeps the sound, not what was thought of it.
    assert {clip.problem for clip in spoken.clips(spec, "store", longest=0.1)} == {"too long"}


def test_styles_are_heard_or_refused_before_anything_is_spoken(spoken: Spoken) -> None:
    styled = [Utterance(style, ITEMS[0].text, style) for style in ("joy", "sadness")]
    for item in styled:
        shutil.copy(spoken.folder / "here" / "a.wav", spoken.folder / "here" / TASK / f"{item.id}.wav")
    if not spoken.provider.prosody:
        with pytest.raises(StudyError, match=r"joy, sadness"):
            spoken.clips(spoken.spec(), "store", styled)
        assert not (spoken.folder / "store").exists() and not (spoken.service and spoken.service.asked)
        return
    assert {"joy", "sadness"} <= set(STYLES)
    plain, *clips = spoken.clips(spoken.spec(), "store", [ITEMS[0], *styled])
    assert [clip.problem for clip in clips] == [None, None]
    # A recording is of its own style already.
    wanted = 1 if spoken.provider.is_recorded else 3
    assert len({clip.sha256 for clip in (plain, *clips)}) == wanted


def test_text_without_sound_is_a_problem_and_no_crash(spoken: Spoken) -> None:
    if spoken.provider.is_recorded:
        with pytest.raises(StudyError, match="nobody"):
            spoken.clips(spoken.spec(), "store", [Utterance("nobody", "")])
        return
    clips = spoken.clips(spoken.spec(), "store", [Utterance("none", ""), Utterance("dots", "..."), ITEMS[0]])
    assert clips[0].problem in ("empty", "silent") and clips[2].problem is None
