"""A random Gemma 4 that hears: per-layer embeddings, a sliding window, a block that shares its keys."""

import json
from pathlib import Path

import transformers
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from tiny_speech_llms_common import BLOCKS, TEXT, WIDTH, blind, processed, save_tokenizer, saved
from transformers import AutoTokenizer

GEMMA_NAMES = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
GEMMA = ["<pad>", "<eos>", "<bos>", "<|turn>", "<turn|>", *GEMMA_NAMES.values()]
GEMMA_TEMPLATE = (
    "{{ '<bos>' }}{% for message in messages %}{{ '<|turn>' + message['role'] + '\n' + message['content'] "
    "+ '<turn|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}"
)


def save_gemma4(folder: Path, seed: int = 0) -> Path:
    """Write a Gemma 4 with per-layer embeddings, a sliding window, and a last block that shares its keys."""
    ids = save_tokenizer(folder, GEMMA, GEMMA_TEMPLATE, extra_special_tokens=GEMMA_NAMES)
    config = transformers.Gemma4Config(
        audio_config={"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "output_proj_dims": 24}
        | {"subsampling_conv_channels": [128, 4]},
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        | {"num_key_value_heads": 2, "head_dim": 8, "position_embedding_size": 16},
        text_config={"vocab_size": ids[""] + 3, "vocab_size_per_layer_input": ids[""] + 3, **TEXT}
        | {
            "hidden_size_per_layer_input": 8,
            "global_head_dim": 12,
            "sliding_window": 512,
            "final_logit_softcapping": 30.0,
        }
        | {"layer_types": ["sliding_attention", "full_attention", "full_attention"], "num_kv_shared_layers": 1}
        | {"pad_token_id": ids["<pad>"], "bos_token_id": ids["<bos>"], "eos_token_id": ids["<eos>"]},
        boi_token_id=ids["<|image>"],
        eoi_token_id=ids["<image|>"],
        image_token_id=ids["<|image|>"],
        video_token_id=ids[""],
        boa_token_id=ids["<|audio>"],
        eoa_token_index=ids["<audio|>"],
        audio_token_id=ids["<|audio|>"],
    )
    saved(folder, transformers.Gemma4ForConditionalGeneration(config), ids, ["<eos>", "<turn|>"], seed)
    features = {"feature_extractor_type": "Gemma4AudioFeatureExtractor", "sampling_rate": 16000}
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": features}))
    return folder


def gemma4_library(folder: Path) -> Library:
    """Gemma's own processor, which sees nothing here, and its class."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    processor = blind(transformers.Gemma4Processor, transformers.Gemma4AudioFeatureExtractor(), tokenizer)
    shot = "".join(f"<|turn>{turn['role']}\n{turn['content']}<turn|>\n" for turn in SHOT)
    prompt = f"<bos>{shot}<|turn>user\n{BEFORE}<|audio|>{AFTER}<turn|>\n<|turn>model\n{PREFIX}"
    model = transformers.Gemma4ForConditionalGeneration.from_pretrained(folder).eval()
    return Library(model, processed(processor, padding=True), prompt, model.config.audio_token_id)


GEMMA4 = Tiny(save_gemma4, gemma4_library, BLOCKS, WIDTH, "model.audio_tower.layers.1.norm_out.weight")
