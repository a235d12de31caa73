"""A random Qwen2-Audio of a few hundred kilobytes in the layout of the published one. Its window is 2 s."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from tiny_llm import byte_level_tokenizer
from tiny_ultravox import randomize
from tokenizers import AddedToken
from transformers import (
    GenerationConfig,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Tokenizer,
    WhisperFeatureExtractor,
)

from cascade_equivalence.models.speech_llm.qwen2_audio_text import library_chat_template

SECONDS = 2
BLOCKS, WIDTH = 3, 48
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
AUDIO = {
    "model_type": "qwen2_audio_encoder",
    "num_mel_bins": 128,
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "max_source_positions": 50 * SECONDS,
}


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Byte-level BPE in the class of the published tokenizer, with its special tokens at the end of the vocabulary."""
    model = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for token, index in model["vocab"].items() if token not in SPECIAL},
        merges=[tuple(pair) for pair in model["merges"]],
    )
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def save_qwen2_audio(folder: Path, seed: int = 0, template: bool = True, **audio: Any) -> Path:
    """Write a checkpoint, with generation defaults that sample; further arguments change the audio part's shape."""
    tokenizer = qwen_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    config = Qwen2AudioConfig(
        audio_config=AUDIO | audio,
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer) + 5,
            "hidden_size": WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": BLOCKS,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 8192,
            "sliding_window": 32768,
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
        },
        audio_token_index=ids["<|AUDIO|>"],
    )
    model = Qwen2AudioForConditionalGeneration(config)
    randomize(model, seed)
    model.generation_config = GenerationConfig(
        do_sample=True,
        top_k=20,
        top_p=0.5,
        temperature=0.7,
        repetition_penalty=1.1,
        eos_token_id=[ids["<|endoftext|>"], ids["<|im_end|>"]],
        pad_token_id=ids["<|endoftext|>"],
    )
    model.save_pretrained(folder)
    if template:
        tokenizer.chat_template = library_chat_template()
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def processor_of(folder: Path) -> Qwen2AudioProcessor:
    """The library's own processor of a checkpoint."""
    tokenizer = Qwen2Tokenizer.from_pretrained(folder, padding_side="left")
    return Qwen2AudioProcessor(WhisperFeatureExtractor.from_pretrained(folder), tokenizer)


def native_prompt(processor: Any) -> str:
    """The conversation of the checks as the library is given it: the last turn a list of text, sound and text."""
    parts = [{"type": "text", "text": BEFORE}, {"type": "audio", "audio": "clip"}, {"type": "text", "text": AFTER}]
    conversation = [*SHOT, {"role": "user", "content": parts}]
    return str(processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False))


def library_of(folder: Path) -> Library:
    """The library's model after the library's processor, on the prompt that its template writes for a list of parts."""
    model, processor = Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval(), processor_of(folder)

    def inputs(prompts: Sequence[str], clips: Sequence[np.ndarray]) -> Mapping[str, torch.Tensor]:
        made: Mapping[str, torch.Tensor] = processor(
            text=list(prompts), audio=list(clips), sampling_rate=16000, padding=True, return_tensors="pt"
        )
        return made

    return Library(model, inputs, native_prompt(processor) + PREFIX, model.config.audio_token_id)


TINY = Tiny(save_qwen2_audio, library_of, BLOCKS, WIDTH, "audio_tower.layers.1.fc1.bias")
