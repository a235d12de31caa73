"""vLLM answers what the project's own loop answers, from the same tokens; and neither serves the other's answers."""

import importlib.util
import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
import torch
import vllm_double

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import vllm_answers
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.prompting import PromptWriter
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.vllm_engine import answer_parameters, engine_arguments, open_vllm, score_parameters

LABELS = {"World": "politics", "Sports": "sports", "Business": "the long business"}
STORIES = [f"{'The hosts reached the cup final. ' * (n % 3)}Story {n} \u2028 of a dog." for n in range(7)]
OWN = AnswerConfig(device="cpu", dtype="float32", batch_size=3)
VLLM = OWN.model_copy(update={"engine": "vllm"})
TOPICS = "Read the news story and name its topic: politics, sports, business or technology."


def question(story: str) -> Question:
    return Question(({"role": "user", "content": f"{TOPICS}\nStory: {story}"},), "The topic is", LABELS)


QUESTIONS = [question(story) for story in STORIES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sampling = {"do_sample": True, "temperature": 9.0, "top_k": 5, "repetition_penalty": 8.0}
    return tiny_llm.save_llama(tmp_path_factory.mktemp("llama"), tiny_llm.byte_level_tokenizer(), **sampling)


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    vllm_double.install(tmp_path / "site", monkeypatch)
    monkeypatch.setattr(vllm_answers, "BATCHES_AT_ONCE", 1)
    yield vllm_double
    sys.modules.pop("vllm", None)


def ask(folder: Path, store: Path, config: AnswerConfig, longest: int = 8) -> list[Answer]:
    return answer_questions(QUESTIONS, ModelFiles(folder, "r1", True), config, longest, store, "tiny")


def keys(store: Path) -> set[str]:
    return {json.loads(line)["key"] for line in store.read_text().splitlines()}


def bare(answers: Sequence[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0, scores={}) for answer in answers]


@pytest.mark.parametrize("mode", ["generate", "forced_choice"])
def test_both_engines_give_the_same_answers(mode: str, folder: Path, tmp_path: Path, vllm: Any) -> None:
    own = ask(folder, tmp_path / "own", OWN.model_copy(update={"mode": mode}))
    other = ask(folder, tmp_path / "other", VLLM.model_copy(update={"mode": mode}))
    assert bare(other) == bare(own)
    for mine, theirs in zip(own, other, strict=True):
        assert theirs.scores == pytest.approx(mine.scores, abs=1e-4)
        assert bool(theirs.scores) is (mode == "forced_choice")
    (arguments,) = vllm.opened
    assert arguments["generation_config"] == "vllm" and arguments["enable_prefix_caching"] is True
    assert not arguments["trust_remote_code"]


def test_no_engine_serves_the_answers_of_another(folder: Path, tmp_path: Path, vllm: Any, monkeypatch: Any) -> None:
    store = tmp_path / "store"
    ask(folder, store, OWN)
    of_own = keys(store)
    first = ask(folder, store, VLLM)
    assert len(keys(store)) == 2 * len(of_own)
    assert ask(folder, store, VLLM) == first
    assert len(vllm.opened) == 1, "what is stored was computed again"
    vllm_double.install(tmp_path / "later", monkeypatch, "0.34.0")
    ask(folder, store, VLLM)
    assert len(keys(store)) == 3 * len(of_own)


def test_the_keys_of_the_own_loop_are_those_from_before_there_was_a_choice(folder: Path, tmp_path: Path) -> None:
    from cascade_equivalence.models.answering import ANSWER_FORMAT
    from cascade_equivalence.models.question import parts_of
    from cascade_equivalence.models.store import key_of

    ask(folder, tmp_path / "s", OWN)
    settings = {"kind": "answer", "format": ANSWER_FORMAT, "mode": "generate", "max_new_tokens": 8}
    settings |= {"decoding": "greedy", "revision": "r1", "dtype": "float32", "chat": True}
    assert keys(tmp_path / "s") == {key_of(settings | parts_of(asked, "generate")) for asked in QUESTIONS}


def test_each_portion_is_on_disk_before_the_next_begins(
    folder: Path, tmp_path: Path, vllm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    generate = vllm_double.LLM.generate

    def stop(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt
        return generate(*arguments, **more)

    monkeypatch.setattr(vllm_double.LLM, "generate", stop)
    with pytest.raises(KeyboardInterrupt):
        ask(folder, tmp_path / "s", VLLM)
    assert len(keys(tmp_path / "s")) == VLLM.batch_size


@pytest.mark.parametrize(
    "said", ["\nParis.\nLondon", "\n\n \nParis", "Paris\n\nLondon", "Paris.\nLondon", "Paris<|im_end|>London", "Paris"]
)
def test_an_answer_ends_where_the_own_loop_ends_it(said: str, tmp_path: Path, vllm: Any) -> None:
    tokenizer = tiny_llm.byte_level_tokenizer()
    chain = tokenizer("?" + said + "<|im_end|>", add_special_tokens=False)["input_ids"]
    seen = dict.fromkeys(chain)
    if len(seen) < len(chain):  # a model that sees the last token alone follows a chain without loops
        chain = list(seen)
    folder = tiny_llm.save_script(tmp_path / "m", tokenizer, [chain])
    own = TextLLM(folder, "cpu", torch.float32, chat=True)
    row = own.tokenize("What is the capital?")
    writer = PromptWriter(folder, chat=True)
    for longest in (1, 2, 5, 12):
        other = open_vllm(folder, "float32", writer, [row], longest)
        assert other.generate([row], longest) == own.generate([row], longest)


def test_without_vllm_the_user_learns_what_to_install(folder: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("vllm"):
        pytest.skip("vllm is installed")
    with pytest.raises(StudyError, match=r"requirements/vllm\.txt"):
        ask(folder, tmp_path / "s", VLLM)
    assert not (tmp_path / "s").exists()


def test_a_vllm_that_cannot_be_imported_is_named(folder: Path, tmp_path: Path, vllm: Any) -> None:
    (tmp_path / "site" / "vllm.py").write_text("import no_such_library_of_kernels\n")
    with pytest.raises(StudyError, match="no_such_library_of_kernels"):
        ask(folder, tmp_path / "s", VLLM)


def test_a_prompt_that_does_not_fit_is_refused(folder: Path, tmp_path: Path, vllm: Any) -> None:
    with pytest.raises(StudyError, match="the model holds 512"):
        ask(folder, tmp_path / "s", VLLM, 500)


def test_the_installed_vllm_takes_every_parameter() -> None:
    """Where the real library is: the names were checked against the sources of the pinned version."""
    if not importlib.util.find_spec("vllm"):
        pytest.skip("vllm is not installed here")
    from vllm import LLM, SamplingParams
    from vllm.engine.arg_utils import EngineArgs

    of_params = set(inspect.signature(SamplingParams).parameters)
    assert set(answer_parameters([1], 8)) | set(score_parameters()) <= of_params
    assert set(engine_arguments(Path("m"), "float32", 8)) <= set(inspect.signature(EngineArgs).parameters)
    assert "use_tqdm" in inspect.signature(LLM.generate).parameters


def test_the_stand_in_takes_no_more_than_it_should() -> None:
    with pytest.raises(TypeError):
        vllm_double.LLM("m", no_such_argument=1)
    with pytest.raises(TypeError):
        vllm_double.SamplingParams(**{"no_such_parameter": 1})
