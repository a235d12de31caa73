"""A random Whisper of a few hundred kilobytes in a folder that all three engines can read."""

import json
from pathlib import Path

import ctranslate2.converters.transformers as ctranslate2_converters
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.convert_slow_tokenizer import bytes_to_unicode
from whisper.tokenizer import get_tokenizer


def save_whisper(folder: Path, multilingual: bool, seed: int = 0) -> Path:
    """Write it as CTranslate2's converter does, with the tokenizer and the suppressed tokens of openai-whisper."""
    tokenizer = _tokenizer(multilingual)
    size = 51865 if multilingual else 51864
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=size,
        num_mel_bins=80,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
    )
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.normal_(0, 0.3 if weights.ndim > 1 else 0.1)
            if name.endswith("layer_norm.weight"):
                weights.add_(1)
            # What is heard counts for more than what was said last.
            if name.endswith("encoder_attn.out_proj.weight"):
                weights.mul_(8)
    spec = ctranslate2_converters.WhisperLoader().get_model_spec(model)
    spec.register_vocabulary([tokenizer.id_to_token(token) or "" for token in range(size)])
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir()
    spec.save(str(folder))
    words = get_tokenizer(multilingual, language="en")
    controls = (words.transcribe, words.translate, words.sot, words.sot_prev, words.sot_lm, words.no_speech)
    suppressed = {
        "suppress_ids": sorted({*words.non_speech_tokens, *controls}),
        "suppress_ids_begin": [*words.encode(" "), words.eot],
        "lang_ids": list(words.all_language_tokens),
        "alignment_heads": [[1, 0]],
    }
    (folder / "config.json").write_text(json.dumps(suppressed))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer(multilingual: bool) -> Tokenizer:
    """openai-whisper's tokens; nothing is encoded, so that merges are not needed."""
    words = get_tokenizer(multilingual)
    letters = bytes_to_unicode()
    texts = [words.encoding.decode_single_token_bytes(token) for token in range(words.eot)]
    vocabulary = {"".join(letters[byte] for byte in text): token for token, text in enumerate(texts)}
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.decoder = decoders.ByteLevel()
    special = sorted(words.special_tokens, key=words.special_tokens.__getitem__)
    raw.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    return raw
