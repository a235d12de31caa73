"""What the random speech LLMs of the transformers library have in common: shapes, tokenizers, prompts.

Each comes from its class's own config, with safetensors, its own feature extractor and a small byte-level tokenizer
that has the real control tokens. Windows of 30 s are 2 s here, where the class lets them be.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT
from tiny_llm import byte_level_tokenizer
from tiny_phi4 import NoImages
from tiny_ultravox import randomize
from tokenizers import AddedToken
from transformers import GenerationConfig
from transformers.processing_utils import ProcessorMixin

SECONDS = 2
BLOCKS, WIDTH = 3, 48
WHISPER = {
    "num_mel_bins": 128,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_source_positions": 50 * SECONDS,
}
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 8192,
}


def saved(folder: Path, model: Any, ids: Mapping[str, int], ends: Sequence[str], seed: int) -> None:
    """Give a model random weights and generation defaults that sample, and write it."""
    randomize(model, seed)
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=20, temperature=0.7, repetition_penalty=1.1, eos_token_id=[ids[end] for end in ends]
    )
    model.save_pretrained(folder)


def save_tokenizer(folder: Path, special: Sequence[str], template: str | None, **named: Any) -> dict[str, int]:
    """Write a byte-level tokenizer with a model's control tokens at its end; their ids, and the size as ``""``."""
    model = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    tokenizer: Any = transformers.GPT2Tokenizer(
        vocab={token: index for token, index in model["vocab"].items() if token not in {*special, "<|endoftext|>"}},
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token=special[0],
        bos_token=special[0],
        eos_token=special[0],
        pad_token=special[0],
        **named,
    )
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return {**{token: tokenizer.convert_tokens_to_ids(token) for token in special}, "": len(tokenizer)}


CHATML_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chatml(sound: str) -> str:
    """The conversation of the checks in ChatML, with something in the place of the sound."""
    shot = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in SHOT)
    return f"{shot}<|im_start|>user\n{BEFORE}{sound}{AFTER}<|im_end|>\n<|im_start|>assistant\n{PREFIX}"


def processed(processor: Any, **how: Any) -> Any:
    """The inputs that a processor makes of prompts and their clips."""

    def inputs(prompts: Sequence[str], clips: Sequence[Any]) -> Mapping[str, torch.Tensor]:
        made: Mapping[str, torch.Tensor] = processor(text=list(prompts), audio=list(clips), return_tensors="pt", **how)
        return made

    return inputs


def blind(kind: Any, features: Any, tokenizer: Any) -> Any:
    """A processor whose image and video processors, which need torchvision, are left out."""
    with patch.object(ProcessorMixin, "check_argument_for_proper_class", lambda *_: None):
        return kind(
            image_processor=NoImages(), video_processor=NoImages(), feature_extractor=features, tokenizer=tokenizer
        )
