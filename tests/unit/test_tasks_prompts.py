"""Prompts: the same words in every arm, whatever the transcript holds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from cascade_equivalence.config.check_prompts import prompt_problems
from cascade_equivalence.config.study import Shot, TaskSpec
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.tasks.registry import TASKS

OPTIONS = ["bank", "{speech}", "{options}", "mall", "zoo"]
CHOICE = TaskSpec(
    prompt="{speech}\n{options}\nKeep {{this}} and {that}.",
    shots=[Shot(speech="Where do fish live?", options=["sea", "sky", "car", "bag", "hat"], answer="A")],
)
REVIEW = TaskSpec(prompt="Review: {speech}\nPositive or negative?", label_words={"positive": "Good", "negative": "Bad"})
SPEECH = st.text() | st.sampled_from(["{options}", "{speech}", "{0}", "{", "}}", "\\1", "\\g<0>", "%s", "$speech"])


def test_only_the_two_slots_are_filled() -> None:
    content = build_messages(CHOICE, "", "Where?", OPTIONS)[-1]["content"]
    assert content == "Where?\nA. bank\nB. {speech}\nC. {options}\nD. mall\nE. zoo\nKeep {{this}} and {that}."


def test_sound_prompts_have_no_problems() -> None:
    assert prompt_problems("sst2", REVIEW) == []
    sound = CHOICE.model_copy(update={"prompt": "{speech}\n{options}"})
    assert prompt_problems("commonsense_qa", sound) == []
    for name, task in TASKS.items():
        if not task.has_options:
            assert prompt_problems(name, TaskSpec(prompt="{speech} What is it?")) == []


@pytest.mark.parametrize(
    ("task", "spec", "problem"),
    [
        ("sst2", {"prompt": "Positive or negative?"}, "`{speech}` once"),
        ("sst2", {"prompt": "{speech} {speech}"}, "2 times"),
        ("sst2", {"prompt": "{speech} {options}"}, "has none"),
        ("sst2", {"prompt": "{speech} {transcript}"}, "`{transcript}`"),
        ("sst2", {"prompt": "{speech} <|audio|>"}, "<|audio|>"),
        ("commonsense_qa", {"prompt": "{speech}"}, "`{options}` once"),
        ("commonsense_qa", {"prompt": "{speech}{options}", "label_words": {"A": "first"}}, "letters"),
        ("trivia_qa", {"prompt": "{speech}", "label_words": {"yes": "y"}}, "free"),
        ("sst2", {"prompt": "{speech}", "label_words": {"positve": "good"}}, "positve"),
        ("sst2", {"prompt": "{speech}", "label_words": {"positive": "Bad", "negative": "bad"}}, "'bad' stands for"),
        ("sst2", {"prompt": "{speech}", "label_words": {"positive": "negative"}}, "stands for"),
        ("sst2", {"prompt": "{speech}", "label_words": {"positive": ""}}, "not be understood"),
        ("mustard", {"prompt": "{speech}", "label_words": {"sarcastic": '"yes"'}}, "not be understood"),
        ("sst2", {"prompt": "{speech}", "shots": [{"speech": "Nice.", "answer": "great"}]}, "'great'"),
        ("sst2", {"prompt": "{speech}", "shots": [{"speech": " ", "answer": "positive"}]}, "says nothing"),
        (
            "sst2",
            {"prompt": "{speech}", "shots": [{"speech": "x", "options": ["a"], "answer": "positive"}]},
            "has none",
        ),
        ("commonsense_qa", {"prompt": "{speech}{options}", "shots": [{"speech": "x", "answer": "A"}]}, "0 options"),
        ("trivia_qa", {"prompt": "{speech}", "shots": [{"speech": "x", "answer": "---"}]}, "'---'"),
    ],
)
def test_problems_are_named(task: str, spec: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in prompt_problems(task, TaskSpec(**spec)))


@pytest.mark.parametrize("task", TASKS)
def test_the_papers_matrix_is_asked_without_examples_by_the_names_of_the_labels(task: str) -> None:
    file = Path(__file__).parents[2] / "config" / "tasks-paper.yaml"
    spec = TaskSpec.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))["tasks"][task])
    assert not prompt_problems(task, spec)
    assert not spec.shots and not spec.label_words and not spec.answer_prefix
    if not TASKS[task].has_options:
        assert all(label in spec.prompt for label in TASKS[task].labels)
