"""What nodes ask a scheduler for grows with their work and with each attempt, and decides nothing else."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence import stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.sources import HubSource, PathSource
from cascade_equivalence.costs.figures import read_figures
from cascade_equivalence.estimate.texts import task_size
from cascade_equivalence.estimate.work import Workload
from cascade_equivalence.jobs.work import study_of
from cascade_equivalence.models.question import HEARD_AT_ONCE
from cascade_equivalence.stages.needs import (
    DEFAULT_BILLIONS,
    LEAST,
    LONGEST,
    Asks,
    Need,
    counted_billions,
    counting_need,
    model_need,
)
from cascade_equivalence.stages.study import Study

ROOT = Path(__file__).resolve().parents[2]
HUB = HubSource(kind="hub", repo="a/b", revision="main")
needs = st.builds(
    model_need,
    st.sampled_from(sorted(DEFAULT_BILLIONS)),
    st.floats(0.001, 100),
    st.builds(Asks, st.integers(0, 100_000)),
    st.integers(1, 256),
    st.booleans(),
)


@pytest.fixture(scope="module")
def paper() -> Study:
    return study("config.yaml")


@pytest.fixture(scope="module")
def demo() -> Study:
    return study("demo.yaml")


def study(name: str, **changes: object) -> Study:
    return Study(load_study(yaml.safe_load((ROOT / "config" / name).read_text()) | changes, ROOT))


@given(needs, st.integers(1, 12))
def test_each_attempt_asks_for_more_and_takes_a_smaller_batch(need: Need, attempt: int) -> None:
    assert need.memory(attempt + 1) > need.memory(attempt) > 0
    assert LONGEST >= need.runtime(attempt + 1) >= need.runtime(attempt) > 0
    assert max(1, need.batch(attempt) // 2) == need.batch(attempt + 1)
    assert need.batch(1) == need.batch_size


@given(st.sampled_from(sorted(DEFAULT_BILLIONS)), st.floats(0.001, 10), st.integers(1, 2000), st.booleans())
def test_a_larger_model_and_more_clips_need_more(role: str, billions: float, clips: int, gpu: bool) -> None:
    need, larger = (model_need(role, factor * billions, Asks(clips), 16, gpu) for factor in (1, 2))
    longer = model_need(role, billions, Asks(2 * clips), 16, gpu)
    assert larger.megabytes > need.megabytes and larger.minutes > need.minutes
    assert longer.minutes > need.minutes and longer.megabytes > need.megabytes


@pytest.mark.parametrize(("gpu", "bytes_a_parameter"), [(True, 2), (False, 4)])
def test_the_weights_fit_into_the_memory(gpu: bool, bytes_a_parameter: int) -> None:
    for billions in (0.135, 7.6, 70):
        assert model_need("llm", billions, Asks(1), 1, gpu).megabytes > bytes_a_parameter * billions * 1000


def test_nodes_that_count_have_no_batch() -> None:
    assert counting_need(100, 60).batch_size == 0 and counting_need(100, 60).threads == 1


def test_the_registry_says_how_large_the_models_are(paper: Study) -> None:
    # Those of the paper are between half and twice what their names say.
    for name, said in (("qwen2.5-7b-instruct", 7), ("whisper-large-v3", 1.55), ("llama-3.1-8b-instruct", 8)):
        assert said / 2 < stages.needs.billions(paper, name) < 2 * said
    assert stages.needs.billions(paper, "whisper-small", "whisper-small") == stages.needs.billions(
        paper, "whisper-small"
    )
    # But of recognisers whose transcripts are made from another's.
    assert all(spec.billions for spec in paper.config.definitions.models.values() if spec.transcripts is None)


def test_what_a_model_that_says_nothing_has(tmp_path: Path) -> None:
    manifest, folder = tmp_path / "manifest.json", tmp_path / "model"
    folder.mkdir()
    (folder / "model-1.safetensors").write_bytes(bytes(600))
    (folder / "model-2.safetensors").write_bytes(bytes(400))
    assert counted_billions(HUB, manifest) is None
    assert counted_billions(PathSource(kind="path", path=folder), manifest) == 500e-9
    assert counted_billions(PathSource(kind="path", path=tmp_path / "none"), manifest) is None
    known = {
        **{"version": 1, "name": "a", "role": "llm", "licence": "none", "chat": True, "gguf": None, "commit": None},
        **{"source": HUB.model_dump(mode="json"), "revision": "r", "files": {}, "origin": {}, "converters": {}},
        "architecture": {"parameters": 1234},
    }
    manifest.write_text(json.dumps(known))
    assert counted_billions(PathSource(kind="path", path=folder), manifest) == 1234e-9
    manifest.write_text("no manifest")
    assert counted_billions(HUB, manifest) is None


def test_a_model_of_unknown_size_is_taken_for_a_large_one() -> None:
    small, unknown = study("demo.yaml"), study("demo.yaml", results="elsewhere", models_folder="elsewhere/models")
    name = "smollm2-135m-instruct"
    spec = unknown.config.definitions.models[name].model_copy(update={"billions": None})
    unknown.config.definitions.models[name] = spec
    assert stages.needs.billions(unknown, name) == DEFAULT_BILLIONS["llm"] > stages.needs.billions(small, name)


def test_the_sizes_of_models_make_no_weights_again(demo: Study) -> None:
    name = "whisper-base"
    before = stages.resolve.params(demo, name)
    changed = study("demo.yaml")
    spec = changed.config.definitions.models[name].model_copy(update={"billions": 1.0})
    changed.config.definitions.models[name] = spec
    assert stages.resolve.params(changed, name) == before


def test_limits_are_twice_to_thrice_what_is_expected(paper: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less, and slower GPUs would not do it; more, and SLURM could not fit the jobs into gaps."""
    # Each node as if it were alone: limits do not count on what another has read.
    monkeypatch.setattr("cascade_equivalence.estimate.work.TOGETHER", {})
    figures = read_figures()
    spoken = {task: task_size(paper, task, figures) for task in paper.config.tasks}
    work, unknown = Workload(paper, spoken, figures).entries()
    assert not unknown
    expected = {(each.stage, each.who): (each.loading + each.working) / 60 for each in work}
    for system in paper.config.systems:
        if system not in paper.apis:
            nodes = [stages.answer.need(paper, system, n.task, n.condition) for n in paper.asked_nodes(system)]
            asked = sum(need.runtime(1) for need in nodes)
            assert 2 < asked / expected["answer", system] <= 3, system
    for (stage, who), minutes in expected.items():
        if stage == "capture":
            assert stages.states.need(paper, who).minutes > 2 * minutes, who
        if stage == "transcribe":
            nodes = [stages.transcribe.need(paper, who, n.task, n.condition) for n in paper.heard_nodes(who)]
            asked = sum(need.runtime(1) for need in nodes)
            # What a speech LLM writes is not known to end with what was said.
            assert 2 < asked / minutes <= (4 if paper.is_speech_llm(who) else 3), who
    for model in stages.opened_models.speech_llms(paper):
        for concept in stages.erasure.concepts(paper):
            nodes = [stages.erasure.need(paper, model, concept, task) for task in paper.erasure.tasks]
            minutes = expected["answer_erased", f"{model}, {concept}"]
            assert 2 < sum(need.runtime(1) for need in nodes) / minutes <= 4, (model, concept)


def test_every_node_of_the_demo_and_of_the_paper_has_a_need(demo: Study, paper: Study) -> None:
    for each in (demo, paper):
        found = [
            stages.answer.need(each, system, n.task, n.condition) for system in each.config.systems for n in each.nodes
        ]
        found += [
            stages.transcribe.need(each, asr, n.task, n.condition)
            for asr in each.asrs
            for n in each.heard_nodes(asr)
            if not each.is_lens(asr)
        ]
        found += [stages.speech.need(each, n.task) for n in each.nodes] + [
            stages.agree.need(each),
            stages.report.need(each),
        ]
        assert all(need.memory(1) > 1000 and LEAST <= need.runtime(1) <= LONGEST for need in found)
    opened = [stages.states.need(demo, name) for name in stages.opened_models.models(demo)] + [
        stages.probes.need(demo, name) for name in stages.opened_models.models(demo)
    ]
    opened += [
        stages.lens.need(demo, "mini-speech-llm"),
        stages.erasers.need(demo, "mini-speech-llm"),
        stages.utterances.need(demo),
    ]
    assert all(need.memory(1) > 1000 for need in opened)


def test_work_decides(demo: Study, paper: Study) -> None:
    # A GPU holds the weights in half the bytes; a text LLM of 7e9 parameters does not fit into a small one's memory.
    assert stages.answer.need(paper, "cascade-large", "sst2", "clean").memory(1) > 20_000
    assert stages.answer.need(demo, "base-smollm2", "sst2", "clean").memory(1) < 6000
    # More voices, more clips.
    clean, noisy = (stages.answer.need(paper, "cascade-large", "sst2", condition) for condition in ("clean", "snr0"))
    assert len(paper.voices_of("sst2", "snr0")) < len(paper.voices_of("sst2", "clean"))
    assert noisy.minutes < clean.minutes
    # Each draw of a control is a run over the items; the baseline has none.
    assert stages.erasure.need(demo, "mini-speech-llm", "proxy", "sst2").minutes > (
        stages.erasure.need(demo, "mini-speech-llm", "none", "sst2").minutes
    )
    assert stages.transcribe.need(demo, "oracle", "sst2", "clean").batch_size == 0


def job(study: Study, **resources: int) -> SimpleNamespace:
    return SimpleNamespace(config=study.resolved(), resources=resources)


def test_shares_are_a_job_each_and_what_puts_them_together_needs_no_gpu(paper: Study) -> None:
    """Each share asks for its part of the minutes; few clips are not split; the answers depend on none of it."""
    system = next(name for name in paper.config.systems if paper.answering_models(name))
    answer = paper.config.answer.model_copy(update={"shares": {system: 4}})
    split = Study(paper.config.model_copy(update={"answer": answer}))
    for node in split.nodes_of(system):
        place = (system, node.task, node.condition)
        files = stages.answer.shares(split, *place)
        clips = split.clip_count(node.task, node.condition)
        assert len(set(files)) == (min(4, clips // stages.answer.LEAST_SHARE) if clips >= 512 else 0)
        assert stages.answer.gpus(split, *place) == (0 if files else 1) and stages.answer.gpus(paper, *place) == 1
        assert stages.answer.params(split, *place[:2]) == stages.answer.params(paper, *place[:2])
        if files:
            one = stages.answer.share_need(split, *place, "1", str(len(files)))
            assert one.minutes < stages.answer.need(paper, *place).minutes
            assert stages.answer.need(split, *place).megabytes < one.megabytes
    assert any(stages.answer.shares(split, system, node.task, node.condition) for node in split.nodes_of(system))
    assert stages.answer.LEAST_SHARE == HEARD_AT_ONCE
    assert not any(stages.answer.shares(paper, system, node.task, node.condition) for node in paper.nodes_of(system))


def test_a_node_takes_the_batch_of_its_attempt(demo: Study) -> None:
    config = study_of(job(demo, batch_size=3)).config
    assert config.mechanism is not None
    assert {config.transcribe.batch_size, config.answer.batch_size, config.mechanism.states.batch_size} == {3}
    assert study_of(job(demo)).resolved() == demo.resolved()


def test_the_batch_of_an_attempt_changes_nothing_that_a_node_depends_on(demo: Study) -> None:
    smaller = study_of(job(demo, batch_size=1))
    for system in ("mini", "base-smollm2"):
        assert stages.answer.params(smaller, system, "sst2") == stages.answer.params(demo, system, "sst2")
    assert stages.transcribe.params(smaller, "whisper-base") == stages.transcribe.params(demo, "whisper-base")
    assert stages.states.params(smaller, "mini-speech-llm") == stages.states.params(demo, "mini-speech-llm")


def test_an_adapter_weighs_as_much_as_what_it_changes(demo: Study) -> None:
    text, base = (stages.needs.billions(demo, name) for name in ("smollm2-135m-instruct", "mini-speech-llm"))
    assert text + base < stages.needs.billions(demo, "mini-voice") < text + base + 0.05
