"""The model that was opened last is given to who opens the same, as its files hold it; another takes its place."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
import torch

from cascade_equivalence.jobs.last_opened import LastOpened
from cascade_equivalence.models import kept
from cascade_equivalence.models.question import ModelFiles

FLOAT = torch.float32


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tiny_llm.save_llama(tmp_path / "llm", tiny_llm.byte_level_tokenizer()), "a" * 64, True)


@pytest.fixture
def last() -> LastOpened:
    return LastOpened(kept.opened)


def answer(text: Any) -> list[str]:
    rows = [text.tokenize(text.render([{"role": "user", "content": words}])) for words in ("A dog ran.", "What?")]
    return [found.text for found in text.generate(rows, 8)]


def test_the_same_model_is_opened_once_and_stays_the_same_when_it_was_asked(
    files: ModelFiles, last: LastOpened
) -> None:
    first = last(files, "cpu", FLOAT)[0]
    fresh = answer(first)
    assert last(files, "cpu", FLOAT)[0] is first and answer(first) == fresh
    assert last(files, "cpu", FLOAT)[0] is first


def test_another_lets_go_of_the_former_before_it_is_opened(files: ModelFiles) -> None:
    alive: list[bool] = []
    former: list[weakref.ref[Any]] = []

    def opening(*asked: Any) -> Any:
        alive.extend(each() is not None for each in former)
        return kept.opened(*asked)

    last = LastOpened(opening)
    former.append(weakref.ref(last(files, "cpu", FLOAT)[0].model))
    others = [
        (ModelFiles(files.folder, "b" * 64, True), FLOAT),
        (ModelFiles(files.folder, "a" * 64, False), FLOAT),
        (files, torch.bfloat16),
    ]
    for other, dtype in others:
        former.append(weakref.ref(last(other, "cpu", dtype)[0].model))
    gc.collect()
    assert len(former) == 4 and not any(alive)


CHANGES: dict[str, Callable[[Any], object]] = {
    "weights": lambda model: next(model.parameters()).mul_(2),
    "a new weight": lambda model: setattr(
        model.lm_head, "weight", torch.nn.Parameter(model.lm_head.weight.detach().clone(), requires_grad=False)
    ),
    "gradients": lambda model: model.requires_grad_(not next(model.parameters()).requires_grad),
    "a hook": lambda model: model.model.layers[0].register_forward_hook(lambda *_: None),
    "training": lambda model: model.train(),
    "a buffer": lambda model: next(model.buffers()).add_(1),
    "a part": lambda model: setattr(model, "lm_head", torch.nn.Linear(4, 4)),
    "its way": lambda model: setattr(model.model, "forward", print),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_was_changed_is_opened_anew(files: ModelFiles, last: LastOpened, change: str) -> None:
    first = last(files, "cpu", FLOAT)[0]
    with torch.no_grad():
        CHANGES[change](first.model)
    assert last(files, "cpu", FLOAT)[0] is not first
