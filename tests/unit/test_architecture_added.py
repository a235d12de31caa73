"""An architecture of speech LLMs added in one place is resolved, opened, asked and looked into as the package's are."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import own_text_checks as checks
import pytest
import torch
from own_text_checks import CONFIG, QUESTIONS, clip, files_of
from safetensors.torch import load_file, save_file
from test_estimate import make
from tiny_llm import CHATML, byte_level_tokenizer, save_llama
from transformers import LlamaConfig, LlamaForCausalLM

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.sources import ModelSpec, PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.lens import Unembedding, open_unembedding
from cascade_equivalence.models.answering import answer_questions, open_model
from cascade_equivalence.models.architecture import ARCHITECTURES, Architecture, OwnText
from cascade_equivalence.models.question import ModelFiles, SpeechFiles
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.model import SpeechLLM, open_speech_llm
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes.answers import model_files

NAME, WIDTH, BLOCKS, FRAME = "toy_ears", 64, 2, 1600

torch.set_num_threads(1)


class Ears:
    """One linear layer on pieces of a tenth of a second."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        pieces = [torch.from_numpy(audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)) for audio in audios]
        return [each.to(self.weight.dtype) @ self.weight for each in pieces]


class ToyConfig(LlamaConfig):
    model_type = NAME


class ToyText(LlamaForCausalLM):
    """The text LLM, beside which the checkpoint has the ears."""

    config_class = ToyConfig
    _keys_to_ignore_on_load_unexpected = [r"^ears\."]  # noqa: RUF012 - as the library has it


def open_toy(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> SpeechLLM:
    weight = load_file(files.folder / "model.safetensors", device)["ears.weight"]
    return SpeechLLM(Ears(weight.to(dtype)), text)


TOY = Architecture(
    name=NAME,
    title="Toy",
    open=open_toy,
    own_text=OwnText(network=lambda: ToyText, config=dict, model_type="llama", chat_template=lambda: CHATML),
    files=("ears.txt",),
    refused={"toy_old": "an old toy: take a new one"},
)


def save(folder: Path) -> Path:
    """Random weights in a layout that no library knows; the tokenizer has no chat template."""
    save_llama(folder, byte_level_tokenizer(chat=False))
    weights = load_file(folder / "model.safetensors")
    weights["ears.weight"] = torch.randn(FRAME, WIDTH, generator=torch.Generator().manual_seed(0))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    change_config(folder, model_type=NAME)
    (folder / "ears.txt").write_text("two\n")
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ARCHITECTURES, "_added", {})
    ARCHITECTURES.add(TOY)


@pytest.mark.usefixtures("added")
def test_its_resolved_checkpoint_answers(folder: Path, tmp_path: Path) -> None:
    spec = ModelSpec(role="speech-llm", source=PathSource(kind="path", path=folder), licence="none", blocks=BLOCKS)
    target = resolve_model("toy", spec, tmp_path / "models" / "toy", tmp_path / "cache")
    facts = read_manifest(target).architecture
    assert (facts["model_type"], facts["speech_model_type"], facts["connector"]) == ("llama", NAME, NAME)
    assert (facts["layers"], facts["hidden"]) == (BLOCKS, WIDTH)
    files = model_files([target / "manifest.json"] * 2, chat=True)
    answers = answer_questions(QUESTIONS[:3], files, CONFIG, 4, tmp_path / "store", "toy")
    assert len(answers) == 3 and any(answer.text for answer in answers)


@pytest.mark.usefixtures("added")
def test_it_is_open_to_inspection(folder: Path) -> None:
    _, model = open_model(files_of(folder), CONFIG)
    assert model is not None and model.text.tokenizer.chat_template == CHATML
    checks.check_company(model)
    checks.check_erasure(model, WIDTH)
    states = torch.randn(3, WIDTH)
    lens = open_unembedding(folder, "cpu", torch.float32)
    torch.testing.assert_close(lens.logits(states), Unembedding(model.text.model).logits(states))
    rows, heard = checks.read(model, QUESTIONS[:2])
    last = checks.logits_of(model.text, rows, 1, heard)
    assert (last[0] - last[1]).abs().max() > 0.01


@pytest.mark.usefixtures("added")
def test_another_text_llm_is_refused(folder: Path, tmp_path: Path) -> None:
    text = TextLLM(save(tmp_path), "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match="text_model"):
        open_speech_llm(SpeechFiles(folder, "r"), text, "cpu", torch.float32)


def test_one_that_speaks_through_another_model(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ARCHITECTURES, "_added", {})
    ARCHITECTURES.add(replace(TOY, own_text=None))
    llama = save_llama(tmp_path, byte_level_tokenizer())
    text, model = open_model(ModelFiles(llama, "t", True, SpeechFiles(folder, "r")), CONFIG)
    assert model is not None and model.text is text
    (row,), (heard,) = model.rows([text.render([{"role": "user", "content": "<|audio|> What?"}])], [clip(0)])
    assert len(model.audio_positions(row)) == len(heard) == 10
    assert text.generate([row], 3, heard=[heard])


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("toy_eras", r"'toy_eras'.*Did you mean 'toy_ears'.*ultravox, qwen2_audio, phi4_multimodal, .*toy_ears"),
        ("toy_old", "an old toy: take a new one"),
        (None, "None.*ultravox"),
        (["toy_ears"], "toy_ears"),
        (3, "3.*ultravox"),
    ],
)
def test_one_that_is_not_known_is_refused_by_name(kind: object, told: str, folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other")
    change_config(other, model_type=kind)
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match=told) as refused:
        open_speech_llm(SpeechFiles(other, "r"), text, "cpu", torch.float32)
    assert str(other) in str(refused.value)
    spec = ModelSpec(role="speech-llm", source=PathSource(kind="path", path=other), licence="none")
    with pytest.raises(StudyError, match=told):
        resolve_model("toy", spec, tmp_path / "models" / "toy", tmp_path / "cache")


@pytest.mark.usefixtures("added")
def test_a_file_that_it_needs_to_hear_is_missed_and_its_text_llm_does_without(tmp_path: Path) -> None:
    other = save(tmp_path / "other")
    (other / "ears.txt").unlink()
    with pytest.raises(StudyError, match=r"ears\.txt"):
        open_model(files_of(other), CONFIG)
    assert open_model(ModelFiles(other, "r", True), CONFIG)[1] is None


def test_one_that_nothing_opens_is_refused() -> None:
    with pytest.raises(StudyError, match=NAME):
        replace(TOY, open=None)


PLUGIN = """
from cascade_equivalence.models.architecture import ARCHITECTURES, Architecture

def open_it(files, text, device, dtype):
    raise NotImplementedError("{more}")

ARCHITECTURES.add(Architecture(name="mine", title="Mine", open=open_it))
"""


def test_its_file_is_part_of_what_hears_and_of_nothing_else(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.addfinalizer(lambda: plugins.use([]))
    path = tmp_path / "mine.py"

    def codes(more: str) -> dict[str, str]:
        path.write_text(PLUGIN.format(more=more))
        study = make(tmp_path, plugins=[str(path)])
        found = {system: stages.answer.params(study, system, "sst2")["code"] for system in ("cascade", "heard", "true")}
        models = {model: stages.resolve.params(study, model)["code"] for model in ("words", "talker")}
        return found | models | {"states": stages.states.params(study, "talker")["code"]}

    before, after = codes("a"), codes("b")
    assert {name for name in before if before[name] != after[name]} == {"heard", "talker", "states"}
