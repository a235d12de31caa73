"""Tiny random recognisers of the transformers library: config, weights, processor and tokenizer of each class.

Their transcripts mean nothing; they depend on the sound, and are what the class itself makes of it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_speech_llms_common import CHATML_SPECIAL, TEXT, save_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_kernel_size": 5,
    "subsampling_conv_channels": 8,
    "num_mel_bins": 80,
}
DECODER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
WORDS = ["the", "cat", "dog", "ran", "sat", "on", "a", "mat", "sun", "moon", "red", "blue"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
END = "<|endoftext|>"


def saved(model: Any, folder: Path, seed: int, listening: str = "") -> Path:
    """Give a model weights large enough that everything matters, and write it.

    Args:
        model: The model.
        folder: Where it goes.
        seed: Seed of the weights.
        listening: Part of the names of a decoder's weights that look at the sound: they are made larger, or one of
            random numbers says what its own last token leads to, whatever it hears.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                size = 1.6 if listening and listening in name else 0.4
                weights.copy_(size * torch.randn(weights.shape, generator=generator))
    model.save_pretrained(folder)
    return folder


def words(special: Sequence[str], kind: Any = transformers.PreTrainedTokenizerFast, **named: str) -> Any:
    """A tokenizer of some words and letters, with control tokens at its beginning."""
    known = ["▁", *(f"▁{word}" for word in WORDS), *LETTERS.lower()]
    made = Tokenizer(models.WordLevel({token: at for at, token in enumerate([*special, *known])}, unk_token=special[0]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.add_special_tokens([AddedToken(token, special=True) for token in special])
    return kind(tokenizer_object=made, unk_token=special[0], **named)


def _frames(config: Any, model: Any) -> Callable[[Path, int], Path]:
    """Of those that label the frames of a waveform."""

    def save(folder: Path, seed: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS]
        (folder / "vocab.json").write_text(json.dumps({token: at for at, token in enumerate(tokens)}))
        tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
        ears = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)
        transformers.Wav2Vec2Processor(feature_extractor=ears, tokenizer=tokenizer).save_pretrained(folder)
        shape = {
            **{"conv_dim": (16, 16), "conv_stride": (10, 8), "conv_kernel": (20, 16), "num_feat_extract_layers": 2},
            **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "pad_token_id": 0},
        }
        return saved(model(config(vocab_size=len(tokens), **DECODER, **shape)), folder, seed)

    return save


def _parakeet(kind: str) -> Callable[[Path, int], Path]:
    def save(folder: Path, seed: int) -> Path:
        special = ["<unk>", "<pad>", *(["<blank>"] if kind != "ctc" else [])]
        tokenizer = words(special, transformers.ParakeetTokenizer, pad_token="<pad>")
        ears = transformers.ParakeetFeatureExtractor(feature_size=80)
        processor = transformers.ParakeetProcessor(feature_extractor=ears, tokenizer=tokenizer, decoder_type=kind)
        processor.save_pretrained(folder)
        shape: dict[str, Any] = {"vocab_size": len(tokenizer), "pad_token_id": 1, "encoder_config": CONFORMER}
        if kind == "ctc":
            return saved(transformers.ParakeetForCTC(transformers.ParakeetCTCConfig(**shape)), folder, seed)
        shape |= {"blank_token_id": 2, "decoder_hidden_size": 16, "num_decoder_layers": 1, "max_symbols_per_step": 3}
        model = (
            transformers.ParakeetForTDT(transformers.ParakeetTDTConfig(**shape))
            if kind == "tdt"
            else transformers.ParakeetForRNNT(transformers.ParakeetRNNTConfig(**shape))
        )
        model.generation_config.decoder_start_token_id = 2
        return saved(model, folder, seed)

    return save


def _moonshine(folder: Path, seed: int) -> Path:
    tokenizer = words(["<unk>", "<s>", "</s>"], bos_token="<s>", eos_token="</s>", pad_token="</s>")
    ears = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    transformers.Wav2Vec2Processor(feature_extractor=ears, tokenizer=tokenizer).save_pretrained(folder)
    config = transformers.MoonshineConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        encoder_num_hidden_layers=1,
        decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return saved(transformers.MoonshineForConditionalGeneration(config), folder, seed)


PROMPTED = ["<unk>", "<pad>", END, "<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>", "<|en|>"]
PROMPTED += ["<|pnc|>", "<|noitn|>", "<|notimestamp|>", "<|nodiarize|>"]
IDS = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 3, "decoder_start_token_id": 3}
CANARY = (
    "{% for turn in messages %}{% for part in turn['content'] %}{% if part['type'] == 'text' %}<|startofcontext|>"
    "<|startoftranscript|><|{{ part['source_language'] }}|><|{{ part['target_language'] }}|><|pnc|>{% endif %}"
    "{% endfor %}{% endfor %}"
)


def _canary(folder: Path, seed: int) -> Path:
    tokenizer = words(PROMPTED, eos_token=END, pad_token="<pad>")
    ears = transformers.ParakeetFeatureExtractor(feature_size=80)
    transformers.CanaryProcessor(ears, tokenizer, chat_template=CANARY).save_pretrained(folder)
    config = transformers.CanaryConfig(
        vocab_size=len(tokenizer),
        encoder_config={"model_type": "parakeet_encoder", **CONFORMER},
        decoder_config={"vocab_size": len(tokenizer), "num_key_value_heads": 2, **DECODER},
        **IDS,
    )
    return saved(transformers.CanaryForConditionalGeneration(config), folder, seed, listening="encoder_attn")


def _cohere(folder: Path, seed: int) -> Path:
    tokenizer = words(PROMPTED, eos_token=END, pad_token="<pad>")
    ears = transformers.CohereAsrFeatureExtractor(feature_size=80)
    transformers.CohereAsrProcessor(ears, tokenizer).save_pretrained(folder)
    encoder = {"model_type": "parakeet_encoder", **CONFORMER}
    config = transformers.CohereAsrConfig(vocab_size=len(tokenizer), encoder_config=encoder, **DECODER, **IDS)
    return saved(transformers.CohereAsrForConditionalGeneration(config), folder, seed)


def _seamless(version: str) -> Callable[[Path, int], Path]:
    def save(folder: Path, seed: int) -> Path:
        tokenizer = words(["<unk>", "<pad>", "<s>", "</s>", "__eng__"], eos_token="</s>", pad_token="<pad>")
        ears = transformers.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, stride=2)
        transformers.SeamlessM4TProcessor(ears, tokenizer).save_pretrained(folder)
        encoder = {"layers": 1, "attention_heads": 2, "intermediate_size": 32}
        decoder = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
        config = getattr(transformers, f"SeamlessM4T{version}Config")(
            vocab_size=len(tokenizer),
            hidden_size=16,
            feature_projection_input_dim=160,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            conv_depthwise_kernel_size=5,
            adaptor_kernel_size=4,
            adaptor_stride=4,
            **{f"speech_encoder_{key}": value for key, value in encoder.items()},
            **{f"decoder_{key}": value for key, value in decoder.items()},
            **{"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3},
        )
        model = getattr(transformers, f"SeamlessM4T{version}ForSpeechToText")(config)
        model.generation_config.text_decoder_lang_to_code_id = {"eng": 4}
        # As published checkpoints have it: a generation config of their own, which is read.
        model.generation_config._from_model_config = False
        return saved(model, folder, seed, listening="cross_attention")

    return save


QWEN = [*CHATML_SPECIAL, "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<asr_text>"]
QWEN_TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{% for part in turn['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_start|><|audio_pad|><|audio_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
)


def _qwen(folder: Path, seed: int) -> Path:
    named = {"audio_token": "<|audio_pad|>", "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>"}
    ids = save_tokenizer(folder, QWEN, None, extra_special_tokens=named)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ears = transformers.Qwen3ASRFeatureExtractor(feature_size=80)
    transformers.Qwen3ASRProcessor(ears, tokenizer, chat_template=QWEN_TEMPLATE).save_pretrained(folder)
    tower = {
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "num_mel_bins": 80,
    }
    config = transformers.Qwen3ASRConfig(
        audio_config={"model_type": "qwen3_asr_encoder", **tower, "output_dim": TEXT["hidden_size"]},
        text_config={"model_type": "qwen3", "vocab_size": ids[""], **TEXT, "eos_token_id": ids["<|im_end|>"]},
        audio_token_id=ids["<|audio_pad|>"],
    )
    return saved(transformers.Qwen3ASRForConditionalGeneration(config), folder, seed)


TINY: dict[str, Callable[[Path, int], Path]] = {
    "wav2vec2": _frames(transformers.Wav2Vec2Config, transformers.Wav2Vec2ForCTC),
    "wav2vec2-conformer": _frames(transformers.Wav2Vec2ConformerConfig, transformers.Wav2Vec2ConformerForCTC),
    "hubert": _frames(transformers.HubertConfig, transformers.HubertForCTC),
    "wavlm": _frames(transformers.WavLMConfig, transformers.WavLMForCTC),
    "parakeet_ctc": _parakeet("ctc"),
    "parakeet_tdt": _parakeet("tdt"),
    "parakeet_rnnt": _parakeet("rnnt"),
    "moonshine": _moonshine,
    "canary": _canary,
    "cohere_asr": _cohere,
    "qwen3_asr": _qwen,
    "seamless_m4t": _seamless(""),
    "seamless_m4t_v2": _seamless("v2"),
}
"""What writes a checkpoint of each kind into a folder, from a seed."""
