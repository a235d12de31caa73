"""A random Phi-4-multimodal of a few hundred kilobytes, with its speech adapter, in the layout of the published one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from peft import LoraConfig
from safetensors.torch import save_file
from tiny_llm import byte_level_tokenizer
from tiny_ultravox import randomize
from tokenizers import AddedToken
from transformers import (
    GPT2Tokenizer,
    Phi4MultimodalConfig,
    Phi4MultimodalFeatureExtractor,
    Phi4MultimodalForCausalLM,
    Phi4MultimodalProcessor,
)
from transformers.image_processing_base import ImageProcessingMixin

BLOCKS, WIDTH, HEADS = 2, 48, 4
SPECIAL = ["<|endoftext|>", "<|image|>", "<|audio|>", "<|assistant|>", "<|end|>", "<|user|>", "<|system|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
RANK = 4
TARGETS = r"model.layers.\d+.((self_attn.(qkv|o)_proj)|(mlp.(gate_up|down)_proj))"


def phi_tokenizer(**flags: bool) -> GPT2Tokenizer:
    """Byte-level BPE in the class of the published tokenizer; ``flags`` are those of its audio token."""
    model = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    tokenizer = GPT2Tokenizer(
        vocab={token: index for token, index in model["vocab"].items() if token not in SPECIAL},
        merges=[tuple(pair) for pair in model["merges"]],
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|image|>", "audio_token": "<|audio|>"},
    )
    for token in SPECIAL:
        more = flags if token == "<|audio|>" else {}
        tokenizer.add_tokens([AddedToken(token, special=True, normalized=False, **more)])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def save_phi4(folder: Path, seed: int = 0, **flags: bool) -> Path:
    """Write a checkpoint with its adapter; ``flags`` are those of its audio token."""
    tokenizer = phi_tokenizer(**flags)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    rotary = WIDTH // HEADS // 2
    config = Phi4MultimodalConfig(
        vocab_size=len(tokenizer) + 3,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        max_position_embeddings=131072,
        original_max_position_embeddings=1024,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * rotary,
            "long_factor": [2.0] * rotary,
        },
        tie_word_embeddings=True,
        sliding_window=262144,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=[ids["<|endoftext|>"], ids["<|end|>"]],
        pad_token_id=ids["<|endoftext|>"],
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_blocks": 2,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 16,
            "depthwise_separable_out_channel": 16,
            "nemo_conv_channels": 8,
            "bias_max_distance": 50,
            "audio_token_id": ids["<|audio|>"],
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "crop_size": 28,
            "image_size": 28,
            "patch_size": 14,
            "image_token_id": ids["<|image|>"],
        },
    )
    model = Phi4MultimodalForCausalLM(config)
    randomize(model, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Phi4MultimodalFeatureExtractor().save_pretrained(folder)
    save_adapter(folder, lora_weights(model, seed + 1))
    return folder


def lora_weights(model: Phi4MultimodalForCausalLM, seed: int) -> dict[str, torch.Tensor]:
    """Weights of an adapter on the text LLM's projections, by the names that a published adapter has."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, layer in model.model.layers.named_modules():
        if isinstance(layer, torch.nn.Linear):
            shapes = {"lora_A": (RANK, layer.in_features), "lora_B": (layer.out_features, RANK)}
            for part, shape in shapes.items():
                drawn = 0.3 * torch.randn(shape, generator=generator)
                found[f"base_model.model.model.layers.{name}.{part}.weight"] = drawn
    return found


def save_adapter(folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write an adapter as the published one is configured, but for its rank."""
    where = folder / "speech-lora"
    where.mkdir(exist_ok=True)
    LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS, lora_dropout=0.01, task_type="CAUSAL_LM"
    ).save_pretrained(where)
    save_file(dict(weights), where / "adapter_model.safetensors")


class NoImages(ImageProcessingMixin):
    """Stands where the library's processor wants one for images, which needs torchvision; no image is processed."""

    model_input_names = ("image_pixel_values",)


def processor_of(folder: Path) -> Phi4MultimodalProcessor:
    """The library's own processor of a checkpoint."""
    tokenizer = GPT2Tokenizer.from_pretrained(folder, padding_side="left")
    return Phi4MultimodalProcessor(NoImages(), Phi4MultimodalFeatureExtractor.from_pretrained(folder), tokenizer)


def library_model(folder: Path, adapter: bool = True) -> Phi4MultimodalForCausalLM:
    """The library's model, its adapter loaded as its documentation says."""
    model = Phi4MultimodalForCausalLM.from_pretrained(folder)
    if adapter:
        model.load_adapter(str(folder), adapter_name="speech", adapter_kwargs={"subfolder": "speech-lora"})
        model.set_adapter("speech")
    return model.eval()


@contextmanager
def typed(model: Any) -> Iterator[None]:
    """A model of the library without its adapter, as long as the context lasts."""
    model.disable_adapters()
    yield
    model.enable_adapters()


def native_prompt() -> str:
    """The conversation of the checks as the model's card writes it."""
    shot = f"<|user|>{SHOT[0]['content']}<|end|><|assistant|>{SHOT[1]['content']}<|end|>"
    return f"{shot}<|user|>{BEFORE}<|audio|>{AFTER}<|end|><|assistant|>{PREFIX}"


def library_of(folder: Path) -> Library:
    """The library's model, its adapter on, after the library's processor; beside longer clips a clip hears padding."""
    model, processor = library_model(folder), processor_of(folder)

    def inputs(prompts: Sequence[str], clips: Sequence[np.ndarray]) -> Mapping[str, torch.Tensor]:
        made: Mapping[str, torch.Tensor] = processor(
            text=list(prompts), audio=list(clips), sampling_rate=16000, padding=True, return_tensors="pt"
        )
        return made

    return Library(model, inputs, native_prompt(), processor.audio_token_id, partial(typed, model))


TINY = Tiny(
    save_phi4,
    library_of,
    BLOCKS,
    WIDTH,
    "model.embed_tokens_extend.audio_embed.encoder.encoders.1.self_attn.q_proj.bias",
    batches=False,
)
