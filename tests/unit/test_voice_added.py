"""A provider of voices added in one place is checked, opened, recorded and shown wherever providers are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import Field, TypeAdapter
from study_config import FILES, ROOT, changed, lines_of

from cascade_equivalence import plugins, stages
from cascade_equivalence.cli.commands.names import run as list_names
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.schema import defaults_yaml, json_schema, registry_schema
from cascade_equivalence.config.speech import EspeakVoice, Voice, VoiceSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.estimate.disk import service_calls
from cascade_equivalence.nodes.provenance import _packages
from cascade_equivalence.speech.clips import Clip, decode
from cascade_equivalence.speech.make import make_clips
from cascade_equivalence.speech.provider import Provider, Reading, VoiceProvider, check_styles, open_provider
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform
from cascade_equivalence.stages.study import Study

ITEMS = [Utterance("a", "one two"), Utterance("b", "three"), Utterance("c", "one two")]
SECONDS_A_LETTER = 0.06


class BeepVoice(Voice):
    """A voice of beeps."""

    provider: Literal["beep"] = Field(description="Beeps, one a letter.")
    pitch: float = Field(default=440.0, gt=50, lt=4000, description="Pitch in Hz.")
    patience: int = Field(default=1, description="How long it is waited for.")

    def sound(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"patience"})


class Beeper:
    """The engine."""

    name = "beep"

    def __init__(self, spec: BeepVoice) -> None:
        self.spec, self.said = spec, 0

    def identity(self) -> str:
        return "beep 1"

    def speak(self, text: str, style: str | None) -> Waveform:
        SPOKEN.append(text)
        times = np.arange(int(SECONDS_A_LETTER * len(text) * SAMPLING_RATE)) / SAMPLING_RATE
        return (0.3 * np.sin(2 * np.pi * self.spec.pitch * times)).astype(np.float32)


SPOKEN: list[str] = []
CLOSED: list[BeepVoice] = []


@contextmanager
def open_beeper(spec: BeepVoice, _: Event | None) -> Iterator[Provider]:
    yield Beeper(spec)
    CLOSED.append(spec)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Providers that a test adds are gone after it."""
    SPOKEN.clear()
    CLOSED.clear()
    yield
    VOICES.drop(VOICES.added())


@pytest.fixture
def beep() -> VoiceProvider:
    return VOICES.add(VoiceProvider("beep", BeepVoice, open_beeper, packages=("pydantic",)))


def study(**voice: Any) -> Study:
    return Study(load_study(changed(definitions={"voices": {"b": {"provider": "beep", **voice}}}, **SPEAKS), ROOT))


SPEAKS = {"speech__voices": ["b", "us", "gb"], "noise__voices": ["us"], "noise__babble_voices": ["gb"]}


def test_it_speaks_on_the_path_of_the_rule(beep: VoiceProvider, tmp_path: Path) -> None:
    spec = TypeAdapter(VoiceSpec).validate_python({"provider": "beep", "pitch": 500})
    made = make_clips(ITEMS, "sst2", "b", spec, 30.0, tmp_path, 2)
    assert [(clip.id, clip.voice, clip.text, clip.provider) for clip in made] == [
        (item.id, "b", item.text, "beep 1") for item in ITEMS
    ]
    spectrum = np.abs(np.fft.rfft(decode(made[0]), SAMPLING_RATE))
    assert int(spectrum.argmax()) == 500 and made[0].seconds == pytest.approx(7 * SECONDS_A_LETTER)
    assert sorted(SPOKEN) == ["one two", "three"] and CLOSED
    assert make_clips(ITEMS, "sst2", "b", spec, 30.0, tmp_path, 2) == made
    patient = spec.model_copy(update={"patience": 9})
    assert make_clips(ITEMS, "sst2", "b", patient, 30.0, tmp_path, 2) == made
    assert sorted(SPOKEN) == ["one two", "three"], "what is in the store is not spoken again"


def test_the_config_knows_its_keys(beep: VoiceProvider) -> None:
    spec = study(pitch=500).config.definitions.voices["b"]
    assert isinstance(spec, BeepVoice) and spec.pitch == 500
    dumped = json.loads(study().config.model_dump_json())["definitions"]["voices"]
    assert dumped["b"] == {"provider": "beep", "pitch": 440.0, "patience": 1}
    assert dumped["us"]["provider"] == "espeak"


@pytest.mark.parametrize(
    ("voice", "words"),
    [
        ({"provider": "beeb"}, ("voices.b.provider", "'beeb'", "'beep'")),
        ({"provider": "beep", "pich": 500}, ("voices.b.pich", "'pitch'")),
        ({"provider": "beep", "pitch": 9}, ("voices.b.pitch", "9")),
        ({"provider": "espeak", "pich": 9}, ("voices.b.pich", "'pitch'")),
        ({"pitch": 9}, ("voices.b.provider", "missing")),
        ("beep", ("voices.b", "'beep'")),
    ],
)
def test_what_is_no_voice_is_one_line(beep: VoiceProvider, voice: object, words: tuple[str, ...]) -> None:
    (line,) = lines_of(changed(definitions={"voices": {"b": voice}}, **SPEAKS))
    assert all(word in line for word in words), line


def test_a_voice_within_a_connector_is_looked_up_too(beep: VoiceProvider) -> None:
    connector = {"voices": {"x": {"share": 1, "voice": {"provider": "beep", "pich": 1}}}}
    lines = lines_of(changed(definitions={"connectors": {"c": connector}}))
    assert any("connectors.c.voices.x.voice.pich" in line and "'pitch'" in line for line in lines), lines


def test_schemas_and_defaults_describe_it(beep: VoiceProvider) -> None:
    for schema in (json_schema(), registry_schema()):
        properties = schema["$defs"]["BeepVoice"]["properties"]
        assert properties["pitch"]["description"] == "Pitch in Hz." and properties["provider"]["const"] == "beep"
    assert "provider: beep" in defaults_yaml()
    VOICES.drop(["beep"])
    assert "BeepVoice" not in json_schema()["$defs"] and "EspeakVoice" in json_schema()["$defs"]


def test_it_is_listed(beep: VoiceProvider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = study().config.definitions
    monkeypatch.setattr("cascade_equivalence.cli.commands.names._definitions", lambda _: definitions)
    assert list_names(SimpleNamespace(kind="voices", config=None, json=False)) == 0  # type: ignore[arg-type]
    assert ["b", "beep"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_its_packages_are_recorded(beep: VoiceProvider) -> None:
    assert "pydantic" in _packages()
    VOICES.drop(["beep"])
    assert "pydantic" not in _packages() and {"hibari-tts", "espeakng-loader"} <= set(_packages())


def test_it_speaks_in_a_style_if_it_can(beep: VoiceProvider) -> None:
    spec = BeepVoice(provider="beep")
    with pytest.raises(StudyError, match="espeak") as refused:
        check_styles(spec, "b", ["anger"])
    assert "recordings" in str(refused.value)
    (line,) = lines_of(changed(speech__prosody_voices=["b"], definitions={"voices": {"b": {"provider": "beep"}}}))
    assert "speech.prosody_voices" in line and "'beep'" in line
    VOICES.drop(["beep"])
    VOICES.add(VoiceProvider("beep", BeepVoice, open_beeper, prosody=True))
    check_styles(spec, "b", ["anger"])
    load_study(changed(speech__prosody_voices=["b"], definitions={"voices": {"b": {"provider": "beep"}}}), ROOT)


def test_a_service_is_asked_with_its_connections() -> None:
    VOICES.add(VoiceProvider("beep", BeepVoice, open_beeper, connections=lambda spec: spec.patience))
    asked = study(patience=3)
    assert (stages.speech.connections(asked, "b"), stages.speech.connections(asked, "us")) == (3, 0)
    spoken = {task: SimpleNamespace(items=5) for task in asked.config.tasks}
    assert service_calls(asked, spoken).keys() == {"b"}  # type: ignore[arg-type]
    # Also where it is heard only behind others: of the tasks in noise, each once.
    voices = {"voices": {"b": {"provider": "beep"}}}
    quiet = {"speech__voices": ["us"], "noise__voices": ["us"], "noise__babble_voices": ["b"]}
    behind = Study(load_study(changed(definitions=voices, **quiet), ROOT))
    assert service_calls(behind, spoken) == {"b": 5 * len(behind.config.noise.tasks)}  # type: ignore[arg-type]


def test_recordings_are_read_and_their_files_count(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1")
    found: list[Reading] = []

    def read(asked: Reading) -> list[Clip]:
        found.append(asked)
        return []

    VOICES.add(VoiceProvider("beep", BeepVoice, open_beeper, read=read, files=lambda spec, task: {task: file}))
    spec = BeepVoice(provider="beep")
    assert make_clips(ITEMS, "sst2", "b", spec, 30.0, tmp_path, 1) == [] and not SPOKEN
    assert (found[0].items, found[0].task, found[0].voice, found[0].spec) == (ITEMS, "sst2", "b", spec)
    before = stages.speech.params(study(), "sst2", "b")
    file.write_text("2")
    assert before["recordings"] != stages.speech.params(study(), "sst2", "b")["recordings"]


def test_a_class_that_does_not_lead_back_is_refused() -> None:
    with pytest.raises(StudyError, match="beeper"):
        VOICES.add(VoiceProvider("beeper", BeepVoice, open_beeper))
    assert "beeper" not in VOICES


def test_an_unknown_voice_opened_is_told() -> None:
    with pytest.raises(StudyError, match="beep"), open_provider(BeepVoice(provider="beep")):
        pass


PLUGIN = '''
"""A voice of one tone."""
from contextlib import contextmanager
from typing import Literal
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.speech import Voice
from cascade_equivalence.speech.provider import VoiceProvider

class ToneVoice(Voice):
    """One tone."""
    provider: Literal["tone"]

@contextmanager
def open_tone(spec, stop):
    yield None

VOICES.add(VoiceProvider("tone", ToneVoice, open_tone))
'''


def test_its_nodes_depend_on_the_file_it_came_in(tmp_path: Path) -> None:
    file, found = tmp_path / "tone.py", []
    mini = FILES["connectors.yaml"]["connectors"]["mini"]
    voices = {"b": {"share": 1, "voice": {"provider": "tone"}}}
    connectors = {"mini": mini, "own": mini | {"voices": voices, "evaluation_voices": ["b"]}}
    for more in ("", "# A remark.\n", "LOUD = 2\n"):
        file.write_text(PLUGIN + more)
        definitions = {"voices": {"b": {"provider": "tone"}}, "connectors": connectors}
        of = Study(load_study(changed(plugins=[str(file)], definitions=definitions, **SPEAKS), ROOT))
        own = [stages.speech.params(of, "sst2", "b")["code"], stages.connector.shard_params(of, "own")["code"]]
        others = [stages.speech.params(of, "sst2", "us")["code"], stages.connector.shard_params(of, "mini")["code"]]
        found.append((own, others))
    plugins.use([])
    assert found[0] == found[1] and found[1][1] == found[2][1]
    assert all(before != after for before, after in zip(found[1][0], found[2][0], strict=True))
    assert "tone" not in VOICES and EspeakVoice(provider="espeak").provider in VOICES
