"""Implicit transcripts are what the last block shows where the sound stands, in any company."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_llm import Parrot, byte_level_tokenizer, save_gemma, save_llama

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import implicit
from cascade_equivalence.mechanism.bags import Pieces
from cascade_equivalence.mechanism.implicit import implicit_texts, implicit_transcripts
from cascade_equivalence.models import question as question_module
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, Capabilities, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)

SAID = [
    "The goalkeeper saved two penalties.",
    "A dog ran over the long bridge and home.",
    "Paris.",
    "What is the capital city of France? The answer is Paris. The answer is London.",
    "politics, sports, business or technology",
]
ASKED = f"Read the news story and name its topic: politics, sports, business or technology.\nStory: {PLACEHOLDER}\n"
CONFIG = AnswerConfig(device="cpu", dtype="float32", batch_size=2)
FILES = ModelFiles(Path("text"), "r1", True, SpeechFiles(Path("speech"), "s1"))


def question(number: int, after: str = "", prefix: str = "The topic is") -> Question:
    clip = Recording(f"sha{number}", len(SAID[number]) / 10, lambda: np.full(160, number, dtype=np.float32))
    return Question(({"role": "user", "content": ASKED + after},), prefix, {}, clip)


QUESTIONS = [question(number) for number in range(len(SAID))]


@pytest.fixture(scope="module", params=["llama", "gemma"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    folder, tokenizer = tmp_path_factory.mktemp(request.param), byte_level_tokenizer()
    if request.param == "llama":
        save_llama(folder, tokenizer)
    else:
        save_gemma(folder, tokenizer, 400)
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    with torch.no_grad():
        norm = text.model.get_decoder().norm.weight
        norm.copy_(torch.rand(norm.shape) + 0.5)
    return SpeechLLM(Parrot(text, SAID), text)


def all_texts(model: SpeechLLM, questions: Sequence[Question], batch_size: int) -> list[str]:
    found: dict[int, str] = {}
    for batch in implicit_transcripts(model, questions, batch_size):
        assert len(batch) <= batch_size and not found.keys() & batch.keys()
        found |= batch
    return [found[place] for place in range(len(questions))]


def by_hand(model: SpeechLLM, question: Question) -> str:
    """One whole prompt in the words themselves, through the library's own code, read off its logits."""
    assert question.audio is not None
    before, after = model.text.render(question.messages, question.answer_prefix).split(PLACEHOLDER)
    tokens = [model.text.tokenize(part) for part in (before, SAID[int(question.audio.decode()[0])], after)]
    with torch.no_grad():
        logits = model.text.model(input_ids=torch.tensor([[token for part in tokens for token in part]])).logits[0]
    start = len(tokens[0])
    return Pieces(model.text.tokenizer).text(logits[start : start + len(tokens[1])].argmax(-1).tolist())


def test_texts_are_what_the_model_says_at_the_sound(model: SpeechLLM) -> None:
    found = all_texts(model, QUESTIONS, 2)
    assert found == [by_hand(model, one) for one in QUESTIONS]
    assert len(set(found)) == len(found) and all(found)


def test_company_changes_nothing(model: SpeechLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    together = all_texts(model, QUESTIONS, len(QUESTIONS))
    rows = model.rows([ASKED] * 2, [one.audio.decode() for one in QUESTIONS[:2] if one.audio])[0]
    assert model.text.usable_prefix(rows) > 0
    assert together == all_texts(model, QUESTIONS, 1) == all_texts(model, QUESTIONS[::-1], 3)[::-1]
    assert together == [all_texts(model, [one], 4)[0] for one in QUESTIONS]
    monkeypatch.setattr(question_module, "HEARD_AT_ONCE", 2)
    assert all_texts(model, QUESTIONS, 4) == together


def test_what_comes_behind_the_sound_changes_nothing(model: SpeechLLM) -> None:
    others = [question(number, after="A dog. " * number, prefix="") for number in range(len(SAID))]
    assert all_texts(model, others, 2) == all_texts(model, QUESTIONS, 2)
    assert by_hand(model, others[3]) == by_hand(model, QUESTIONS[3])


def test_no_hook_is_left(model: SpeechLLM) -> None:
    all_texts(model, QUESTIONS, 2)
    assert not any(module._forward_hooks for module in model.text.model.modules())


def test_a_clip_without_vectors_has_no_text(model: SpeechLLM) -> None:
    silent = replace(QUESTIONS[0], audio=Recording("none", 0.0, lambda: np.full(160, -1, dtype=np.float32)))
    assert all_texts(model, [silent], 2) == [""]
    found = all_texts(model, [*QUESTIONS, silent], 3)
    assert found == [*all_texts(model, QUESTIONS, 3), ""]


def test_a_question_without_sound_is_refused(model: SpeechLLM) -> None:
    with pytest.raises(StudyError, match="without sound"):
        all_texts(model, [replace(QUESTIONS[0], audio=None)], 2)


def test_a_closed_model_is_refused(model: SpeechLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeechLLM, "capabilities", Capabilities(hidden_states=False, log_likelihoods=True))
    with pytest.raises(StudyError, match="does not let its states be seen"):
        all_texts(model, QUESTIONS, 2)


def ask(opened: SpeechLLM, store: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    arguments = {"questions": QUESTIONS, "model": FILES, "config": CONFIG} | changes
    monkeypatch.setattr(implicit, "open_model", lambda _files, _config: (opened.text, opened))
    return implicit_texts(store=store, label="tiny", **arguments)


def keys(store: Path) -> list[str]:
    return [json.loads(line)["key"] for line in store.read_bytes().splitlines()]


def test_the_second_call_computes_nothing(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(model, tmp_path / "s", monkeypatch)
    assert first == all_texts(model, QUESTIONS, 2)
    before = (tmp_path / "s").read_bytes()
    monkeypatch.setattr(implicit, "implicit_transcripts", None)
    one_by_one = CONFIG.model_copy(update={"batch_size": 1, "mode": "forced_choice"})
    assert ask(model, tmp_path / "s", monkeypatch, questions=QUESTIONS[::-1], config=one_by_one) == first[::-1]
    assert (tmp_path / "s").read_bytes() == before


def test_a_stopped_run_goes_on_where_it_stopped(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = implicit.implicit_transcripts

    def stop(*arguments: Any) -> Any:
        yield next(compute(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(implicit, "implicit_transcripts", stop)
        with pytest.raises(KeyboardInterrupt):
            ask(model, tmp_path / "s", patch)
    done = keys(tmp_path / "s")
    assert len(done) == CONFIG.batch_size
    assert ask(model, tmp_path / "s", monkeypatch) == all_texts(model, QUESTIONS, 1)
    assert keys(tmp_path / "s")[: len(done)] == done and len(set(keys(tmp_path / "s"))) == len(QUESTIONS)


def test_equal_questions_are_computed_once(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(model, tmp_path / "s", monkeypatch, questions=[*QUESTIONS, QUESTIONS[2]])
    assert found[-1] == found[2] and len(keys(tmp_path / "s")) == len(QUESTIONS)


def test_another_model_prompt_or_sound_is_another_text(
    model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = QUESTIONS[:1]
    assert FILES.speech is not None
    changes: list[dict[str, Any]] = [
        {},
        {"model": replace(FILES, revision="r2")},
        {"model": replace(FILES, speech=replace(FILES.speech, revision="s2"))},
        {"questions": [replace(one[0], answer_prefix="It is")]},
        {"questions": [question(0, after=" again")]},
        {"questions": [replace(one[0], audio=question(1).audio)]},
    ]
    for change in changes:
        ask(model, tmp_path / "s", monkeypatch, **({"questions": one} | change))
    assert len(keys(tmp_path / "s")) == len(changes)


def test_a_text_llm_has_none(model: SpeechLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match="hears nothing"):
        ask(model, tmp_path / "s", monkeypatch, model=replace(FILES, speech=None))
