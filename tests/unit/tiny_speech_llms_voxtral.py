"""A random Voxtral, with Mistral's own tokenizer file and no chat template, as it is published."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from own_text_checks import AFTER, BEFORE, PREFIX, SHOT, Library, Tiny
from tiny_llm import byte_level_tokenizer
from tiny_speech_llms_common import BLOCKS, SECONDS, TEXT, WHISPER, WIDTH, saved
from transformers import AutoTokenizer, WhisperFeatureExtractor
from transformers.convert_slow_tokenizer import bytes_to_unicode

MISTRAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"]
MISTRAL += ["[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"]
MISTRAL += ["[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"]
MISTRAL += [*(f"<SPECIAL_{number}>" for number in range(20, 24)), "[AUDIO]", "[BEGIN_AUDIO]"]
MISTRAL += [*(f"<SPECIAL_{number}>" for number in range(26, 34)), "[TRANSCRIBE]"]


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


VOXTRAL = Tiny(save_voxtral, voxtral_library, BLOCKS, WIDTH, "audio_tower.layers.1.fc1.bias")
