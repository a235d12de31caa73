"""A random Ultravox of a few kilobytes in the layout of a published checkpoint. Its tower takes pieces of 2 s."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

from cascade_equivalence.models.speech_llm.audio_tower import AudioTower
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector

WIDTH, TEXT_WIDTH, HIDDEN = 16, 24, 20
LONGEST = 200
"""Mel frames of a piece."""
AUDIO = {
    "model_type": "whisper",
    "num_mel_bins": 80,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 4 * WIDTH,
    "max_source_positions": LONGEST // 2,
}


def randomize(module: torch.nn.Module, seed: int) -> None:
    """Weights large enough that everything matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in module.parameters():
            drawn = torch.randn(weights.shape, generator=generator)
            weights.copy_(0.3 * drawn if weights.ndim > 1 else 1 + 0.2 * drawn)


def weights_of(ln_mid: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors by the names of a published checkpoint."""
    tower = AudioTower(WhisperConfig(**AUDIO))
    projector = UltravoxProjector(WIDTH, TEXT_WIDTH, HIDDEN, ln_mid=ln_mid)
    randomize(tower, seed)
    randomize(projector, seed + 1)
    parts = {"audio_tower": tower, "multi_modal_projector": projector}
    return {f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()}


def save_ultravox(folder: Path, weights: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
    """Write a checkpoint; further arguments replace fields of its config."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"model_type": "ultravox", "audio_config": AUDIO, "hidden_size": HIDDEN, "projector_ln_mid": True}
    (folder / "config.json").write_text(json.dumps(fields | config))
    save_file(weights or weights_of(), folder / "model.safetensors")
    return folder


def save_base(folder: Path, seed: int = 9, **config: Any) -> WhisperForConditionalGeneration:
    """Write a Whisper that a tower of the tiny model can come from."""
    shape: dict[str, Any] = {"vocab_size": 32, "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    model = WhisperForConditionalGeneration(
        WhisperConfig(**(AUDIO | shape | tokens | {"begin_suppress_tokens": None} | config))
    )
    randomize(model, seed)
    model.save_pretrained(folder)
    return model
