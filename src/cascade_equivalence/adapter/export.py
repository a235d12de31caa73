"""A trained voice adapter as a model folder: the voice path, the change to the text LLM, config, card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cascade_equivalence.adapter.train import Trained
from cascade_equivalence.config.training import TextsConfig
from cascade_equivalence.config.voice_training import LoraConfig, VoiceAdapterSpec
from cascade_equivalence.files import replacing, write_text
from cascade_equivalence.models.architecture import CONFIG
from cascade_equivalence.models.checkpoint import SINGLE
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER, ADAPTER_FILES
from cascade_equivalence.models.speech_llm.voice_adapter import PEFT, VOICE

CARD = Path(__file__).with_name("card.md")


def write_adapter(trained: Trained, spec: VoiceAdapterSpec, names: Mapping[str, str | None], folder: Path) -> None:
    """Write weights (float16) and configs.

    Args:
        trained: The trained voice path and change.
        spec: The adapter.
        names: ``base_model_id``, ``audio_model_id`` and ``text_model_id``, as a reader knows them.
        folder: The folder; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save({VOICE + name: tensor for name, tensor in trained.voice.state_dict().items()}, folder / SINGLE)
    lora = {
        PEFT + name.replace("/", ".").replace(f".{ADAPTER}.weight", ".weight"): weight
        for name, weight in trained.lora.items()
    }
    _save(lora, folder / ADAPTER_FILES[1])
    config = {
        "model_type": "voice_adapter",
        "voice": trained.voice.shape.model_dump(mode="json"),
        "scale": 1.0,
        **names,
    }
    _write(config, folder / CONFIG)
    _write(peft_config(spec.lora, names.get("text_model_id")), folder / ADAPTER_FILES[0])


def peft_config(lora: LoraConfig, base: str | None) -> dict[str, Any]:
    """What peft reads beside the weights."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.layers,
        "bias": "none",
        "inference_mode": True,
    }


def _save(tensors: Mapping[str, torch.Tensor], target: Path) -> None:
    with replacing(target) as part:
        save_file({name: own.detach().half().contiguous() for name, own in tensors.items()}, part, {"format": "pt"})


def _write(content: Mapping[str, Any], target: Path) -> None:
    write_text(target, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_card(name: str, spec: VoiceAdapterSpec, texts: TextsConfig, results: Mapping[str, Any], folder: Path) -> None:
    """Write ``evaluation.json`` and the model card beside the weights."""
    _write(results, folder / "evaluation.json")
    heard = [
        f"| {task} | {voice} | {found['clips']} | {found['adapter']:.3f} | {found['base']:.3f} | {found['typed']:.3f} "
        f"| {found['chance']:.3f} |"
        for task, voices in results["voiced"].items()
        for voice, found in voices.items()
    ]
    kept = [
        f"| {task} | {found['clips']} | {found['adapter']:.3f} | {found['base']:.3f} | {found['typed']:.3f} |"
        for task, found in results["texts"].items()
    ]
    sources = [
        f"- {source.name} {source.version} ({source.index}; licence of the package: {source.licence})"
        for source in texts.sources
    ]
    size = sum((folder / file).stat().st_size for file in (SINGLE, ADAPTER_FILES[1])) / 1e6
    write_text(
        folder / "README.md",
        CARD.read_text(encoding="utf-8").format(
            name=name,
            base=spec.base,
            size=size,
            clips=results["clips"],
            plain_clips=results["plain_clips"],
            steps=spec.training.steps,
            batch=spec.training.batch_size,
            rank=spec.lora.rank,
            loudness=spec.loudness,
            classifier_steps=spec.training.classifier_steps,
            heard="\n".join(heard),
            kept="\n".join(kept),
            written_clips=results["transcripts"]["clips"],
            written=results["transcripts"]["adapter"],
            written_base=results["transcripts"]["base"],
            sources="\n".join(sources),
            voices=", ".join(voice.name for voice in spec.voices.values()),
            held_out=", ".join(voice.name for voice in spec.evaluation_voices.values()),
            apart="the published evaluation sets or of the project's own items"
            if texts.exclude
            else "the project's own items",
        ),
    )
