"""Whisper weights from three layouts load into the same openai-whisper network."""

import struct
from pathlib import Path

import ctranslate2
import ctranslate2.converters.transformers as ctranslate2_converters
import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration
from whisper.model import LayerNorm

from cascade_equivalence.config.sources import ModelSpec, PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_header
from cascade_equivalence.models.ctranslate2_weights import read_tensors, whisper_state_dict
from cascade_equivalence.models.openai_whisper import (
    WEIGHTS,
    load_openai_whisper,
    read_dimensions,
    rename_transformers,
    transformers_dimensions,
    write_weights,
)
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model

FRAMES, MELS, VOCABULARY = 20, 16, 96


@pytest.fixture(scope="module")
def original() -> WhisperForConditionalGeneration:
    """A small Whisper whose every number is random, the layer norms included; encoder and decoder differ in shape."""
    torch.manual_seed(1)
    config = WhisperConfig(
        vocab_size=VOCABULARY,
        num_mel_bins=MELS,
        d_model=32,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_source_positions=FRAMES,
        max_target_positions=24,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1),
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.5 if parameter.ndim == 1 else 0, 0.2)
    return model


def save_ctranslate2(model: WhisperForConditionalGeneration, folder: Path, quantization: str | None) -> Path:
    """Write the model as CTranslate2's own converter does."""
    spec = ctranslate2_converters.WhisperLoader().get_model_spec(model)
    spec.register_vocabulary([f"t{index}" for index in range(VOCABULARY)])
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir()
    spec.save(str(folder))
    return folder


def assert_same(folder: Path, model: WhisperForConditionalGeneration, tolerance: float) -> None:
    loaded = load_openai_whisper(folder)
    mel = torch.randn(2, MELS, 2 * FRAMES, generator=torch.Generator().manual_seed(2))
    tokens = torch.arange(14).reshape(2, 7) % VOCABULARY
    with torch.no_grad():
        expected = model(input_features=mel, decoder_input_ids=tokens)
        audio = loaded.encoder(mel)
        logits = loaded.decoder(tokens, audio)
    torch.testing.assert_close(audio, expected.encoder_last_hidden_state, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(logits, expected.logits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shard", ["1GB", "60KB"])
def test_transformers_layout(original: WhisperForConditionalGeneration, tmp_path: Path, shard: str) -> None:
    original.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "60KB")
    assert_same(tmp_path, original, 1e-5)


def test_ctranslate2_layout(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    assert_same(save_ctranslate2(original, tmp_path / "ct2", None), original, 1e-5)


def test_written_weights_are_the_stored_ones(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    folder = save_ctranslate2(original, tmp_path / "ct2", "float16")
    state, dimensions = whisper_state_dict(read_tensors(folder / "model.bin"))
    assert {value.dtype for value in state.values()} == {np.dtype(np.float16)}
    direct = load_openai_whisper(folder).state_dict()
    write_weights(state, dimensions, folder / WEIGHTS)
    (folder / "model.bin").unlink()
    assert read_dimensions(folder / WEIGHTS) == dimensions == transformers_dimensions(original.config.to_dict())
    renamed = load_openai_whisper(folder).state_dict()
    assert renamed.keys() == direct.keys()
    assert all(torch.equal(renamed[name], direct[name]) for name in direct)
    half = {rename_transformers(name): value.half().float() for name, value in original.state_dict().items()}
    assert all(torch.equal(renamed[name], half[name]) for name in renamed)


def test_a_resolved_folder_serves_both_engines(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    folder = save_ctranslate2(original, tmp_path / "ct2", None)
    (folder / "tokenizer.json").write_text("{}")
    spec = ModelSpec(role="asr", source=PathSource(kind="path", path=folder), licence="MIT")
    target = resolve_model("tiny", spec, tmp_path / "models" / "tiny", tmp_path / "cache")
    manifest = read_manifest(target)
    assert set(manifest.files) - set(manifest.origin) == {WEIGHTS}
    assert (target / "model.bin").resolve() == folder / "model.bin"
    assert not (target / WEIGHTS).is_symlink()
    facts = manifest.architecture
    named = ("encoder_layers", "decoder_layers", "hidden", "heads", "mel_bins", "vocab")
    assert [facts[key] for key in named] == [3, 2, 32, 4, MELS, VOCABULARY]
    assert facts["engines"] == ["faster-whisper", "hybrid", "openai-whisper"]
    assert ctranslate2.models.Whisper(str(target), device="cpu").n_mels == MELS
    assert_same(target, original, 1e-5)
    (target / "model.bin").unlink()
    assert_same(target, original, 1e-5)
    assert [path.name for path in sorted(folder.iterdir())] == sorted(manifest.origin)


def test_a_resolved_transformers_folder_serves_one_engine(
    original: WhisperForConditionalGeneration, tmp_path: Path
) -> None:
    original.save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    spec = ModelSpec(role="asr", source=PathSource(kind="path", path=tmp_path / "hf"), licence="MIT")
    target = resolve_model("tiny", spec, tmp_path / "models" / "tiny", tmp_path / "cache")
    assert read_manifest(target).architecture["engines"] == ["openai-whisper"]
    assert read_manifest(target).architecture["parameters"] == original.num_parameters()
    assert_same(target, original, 1e-5)


def test_every_name_is_renamed_once(original: WhisperForConditionalGeneration) -> None:
    names = [rename_transformers(name) for name in original.state_dict()]
    assert names.count(None) == 1
    assert len(set(names)) == len(names)


def test_half_precision_keeps_layer_norms_in_float32(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    original.save_pretrained(tmp_path)
    model = load_openai_whisper(tmp_path, dtype=torch.bfloat16)
    norms = [module for module in model.modules() if isinstance(module, LayerNorm)]
    assert {norm.weight.dtype for norm in norms} == {torch.float32}
    assert model.encoder.conv1.weight.dtype == torch.bfloat16
    with torch.no_grad():
        audio = model.encoder(torch.randn(1, MELS, 2 * FRAMES).bfloat16())
        logits = model.decoder(torch.ones(1, 3, dtype=torch.long), audio)
    assert audio.dtype == torch.bfloat16
    assert torch.isfinite(logits).all()


def test_integer_weights_are_refused(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    folder = save_ctranslate2(original, tmp_path / "ct2", "int8")
    with pytest.raises(StudyError, match="float16"):
        load_openai_whisper(folder)


def test_a_key_bias_is_refused(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    folder = save_ctranslate2(original, tmp_path / "ct2", None)
    tensors = read_tensors(folder / "model.bin")
    name = "decoder/layer_1/attention/linear_1/bias"
    tensors[name] = tensors[name].copy()
    tensors[name][0] = 0.1
    with pytest.raises(StudyError, match="key bias"):
        whisper_state_dict(tensors)


def test_every_cut_off_file_is_refused(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    content = (save_ctranslate2(original, tmp_path / "ct2", "float16") / "model.bin").read_bytes()
    cut = tmp_path / "model.bin"
    for kept in [*range(0, 200, 7), *np.linspace(200, len(content) - 1, 60, dtype=int)]:
        cut.write_bytes(content[:kept])
        with pytest.raises(StudyError):
            read_tensors(cut)


def test_a_pickled_model_bin_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.bin")
    with pytest.raises(StudyError, match="not a CTranslate2 Whisper file"):
        read_tensors(tmp_path / "model.bin")


def test_another_ctranslate2_model_is_refused(tmp_path: Path) -> None:
    name = b"TransformerSpec\0"
    (tmp_path / "model.bin").write_bytes(struct.pack("<IH", 6, len(name)) + name + bytes(50))
    with pytest.raises(StudyError, match="TransformerSpec"):
        read_tensors(tmp_path / "model.bin")


def test_missing_weights_are_named(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    state, dimensions = whisper_state_dict(
        read_tensors(save_ctranslate2(original, tmp_path / "ct2", None) / "model.bin")
    )
    del state["decoder.blocks.1.mlp.2.bias"]
    write_weights(state, dimensions, tmp_path / WEIGHTS)
    with pytest.raises(StudyError, match=r"decoder\.blocks\.1\.mlp\.2\.bias"):
        load_openai_whisper(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no Whisper weights"):
        load_openai_whisper(tmp_path)


def test_headers_show_cut_off_files(original: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    original.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    shapes = read_header(file).shapes
    assert shapes == {name: tuple(v.shape) for name, v in original.state_dict().items() if name in shapes}
    content = file.read_bytes()
    for kept in (0, 4, 100, len(content) - 1):
        file.write_bytes(content[:kept])
        with pytest.raises(StudyError, match=r"model\.safetensors"):
            read_header(file)
