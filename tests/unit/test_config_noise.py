"""Noise in the config: what old configs mean, and what cannot work."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cascade_equivalence.conditions import NOISE_KINDS, RT60
from cascade_equivalence.config.check_noise import noise_problems
from cascade_equivalence.config.speech import NoiseConfig
from cascade_equivalence.speech.noise_kinds.babble import TALKERS_OF_MUSAN

HEARD: dict[str, Any] = {"voices": ["heart"], "tasks": ["sst2"], "snr_db": []}
VOICES = ["heart", "us"]
URL = "https://www.openslr.org/resources/17/musan.tar.gz"


def problems(**noise: Any) -> list[str]:
    return list(noise_problems(NoiseConfig.model_validate(HEARD | noise), VOICES))


@pytest.fixture
def musan(tmp_path: Path) -> str:
    for part in ("speech", "music"):
        (tmp_path / part).mkdir()
    return str(tmp_path)


def test_an_old_config_means_babble_of_other_voices() -> None:
    noise = NoiseConfig.model_validate(HEARD | {"snr_db": [10, 0], "talkers": 2})
    assert noise.conditions() == ["snr10", "snr0"] and noise.babbles() == "voices"
    assert problems(snr_db=[10, 0], talkers=2) == problems() == []
    assert NoiseConfig(folder=Path("x")).babbles() == "folder"


def test_conditions_stand_kind_by_kind_as_they_were_written() -> None:
    noise = NoiseConfig(
        snr_db=[0, 10], music_snr_db=[5], stationary_snr_db=[-2.5], reverb_rt60_ms=[900, 300], voices=[], tasks=[]
    )
    assert noise.conditions() == ["snr0", "snr10", "music5", "stationary-2.5", "reverb900", "reverb300"]
    assert set(noise.levels()) == set(NOISE_KINDS)


@pytest.mark.parametrize(
    "noise",
    [
        {"stationary_snr_db": [5]},
        {"reverb_rt60_ms": [int(RT60.least), int(RT60.most)]},
        {"snr_db": [5], "talkers": 3, "max_talkers": 7},
        {"snr_db": [5], "musan": {"archive": URL, "md5": "0" * 32}, "talkers": 3, "max_talkers": 7},
        {"snr_db": [5], "musan": {"archive": "http://host/musan.tar.gz", "sha256": "0" * 64}},
        # The voices go on babbling
        {"snr_db": [5], "music_snr_db": [5], "musan": {"archive": URL, "parts": ["music"]}, "babble_voices": ["us"]},
        {"snr_db": [5], "music_snr_db": [5], "musan": {"archive": URL, "parts": ["music"]}, "talkers": 1},
    ],
)
def test_what_can_work_is_taken(noise: dict[str, Any]) -> None:
    assert problems(**noise) == []


def test_a_folder_needs_the_parts_that_are_used(musan: str) -> None:
    assert problems(snr_db=[5], music_snr_db=[5], musan={"folder": musan}) == []
    (Path(musan) / "music").rmdir()
    assert problems(snr_db=[5], musan={"folder": musan}) == []
    (line,) = problems(snr_db=[5], music_snr_db=[5], musan={"folder": musan})
    assert line.startswith("noise.musan.folder: ") and "'music'" in line and "music_snr_db" in line


@pytest.mark.parametrize(
    ("noise", "start"),
    [
        ({"music_snr_db": [5]}, "noise.musan: music_snr_db is set, so say where MUSAN is"),
        ({"music_snr_db": [5], "musan": {"archive": URL, "parts": ["speech"]}}, "noise.musan: music_snr_db is set"),
        ({"stationary_snr_db": [5], "voices": []}, "noise: stationary_snr_db is set, so name the `voices`"),
        ({"reverb_rt60_ms": [500], "tasks": []}, "noise: reverb_rt60_ms is set, so name the `voices`"),
        ({"stationary_snr_db": [1e-150]}, "noise.stationary_snr_db: 1e-150 has too many digits"),
        ({"snr_db": [5], "talkers": 5, "max_talkers": 4}, "noise.max_talkers: 4 is below noise.talkers (5)"),
        ({"snr_db": [5], "babble_voices": ["heart"]}, "noise.babble_voices: nobody is left to babble behind 'heart'"),
        ({"musan": {}}, "noise.musan: give either `archive` or `folder`"),
        ({"musan": {"archive": URL, "folder": "."}}, "noise.musan: give either `archive` or `folder`"),
        ({"musan": {"archive": "/no/such.tar.gz"}}, "noise.musan.archive: there is no file /no/such.tar.gz"),
        ({"musan": {"folder": "tests", "md5": "0" * 32}}, "noise.musan: sha256 and md5 are those of an archive"),
        ({"musan": {"archive": URL, "parts": ["music", "music"]}}, "noise.musan.parts: 'music' is listed twice"),
        ({"musan": {"archive": "http://host/musan.tar.gz"}}, "noise.musan.archive: over plain http anybody"),
        ({"musan": {"archive": "ftp://host/musan.tar.gz"}}, "noise.musan.archive: give scheme, host and path only"),
        ({"musan": {"archive": "https://me:key@host/m.tar.gz"}}, "noise.musan.archive: give scheme, host and path"),
        ({"musan": {"archive": "https://host/m.tar.gz?token=1"}}, "noise.musan.archive: give scheme, host and path"),
        ({"musan": {"archive": "https://[::1/m.tar.gz"}}, "noise.musan.archive: give scheme, host and path only"),
        ({"musan": {"archive": URL}, "folder": "x"}, "noise.folder: the talkers come from noise.musan already"),
        (
            {"musan": {"archive": URL}, "babble_voices": ["us"]},
            "noise.babble_voices: the talkers come from noise.musan",
        ),
    ],
)
def test_what_cannot_work_is_told_in_one_line(noise: dict[str, Any], start: str) -> None:
    (line,) = problems(**noise)
    assert line.startswith(start)


@pytest.mark.parametrize("count", range(1, 10))
def test_babble_of_musan_has_three_to_seven_talkers(count: int) -> None:
    least, most = TALKERS_OF_MUSAN
    assert (least, most) == (3, 7)
    for key, noise in (("talkers", {"talkers": count}), ("max_talkers", {"talkers": 1, "max_talkers": count})):
        lines = problems(snr_db=[5], musan={"archive": URL}, **noise)
        told = f"noise.{key}: babble of MUSAN has 3 to 7 talkers, not {count}" in lines
        assert told == (not least <= count <= most)


@pytest.mark.parametrize(
    "noise",
    [
        {"reverb_rt60_ms": [int(RT60.least) - 1]},
        {"reverb_rt60_ms": [int(RT60.most) + 1]},
        {"reverb_rt60_ms": [500.5]},
        {"max_talkers": 0},
        {"musan": {"archive": URL, "md5": "0" * 31}},
        {"musan": {"archive": URL, "sha256": "Z" * 64}},
        {"musan": {"archive": URL, "parts": []}},
        {"musan": {"archive": URL, "parts": ["noise"]}},
    ],
)
def test_what_is_no_value_is_refused(noise: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NoiseConfig.model_validate(noise)
