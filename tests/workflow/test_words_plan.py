"""Cascades that are told more, that hear worse, and what is typed against what is heard: which nodes that adds."""

from pathlib import Path

from checkout import Checkout, Job, opened_config


def test_each_adds_its_nodes_and_no_others(finished: Checkout, tiny_models: Path) -> None:
    study = opened_config(tiny_models) | {"mechanism": None}
    study["definitions"]["models"]["worse"] = {
        "role": "asr",
        "licence": "none",
        "source": {"kind": "degraded", "asr": "whisper-a", "reference": "whisper-b"},
    }
    study["definitions"]["systems"]["worse"] = {"kind": "cascade", "asr": "worse", "llm": "llama-a"}

    def jobs(systems: list[str], tasks: list[str]) -> set[Job]:
        plan = finished.plan(study | {"systems": ["heard", "implicit", *systems], "conflict": {"tasks": tasks}})
        assert plan.code == 0, plan.output
        return plan.jobs

    before = jobs(["first", "second"], [])
    tasks = ("ag_news", "sst2")
    told = {("describe_voices", "whisper-a"), ("answer", "told")}
    worse, asked = {("transcribe", "worse"), ("answer", "worse")}, {"heard", "first"}
    for name, added in (("told", told), ("worse", worse)):
        nodes = {(*node, task, "clean") for node in added for task in tasks}
        assert jobs(["first", "second", name], []) - before == nodes
    assert jobs(["first", "second"], ["sst2"]) - before == {("answer_conflict", name, "sst2") for name in asked}
