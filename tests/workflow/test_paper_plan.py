"""The plan of the paper's matrix: how many nodes each stage has, and every answer's name."""

from collections import Counter
from pathlib import Path

import pytest
from checkout import REPOSITORY, Checkout, Plan

from cascade_equivalence import stages
from cascade_equivalence.__main__ import read_study
from cascade_equivalence.stages.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return read_study(REPOSITORY / "config" / "config.yaml")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = Checkout(tmp_path_factory.mktemp("paper") / "project").plan("config/config.yaml")
    assert plan.code == 0, plan.output
    return plan


def test_each_stage_has_the_nodes_that_the_config_asks_for(plan: Plan, study: Study) -> None:
    found = Counter(job[0] for job in plan.jobs)
    models, layers, opened, concepts = 10, 9, 3, 5
    # Nine systems, and a cascade with other ears, on six tasks and, in four noises, on three; ten more on clean speech
    # only; one system behind an API.
    noisy = 6 + 3 * 4
    # All of them once more over silence, in one voice a task.
    silent = 6
    inside = len(study.config.noise.systems)
    pairs = sum(
        noisy if {pair.system, pair.reference} <= set(study.config.noise.systems) else 6 for pair in study.config.pairs
    )
    assert found == {
        "all": 1,
        "resolve_model": models,
        "fetch_set": 6,
        "fetch_archive": 2,
        "extract_audio": 2,
        "fetch_musan": 1,
        "unpack_musan": 1,
        "prepare_items": 6,
        "synthesize_speech": 4 * 6 + 2,
        "mix_noise": 3 * 2 * 4,
        "silence_speech": silent,
        "preflight": 3,
        # Two Whispers and another recogniser in noise; three speech LLMs' own transcripts and the true texts on clean.
        "transcribe": 3 * (noisy + silent) + (3 + 1) * (6 + silent),
        "implicit_transcripts": 2 * (6 + silent),
        "answer": (inside - 1) * (noisy + silent) + 10 * (6 + silent),
        "answer_api": noisy + silent,
        "compare_over_silence": silent,
        "agree": pairs,
        "contrast": len(stages.agree.all_contrasts(study)),
        "measure_surplus": 5,
        "draw_utterances": 1,
        **{stages.opened_models.rule_name("capture", name): 1 for name in stages.opened_models.models(study)},
        "probe_layer": layers * 2 * opened,
        "read_lens": layers * 2,
        "layer_moments": layers * 2,
        **{
            stages.opened_models.rule_name("fit_erasers", name): concepts
            for name in stages.opened_models.speech_llms(study)
        },
        "answer_erased": 2 * (1 + concepts) * 5,
        **dict.fromkeys(("collect_tables", "compare_with_paper", "draw_figures", "write_report"), 1),
    }
    assert 600 <= sum(found.values()) <= 1_300


def test_every_answer_and_every_clip_is_a_node_of_its_own(plan: Plan, study: Study) -> None:
    answers = {
        f"results/answers/{'/'.join(names)}.parquet" for rule, *names in plan.jobs if rule in ("answer", "answer_api")
    }
    assert answers == {*stages.answer.all_files(study), *stages.silence.all_answers(study)}
    assert {job[1] for job in plan.jobs if job[0] == "answer_api"} == {"gemini"}
    spoken = {Path(path).parts[2:4] for path in stages.speech.all_files(study)}
    assert {(job[1], job[2]) for job in plan.jobs if job[0] == "synthesize_speech"} == spoken
