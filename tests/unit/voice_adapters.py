"""A random voice adapter of a few kilobytes, with the speech LLM and the text LLM that it changes."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_ultravox import AUDIO, HIDDEN, WIDTH, randomize, save_ultravox, weights_of
from transformers import AutoModelForCausalLM

from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector
from cascade_equivalence.models.speech_llm.voice import VoicePath, VoiceShape

TEXT_WIDTH = 64
DEPTHS = int(str(AUDIO["encoder_layers"])) + 1


def save_text(folder: Path) -> Path:
    """The text LLM."""
    return save_llama(folder, byte_level_tokenizer())


def save_base(folder: Path) -> Path:
    """The speech LLM that is changed: a tower and a connector of the text LLM's width."""
    projector = UltravoxProjector(WIDTH, TEXT_WIDTH, HIDDEN, ln_mid=True)
    randomize(projector, 1)
    own = {f"multi_modal_projector.{name}": tensor for name, tensor in projector.state_dict().items()}
    return save_ultravox(folder, weights_of() | own)


def save_adapter(folder: Path, text: Path, zero: bool = False) -> Path:
    """The adapter's own files; its LoRA is written by peft."""
    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(text),
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]),
    )
    if not zero:
        for name, weight in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    voice = VoicePath(VoiceShape(depths=DEPTHS, hidden=8), WIDTH, TEXT_WIDTH)
    randomize(voice, 4)
    save_file({f"voice.{name}": own for name, own in voice.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "voice_adapter", "voice": {"depths": DEPTHS, "hidden": 8}})
    )
    return folder


def entry(source: Path, role: str, **more: object) -> ModelSpec:
    """An entry of a registry for a folder."""
    given = {"role": role, "licence": "none", "source": {"kind": "path", "path": str(source)}}
    return ModelSpec.model_validate({**given, **more})


def resolve_all(folder: Path, scale: float, adapter: Path | None = None) -> Path:
    """Resolve text LLM, base and adapter below a folder; returns the adapter's."""
    made = folder / "made"
    if not made.exists():
        save_text(made / "text")
        save_base(made / "base")
        save_adapter(made / "adapter", made / "text")
    text = resolve_model("text", entry(made / "text", "llm"), folder / "models" / "text", folder / "cache")
    base = resolve_model(
        "base", entry(made / "base", "speech-llm", text_model="text"), folder / "models" / "base", folder / "cache"
    )
    spec = entry(adapter or made / "adapter", "speech-llm", base="base", scale=scale)
    parts = {"base": base, "text": text}
    return resolve_model("voiced", spec, folder / "models" / f"voiced-{scale}", folder / "cache", parts)
