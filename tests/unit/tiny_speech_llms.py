"""Random speech LLMs of the transformers library, a few hundred kilobytes each, saved as published ones are.

Each comes from its class's own config, with safetensors, its own feature extractor and a small byte-level tokenizer
that has the real control tokens. Windows of 30 s are 2 s here, where the class lets them be.
"""

import base64
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
from safetensors.torch import load_file, save_file
from tiny_llm import byte_level_tokenizer
from tiny_phi4 import NoImages
from tiny_ultravox import randomize
from tokenizers import AddedToken
from transformers import AutoTokenizer, GenerationConfig, WhisperFeatureExtractor
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.granite_speech import feature_extraction_granite_speech
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


@contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """A model of the library without its adapter, as long as the context lasts."""
    model.disable_adapters()
    yield
    model.enable_adapters()


def saved(folder: Path, model: Any, ids: Mapping[str, int], ends: Sequence[str], seed: int) -> None:
    """Give a model random weights and generation defaults that sample, and write it."""
    randomize(model, seed)
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=20, temperature=0.7, repetition_penalty=1.1, eos_token_id=[ids[end] for end in ends]
    )
    model.save_pretrained(folder)


# Voxtral -------------------------------------------------------------------------------------------------------------

MISTRAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *(f"<SPECIAL_{n}>" for n in range(5, 17))]
MISTRAL += [
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    *(f"<SPECIAL_{n}>" for n in range(19, 24)),
    "[AUDIO]",
    "[BEGIN_AUDIO]",
]


def save_tekken(folder: Path) -> None:
    """Write a small tekken.json, Mistral's own format of tokenizers."""
    bytes_of = {char: byte for byte, char in bytes_to_unicode().items()}
    model = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    words = [bytes([byte]) for byte in range(256)]
    words += [bytes(bytes_of[char] for char in "".join(pair)) for pair in model["merges"]]
    vocab = [
        {"rank": rank, "token_bytes": base64.b64encode(word).decode(), "token_str": word.decode("utf-8", "replace")}
        for rank, word in enumerate(dict.fromkeys(words))
    ]
    special = [{"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(MISTRAL)]
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "num_vocab_tokens": len(vocab),
        "default_vocab_size": len(vocab) + len(special),
        "default_num_special_tokens": len(special),
        "version": "v7",
    }
    (folder / "tekken.json").write_text(json.dumps({"config": config, "vocab": vocab, "special_tokens": special}))


def save_voxtral(folder: Path, seed: int = 0) -> Path:
    """Write a Voxtral, with tekken.json and no chat template, as it is published."""
    ids = {token: rank for rank, token in enumerate(MISTRAL)}
    folder.mkdir(exist_ok=True)
    save_tekken(folder)
    size = json.loads((folder / "tekken.json").read_text())["config"]["default_vocab_size"]
    config = transformers.VoxtralConfig(
        audio_config=WHISPER,
        text_config={"model_type": "llama", "vocab_size": size, "bos_token_id": 1, "eos_token_id": 2, **TEXT},
        audio_token_id=ids["[AUDIO]"],
    )
    saved(folder, transformers.VoxtralForConditionalGeneration(config), ids, ["</s>"], seed)
    WhisperFeatureExtractor(feature_size=128, chunk_length=SECONDS).save_pretrained(folder)
    return folder


def voxtral_library(folder: Path) -> Library:
    """Voxtral's own processor makes the sound; its prompts are mistral-common's, which is not installed."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, pad_token="<unk>")
    processor = transformers.VoxtralProcessor(WhisperFeatureExtractor.from_pretrained(folder), tokenizer)

    def inputs(prompts: Sequence[str], clips: Sequence[Any]) -> Mapping[str, torch.Tensor]:
        window = 16000 * SECONDS
        vectors = 25 * SECONDS // 2  # as many as mistral-common counts: 12.5 a second
        rows = [
            tokenizer(prompt.replace("[AUDIO]", "[AUDIO]" * (vectors * -(-len(audio) // window))))["input_ids"]
            for prompt, audio in zip(prompts, clips, strict=True)
        ]
        padded = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt")
        return {
            **padded,
            "input_features": processor._retrieve_input_features(
                clips,
                100 * SECONDS,
                sampling_rate=16000,
                padding=True,
                truncation=False,
                pad_to_multiple_of=window,
                return_tensors="pt",
            ),
        }

    shot = f"<s>[INST]{SHOT[0]['content']}[/INST]{SHOT[1]['content']}</s>"
    prompt = f"{shot}[INST]{BEFORE}[BEGIN_AUDIO][AUDIO]{AFTER}[/INST]{PREFIX}"
    model = transformers.VoxtralForConditionalGeneration.from_pretrained(folder).eval()
    return Library(model, inputs, prompt, model.config.audio_token_id)


# Granite Speech ------------------------------------------------------------------------------------------------------

GRANITE = ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|audio|>"]
GRANITE_TEMPLATE = (
    "{%- for message in messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] "
    "+ '<|end_of_text|>\n' }}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
)


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


# Audio Flamingo 3, GLM-ASR --------------------------------------------------------------------------------------------

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


# Qwen2.5-Omni, Qwen3-Omni ---------------------------------------------------------------------------------------------

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


def blind(kind: Any, features: Any, tokenizer: Any) -> Any:
    """A processor whose image and video processors, which need torchvision, are left out."""
    with patch.object(ProcessorMixin, "check_argument_for_proper_class", lambda *_: None):
        return kind(
            image_processor=NoImages(), video_processor=NoImages(), feature_extractor=features, tokenizer=tokenizer
        )


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


# Gemma 4 --------------------------------------------------------------------------------------------------------------

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


TINY = {
    "gemma4": Tiny(save_gemma4, gemma4_library, BLOCKS, WIDTH, "model.audio_tower.layers.1.norm_out.weight"),
    "qwen2_5_omni": Tiny(save_omni, omni_library, BLOCKS, WIDTH, "thinker.audio_tower.layers.1.fc1.bias"),
    "qwen3_omni_moe": Tiny(save_omni3, omni3_library, BLOCKS, WIDTH, "thinker.audio_tower.layers.1.fc1.bias"),
    "audioflamingo3": Tiny(save_audio_flamingo, audio_flamingo_library, BLOCKS, WIDTH, "audio_tower.layers.1.fc1.bias"),
    "glmasr": Tiny(save_glm_asr, glm_asr_library, BLOCKS, WIDTH, "audio_tower.layers.1.mlp.fc1.bias"),
    "granite_speech": Tiny(
        save_granite, granite_library, BLOCKS, WIDTH, "encoder.layers.1.ff1.up_proj.bias", batches=False
    ),
    "voxtral": Tiny(save_voxtral, voxtral_library, BLOCKS, WIDTH, "audio_tower.layers.1.fc1.bias"),
}
