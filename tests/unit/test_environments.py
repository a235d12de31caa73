"""The pinned environments agree with the requirements, and nothing is pinned for no rule."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def requirements(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def environment(path: Path) -> dict[str, str]:
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    pins = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    return dict(pin.split("==") for pin in pins)


VLLM = ROOT / "envs" / "vllm.yaml"
ENVIRONMENTS = sorted(set((ROOT / "envs").glob("*.yaml")) - {VLLM})


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_has_the_pins_of_the_requirements(path: Path):
    pins = environment(path)
    assert pins.items() <= requirements("run.txt").items()


def test_the_engines_environment_differs_only_where_the_engine_asks_for_it():
    own, shared = requirements("vllm.txt"), requirements("run.txt")
    assert environment(VLLM) == own
    assert {package for package, pin in own.items() if shared.get(package) != pin} == {"vllm", "transformers", "numpy"}


def test_every_requirement_serves_some_rule():
    served = {package for path in ENVIRONMENTS for package in environment(path)}
    # What runs the rules, and what describes their results when they are done.
    assert set(requirements("run.txt")) - served == {"snakemake", "rocrate"}


def test_no_package_is_pinned_twice():
    assert not set(requirements("run.txt")) & set(requirements("dev.txt"))
