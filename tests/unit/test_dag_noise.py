from pathlib import Path
from typing import Any

import pytest

from cascade_equivalence.config.load import load_study
from cascade_equivalence.dag.study import Study

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
    return {*of.all_answers(), *of.all_transcripts(), *of.all_agreement(), *of.all_contrasts()}


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
            ("agreement/mini~base-smollm2", "json"),
        )
    }
    assert noisy(study("mini", "base-smollm2")) == expected


@pytest.mark.parametrize("name", RAW["systems"])
def test_each_system_adds_to_the_noisy_part_only(name: str) -> None:
    rest = [system for system in RAW["systems"] if system != name]
    assert noisy(study(*rest)) < noisy(study())
