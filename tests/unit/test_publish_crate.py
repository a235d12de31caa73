"""The crate says of every node what it used and made, as the profiles for runs of workflows have it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded_study import make_study

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.record import RECORDS, read_records
from cascade_equivalence.provenance.verify import verify
from cascade_equivalence.publish.crate import PROFILES, write_crate

Graph = dict[str, dict[str, Any]]
VALIDATOR = shutil.which("rocrate-validator")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("crate") / "project")
    write_crate(folder, "https://spdx.org/licenses/CC-BY-4.0")
    return folder


@pytest.fixture(scope="module")
def graph(results: Path) -> Graph:
    return {each["@id"]: each for each in read(results)["@graph"]}


def read(results: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((results / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return content


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def kinds(entity: dict[str, Any]) -> set[str]:
    return set(many(entity["@type"]))


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else [each for v in value.values() for each in references(v)]
    return [each for v in value for each in references(v)] if isinstance(value, list) else []


def of_kind(graph: Graph, kind: str) -> list[dict[str, Any]]:
    return [entity for entity in graph.values() if kind in kinds(entity)]


def test_the_descriptor_and_the_root_are_as_ro_crate_has_them(results: Path, graph: Graph) -> None:
    assert read(results)["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert kinds(descriptor) == {"CreativeWork"} and descriptor["about"] == {"@id": "./"}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in many(descriptor["conformsTo"])
    assert kinds(root) == {"Dataset"} and root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert re.match(r"\d{4}-\d\d-\d\dT", root["datePublished"]) and root["name"] and root["description"]
    assert {each["@id"] for each in root["conformsTo"]} == set(PROFILES) <= set(graph)
    assert all("CreativeWork" in kinds(graph[name]) for name in PROFILES)


def test_nothing_is_referred_to_that_is_not_described(graph: Graph) -> None:
    outside = {name for entity in graph.values() for name in references(entity) if name not in graph}
    assert all(name.startswith("https://") for name in outside)


def test_every_file_is_there_part_of_the_root_and_hashed(results: Path, graph: Graph) -> None:
    import hashlib

    parts = {each["@id"] for each in graph["./"]["hasPart"]}
    files = {entity["@id"] for entity in of_kind(graph, "File")} - {"ro-crate-metadata.json"}
    assert files == parts
    recorded = {use.path for record in read_records(results).values() for use in record.outputs}
    assert recorded <= files and all((results / name).is_file() for name in files)
    for name in recorded:
        data = (results / name).read_bytes()
        assert graph[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert graph[name]["contentSize"] == str(len(data))


def test_the_workflow_has_tools_and_steps_for_every_rule(results: Path, graph: Graph) -> None:
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"} <= kinds(workflow)
    assert "ComputerLanguage" in kinds(graph[workflow["programmingLanguage"]["@id"]])
    rules = {record.rule for record in read_records(results).values()}
    tools = {each["@id"] for each in workflow["hasPart"]}
    steps = [graph[each["@id"]] for each in workflow["step"]]
    assert tools == {f"#rule/{rule}" for rule in rules} and all("SoftwareApplication" in kinds(graph[t]) for t in tools)
    assert {step["workExample"]["@id"] for step in steps} == tools
    assert sorted(int(step["position"]) for step in steps) == list(range(1, len(rules) + 1))


def test_every_node_is_an_action_under_the_control_of_the_engine(results: Path, graph: Graph) -> None:
    records = read_records(results)
    nodes = {name: entity for name, entity in graph.items() if name.startswith("#node/")}
    assert len(nodes) == len(records) == len(of_kind(graph, "ControlAction"))
    for path, record in records.items():
        action = nodes[f"#node/{path.relative_to(results / RECORDS).with_suffix('')}"]
        assert kinds(action) == {"CreateAction"} and action["instrument"] == {"@id": f"#rule/{record.rule}"}
        assert {each["@id"] for each in many(action.get("result"))} == {use.path for use in record.outputs}
        used = [graph[each["@id"]]["sha256"] for each in many(action.get("object"))]
        assert sorted(used) == sorted({use.sha256 for use in record.inputs})
        assert (action["startTime"], action["endTime"]) == (record.started, record.ended)
        assert {"@id": path.relative_to(results).as_posix()} in action["subjectOf"]
    (organised,) = of_kind(graph, "OrganizeAction")
    assert {each["@id"] for each in organised["object"]} == {each["@id"] for each in of_kind(graph, "ControlAction")}
    run = graph[organised["result"]["@id"]]
    assert kinds(run) == {"CreateAction"} and run["instrument"] == graph["./"]["mainEntity"]
    assert "SoftwareApplication" in kinds(graph[organised["instrument"]["@id"]])
    mentioned = {each["@id"] for each in graph["./"]["mentions"]}
    assert {*nodes, "#run", "#organised"} <= mentioned
    assert "#model/llama-a" in {each["@id"] for each in run["object"]}


def test_the_same_records_give_the_same_crate_and_the_folder_stays_as_recorded(results: Path) -> None:
    before = (results / "ro-crate-metadata.json").read_bytes()
    write_crate(results, "https://spdx.org/licenses/CC-BY-4.0")
    assert (results / "ro-crate-metadata.json").read_bytes() == before
    assert verify(results).ok


def test_without_a_licence_the_crate_says_that_none_was_chosen(tmp_path: Path, command: Callable[..., int]) -> None:
    folder = make_study(tmp_path / "project")
    assert command("crate", folder) == 0
    graph = {each["@id"]: each for each in read(folder)["@graph"]}
    assert "Not chosen" in graph[graph["./"]["license"]["@id"]]["name"]
    shutil.rmtree(folder / RECORDS)
    with pytest.raises(StudyError, match="no records"):
        write_crate(folder)


@pytest.mark.skipif(
    VALIDATOR is None, reason="rocrate-validator (package roc-validator) is not installed, or pins another rich"
)
@pytest.mark.parametrize("profile", ["process-run-crate", "workflow-run-crate", "provenance-run-crate"])
def test_the_validator_of_the_profiles_is_content(results: Path, profile: str) -> None:
    assert VALIDATOR is not None
    command = [VALIDATOR, "-y", "validate", "--skip-availability-check", "--profile-identifier", profile, str(results)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "Name or service not known" in done.stdout + done.stderr:
        pytest.skip("the validator fetches the vocabularies of the profiles from the network")
    assert done.returncode == 0, done.stdout
