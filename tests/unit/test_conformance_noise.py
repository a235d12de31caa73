"""What holds for every kind of noise, the example of docs/plugins among them, on real speech."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from checkout import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registries import names, with_examples

from cascade_equivalence.conditions import (
    CLEAN,
    NOISE_KINDS,
    Condition,
    condition_name,
    families,
    parse_condition,
    sort_conditions,
)
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.config.speech import EspeakVoice, NoiseConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import Clip, decode, hash_audio
from cascade_equivalence.speech.kinds import make_condition
from cascade_equivalence.speech.noise_kinds.base import NoiseKind
from cascade_equivalence.speech.reverb import impulse_response
from cascade_equivalence.speech.synthesize import Utterance, synthesize_clips
from cascade_equivalence.speech.waveform import SAMPLING_RATE, Waveform, rms

pytestmark = pytest.mark.usefixtures("examples")

PACKAGE = REPOSITORY / "src" / "cascade_equivalence"
NAMES = names(NOISE_KINDS)
with with_examples():
    RATIOS = [name for name in NAMES if NOISE_KINDS[name].scale.column == "snr_db"]
CONFIG = NoiseConfig(talkers=2, seed=3)
TEXTS = [
    "The mayor spoke about a new library.",
    "Nobody asked for the old bridge.",
    "Here come two more trains.",
    "No.",
]
ITEMS = [Utterance(f"item-{n}", text) for n, text in enumerate(TEXTS)]
LEVELS = {"snr_db": (15.0, 2.5, -7.5), "rt60_ms": (200.0, 500.0)}
"""From the mildest to the hardest, by the column that holds what was measured."""
NEAR = {"snr_db": {"abs": 0.1}, "rt60_ms": {"rel": 0.05}}
SAME_FOR_ALL_SEEDS = {"hum"}
MADE_OF_ALL_CLIPS = {"stationary"}
"""Its spectrum is that of the voice: of all its clips."""
STEP = 1 / 32768


@dataclass(frozen=True)
class Speech:
    """What noise is mixed with, and what it can be made of.

    Attributes:
        clean: Clips of a voice.
        pool: Clips of another.
        folder: Sound files.
    """

    clean: Sequence[Clip]
    pool: Sequence[Clip]
    folder: Path

    def heard(
        self, kind: NoiseKind, level: float, config: NoiseConfig = CONFIG, clean: Sequence[Clip] | None = None
    ) -> list[Clip]:
        clips = self.clean if clean is None else clean
        made_of = kind.made_of(config)
        pool = self.pool if made_of == "voices" else ()
        folder = self.folder if made_of in ("folder", "musan") else None
        return list(make_condition(clips, "sst2", Condition(kind.name, level), config, pool, folder))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Speech:
    store = tmp_path_factory.mktemp("store")
    clean, pool = (
        synthesize_clips(ITEMS, name, EspeakVoice(provider="espeak", name=voice), 30.0, store, 1)
        for name, voice in (("us", "en-us"), ("gb", "en-gb+f3"))
    )
    folder = tmp_path_factory.mktemp("sounds")
    # Chords that come and go, longer than any clip and shorter.
    for n, seconds in enumerate((12.0, 70.0, 0.7)):
        times = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
        chord = sum(np.sin(2 * np.pi * pitch * 2 ** (n / 12) * times) for pitch in (220, 277, 330))
        (folder / f"set-{n}").mkdir()
        path = folder / f"set-{n}" / f"sound-{n}.wav"
        soundfile.write(path, 0.2 * chord * np.sin(2 * np.pi * 0.3 * times) ** 2, SAMPLING_RATE)
    return Speech(clean, pool, folder)


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> NoiseKind:
    return NOISE_KINDS[request.param]


def levels_of(kind: NoiseKind) -> Sequence[float]:
    """Some levels, from the mildest to the hardest; one where nothing is measured that a table holds."""
    example = parse_condition(kind.example[0]).level
    return LEVELS[kind.scale.column] if kind.scale.column else (example or 0.0,)


def hashes(clips: Sequence[Clip]) -> list[str]:
    return [clip.sha256 for clip in clips]


def parts(mixture: Waveform, *sounds: Waveform) -> tuple[np.ndarray, float]:
    """Gains of sounds in a mix by least squares, and what is left over (RMS)."""
    columns = np.stack(sounds, axis=1).astype(np.float64)
    gains = np.linalg.lstsq(columns, mixture.astype(np.float64), rcond=None)[0]
    return gains, rms(mixture - columns @ gains)


# -- names and config --------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.data())
def test_names_of_conditions_are_read_back_and_ordered(kind: NoiseKind, data: st.DataObject) -> None:
    scale = kind.scale
    wide = st.floats(allow_nan=False, allow_infinity=False)
    numbers = st.integers(1, 10_000).map(float) if scale.whole else wide
    one, other = data.draw(numbers), data.draw(numbers)
    for level in (one, other):
        name = condition_name(level, kind.name)
        assert parse_condition(name) == Condition(kind.name, level)
        # One plain word: a file name, a wildcard and a regular expression's literal.
        assert name.startswith(kind.prefix) and set(name.removeprefix(kind.prefix)) <= set("-.0123456789")
        assert {NOISE_KINDS[each].prefix for each in NAMES if each != kind.name}.isdisjoint({name})
        known = parse_condition(name)
        columns = {"snr_db": known.snr_db, "rt60_ms": known.rt60_ms}
        assert columns.pop(scale.column, level) == level and set(columns.values()) == {None}
    assert (condition_name(one, kind.name) == condition_name(other, kind.name)) == (one == other)
    mild, hard = sorted((one, other), reverse=not scale.rising)
    severities = [Condition(), Condition(kind.name, mild), Condition(kind.name, hard)]
    assert sorted(severities, key=lambda condition: condition.severity) == severities
    in_order = [CLEAN, *dict.fromkeys(condition_name(level, kind.name) for level in (mild, hard))]
    assert sort_conditions(in_order[::-1]) == in_order and families(in_order) == {kind.name: in_order[1:]}


def test_what_is_no_level_has_no_name(kind: NoiseKind) -> None:
    for level in (math.nan, math.inf, -math.inf, *((0.0, -600.0, 2.5) if kind.scale.whole else ())):
        with pytest.raises(StudyError, match=kind.scale.unit):
            condition_name(level, kind.name)
    example = kind.example[0]
    for name in (kind.prefix, f"{kind.prefix}x", f"{kind.prefix}nan", f"{kind.prefix} 10", f"{example}.0"):
        with pytest.raises(StudyError, match=r"no condition|Write the condition"):
            parse_condition(name)


def test_the_config_takes_its_levels_where_it_says(kind: NoiseKind) -> None:
    levels = list(levels_of(kind))
    section: dict[str, object] = {"talkers": 2}
    *above, last = kind.levels_key.split(".")
    place = section
    for part in above:
        place = place.setdefault(part, {})  # type: ignore[assignment]
    place[last] = levels
    noise = NoiseConfig.model_validate(section)
    assert noise.levels()[kind.name] == levels and noise.conditions() == [
        condition_name(level, kind.name) for level in levels
    ]
    assert not any(found for name, found in noise.levels().items() if name != kind.name)
    schema = json_schema()["$defs"]["NoiseConfig"]["properties"]
    assert kind.levels_key.partition(".")[0] in schema
    if kind.key is not None:
        place[last] = [kind.scale.most + 1]
        with pytest.raises(ValueError, match=last):
            NoiseConfig.model_validate(section)


def test_it_is_shown_by_words_and_files_of_its_own(kind: NoiseKind) -> None:
    others = [NOISE_KINDS[name] for name in NAMES if name != kind.name]
    for attribute in ("shown", "axis_label", "example", "levels_key", "source"):
        assert getattr(kind, attribute) and all(
            getattr(kind, attribute) != getattr(other, attribute) for other in others
        )
    assert kind.scale.unit in kind.axis_label and kind.scale.unit in kind.axis_label_alone
    assert parse_condition(kind.example[0]).kind == kind.name and kind.source.is_file()
    globbed = [set(PACKAGE.glob(pattern)) for pattern in kind.modules]
    assert all(globbed)
    # What the package mixes is among the files by which its nodes are known; a plugin's is known by its own.
    assert NOISE_KINDS.files(kind.name) == (kind.source,) or kind.source in set().union(*globbed)


# -- sound -------------------------------------------------------------------------------------------------------------


def test_a_noisy_clip_is_the_clean_one_with_what_was_measured(kind: NoiseKind, speech: Speech) -> None:
    for level in levels_of(kind):
        for before, after in zip(speech.clean, speech.heard(kind, level), strict=True):
            sound = decode(after)
            assert sound.size == decode(before).size and after.sampling_rate == SAMPLING_RATE
            assert np.isfinite(sound).all() and 0 < np.abs(sound).max() <= 0.9901
            assert after.sha256 == hash_audio(after.flac) != before.sha256
            measured = {"snr_db": after.snr_db, "rt60_ms": after.rt60_ms}
            if (column := kind.scale.column) is not None:
                assert measured.pop(column) == pytest.approx(level, **NEAR[column])
            assert set(measured.values()) == {None}
            plain = {"flac": b"", "sha256": "", "snr_db": None, "rt60_ms": None}
            assert replace(after, **plain) == replace(before, **plain)


@pytest.mark.parametrize("kind", RATIOS, indirect=True)
def test_a_harder_level_is_the_same_noise_with_another_gain(kind: NoiseKind, speech: Speech) -> None:
    mixes = {level: speech.heard(kind, level) for level in levels_of(kind)}
    for place, clip in enumerate(speech.clean):
        clean = decode(clip)
        mild, *harder = (decode(mixes[level][place]) for level in levels_of(kind))
        # At a mild level nothing is scaled down, so that the noise is what is not speech.
        noise = mild - clean
        assert np.abs(mild).max() < 0.98 and 20 * np.log10(rms(clean) / rms(noise)) == pytest.approx(15, abs=0.1)
        for level, mixture in zip(levels_of(kind)[1:], harder, strict=True):
            (a, b), left = parts(mixture, clean, noise)
            # Rounding of the mild mix to 16 bits is as much louder as its noise.
            assert left < STEP * (1 + b / a)
            assert 20 * np.log10(a * rms(clean) / (b * rms(noise))) == pytest.approx(level, abs=0.1)


def test_what_is_heard_depends_on_the_seed_and_on_no_order_or_company(kind: NoiseKind, speech: Speech) -> None:
    level = levels_of(kind)[-1]
    together = speech.heard(kind, level)
    impulse_response.cache_clear()
    random.seed(99)
    assert speech.heard(kind, level, clean=speech.clean[::-1])[::-1] == together
    if kind.name not in MADE_OF_ALL_CLIPS:
        assert speech.heard(kind, level, clean=speech.clean[2:3]) == together[2:3]
    other = hashes(speech.heard(kind, level, CONFIG.model_copy(update={"seed": 4})))
    if kind.name in SAME_FOR_ALL_SEEDS:
        assert other == hashes(together)
    else:
        assert not set(other) & set(hashes(together))


def test_no_two_kinds_sound_alike(speech: Speech) -> None:
    heard = [clip.sha256 for name in NAMES for clip in speech.heard(NOISE_KINDS[name], levels_of(NOISE_KINDS[name])[0])]
    assert len(set(heard)) == len(heard) == len(NAMES) * len(ITEMS)
    assert set(NAMES) >= (SAME_FOR_ALL_SEEDS | MADE_OF_ALL_CLIPS)


def test_a_silent_clip_is_refused_by_name(kind: NoiseKind, speech: Speech) -> None:
    silent = replace(speech.clean[0], flac=b"", problem="silent")
    with pytest.raises(StudyError, match="item-0 in voice us"):
        speech.heard(kind, levels_of(kind)[0], clean=[silent, *speech.clean[1:]])
