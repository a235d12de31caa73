"""GGUF files become safetensors folders that compute the same."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from cascade_equivalence.config.sources import ModelSpec, PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.sources.gguf import convert
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model

LAYERS, HEADS, KV_HEADS, HIDDEN = 2, 4, 2, 32
TOKENS = [*bytes_to_unicode().values(), "th", "the", "<|end|>"]
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tiny_llama(tied: bool) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(TOKENS),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def rotary_order(weight: np.ndarray, heads: int) -> np.ndarray:
    """The row order in which llama.cpp stores queries and keys."""
    rows = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, rows, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def gguf_tensors(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    tensors = {
        "token_embd.weight": state["model.embed_tokens.weight"],
        "output_norm.weight": state["model.norm.weight"],
    }
    if not model.config.tie_word_embeddings:
        tensors["output.weight"] = state["lm_head.weight"]
    for layer in range(LAYERS):
        for name, stored in NAMES.items():
            weight = state[f"model.layers.{layer}.{name}.weight"]
            if stored in ("attn_q", "attn_k"):
                weight = rotary_order(weight, HEADS if stored == "attn_q" else KV_HEADS)
            tensors[f"blk.{layer}.{stored}.weight"] = weight
    return tensors


def write_gguf(path: Path, tensors: dict[str, np.ndarray], quantised: str = "") -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.NORMAL] * (len(TOKENS) - 1) + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["t h", "th e"])
    writer.add_eos_token_id(len(TOKENS) - 1)
    writer.add_bos_token_id(len(TOKENS) - 1)
    for name, value in tensors.items():
        if name == quantised:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(value, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny.gguf"


@pytest.mark.parametrize("tied", [True, False])
def test_the_converted_model_computes_the_same(source: Path, tmp_path: Path, tied: bool) -> None:
    model = tiny_llama(tied)
    write_gguf(source, gguf_tensors(model))
    converters = convert(source, tmp_path / "out")
    assert set(converters) == {"gguf", "tokenizers", "torch", "transformers"}
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    tokens = torch.arange(24).reshape(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(converted(tokens).logits, model(tokens).logits, atol=1e-5, rtol=1e-5)
    assert ("lm_head.weight" in load_file(tmp_path / "out" / "model.safetensors")) == (not tied)


def test_quantised_values_are_stored_exactly_as_they_dequantise(source: Path, tmp_path: Path) -> None:
    tensors = gguf_tensors(tiny_llama(tied=True))
    write_gguf(source, tensors, quantised="blk.1.ffn_up.weight")
    convert(source, tmp_path / "out")
    kind = gguf.GGMLQuantizationType.Q8_0
    expected = gguf.dequantize(gguf.quantize(tensors["blk.1.ffn_up.weight"], kind), kind)
    stored = load_file(tmp_path / "out" / "model.safetensors")["model.layers.1.mlp.up_proj.weight"]
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, expected)
    assert not np.array_equal(stored, tensors["blk.1.ffn_up.weight"])


def test_no_sampling_defaults_and_no_quantisation_are_left(source: Path, tmp_path: Path) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    convert(source, tmp_path / "out")
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert not generation.get("do_sample", False)
    assert not {"temperature", "top_k", "top_p", "repetition_penalty"} & generation.keys()
    assert generation["eos_token_id"] == len(TOKENS) - 1
    assert "quantization_config" not in json.loads((tmp_path / "out" / "config.json").read_text())


def test_the_tokenizer_splits_as_the_file_says(source: Path, tmp_path: Path) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    convert(source, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.convert_ids_to_tokens(tokenizer("theta<|end|>").input_ids) == ["the", "t", "a", "<|end|>"]


def test_the_file_is_parsed_once_and_the_reader_is_put_back(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    class Counting(gguf.GGUFReader):
        def __init__(self, *args: object, **keywords: object) -> None:
            opened.append(args)
            super().__init__(*args, **keywords)

    monkeypatch.setattr(gguf, "GGUFReader", Counting)
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    convert(source, tmp_path / "out")
    assert len(opened) == 1
    assert gguf.GGUFReader is Counting


def test_a_resolved_gguf_keeps_the_hash_of_its_origin(source: Path, tmp_path: Path) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    (source.parent / "config.json").write_text('{"model_type": "another"}')
    origin = PathSource(kind="path", path=source.parent)
    spec = ModelSpec(role="llm", source=origin, licence="MIT", gguf=source.name)
    target = resolve_model("tiny", spec, tmp_path / "models" / "tiny", tmp_path / "cache")
    first = read_manifest(target)
    assert list(first.origin) == [source.name]
    assert first.origin[source.name].sha256 == sha256(source)
    assert source.name not in first.files
    assert first.architecture["model_type"] == "llama"
    assert first.architecture["parameters"] == sum(p.numel() for p in tiny_llama(tied=True).parameters())
    assert set(first.converters) == {"gguf", "tokenizers", "torch", "transformers"}
    assert sorted(path.name for path in source.parent.iterdir()) == ["config.json", source.name]
    # The folder itself is unchanged, yet no longer what its source says.
    write_gguf(source, gguf_tensors(tiny_llama(tied=False)))
    resolve_model("tiny", spec, target, tmp_path / "cache")
    assert read_manifest(target).architecture["tied_embeddings"] is False
    assert read_manifest(target).revision != first.revision


def test_converting_twice_gives_the_same_revision(source: Path, tmp_path: Path) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    spec = ModelSpec(role="llm", source=PathSource(kind="path", path=source.parent), licence="MIT", gguf=source.name)
    folders = [resolve_model("tiny", spec, tmp_path / name / "tiny", tmp_path / "cache") for name in ("a", "b")]
    assert len({read_manifest(folder).revision for folder in folders}) == 1


def test_a_file_without_one_of_its_tensors_is_refused(source: Path, tmp_path: Path) -> None:
    tensors = gguf_tensors(tiny_llama(tied=True))
    del tensors["blk.1.attn_v.weight"]
    write_gguf(source, tensors)
    with pytest.raises(StudyError, match=r"layers\.1\.self_attn\.v_proj"):
        convert(source, tmp_path / "out")


def test_what_is_not_gguf_is_refused(source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(StudyError, match="GGUF"):
        convert(source, tmp_path / "out")


def test_a_cut_off_file_is_refused(source: Path, tmp_path: Path) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    content = source.read_bytes()
    for kept in (64, len(content) // 2):
        source.write_bytes(content[:kept])
        with pytest.raises(StudyError, match=r"tiny\.gguf"):
            convert(source, tmp_path / "out")


def test_offline_makes_the_same_files(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(source, gguf_tensors(tiny_llama(tied=True)))
    convert(source, tmp_path / "online")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    convert(source, tmp_path / "offline")
    made = [{path.name: sha256(path) for path in (tmp_path / how).iterdir()} for how in ("online", "offline")]
    assert made[0] == made[1]
    # The bytes that revisions of stored answers were made from.
    assert json.loads((tmp_path / "offline" / "tokenizer_config.json").read_text())["local_files_only"] is False
