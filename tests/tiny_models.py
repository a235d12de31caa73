"""Tiny random models: the workflow runs on them in seconds, and no number they give means anything.

Their weights are drawn at random; a few are then set by hand, so that what comes out depends on what goes in: the
recogniser listens more than it repeats itself, and the language model says words that are answers, then stops.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, WhisperConfig
from transformers import WhisperForConditionalGeneration as Whisper

from cascade_equivalence.models.speech_llm.audio_tower import AudioTower
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector

WIDTH = 16
ENGLISH_VOCABULARY = 51864  # openai-whisper picks its tokenizer by this number
TEXT_TOKENS = 50256
ANSWERS = ("politics", "sports", "business", "technology", "negative", "positive")
TEMPLATE = "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}\n{% endfor %}[assistant] "


def build_whisper(folder: Path, seed: int) -> Path:
    """Write a Whisper of one layer and width 16, in the layout of the transformers library."""
    torch.manual_seed(seed)
    model = Whisper(
        WhisperConfig(
            vocab_size=ENGLISH_VOCABULARY,
            d_model=WIDTH,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=4 * WIDTH,
            decoder_ffn_dim=4 * WIDTH,
        )
    )
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.normal_(0, 0.5 if weights.ndim > 1 else 0.2)
            if name.endswith("layer_norm.weight"):
                weights.add_(1)
            if name.endswith("encoder_attn.out_proj.weight"):
                weights.mul_(5)
            if name.endswith(("encoder_attn.q_proj.weight", "encoder_attn.k_proj.weight")):
                weights.mul_(3)
        model.model.decoder.embed_tokens.weight[TEXT_TOKENS:] = 0
    model.save_pretrained(folder)
    return folder


def build_llama(folder: Path, seed: int) -> Path:
    """Write a Llama of two layers and width 16 that reads bytes and answers in whole words, with a chat template."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=4096,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    )
    words = tokenizer.convert_tokens_to_ids([f" {word}" for word in ANSWERS])
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.normal_(0, 1.5 if name.endswith(("q_proj.weight", "k_proj.weight")) else 0.5)
        embeddings, head = model.model.embed_tokens.weight, model.lm_head.weight
        # The last direction means "a word was said"; only the end token listens to it.
        embeddings[:, -1] = 0
        embeddings[words, -1] = 20
        said = torch.zeros(WIDTH)
        said[-1] = 20
        spoken = head[words]
        spoken[:, -1] = 0
        head.zero_()
        head[words] = spoken
        head[tokenizer.eos_token_id] = said
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[-1] = 0
            layer.mlp.down_proj.weight[-1] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.add_tokens([AddedToken(f" {word}", normalized=False) for word in ANSWERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", chat_template=TEMPLATE
    )


def build_speech_llm(folder: Path, seed: int) -> Path:
    """Write an Ultravox checkpoint: an audio tower of one layer and a projector, for a text LLM of width 16."""
    torch.manual_seed(seed)
    shape = {
        "model_type": "whisper",
        "num_mel_bins": 80,
        "d_model": WIDTH,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 4 * WIDTH,
        "max_source_positions": 1500,
    }
    parts = {
        "audio_tower": AudioTower(WhisperConfig(**shape)),
        "multi_modal_projector": UltravoxProjector(WIDTH, WIDTH, 2 * WIDTH, ln_mid=True),
    }
    weights = {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}
    for name, value in weights.items():
        if value.ndim > 1 and "embed_positions" not in name:
            value.normal_(0, 0.5)
    folder.mkdir(parents=True)
    config = {"model_type": "ultravox", "audio_config": shape, "hidden_size": 2 * WIDTH, "projector_ln_mid": True}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    return folder


def build_all(folder: Path) -> Path:
    """Write two recognisers, two language models and a speech LLM, each in a folder named after it."""
    for seed, name in ((1, "a"), (2, "b")):
        build_whisper(folder / f"whisper-{name}", seed)
    for seed, name in ((3, "a"), (1, "b")):
        build_llama(folder / f"llama-{name}", seed)
    build_speech_llm(folder / "speech-a", 5)
    return folder
