"""A random Granite Speech, with its speech adapter beside its weights, as it is published."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from peft import LoraConfig
from safetensors.torch import save_file
from tiny_speech_llms_common import BLOCKS, TEXT, WIDTH, save_tokenizer, saved
from transformers import AutoTokenizer
from transformers.models.granite_speech import feature_extraction_granite_speech


@contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """A model of the library without its adapter, as long as the context lasts."""
    model.disable_adapters()
    yield
    model.enable_adapters()


GRANITE = ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|audio|>"]
GRANITE_TEMPLATE = (
    "{%- for message in messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] "
    "+ '<|end_of_text|>\n' }}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
)


def save_granite(folder: Path, seed: int = 0) -> Path:
    """Write a Granite Speech with its adapter beside its weights, named as the published one is."""
    ids = save_tokenizer(folder, GRANITE, GRANITE_TEMPLATE)
    more = {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "logits_scaling": 4.0}
    more |= {"tie_word_embeddings": True}
    qformer = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "encoder_hidden_size": 16}
    config = transformers.GraniteSpeechConfig(
        encoder_config={"num_layers": 2, "hidden_dim": 16, "num_heads": 2, "output_dim": 8, "max_pos_emb": 64}
        | {"context_size": 50, "feedforward_mult": 2},
        projector_config={"model_type": "blip_2_qformer", "hidden_size": 16, "vocab_size": 8, **qformer},
        text_config={"model_type": "granite", "vocab_size": ids[""] + 2, "bos_token_id": 0, "eos_token_id": 0}
        | {**TEXT, **more, "eos_token_id": ids["<|end_of_text|>"]},
        audio_token_index=ids["<|audio|>"],
        initializer_range=0.02,
    )
    model = transformers.GraniteSpeechForConditionalGeneration(config)
    saved(folder, model, ids, ["<|end_of_text|>"], seed)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "feature_extractor_type": "GraniteSpeechFeatureExtractor",
                "melspec_kwargs": {
                    "sample_rate": 16000,
                    "n_fft": 512,
                    "win_length": 400,
                    "hop_length": 160,
                    "n_mels": 80,
                },
                "projector_downsample_rate": 5,
                "projector_window_size": 15,
                "sampling_rate": 16000,
            }
        )
    )
    generator = torch.Generator().manual_seed(seed + 1)
    weights = {}
    for block in range(BLOCKS):
        for part, width in (("q_proj", WIDTH), ("v_proj", WIDTH // 2)):
            for side, shape in (("A", (4, WIDTH)), ("B", (width, 4))):
                name = f"base_model.model.language_model.model.layers.{block}.self_attn.{part}.lora_{side}.weight"
                weights[name] = 0.3 * torch.randn(shape, generator=generator)
    save_file(weights, folder / "adapter_model.safetensors")
    LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM").save_pretrained(folder)
    return folder


class Scaled(transformers.GraniteSpeechForConditionalGeneration):
    """The library's class, with its logits divided as its text LLM's own class divides them.

    ``test_granite_is_its_base_model_for_text`` compares with that class.
    """

    @wraps(transformers.GraniteSpeechForConditionalGeneration.forward)
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **kwargs)
        found.logits = found.logits / self.config.text_config.logits_scaling
        return found


Scaled.__name__, Scaled.__module__ = Scaled.__base__.__name__, Scaled.__base__.__module__


class PlainSpectrogram:
    """Stands where the feature extractor of the library calls torchaudio, which is not installed: numpy alone."""

    def __init__(self, sample_rate: int, n_fft: int, win_length: int, hop_length: int, n_mels: int) -> None:
        self.hop, self.fft = hop_length, n_fft
        side = (n_fft - win_length) // 2
        self.window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length), side)
        top = 2595 * np.log10(1 + sample_rate / 2 / 700)
        points = 700 * (10 ** (np.linspace(0, top, n_mels + 2) / 2595) - 1)
        hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)[:, None]
        rising = (hertz - points[:-2]) / (points[1:-1] - points[:-2])
        falling = (points[2:] - hertz) / (points[2:] - points[1:-1])
        self.bands = np.maximum(0, np.minimum(rising, falling))

    def to(self, _: str) -> "PlainSpectrogram":
        return self

    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        padded = np.pad(audio.double().numpy(), ((0, 0), (self.fft // 2, self.fft // 2)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.fft, axis=1)[:, :: self.hop]
        power = np.abs(np.fft.rfft(frames * self.window, axis=-1)) ** 2
        return torch.from_numpy((power @ self.bands).swapaxes(1, 2)).float()


def granite_library(folder: Path) -> Library:
    """Granite's own processor and class; the class's documentation has the adapter off for text alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
    with patch.multiple(
        feature_extraction_granite_speech,
        requires_backends=lambda *_: None,
        torchaudio=SimpleNamespace(transforms=SimpleNamespace(MelSpectrogram=PlainSpectrogram)),
        create=True,
    ):
        features = transformers.GraniteSpeechFeatureExtractor()
    processor: Any = transformers.GraniteSpeechProcessor(features, tokenizer)

    def inputs(prompts: Sequence[str], clips: Sequence[Any]) -> Mapping[str, torch.Tensor]:
        with patch.object(feature_extraction_granite_speech, "requires_backends", lambda *_: None):
            made: Mapping[str, torch.Tensor] = processor(list(prompts), list(clips), padding=True, return_tensors="pt")
        return made

    shot = [f"<|start_of_role|>{turn['role']}<|end_of_role|>{turn['content']}<|end_of_text|>\n" for turn in SHOT]
    asked = f"<|start_of_role|>user<|end_of_role|>{BEFORE}<|audio|>{AFTER}<|end_of_text|>\n"
    prompt = f"{''.join(shot)}{asked}<|start_of_role|>assistant<|end_of_role|>{PREFIX}"
    model = Scaled.from_pretrained(folder).eval()
    return Library(model, inputs, prompt, model.config.audio_token_id, partial(without_adapter, model))


GRANITE_SPEECH = Tiny(save_granite, granite_library, BLOCKS, WIDTH, "encoder.layers.1.ff1.up_proj.bias", batches=False)
