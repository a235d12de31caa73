"""What holds for every architecture whose checkpoints have their own text LLM, against the library's own model."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import own_text_checks as checks
import pytest
import tiny_phi4
import tiny_qwen2_audio
import torch
from own_text_checks import CONFIG, clip, files_of
from tiny_llm import byte_level_tokenizer, save_llama

from cascade_equivalence.config.sources import HubSource, ModelSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.models.question import ModelFiles, SpeechFiles
from cascade_equivalence.models.sources import hub
from cascade_equivalence.models.sources.files import Fetched
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM, open_speech_llm
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes.answers import model_files

torch.set_num_threads(1)


@dataclass(frozen=True)
class Tiny:
    """A random checkpoint of an architecture: what writes it, what the library makes of it, blocks and width."""

    save: Callable[..., Path]
    reference: Callable[[Path], checks.Reference]
    blocks: int
    width: int


TINY = {
    "qwen2_audio": Tiny(
        tiny_qwen2_audio.save_qwen2_audio,
        tiny_qwen2_audio.reference_of,
        tiny_qwen2_audio.BLOCKS,
        tiny_qwen2_audio.WIDTH,
    ),
    "phi4_multimodal": Tiny(tiny_phi4.save_phi4, tiny_phi4.reference_of, tiny_phi4.BLOCKS, tiny_phi4.WIDTH),
}


def test_every_architecture_is_checked() -> None:
    assert set(TINY) == {name for name, each in ARCHITECTURES.items() if each.own_text is not None}


@pytest.fixture(scope="module", params=TINY)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY[name].save(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeechLLM:
    text, speech = open_model(files_of(folder), CONFIG)
    assert speech is not None and speech.text is text
    return speech


@pytest.fixture(scope="module")
def reference(name: str, folder: Path) -> checks.Reference:
    return TINY[name].reference(folder)


def test_logits_and_places_of_the_sound(model: SpeechLLM, reference: checks.Reference) -> None:
    checks.check_against(model, reference)


def test_company_changes_nothing(model: SpeechLLM) -> None:
    checks.check_company(model)


def test_answers_and_forced_choices(folder: Path, reference: checks.Reference, tmp_path: Path) -> None:
    checks.check_answers(files_of(folder), reference, tmp_path)


def test_states_and_the_logit_lens(name: str, model: SpeechLLM, reference: checks.Reference, tmp_path: Path) -> None:
    assert len(model.blocks) == TINY[name].blocks
    checks.check_capture(model, reference, tmp_path)


def test_implicit_transcripts(model: SpeechLLM, reference: checks.Reference) -> None:
    checks.check_implicit(model, reference)


def test_erasure(name: str, model: SpeechLLM) -> None:
    checks.check_erasure(model, TINY[name].width)


def test_a_resolved_folder_is_opened(name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder and one manifest for text LLM and ears, as a study resolves it from the hub."""
    blocks = TINY[name].blocks
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(hub, "fetch", lambda _: Fetched(files, "c0ffee"))
    source = HubSource(kind="hub", repo="someone/own", revision="main")
    spec = ModelSpec(role="speech-llm", source=source, licence="MIT", blocks=blocks)
    target = resolve_model("own", spec, tmp_path / "models" / "own", tmp_path / "cache")
    manifest = read_manifest(target)
    assert (manifest.architecture["layers"], manifest.architecture["connector"]) == (blocks, name)
    _, speech = open_model(model_files([target / "manifest.json"] * 2, chat=True), CONFIG)
    assert speech is not None and len(speech.blocks) == blocks
    assert open_model(model_files([target / "manifest.json"], chat=True), CONFIG)[1] is None


@pytest.mark.parametrize(
    ("audio", "wrong"),
    [
        (np.zeros(0, np.float32), "clip 1 of 1 is empty"),
        (np.zeros((2, 800), np.float32), "not one channel"),
        (np.full(800, np.nan, np.float32), "not finite"),
        (np.zeros(800, np.int16), "scale it to -1 ... 1"),
    ],
)
def test_bad_sound(audio: np.ndarray, wrong: str, model: SpeechLLM) -> None:
    with pytest.raises(StudyError, match=wrong):
        model.encoder.embed([audio])


@pytest.mark.parametrize("content", ["no sound", f"{PLACEHOLDER} and {PLACEHOLDER}"])
def test_sound_stands_once_in_a_prompt(content: str, model: SpeechLLM) -> None:
    with pytest.raises(StudyError, match="once"):
        model.rows([model.text.render([{"role": "user", "content": content}])], [clip(0)])


def test_another_text_llm_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    """One of another kind, and one of the same kind from elsewhere."""
    others = save_llama(tmp_path / "llama", byte_level_tokenizer()), TINY[name].save(tmp_path / "twin", seed=1)
    for other in others:
        text = TextLLM(other, "cpu", torch.float32, chat=True)
        with pytest.raises(StudyError, match="remove `text_model` from its entry") as refused:
            open_speech_llm(SpeechFiles(folder, "r"), text, "cpu", torch.float32)
        assert str(folder) in str(refused.value) and str(other) in str(refused.value)


def test_what_it_hears_with_is_missed_by_name_and_its_text_llm_does_without(
    name: str, folder: Path, tmp_path: Path
) -> None:
    for number, file in enumerate(ARCHITECTURES[name].files):
        copy = tmp_path / f"{number}"
        shutil.copytree(folder, copy)
        (copy / file).unlink()
        with pytest.raises(StudyError, match=f"{copy}.*{file}"):
            open_model(files_of(copy), CONFIG)
        assert open_model(ModelFiles(copy, "r", True), CONFIG)[1] is None
