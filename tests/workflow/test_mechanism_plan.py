"""Opening models plans their nodes: one capture a model, then a node a layer, a concept, or a concept and task."""

from pathlib import Path

import pytest
from checkout import Checkout, Config, Job, opened_config

LAYERS = {"speech-a": "01", "whisper-a": "0"}


@pytest.fixture
def opened(tiny_models: Path) -> Config:
    """The config of a study that opens models."""
    return opened_config(tiny_models)


def jobs(checkout: Checkout, config: Config) -> set[Job]:
    plan = checkout.plan(config)
    assert plan.code == 0, plan.output
    return plan.jobs


def mechanism(found: set[Job]) -> set[Job]:
    rules = (
        "draw_utterances",
        "capture",
        "probe",
        "read_lens",
        "implicit",
        "layer_moments",
        "fit_erasers",
        "answer_er",
        "patch_states",
        "compare_hearing",
        "attribute_words",
        "steer_states",
    )
    return {job for job in found if job[0].startswith(rules)}


def expected(concepts: tuple[str, ...], untrained: bool = True) -> set[Job]:
    twins = ("", "@untrained") if untrained else ("",)
    names = [f"{model}{twin}" for model in LAYERS for twin in twins]
    captured = {name.replace("-", "_").replace("@", "_") for name in names}
    return {
        ("draw_utterances",),
        *((f"capture_{name}",) for name in captured),
        *(("probe_layer", name, layer) for name in names for layer in LAYERS[name.removesuffix("@untrained")]),
        *(("read_lens", "speech-a", layer) for layer in "01"),
        *(("layer_moments", "speech-a", layer) for layer in "01"),
        *(("implicit_transcripts", "speech-a+lens", task, "clean") for task in ("ag_news", "sst2")),
        *(("fit_erasers_speech_a", concept) for concept in concepts),
        *(("answer_erased", "speech-a", concept, "sst2") for concept in ("none", *concepts)),
        ("patch_states", "speech-a", "ag_news"),
        ("compare_hearing", "speech-a"),
        ("attribute_words", "speech-a", "sst2"),
        *(("probe_curved", model, layer) for model, layers in LAYERS.items() for layer in layers),
        ("steer_states", "speech-a", "sst2"),
    }


def test_the_whole_plan(finished: Checkout, opened: Config) -> None:
    found = jobs(finished, opened)
    assert mechanism(found) == expected(("proxy", "ctc"))
    assert {job for job in found if job[0] == "transcribe"} == {
        ("transcribe", "whisper-a", task, "clean") for task in ("ag_news", "sst2")
    }
    assert ("agree", "heard", "implicit", "sst2", "clean") in found


def test_what_is_not_asked_for_is_not_planned(finished: Checkout, opened: Config) -> None:
    off = ("erasure", "patching", "similarity", "curved", "attributions", "steering")
    opened["mechanism"] |= {"untrained": False, **dict.fromkeys(off)}
    gone = ("layer_moments", "fit_erasers", "answer_erased", "patch_states", "compare_hearing", "attribute_words")
    gone += ("probe_curved", "steer_states")
    wanted = {job for job in expected((), untrained=False) if not job[0].startswith(gone)}
    assert mechanism(jobs(finished, opened)) == wanted
    opened["mechanism"] = None
    assert mechanism(jobs(finished, opened)) == {job for job in wanted if job[0] == "implicit_transcripts"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ["speech-b"]}, "mechanism.models: there is no model 'speech-b' - did you mean 'speech-a'?"),
        ({"models": ["llama-a"]}, "mechanism.models: 'llama-a' hears nothing"),
        (
            {"models": ["whisper-a"], "layers": {"whisper-a": [0]}},
            "mechanism.patching: no speech LLM is opened",
        ),
        ({"layers": {"speech-a": [0]}}, "mechanism.layers.whisper-a: list the layers, or say under models.whisper-a"),
        ({"states": {"tasks": ["sst3"]}}, "mechanism.states.tasks.0: 'sst3' is not possible - did you mean 'sst2'?"),
        (
            {"states": {"tasks": ["sst2"], "voices": ["uk"]}},
            "mechanism.states.voices: there is no voice that speaks sst2",
        ),
        (
            {"erasure": {"tasks": ["sst2"], "concepts": ["proxy", "proxy"]}},
            "mechanism.erasure.concepts: 'proxy' is listed",
        ),
        (
            {"erasure": {"tasks": ["sst2"], "concepts": ["proxy", "random"]}},
            "mechanism.erasure.concepts: 'random' is drawn for each concept: list it under `controls`",
        ),
        (
            {"erasure": {"tasks": ["sst2"], "controls": ["random", "random"]}},
            "mechanism.erasure.controls: 'random' is listed",
        ),
        (
            {"erasure": {"tasks": ["sst2"], "concepts": ["word"]}},
            "mechanism.erasure.concepts.0: 'word' is not possible",
        ),
    ],
)
def test_what_cannot_work_is_said_before_any_job(
    finished: Checkout, opened: Config, change: Config, message: str
) -> None:
    opened["mechanism"] |= change
    plan = finished.plan(opened)
    assert plan.code != 0 and plan.output.count(message) == 1, plan.output
    assert "Traceback" not in plan.output and not plan.jobs


def test_every_layer_is_looked_at_where_none_are_named(finished: Checkout, opened: Config) -> None:
    opened["mechanism"]["layers"] = {}
    specs = opened["definitions"]["models"]
    specs["llama-a"]["blocks"], specs["whisper-a"]["blocks"] = 2, 1
    assert mechanism(jobs(finished, opened)) == expected(("proxy", "ctc"))
    layers = {job[2] for job in mechanism(jobs(finished, opened)) if job[:2] == ("probe_layer", "speech-a")}
    assert layers == set("01")
