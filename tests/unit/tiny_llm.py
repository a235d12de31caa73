"""Random language models of a few kilobytes, saved the way real checkpoints are."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    FalconH1Config,
    FalconH1ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from cascade_equivalence.models.text_llm import TextLLM

CORPUS = [
    "Read the news story and name its topic. The topics are: politics, sports, business or technology.",
    "The answer is Paris. The answer is London. What is the capital city of France?",
    "The goalkeeper saved two penalties as the hosts reached the cup final. A dog ran over the long bridge.",
    "system user assistant\nname: value\nYou are a helpful assistant.\n",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tool|>"]
BREAK = "[BREAK]"  # an added token that is not marked as special, but that the template writes
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
    " + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '[BREAK]<|im_start|>assistant\n' }}{% endif %}"
)


def byte_level_tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE with a ChatML template; of its control tokens only the end of a turn has a name."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False))
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    raw.add_tokens([AddedToken(text, normalized=False) for text in (BREAK, ".\n")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|endoftext|>", eos_token="<|im_end|>")
    if chat:
        tokenizer.chat_template = CHATML
    return tokenizer


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that puts a space before every text, as Llama 2's does."""
    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    alphabet = sorted({*"".join(CORPUS), "▁"})
    raw.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    raw.add_special_tokens([AddedToken("</s>", special=True, normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>")


def save_llama(folder: Path, tokenizer: PreTrainedTokenizerFast, seed: int = 0, **generation: Any) -> Path:
    """A random Llama; ``generation`` are defaults the checkpoint asks for."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 3,  # as real checkpoints, more rows than the tokenizer knows
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    return _save(LlamaForCausalLM(config), folder, tokenizer, generation)


def save_gemma(folder: Path, tokenizer: PreTrainedTokenizerFast, window: int, seed: int = 0, **more: Any) -> Path:
    """A random Gemma 3 in which two of three layers look back ``window`` tokens."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        max_position_embeddings=512,
        sliding_window=window,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=0,
        **more,
    )
    return _save(Gemma3ForCausalLM(config), folder, tokenizer, {})


def save_recurrent(folder: Path, tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> Path:
    """A random Falcon H1, whose layers have a recurrent state beside their keys and values."""
    torch.manual_seed(seed)
    config = FalconH1Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        mamba_d_ssm=64,
        mamba_n_heads=4,
        mamba_d_head=16,
        mamba_d_state=8,
        mamba_chunk_size=16,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=0,
    )
    return _save(FalconH1ForCausalLM(config), folder, tokenizer, {})


def save_script(folder: Path, tokenizer: PreTrainedTokenizerFast, chains: Sequence[Sequence[int]]) -> Path:
    """A Llama whose next token depends on the last one alone: it follows the chains."""
    folder = save_llama(folder, tokenizer)
    model = LlamaForCausalLM.from_pretrained(folder, tie_word_embeddings=False)
    embedding = torch.nn.functional.normalize(torch.randn_like(model.model.embed_tokens.weight), dim=-1)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(embedding)
        head = torch.zeros_like(embedding)
        for chain in chains:
            for token, following in pairwise(chain):
                head[following] += embedding[token]
        model.lm_head = torch.nn.Linear(head.shape[1], head.shape[0], bias=False)
        model.lm_head.weight.copy_(head)
    return _save(model, folder, tokenizer, {})


def _save(model: Any, folder: Path, tokenizer: PreTrainedTokenizerFast, generation: Mapping[str, Any]) -> Path:
    for name, value in generation.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Parrot:
    """An encoder that turns the n-th clip into the embeddings of the n-th text; a clip's level is its number.

    A negative level is a clip in which nothing is said.
    """

    def __init__(self, text: TextLLM, texts: Sequence[str]) -> None:
        self.text = text
        self.texts = texts
        self.calls = 0

    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        self.calls += 1
        table = self.text.model.get_input_embeddings()
        words = [self.text.tokenize(self.texts[int(audio[0])]) if audio[0] >= 0 else [] for audio in audios]
        return [table(torch.tensor(tokens, dtype=torch.long)).detach() for tokens in words]
