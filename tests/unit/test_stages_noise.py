import re
from pathlib import Path
from typing import Any

import pytest

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.stages.study import Study

ROOT = Path(__file__).parents[2]
RAW: dict[str, Any] = {
    "registry": ["config/models.yaml", "config/systems.yaml", "config/voices.yaml", "config/tasks.yaml"],
    "results": "r",
    "tasks": ["ag_news", "sst2"],
    "items": {"source": "demo", "per_task": 4},
    "speech": {"voices": ["heart", "us"]},
    "noise": {"snr_db": [10, 0], "voices": ["heart"], "tasks": ["sst2"], "babble_voices": ["us"]},
    "systems": ["mini", "base-smollm2", "tiny-smollm2", "mini-oracle"],
    "pairs": [
        {"system": "mini", "reference": "base-smollm2", "label": "matched"},
        {"system": "tiny-smollm2", "reference": "base-smollm2", "label": "ceiling"},
    ],
    "contrasts": [{"system": "mini", "first": "base-smollm2", "second": "tiny-smollm2", "label": "two recognisers"}],
}


def study(*systems: str) -> Study:
    """A study whose noise is heard by some systems; by all where none is named."""
    return Study(load_study(RAW | {"noise": RAW["noise"] | {"systems": list(systems)}}, ROOT))


def files(of: Study) -> set[str]:
    return {
        *stages.answer.all_files(of),
        *stages.transcribe.all_files(of),
        *stages.agree.all_files(of),
        *stages.agree.all_contrasts(of),
    }


def noisy(of: Study) -> set[str]:
    return {file for file in files(of) if "/snr" in file}


def test_clean_speech_is_heard_by_all_whoever_hears_noise() -> None:
    everything, some = study(), study("mini", "base-smollm2")
    assert files(some) - noisy(some) == files(everything) - noisy(everything)


def test_naming_all_systems_is_naming_none() -> None:
    assert files(study(*RAW["systems"])) == files(study())


def test_noise_is_made_for_the_named_systems_and_what_compares_them() -> None:
    expected = {
        f"r/{kind}/sst2/{condition}.{suffix}"
        for condition in ("snr10", "snr0")
        for kind, suffix in (
            ("answers/mini", "parquet"),
            ("answers/base-smollm2", "parquet"),
            ("transcripts/whisper-base", "parquet"),
            ("agreement/mini~base-smollm2", "csv"),
        )
    }
    assert noisy(study("mini", "base-smollm2")) == expected


@pytest.mark.parametrize("name", RAW["systems"])
def test_each_system_adds_to_the_noisy_part_only(name: str) -> None:
    rest = [system for system in RAW["systems"] if system != name]
    assert noisy(study(*rest)) < noisy(study())


# -- kinds of noise ----------------------------------------------------------------------------------------------------

MUSAN = {"archive": "https://host/musan.tar.gz", "sha256": "0" * 64}


def noise_study(**noise: Any) -> Study:
    return Study(load_study(RAW | {"noise": RAW["noise"] | noise}, ROOT))


def made_of(of: Study) -> dict[str, tuple[list[str], dict[str, Any]]]:
    """What each noisy node is made of: its files and its parameters."""
    noisy = [name for name in of.conditions if name != "clean"]
    return {
        name: (stages.noise.pool(of, "sst2", "heart", name), stages.noise.params(of, "heart", name)) for name in noisy
    }


@pytest.mark.parametrize(
    "more",
    [
        {"music_snr_db": [5], "musan": MUSAN | {"parts": ["music"]}},
        {"stationary_snr_db": [5, 0]},
        {"reverb_rt60_ms": [300, 600]},
    ],
)
def test_another_kind_adds_its_own_nodes_and_changes_no_other(more: dict[str, Any]) -> None:
    before, after = study(), noise_study(**more)
    names = set(after.conditions) - set(before.conditions)
    assert len(names) == len(next(iter(more.values()))) and names == set(after.config.noise.conditions()[2:])
    assert files(before) < files(after)
    assert {Path(file).stem for file in files(after) - files(before)} == names
    assert made_of(before).items() <= made_of(after).items()


def test_each_kind_is_made_of_its_own_files() -> None:
    one = noise_study(music_snr_db=[5], stationary_snr_db=[5], reverb_rt60_ms=[600], musan=MUSAN | {"parts": ["music"]})
    files = {name: pool for name, (pool, _) in made_of(one).items()}
    assert files["snr10"] == ["r/speech/sst2/us/clean.parquet"]
    assert files["music5"] == [stages.noise.musan_manifest(one, "music")]
    assert files["stationary5"] == files["reverb600"] == []
    assert stages.noise.folder(one, "music5") == Path(stages.noise.musan_manifest(one, "music")).parent
    assert stages.noise.folder(one, "snr10") is stages.noise.folder(one, "reverb600") is None


def test_babble_of_musan_takes_its_speech_and_music_its_music(tmp_path: Path) -> None:
    for part in ("speech", "music"):
        (tmp_path / part).mkdir()
    both = {"music_snr_db": [5], "babble_voices": [], "talkers": 5}
    fetched = noise_study(musan=MUSAN, **both)
    assert stages.noise.pool(fetched, "sst2", "heart", "snr0") == [stages.noise.musan_manifest(fetched, "speech")]
    own = noise_study(musan={"folder": str(tmp_path)}, **both)
    assert stages.noise.pool(own, "sst2", "heart", "snr0") == stages.noise.pool(own, "sst2", "heart", "music5") == []
    assert (stages.noise.folder(own, "snr0"), stages.noise.folder(own, "music5")) == (
        tmp_path / "speech",
        tmp_path / "music",
    )


def test_a_parameter_counts_for_the_kinds_that_use_it() -> None:
    plain = {"music_snr_db": [5], "stationary_snr_db": [5], "reverb_rt60_ms": [600]}
    before = made_of(noise_study(musan=MUSAN | {"parts": ["music"]}, **plain))
    for change, concerned in (
        ({"talkers": 3}, {"snr10", "snr0"}),
        ({"max_talkers": 7}, {"snr10", "snr0"}),
        ({"seed": 1}, set(before)),
    ):
        after = made_of(noise_study(musan=MUSAN | {"parts": ["music"]}, **plain, **change))
        assert {name for name in before if before[name] != after[name]} == concerned


def test_every_condition_is_a_wildcard_and_a_path() -> None:
    of = noise_study(stationary_snr_db=[-2.5], reverb_rt60_ms=[600])
    for name in ("snr10", "stationary-2.5", "reverb600"):
        assert re.fullmatch(
            stages.wildcards.constraints(of)["noise"], name
        ) and f"r/speech/sst2/heart/{name}.parquet" in stages.speech.all_files(of)
    assert not re.fullmatch(stages.wildcards.constraints(of)["noise"], "stationary-2x5")
