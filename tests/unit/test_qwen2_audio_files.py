"""Files of a Qwen2-Audio checkpoint: what is taken from where, what is refused, and whose LLM is inside."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from own_text_checks import CONFIG, clip, files_of
from safetensors.torch import load_file, save_file
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_qwen2_audio import BLOCKS, WIDTH, qwen_tokenizer, save_qwen2_audio
from tiny_ultravox import save_ultravox

from cascade_equivalence.config.sources import ModelSpec, PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.architecture import own_text_in
from cascade_equivalence.models.sources.facts import llm_facts, speech_facts
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.qwen2_audio import Qwen2AudioLLM, load_front_end
from cascade_equivalence.models.speech_llm.qwen2_audio_text import library_chat_template
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.stats.backbone import backbone_match

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2_audio(tmp_path_factory.mktemp("qwen2-audio"))


def test_a_checkpoint_without_a_text_llm_needs_one(tmp_path: Path) -> None:
    source = PathSource(kind="path", path=save_ultravox(tmp_path / "ultravox"))
    spec = ModelSpec(role="speech-llm", source=source, licence="MIT")
    with pytest.raises(StudyError, match=r"models\.u\.text_model: its checkpoint holds no text LLM"):
        resolve_model("u", spec, tmp_path / "models" / "u", tmp_path / "cache")
    resolve_model("u", spec.model_copy(update={"text_model": "t"}), tmp_path / "models" / "u", tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("audio_tower.layers.1.fc1.bias", r"audio_tower\.layers\.1\.fc1\.bias \(32,\) is missing"),
        ("multi_modal_projector.linear.weight", r"multi_modal_projector\.linear\.weight \(48, 16\) is missing"),
        ("language_model.model.layers.1.mlp.up_proj.weight", "lacks weights"),
    ],
)
def test_weights_that_are_missing(name: str, wrong: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, tmp_path / "cut" / "model.safetensors", {"format": "pt"})
    with pytest.raises(StudyError, match=wrong):
        open_model(files_of(tmp_path / "cut"), CONFIG)


def test_every_weight_of_the_audio_part_arrives(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    found = load_front_end(folder, "cpu", torch.float32).state_dict()
    assert found.keys() == {name for name in weights if not name.startswith("language_model.")}
    assert all(torch.equal(found[name], weights[name]) for name in found)
    halved = load_front_end(folder, "cpu", torch.bfloat16)
    assert {weight.dtype for weight in halved.parameters()} == {torch.bfloat16}
    assert {vectors.dtype for vectors in halved.embed([clip(0)])} == {torch.bfloat16}


def test_a_tokenizer_that_knows_no_sound(folder: Path) -> None:
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    text.tokenizer = byte_level_tokenizer()
    with pytest.raises(StudyError, match=r"<\|audio_bos\|> and <\|audio_eos\|>, which stands around sound, is not in"):
        Qwen2AudioLLM(load_front_end(folder, "cpu", torch.float32), text)


def test_a_spectrogram_that_does_not_fit(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"feature_size": 80}))
    with pytest.raises(StudyError, match=r"takes 128 mel bands and 200 frames, .* makes 80 and 200"):
        load_front_end(tmp_path / "other", "cpu", torch.float32)


def test_the_librarys_template_for_a_tokenizer_without_one(tmp_path: Path) -> None:
    """For typed turns it writes what the published tokenizers of this family write; other models have no such thing."""
    tokenizer = qwen_tokenizer()
    assert tokenizer.chat_template is None
    tokenizer.chat_template = library_chat_template()
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert own_text_in(save_llama(tmp_path / "llama", byte_level_tokenizer())) is None
    bare = save_qwen2_audio(tmp_path / "bare", template=False)
    assert TextLLM(bare, "cpu", torch.float32, chat=True).tokenizer.chat_template == library_chat_template()


# The published config, which leaves out what the library's class has as a default: there is no number of layers in it.
PUBLISHED = {
    "architectures": ["Qwen2AudioForConditionalGeneration"],
    "model_type": "qwen2_audio",
    "audio_token_index": 151646,
    "vocab_size": 156032,
    "audio_config": {"model_type": "qwen2_audio_encoder", "num_mel_bins": 128, "d_model": 1280, "encoder_layers": 32},
    "text_config": {
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "intermediate_size": 11008,
        "max_position_embeddings": 8192,
        "model_type": "qwen2",
        "rope_theta": 10000,
        "rms_norm_eps": 1e-5,
        "sliding_window": 32768,
        "torch_dtype": "bfloat16",
        "use_mrope": False,
        "vocab_size": 156032,
    },
}


QWEN2_7B = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}


def checkpoint(folder: Path, config: dict[str, Any]) -> dict[str, Path]:
    """Files of a checkpoint of which only the config tells anything."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"language_model.model.norm.weight": torch.ones(3)}, folder / "model.safetensors")
    return {path.name: path for path in folder.iterdir()}


def test_its_llm_is_not_that_of_qwen2_7b(tmp_path: Path) -> None:
    own = speech_facts(checkpoint(tmp_path / "audio", PUBLISHED), "qwen2-audio-7b-instruct")
    shape = ("model_type", "layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "speech_model_type", "parts")
    assert [own[key] for key in shape] == [
        *("qwen2", 32, 4096, 32, 32, 11008, 156032),
        "qwen2_audio",
        ["language_model"],
    ]
    partner = llm_facts(checkpoint(tmp_path / "text", QWEN2_7B), "qwen2-7b-instruct")
    assert backbone_match(("a", own), ("b", partner)) == "none"
    assert backbone_match(("a", own), ("a", own)) == "exact"
    same_shape = QWEN2_7B | {"hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 156032}
    assert backbone_match(("a", own), ("c", llm_facts(checkpoint(tmp_path / "c", same_shape), "c"))) == "family"
    with pytest.raises(StudyError, match="is not that of a qwen2_audio model"):
        speech_facts(checkpoint(tmp_path / "bad", PUBLISHED | {"text_config": {"model_type": "nobody"}}), "bad")


def test_facts_of_the_saved_checkpoint(folder: Path) -> None:
    facts = speech_facts({path.name: path for path in folder.iterdir()}, "tiny")
    assert (facts["layers"], facts["hidden"], facts["connector"]) == (BLOCKS, WIDTH, "qwen2_audio")
    assert facts["parts"] == ["audio_tower", "language_model", "multi_modal_projector"]
