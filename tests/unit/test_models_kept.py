"""A fork that finds its model kept answers as one that opens it, and what it does to the model stays its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_llm
import torch

from cascade_equivalence.models import kept
from cascade_equivalence.models.question import ModelFiles

FLOAT = torch.float32


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tiny_llm.save_llama(tmp_path / "llm", tiny_llm.byte_level_tokenizer()), "a" * 64, True)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    kept._kept.clear()
    kept._noted.clear()


def answer(files: ModelFiles) -> list[str]:
    text, _ = kept.opened(files, "cpu", FLOAT)
    rows = [text.tokenize(text.render([{"role": "user", "content": words}])) for words in ("A dog ran.", "What?")]
    return [found.text for found in text.generate(rows, 8)]


def test_a_process_that_keeps_nothing_opens_its_models_anew(files: ModelFiles) -> None:
    assert kept.opened(files, "cpu", FLOAT)[0] is not kept.opened(files, "cpu", FLOAT)[0]


def test_what_was_opened_is_kept_and_answers_alike(files: ModelFiles) -> None:
    fresh = answer(files)
    (line,) = kept.take_notes()
    assert kept.take_notes() == []
    assert kept.keep(line) and kept.keep(line)
    assert kept.opened(files, "cpu", FLOAT)[0] is kept.opened(files, "cpu", FLOAT)[0]
    assert answer(files) == fresh
    # Nobody has to keep what is kept.
    assert kept.take_notes() == []


def test_other_weights_settings_and_arithmetic_are_not_served(files: ModelFiles) -> None:
    answer(files)
    kept.keep(kept.take_notes()[0])
    (held,) = (text for text, _ in kept._kept.values())
    others = [
        (ModelFiles(files.folder, "b" * 64, True), FLOAT),
        (ModelFiles(files.folder, "a" * 64, False), FLOAT),
        (files, torch.bfloat16),
    ]
    for other, dtype in others:
        assert kept.opened(other, "cpu", dtype)[0] is not held


def test_a_model_that_would_fill_the_memory_is_not_kept(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(files)
    monkeypatch.setattr(kept, "SHARE", 0.0)
    assert not kept.keep(kept.take_notes()[0]) and not kept._kept
