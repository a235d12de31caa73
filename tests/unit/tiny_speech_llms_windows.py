"""A random Audio Flamingo 3 and a random GLM-ASR: Whisper-like towers that hear in windows."""

from pathlib import Path

import transformers
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from tiny_speech_llms_common import (
    BLOCKS,
    CHATML,
    CHATML_SPECIAL,
    SECONDS,
    TEXT,
    WHISPER,
    WIDTH,
    chatml,
    processed,
    save_tokenizer,
    saved,
)
from transformers import AutoTokenizer, WhisperFeatureExtractor


def save_audio_flamingo(folder: Path, seed: int = 0) -> Path:
    """Write an Audio Flamingo 3."""
    ids = save_tokenizer(folder, [*CHATML_SPECIAL, "<sound>"], CHATML)
    config = transformers.AudioFlamingo3Config(
        audio_config=WHISPER,
        text_config={"model_type": "qwen2", "vocab_size": ids[""] + 3, **TEXT, "eos_token_id": ids["<|im_end|>"]},
        audio_token_id=ids["<sound>"],
    )
    saved(folder, transformers.AudioFlamingo3ForConditionalGeneration(config), ids, ["<|im_end|>"], seed)
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def audio_flamingo_library(folder: Path) -> Library:
    """Audio Flamingo's own processor and class."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = transformers.AudioFlamingo3Processor(WhisperFeatureExtractor.from_pretrained(folder), tokenizer)
    model = transformers.AudioFlamingo3ForConditionalGeneration.from_pretrained(folder).eval()
    return Library(model, processed(processor), chatml("<sound>"), model.config.audio_token_id)


GLM = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|begin_of_audio|>", "<|end_of_audio|>", "<|pad|>"]
GLM_TEMPLATE = (
    "{%- for message in messages -%}<|{{ message['role'] }}|>\n{{ message['content'] | trim }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>\n{% endif -%}"
)


def save_glm_asr(folder: Path, seed: int = 0) -> Path:
    """Write a GLM-ASR."""
    ids = save_tokenizer(folder, GLM, GLM_TEMPLATE)
    tower = {key: value for key, value in WHISPER.items() if key != "max_source_positions"}
    config = transformers.GlmAsrConfig(
        audio_config={**tower, "max_position_embeddings": 50 * SECONDS},
        text_config={"model_type": "llama", "vocab_size": ids[""] + 3, **TEXT, "eos_token_id": ids["<|user|>"]},
        audio_token_id=ids["<|pad|>"],
    )
    saved(folder, transformers.GlmAsrForConditionalGeneration(config), ids, ["<|user|>", "<|endoftext|>"], seed)
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def glm_asr_library(folder: Path) -> Library:
    """GLM-ASR's own processor and class."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = transformers.GlmAsrProcessor(WhisperFeatureExtractor.from_pretrained(folder), tokenizer)
    sound = "<|begin_of_audio|><|pad|><|end_of_audio|><|user|>\n"
    shot = "".join(f"<|{turn['role']}|>\n{turn['content']}" for turn in SHOT)
    prompt = f"{shot}<|user|>\n{BEFORE}{sound}{AFTER}<|assistant|>\n{PREFIX}"
    model = transformers.GlmAsrForConditionalGeneration.from_pretrained(folder).eval()
    return Library(model, processed(processor), prompt, model.config.audio_token_id)


AUDIO_FLAMINGO = Tiny(save_audio_flamingo, audio_flamingo_library, BLOCKS, WIDTH, "audio_tower.layers.1.fc1.bias")
GLM_ASR = Tiny(save_glm_asr, glm_asr_library, BLOCKS, WIDTH, "audio_tower.layers.1.mlp.fc1.bias")
