"""A voice adapter is its base with a change: none at scale nought, peft's own at one, in between what lies between."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel
from safetensors import safe_open
from tiny_ultravox import save_base as save_whisper
from transformers import AutoModelForCausalLM
from voice_adapters import DEPTHS, TEXT_WIDTH, entry, resolve_all, save_adapter

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.causal_lm import load_causal_lm, read_config
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.models.speech_llm.audio_tower import encoder_frames
from cascade_equivalence.models.speech_llm.mel import batch_mels, log_mel
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM, open_speech_llm
from cascade_equivalence.models.speech_llm.voice import STATISTICS, VoicePath, VoiceShape, pooled
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.resources import RESOURCES

PROMPT = f"Read the news story.\nStory: {PLACEHOLDER}\nThe topic is"


def open_folder(folder: Path, text: Path | None = None) -> SpeechLLM:
    own = TextLLM(text or folder, "cpu", torch.float32, chat=True)
    return open_speech_llm(SpeechFiles(folder, "r"), own, "cpu", torch.float32)


def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(scale=0.1, size=size).astype(np.float32) for size in (9_000, 16_000, 23_500)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


def test_at_scale_nought_it_is_its_base(place: Path) -> None:
    voiced = open_folder(resolve_all(place, 0.0))
    base = open_folder(place / "models" / "base", place / "models" / "text")
    for name, weight in base.text.model.state_dict().items():
        assert torch.equal(voiced.text.model.state_dict()[name], weight)
    rows, heard = voiced.rows([PROMPT] * 3, clips())
    same_rows, same = base.rows([PROMPT] * 3, clips())
    assert rows == same_rows
    assert all(torch.equal(one, other) for one, other in zip(heard, same, strict=True))
    assert voiced.text.generate(rows, 6, heard=heard) == base.text.generate(same_rows, 6, heard=same)


def test_at_scale_one_typed_prompts_are_read_as_peft_reads_them(place: Path) -> None:
    voiced = open_folder(resolve_all(place, 1.0))
    library = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(place / "models" / "text"), place / "made" / "adapter"
    )
    ids = torch.tensor([voiced.text.tokenize("Read the news story and name its topic.")])
    with torch.no_grad():
        torch.testing.assert_close(voiced.text.model(ids).logits, library(ids).logits, atol=1e-4, rtol=1e-4)


def test_half_the_scale_is_half_the_change(place: Path) -> None:
    none, half, whole = (open_folder(resolve_all(place, scale)) for scale in (0.0, 0.5, 1.0))
    states = [model.text.model.state_dict() for model in (none, half, whole)]
    for name in states[0]:
        torch.testing.assert_close(states[1][name], (states[0][name] + states[2][name]) / 2)
    heard = [model.rows([PROMPT] * 3, clips())[1] for model in (none, half, whole)]
    for one, two, three in zip(*heard, strict=True):
        torch.testing.assert_close(two, (one + three) / 2)
        assert not torch.allclose(one, three)


def test_the_voice_is_one_vector_a_clip_whatever_its_company(place: Path) -> None:
    model, plain = open_folder(resolve_all(place, 1.0)), open_folder(resolve_all(place, 0.0))
    (_, heard), (_, words) = model.rows([PROMPT] * 3, clips()), plain.rows([PROMPT] * 3, clips())
    for own, word, clip in zip(heard, words, clips(), strict=True):
        told = own - word
        torch.testing.assert_close(told, told[:1].expand_as(told), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.rows([PROMPT], [clip])[1][0], own, atol=1e-4, rtol=1e-4)


def test_a_voice_is_no_louder_than_its_limit_and_says_the_same() -> None:
    torch.manual_seed(0)
    features = 5 * torch.randn(40, 2 * STATISTICS * 4)
    free = VoicePath(VoiceShape(depths=2, hidden=8), 4, 6).requires_grad_(False)
    loud = free(features)
    sizes = loud.norm(dim=-1)
    limit = float(sizes.median())
    bound = VoicePath(VoiceShape(depths=2, hidden=8, limit=limit), 4, 6).requires_grad_(False)
    bound.load_state_dict(free.state_dict())
    soft = bound(features)
    torch.testing.assert_close(soft.norm(dim=-1), sizes.clamp(max=limit))
    torch.testing.assert_close(torch.cosine_similarity(loud, soft), torch.ones(40))
    bound.scale = 0.25
    torch.testing.assert_close(bound(features), soft / 4)


def test_statistics_are_those_of_each_clip_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    depths = [torch.randn(3, 9, 4, generator=generator) for _ in range(2)]
    frames = torch.tensor([9, 5, 1])
    found = pooled(depths, frames).numpy().reshape(3, 2, STATISTICS, 4)
    for row, count in enumerate(frames.tolist()):
        for at, states in enumerate(depths):
            own = states[row, :count].numpy()
            np.testing.assert_allclose(found[row, at, 0], own.mean(0), atol=1e-6)
            np.testing.assert_allclose(found[row, at, 1], own.std(0), atol=1e-6)
            steps = np.abs(np.diff(own, axis=0)).mean(0) if count > 1 else np.zeros(4)
            np.testing.assert_allclose(found[row, at, 2], steps, atol=1e-6)


def test_the_last_depth_under_the_norm_is_what_the_tower_gives(place: Path) -> None:
    encoder = open_folder(resolve_all(place, 1.0)).encoder
    assert isinstance(encoder, AudioEncoder)
    mels = [log_mel(clip, 80) for clip in clips()]
    sound, frames = batch_mels(mels), torch.tensor([mel.shape[1] for mel in mels])
    with torch.no_grad():
        depths = list(encoder.audio_tower.depths(sound, frames))
        whole = encoder.audio_tower(sound, frames)
    assert len(depths) == DEPTHS
    for row, count in enumerate(encoder_frames(frames).tolist()):
        torch.testing.assert_close(encoder.audio_tower.layer_norm(depths[-1])[row, :count], whole[row, :count])


def test_the_folder_says_what_it_is_made_of_and_follows_its_scale(place: Path) -> None:
    folder = resolve_all(place, 0.25)
    manifest = read_manifest(folder)
    revisions = {part: read_manifest(place / "models" / part).revision for part in ("base", "text")}
    assert manifest.adapts == {**revisions, "scale": "0.25"}
    assert manifest.architecture["hidden"] == TEXT_WIDTH and manifest.architecture["model_type"] == "llama"
    assert manifest.revision != read_manifest(resolve_all(place, 0.5)).revision
    # Another scale in the same folder is another model.
    parts = {part: place / "models" / part for part in ("base", "text")}
    spec = entry(place / "made" / "adapter", "speech-llm", base="base", scale=0.75)
    resolve_model("voiced", spec, folder, place / "cache", parts)
    assert json.loads((folder / "config.json").read_text())["scale"] == 0.75
    assert read_manifest(folder).revision != manifest.revision
    # The text LLM lies there once, as a link.
    assert (folder / "text" / "model.safetensors").is_symlink()


def test_a_change_that_changes_nothing_is_refused(place: Path, tmp_path: Path) -> None:
    resolve_all(place, 1.0)
    save_adapter(tmp_path / "zero", place / "made" / "text", zero=True)
    with pytest.raises(StudyError, match="all zeros"):
        open_folder(resolve_all(place, 1.25, tmp_path / "zero"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"depths": DEPTHS + 1}, "voice"),
        ({"depths": "many"}, "voice"),
    ],
)
def test_a_voice_path_of_another_shape_is_refused(
    place: Path, tmp_path: Path, damage: dict[str, object], said: str
) -> None:
    resolve_all(place, 1.0)
    shutil.copytree(place / "made" / "adapter", tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    config["voice"] |= damage
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    with pytest.raises(StudyError, match=said):
        open_folder(resolve_all(place, 1.5, tmp_path / "other"))


def test_an_adapter_without_its_base_is_named(place: Path, tmp_path: Path) -> None:
    resolve_all(place, 1.0)
    save_whisper(tmp_path / "whisper")
    text = TextLLM(place / "models" / "text", "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match="base"):
        from cascade_equivalence.models.speech_llm.voice_adapter import open_voice_adapter

        open_voice_adapter(SpeechFiles(place / "made" / "adapter", "r"), text, "cpu", torch.float32)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "adapter_model.safetensors"])
def test_a_base_of_what_is_no_adapter_is_told_with_what_one_holds(place: Path, tmp_path: Path, missing: str) -> None:
    resolve_all(place, 1.0)
    shutil.copytree(place / "made" / "adapter", tmp_path / "own")
    (tmp_path / "own" / missing).unlink()
    with pytest.raises(StudyError, match=rf"models\.voiced\.source: .*no {missing}\. An adapter holds") as told:
        resolve_all(place, 1.25, tmp_path / "own")
    assert "\n" not in str(told.value)


def test_a_config_that_was_repaired_in_its_source_is_taken_over(place: Path, tmp_path: Path) -> None:
    resolve_all(place, 1.0)
    shutil.copytree(place / "made" / "adapter", tmp_path / "own")
    folder = resolve_all(place, 1.75, tmp_path / "own")
    before = read_manifest(folder).revision
    config = json.loads((tmp_path / "own" / "config.json").read_text())
    (tmp_path / "own" / "config.json").write_text(json.dumps(config | {"audio_model_id": "another"}))
    assert read_manifest(resolve_all(place, 1.75, tmp_path / "own")).revision != before
    assert json.loads((folder / "config.json").read_text())["audio_model_id"] == "another"
    again = read_manifest(folder)
    assert read_manifest(resolve_all(place, 1.75, tmp_path / "own")) == again


def test_without_its_blocks_it_is_what_the_lens_reads(place: Path) -> None:
    folder = resolve_all(place, 1.0)
    config = read_config(folder)
    config.num_hidden_layers = 0
    bare, whole = load_causal_lm(folder, torch.float32, config), load_causal_lm(folder, torch.float32)
    assert torch.equal(bare.get_output_embeddings().weight, whole.get_output_embeddings().weight)
    assert torch.equal(bare.model.norm.weight, whole.model.norm.weight) and not len(bare.model.layers)


def test_peft_reads_how_the_shipped_change_is_laid_out() -> None:
    folder = RESOURCES / "mini-voice"
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    read = PeftConfig.from_pretrained(str(folder))
    assert isinstance(read, LoraConfig)
    changed = {name.rsplit(".", 3)[1] for name in shapes}
    assert changed == set(read.target_modules) and {min(shape) for shape in shapes.values()} == {read.r}
