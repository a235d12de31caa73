"""vLLM hears what the project's own loop hears: the same words around the sound, and the same answers.

vLLM's part is played by a stand-in that computes with the transformers library's own processors and classes.
"""

import importlib.util
import inspect
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import vllm_double
from own_text_checks import CONFIG, QUESTIONS, files_of
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_speech_llms import TINY
from tiny_ultravox import save_ultravox

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import vllm_answers
from cascade_equivalence.models.answering import answer_questions, open_model
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.models.engines import vllm_hearing
from cascade_equivalence.models.prompting import PromptWriter
from cascade_equivalence.models.question import Answer, ModelFiles, SpeechFiles, sound_of
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.vllm_engine import RANKS, engine_arguments, speech_arguments
from cascade_equivalence.models.vllm_speech import HeardInVllm

torch.set_num_threads(1)
VLLM = CONFIG.model_copy(update={"engine": "vllm"})
HEARD = [name for name in TINY if ARCHITECTURES[name].vllm is not None]
SOME = QUESTIONS[:3]
LONGEST = 4


def save(name: str, folder: Path) -> Path:
    """A random checkpoint whose config names the whole model's class, as a published one's does."""
    TINY[name].save(folder)
    config = json.loads((folder / "config.json").read_text())
    hearing = ARCHITECTURES[name].vllm
    assert hearing is not None
    (folder / "config.json").write_text(json.dumps(config | {"architectures": [hearing.classes[0]]}))
    return folder


@pytest.fixture(scope="module", params=HEARD)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(name, tmp_path_factory.mktemp(name))


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    vllm_double.install(tmp_path / "site", monkeypatch)
    monkeypatch.setattr(vllm_answers, "BATCHES_AT_ONCE", 1)
    yield vllm_double
    sys.modules.pop("vllm", None)


def ask(folder: Path, store: Path, engine: str, **changes: Any) -> list[Answer]:
    config = VLLM.model_copy(update={"engine": engine, **changes})
    return answer_questions(SOME, files_of(folder), config, LONGEST, store, "tiny")


def keys(store: Path) -> set[str]:
    return {json.loads(line)["key"] for line in store.read_text().splitlines()}


def test_both_engines_give_the_same_answers(name: str, folder: Path, tmp_path: Path, vllm: Any) -> None:
    vllm.libraries[str(folder)] = TINY[name].library(folder)
    store = tmp_path / "store"
    own = ask(folder, store, "transformers")
    of_own = keys(store)
    other = ask(folder, store, "vllm")
    assert [replace(each, seconds=0.0) for each in other] == [replace(each, seconds=0.0) for each in own]
    # Each engine's answers have keys of their own.
    assert len(keys(store)) == 2 * len(of_own) == 2 * len(SOME)
    assert ask(folder, store, "vllm") == other and len(vllm.opened) == 1
    assert not vllm.opened[0]["trust_remote_code"]


def test_the_words_around_the_sound_are_the_own_loops(name: str, folder: Path) -> None:
    for chat in (True, False):
        files = ModelFiles(folder, "r", chat, SpeechFiles(folder, "r"))
        _, ear = open_model(files, CONFIG)
        assert ear is not None
        writer = PromptWriter(folder, chat)
        hearing = HeardInVllm(folder, writer)
        prompt = writer.render(SOME[0].messages, SOME[0].answer_prefix)
        (row,), _ = ear.rows([prompt], [sound_of(SOME[0]).decode()])
        read = [hearing.audio_id if token == AUDIO else token for token in row]
        hearing.check_read(read, hearing.write(prompt))
        with pytest.raises(StudyError, match="another prompt"):
            hearing.check_read([*read[:-1], read[-1] + 1], hearing.write(prompt))
        with pytest.raises(StudyError, match="another prompt"):
            hearing.check_read([token for token in read if token != hearing.audio_id], hearing.write(prompt))
        with pytest.raises(StudyError, match="once"):
            hearing.write("no sound")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("qwen2_audio", tmp_path_factory.mktemp("qwen"))


def test_a_vllm_that_reads_other_words_is_refused(qwen: Path, tmp_path: Path, vllm: Any, monkeypatch: Any) -> None:
    vllm.libraries[str(qwen)] = TINY["qwen2_audio"].library(qwen)
    monkeypatch.setattr(vllm, "AROUND", {"Qwen2AudioConfig": ("pad_token_id", "pad_token_id")})
    monkeypatch.setattr(vllm.libraries[str(qwen)].model.config, "pad_token_id", 7, raising=False)
    with pytest.raises(StudyError, match="another prompt"):
        ask(qwen, tmp_path / "s", "vllm")
    assert not (tmp_path / "s").exists() or not keys(tmp_path / "s")


def test_a_speech_llm_has_no_forced_choice_in_vllm(qwen: Path, tmp_path: Path, vllm: Any) -> None:
    with pytest.raises(StudyError, match="free answers"):
        ask(qwen, tmp_path / "s", "vllm", mode="forced_choice")


def test_a_prompt_that_vllm_refuses_is_told_in_a_line(qwen: Path, tmp_path: Path, vllm: Any, monkeypatch: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("The audio is too short")

    vllm.libraries[str(qwen)] = TINY["qwen2_audio"].library(qwen)
    monkeypatch.setattr(vllm.LLM, "generate", refuse)
    with pytest.raises(StudyError, match="too short"):
        ask(qwen, tmp_path / "s", "vllm")


def test_what_vllm_has_no_model_for_is_refused(qwen: Path, tmp_path: Path) -> None:
    assert vllm_hearing(qwen).classes
    for without in (name for name in TINY if name not in HEARD):
        with pytest.raises(StudyError, match="speech_engine"):
            vllm_hearing(TINY[without].save(tmp_path / without))
    ultravox = save_ultravox(tmp_path / "ultravox", architectures=["UltravoxModel"])
    mixture = save_ultravox(tmp_path / "mixture", connector={"kind": "token_mixture"})
    other = shutil.copytree(qwen, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"architectures": ["Another"]}))
    for folder in (ultravox, mixture, other):
        with pytest.raises(StudyError, match="speech_engine"):
            vllm_hearing(folder)
    with pytest.raises(StudyError):
        vllm_hearing(save_llama(tmp_path / "text", byte_level_tokenizer()))


def test_a_lora_has_room(tmp_path: Path) -> None:
    assert "enable_lora" not in speech_arguments()
    for rank in range(1, RANKS[-1] + 1):
        room = speech_arguments(rank)["max_lora_rank"]
        assert room >= rank and room in RANKS and not any(rank <= each < room for each in RANKS)
    with pytest.raises(StudyError, match="rank"):
        speech_arguments(RANKS[-1] + 1)


def test_the_installed_vllm_has_every_model_and_parameter() -> None:
    """Where the real library is: the names were checked against the sources of the pinned version."""
    if not importlib.util.find_spec("vllm"):
        pytest.skip("vllm is not installed here")
    from vllm import LLM, ModelRegistry
    from vllm.engine.arg_utils import EngineArgs

    known = set(ModelRegistry.get_supported_archs())
    assert all(set(each.vllm.classes) <= known for each in ARCHITECTURES.values() if each.vllm)
    arguments = engine_arguments(Path("m"), "float32", 8) | speech_arguments(8)
    assert set(arguments) <= set(inspect.signature(EngineArgs).parameters)
    assert "lora_request" in inspect.signature(LLM.generate).parameters
