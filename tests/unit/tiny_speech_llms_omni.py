"""A random Qwen2.5-Omni and a random Qwen3-Omni, of which the part that thinks is whole."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from own_text_checks import Library, Tiny
from safetensors.torch import load_file, save_file
from tiny_speech_llms_common import (
    BLOCKS,
    CHATML,
    CHATML_SPECIAL,
    SECONDS,
    TEXT,
    WIDTH,
    blind,
    chatml,
    processed,
    save_tokenizer,
    saved,
)
from transformers import AutoTokenizer, WhisperFeatureExtractor

OMNI_NAMES = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
OMNI3_NAMES = {
    "image_token": "<|image_pad|>",
    "audio_token": "<|audio_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}
VISION = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH}
OMNI_AUDIO = {
    "num_mel_bins": 128,
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "max_source_positions": 400,
    "output_dim": WIDTH,
}


def omni_ids(ids: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """The fields of a thinker's config that name tokens."""
    fields = {f"{kind}_token_id": ids[names[f"{kind}_token"]] for kind in ("audio", "image", "video")}
    fields |= {
        "audio_start_token_id": ids[names["audio_bos_token"]],
        "audio_end_token_id": ids[names["audio_eos_token"]],
    }
    return fields | {
        "vision_start_token_id": ids[names["vision_bos_token"]],
        "vision_end_token_id": ids[names["vision_eos_token"]],
    }


def as_whole(folder: Path, kind: str, other: str) -> None:
    """Make of a thinker's checkpoint that of the whole model, in which it lies beside parts that speak."""
    path = folder / "config.json"
    thinker = json.loads(path.read_text())
    path.write_text(json.dumps({"model_type": kind, "thinker_config": thinker}))
    weights = load_file(folder / "model.safetensors")
    whole = {f"thinker.{name.removeprefix('thinker.')}": weight for name, weight in weights.items()}
    save_file(whole | {f"{other}.weight": torch.ones(2)}, folder / "model.safetensors", {"format": "pt"})


def save_omni(folder: Path, seed: int = 0) -> Path:
    """Write a Qwen2.5-Omni, of which the thinker is whole."""
    ids = save_tokenizer(folder, [*CHATML_SPECIAL, *OMNI_NAMES.values()], CHATML, extra_special_tokens=OMNI_NAMES)
    config = transformers.Qwen2_5OmniThinkerConfig(
        audio_config={**OMNI_AUDIO, "n_window": 20},
        vision_config={**VISION, "fullatt_block_indexes": [0]},
        text_config={"vocab_size": ids[""] + 3, **TEXT, "eos_token_id": ids["<|im_end|>"]}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}},
        **omni_ids(ids, OMNI_NAMES),
    )
    saved(folder, transformers.Qwen2_5OmniThinkerForConditionalGeneration(config), ids, ["<|im_end|>"], seed)
    as_whole(folder, "qwen2_5_omni", "talker.thinker_to_talker_proj")
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def omni_library(folder: Path) -> Library:
    """The thinker's class after the model's own processor, which sees nothing here."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    features = WhisperFeatureExtractor.from_pretrained(folder)
    processor = blind(transformers.Qwen2_5OmniProcessor, features, tokenizer)
    model = transformers.Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(folder).eval()
    prompt = chatml("<|audio_bos|><|AUDIO|><|audio_eos|>")
    return Library(model, processed(processor, padding=True), prompt, model.config.audio_token_id)


def save_omni3(folder: Path, seed: int = 0) -> Path:
    """Write a Qwen3-Omni, of which the thinker is whole."""
    ids = save_tokenizer(folder, [*CHATML_SPECIAL, *OMNI3_NAMES.values()], CHATML, extra_special_tokens=OMNI3_NAMES)
    audio = {**OMNI_AUDIO, "n_window": 50, "n_window_infer": 100, "downsample_hidden_size": 4}
    config = transformers.Qwen3OmniMoeThinkerConfig(
        audio_config=audio,
        vision_config={**VISION, "deepstack_visual_indexes": [0]},
        text_config={"vocab_size": ids[""] + 3, **TEXT, "eos_token_id": ids["<|im_end|>"]}
        | {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}},
        **omni_ids(ids, OMNI3_NAMES),
    )
    saved(folder, transformers.Qwen3OmniMoeThinkerForConditionalGeneration(config), ids, ["<|im_end|>"], seed)
    as_whole(folder, "qwen3_omni_moe", "code2wav.pre_transformer.norm")
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def omni3_library(folder: Path) -> Library:
    """The thinker's class after the model's own processor, which sees nothing here."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    features = WhisperFeatureExtractor.from_pretrained(folder)
    processor = blind(transformers.Qwen3OmniMoeProcessor, features, tokenizer)
    model = transformers.Qwen3OmniMoeThinkerForConditionalGeneration.from_pretrained(folder).eval()
    prompt = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    return Library(model, processed(processor, padding=True), prompt, model.config.audio_token_id)


OMNI = Tiny(save_omni, omni_library, BLOCKS, WIDTH, "thinker.audio_tower.layers.1.fc1.bias")
OMNI3 = Tiny(save_omni3, omni3_library, BLOCKS, WIDTH, "thinker.audio_tower.layers.1.fc1.bias")
