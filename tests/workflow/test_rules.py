"""What every rule declares, what parsing costs, and what a wrong call is told."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkout import REPOSITORY, Checkout, Config, Plan

HEAVY = {"torch", "transformers", "whisper", "onnxruntime", "pandas", "scipy", "sklearn", "matplotlib", "seaborn"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the project in which nothing was made yet."""
    return Checkout(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="module")
def demo(checkout: Checkout) -> Plan:
    """What the demo would run."""
    plan = checkout.recorded("config/demo.yaml", "--dry-run", fresh=True)
    assert plan.code == 0, plan.output
    return plan


def test_planning_the_demo_is_quick_and_imports_nothing_heavy(demo: Plan) -> None:
    assert len(demo.jobs) > 100
    assert demo.cpu_seconds < 6
    assert not demo.modules & HEAVY


def test_every_rule_declares_what_a_reader_and_a_scheduler_need(demo: Plan) -> None:
    rules = [rule for rule in demo.rules if not rule["target"]]
    assert len(rules) >= 10
    for rule in rules:
        for side in ("inputs", "outputs"):
            total, named = rule[side]
            assert total == named, f"{rule['name']} has {side} without a name"
        assert rule["outputs"][0], rule["name"]
        assert len(rule["log"]) == 1 and rule["log"][0].endswith(".log")
        assert rule["benchmark"].endswith(".tsv")
        assert rule["message"] and {"mem_mb", "runtime"} <= set(rule["resources"])
        for key in ("script", "conda"):
            assert (REPOSITORY / "workflow" / "rules" / rule[key]).resolve().is_file(), (rule["name"], key)


def test_the_list_of_rules_is_a_menu(demo: Plan) -> None:
    assert [rule["name"] for rule in demo.rules if not rule["says"]] == []
    # Who reads the list sees what can be asked for by name.
    assert all(rule["says"].startswith("TARGET") == rule["target"] for rule in demo.rules)


def test_the_workflow_runs_in_another_folder_from_another_place(checkout: Checkout, tmp_path: Path) -> None:
    arguments = ["--snakefile", str(checkout.root / "workflow" / "Snakefile"), "--directory", "runs/first"]
    arguments += ["--configfile", str(checkout.root / "config" / "demo.yaml"), "--cores", "1", "--dry-run"]
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=checkout.environment, text=True, capture_output=True)
    assert done.returncode == 0 and "write_report" in done.stdout + done.stderr, done.stderr


def test_every_script_belongs_to_a_rule(demo: Plan) -> None:
    used = {Path(rule["script"]).name for rule in demo.rules if rule["script"]}
    assert used == {path.name for path in (REPOSITORY / "workflow" / "scripts").glob("*.py")}


def test_a_study_of_one_system_without_noise_has_a_plan(checkout: Checkout, tiny_models: Path, study: Config) -> None:
    for key in ("noise", "pairs"):
        del study[key]
    study["systems"] = ["first"]
    plan = checkout.plan(study)
    assert plan.code == 0, plan.output
    rules = {job[0] for job in plan.jobs}
    assert "write_report" in rules and not rules & {"agree", "mix_noise"}


@pytest.mark.skipif(bool(importlib.util.find_spec("vllm")), reason="vllm is installed")
def test_a_missing_engine_stops_the_study_before_its_jobs(checkout: Checkout, tiny_models: Path, study: Config) -> None:
    study["answer"] = {**study.get("answer", {}), "engine": "vllm"}
    plan = checkout.plan(study)
    assert plan.code != 0 and "requirements/vllm.txt" in plan.output and not plan.jobs


def test_a_given_study_is_not_mixed_with_the_default_one(checkout: Checkout, study: Config) -> None:
    del study["noise"]
    plan = checkout.plan(study)
    assert {job[-1] for job in plan.jobs if job[0] == "answer"} == {"clean"}


def test_the_linter_of_snakemake_has_nothing_to_say(checkout: Checkout) -> None:
    done = checkout.snakemake("config/demo.yaml", "--lint")
    assert done.returncode == 0 and "Congratulations" in done.stdout, done.stdout


def test_the_rules_are_formatted(checkout: Checkout) -> None:
    shutil.copy2(REPOSITORY / "pyproject.toml", checkout.root)
    done = checkout.python("-m", "snakefmt.snakefmt", "--check", "workflow")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("target", ["answers/thrid/sst2/clean", "answers/first/sst3/clean", "answers/first/sst2/snr7"])
def test_a_target_that_is_not_of_the_study_is_named(checkout: Checkout, study: Config, target: str) -> None:
    path = f"results/tiny/{target}.parquet"
    plan = checkout.plan(study, path)
    assert plan.code != 0 and not plan.jobs
    assert f"No rule to produce {path}" in plan.output and "Traceback" not in plan.output


def change(config: Config, path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for section in sections:
        config = config[section]
    config[key] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("noise.talker", 3, "noise.talker: unknown key - did you mean 'talkers'?"),
        ("systems", ["first", "secnd"], "systems: there is no system 'secnd' - did you mean 'second'?"),
        ("answer.mode", "guess", "answer.mode: 'guess' is not possible"),
        ("items.per_task", 0, "items.per_task"),
    ],
)
def test_a_wrong_config_ends_in_one_message_before_any_job(
    checkout: Checkout, study: Config, path: str, value: Any, message: str
) -> None:
    change(study, path, value)
    done = checkout.run(study)
    assert done.returncode != 0
    assert done.stdout.count(message) == 1, done.stdout
    assert "Traceback" not in done.stdout and "ValidationError" not in done.stdout
    assert not (checkout.root / "results").exists()
