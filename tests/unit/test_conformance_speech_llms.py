"""What holds for every speech LLM whose checkpoint has its own text LLM: random ones against the library's class.

Each is opened from safetensors in a folder and compared with the class's own ``forward`` and ``generate`` on its own
processor's inputs; then what must be refused.
"""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import own_text_checks as checks
import pytest
import torch
from own_text_checks import CONFIG, clip, files_of
from safetensors.torch import load_file, save_file
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_speech_llms import TINY

from cascade_equivalence.config.sources import HubSource, ModelSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.models.question import ModelFiles, SpeechFiles
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.sources import hub
from cascade_equivalence.models.sources.facts import speech_facts
from cascade_equivalence.models.sources.files import Fetched
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM, open_speech_llm
from cascade_equivalence.models.speech_llm.preflight import preflight
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.nodes.answers import model_files
from cascade_equivalence.stats.backbone import backbone_match

torch.set_num_threads(1)


def test_every_architecture_is_checked() -> None:
    own = {name for name, each in ARCHITECTURES.items() if each.own_text is not None}
    # No class of the library: held against its base and against peft in a suite of its own.
    assert set(TINY) == own - {"voice_adapter"}


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
def library(name: str, folder: Path) -> checks.Library:
    return TINY[name].library(folder)


@pytest.fixture(scope="module")
def reference(library: checks.Library) -> checks.Reference:
    return checks.reference_of(library)


def test_logits_and_places_of_the_sound(model: SpeechLLM, reference: checks.Reference) -> None:
    checks.check_against(model, reference)


def test_answers_are_those_of_the_class(name: str, model: SpeechLLM, library: checks.Library) -> None:
    checks.check_generate(model, library, TINY[name].batches)


def test_the_text_llm_inside_opened_alone(folder: Path, library: checks.Library, model: SpeechLLM) -> None:
    """The own-weights cascade's; and so reads the speech LLM what is typed."""
    alone, speech = open_model(ModelFiles(folder, "r", True), CONFIG)
    assert speech is None
    checks.check_own_text(alone, library)
    checks.check_own_text(model.typed, library)
    # Its defaults sample and penalise; of them only the ends of an answer count.
    said = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert alone.end_tokens(alone.model.generation_config) >= ({said} if isinstance(said, int) else set(said))


def test_company_changes_nothing(model: SpeechLLM) -> None:
    checks.check_company(model)


@pytest.mark.filterwarnings("ignore:.* hears the first")
def test_sound_longer_than_a_window_and_shorter_than_a_vector(model: SpeechLLM, library: checks.Library) -> None:
    """Windows follow each other, or what is behind the last one is not heard: as by the library's own processor."""
    long = np.concatenate([clip(5), clip(2)])
    inputs = library.inputs([library.prompt], [long])
    with torch.no_grad():
        expected = library.model(**inputs).logits[0]
    messages, prefix = checks.QUESTIONS[0].messages, checks.QUESTIONS[0].answer_prefix
    (row,), heard = model.rows([model.text.render(messages, prefix)], [long])
    assert row.count(AUDIO) == int((inputs["input_ids"] == library.audio_id).sum()) == len(heard[0])
    found = checks.logits_of(model.text, [row], len(row), heard)[0]
    torch.testing.assert_close(found, expected, atol=checks.TOLERANCE, rtol=0)
    (tiny,) = model.encoder.embed([long[:1]])
    assert len(tiny) and bool(tiny.isfinite().all())


def test_answers_and_forced_choices(folder: Path, reference: checks.Reference, tmp_path: Path) -> None:
    checks.check_answers(files_of(folder), reference, tmp_path)


def test_states_and_the_logit_lens(name: str, model: SpeechLLM, reference: checks.Reference, tmp_path: Path) -> None:
    assert len(model.blocks) == TINY[name].blocks
    checks.check_capture(model, reference, tmp_path)


def test_implicit_transcripts(model: SpeechLLM, reference: checks.Reference) -> None:
    checks.check_implicit(model, reference)


def test_erasure(name: str, model: SpeechLLM) -> None:
    checks.check_erasure(model, TINY[name].width)


def test_reading(model: SpeechLLM) -> None:
    checks.check_reading(model)


def test_patching(model: SpeechLLM) -> None:
    checks.check_patching(model)


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


def test_reduced_precision(folder: Path) -> None:
    """Weights, vectors and what the text LLM computes are of the arithmetic that is asked for; numbers stay finite."""
    _, model = open_model(files_of(folder), CONFIG.model_copy(update={"dtype": "bfloat16"}))
    assert model is not None and model.text.model.dtype == torch.bfloat16
    rows, heard = checks.read(model, checks.QUESTIONS[:3])
    assert {vectors.dtype for vectors in heard} == {torch.bfloat16}
    assert len(model.text.generate(rows, 3, heard=heard)) == len(rows)
    assert all(map(np.isfinite, model.text.log_likelihoods(rows[0], [model.text.tokenize("yes")], heard=heard[:1])))


def test_the_preflight_runs(model: SpeechLLM) -> None:
    """What a random model says means nothing, but differs from clip to clip and not in a batch."""
    prompt = model.text.render([{"role": "user", "content": f"{PLACEHOLDER} What is said?"}])
    record = preflight(model, [clip(0), clip(2)], ["a dog", "a bridge"], prompt)
    assert min(record["vectors"]) > 0 and record["words_moved_by_batching"] == 0


def test_backbones_are_compared_by_config(folder: Path, tmp_path: Path) -> None:
    """Exact with itself alone; a text LLM of the same shape is of its family, another one is not."""
    own = speech_facts({path.name: path for path in folder.iterdir()}, "own")
    assert backbone_match(("a", own), ("a", own)) == "exact"
    assert backbone_match(("a", own), ("b", dict(own))) == "family"
    assert backbone_match(("a", own), ("b", own | {"layers": int(str(own["layers"])) + 1})) == "none"


def changed(folder: Path, target: Path, name: str) -> Path:
    """A copy without one weight."""
    shutil.copytree(folder, target)
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    return target


def test_a_checkpoint_that_lacks_ears(name: str, folder: Path, tmp_path: Path) -> None:
    heard = TINY[name].heard
    with pytest.raises(StudyError, match=rf"{re.escape(heard.split('.', 1)[1])}|{re.escape(heard)}"):
        open_model(files_of(changed(folder, tmp_path / "deaf", heard)), CONFIG)


def test_a_revision_without_safetensors(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(StudyError, match=r"safetensors"):
        open_model(files_of(tmp_path / "pickled"), CONFIG)
    with pytest.raises(StudyError, match=r"no model\.safetensors"):
        speech_facts({path.name: path for path in (tmp_path / "pickled").iterdir()}, "pickled")


def test_a_class_that_is_not_supported(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "kimi_audio"}))
    with pytest.raises(StudyError, match="of a model of type 'kimi_audio'"):
        speech_facts({each.name: each for each in (tmp_path / "other").iterdir()}, "other")


def test_a_processor_that_hears_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "seeing")
    (tmp_path / "seeing" / "processor_config.json").unlink(missing_ok=True)
    path = tmp_path / "seeing" / "preprocessor_config.json"
    path.write_text(json.dumps({"image_processor_type": "CLIPImageProcessor", "size": 224}))
    with pytest.raises(StudyError, match=r"preprocessor_config\.json"):
        open_model(files_of(tmp_path / "seeing"), CONFIG)


def test_no_code_of_a_checkpoint_is_run(folder: Path, tmp_path: Path) -> None:
    copy, marker = tmp_path / "code", tmp_path / "ran"
    shutil.copytree(folder, copy)
    (copy / "own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n")
    for file, kinds in {
        "config.json": ("AutoConfig", "AutoModel", "AutoModelForCausalLM"),
        "tokenizer_config.json": ("AutoTokenizer",),
        "preprocessor_config.json": ("AutoProcessor", "AutoFeatureExtractor"),
    }.items():
        content = json.loads((copy / file).read_text()) if (copy / file).is_file() else {}
        (copy / file).write_text(json.dumps(content | {"auto_map": dict.fromkeys(kinds, "own.Own")}))
    with suppress(StudyError, ValueError):  # a refusal is right, too
        open_model(files_of(copy), CONFIG)
    assert not marker.exists()
