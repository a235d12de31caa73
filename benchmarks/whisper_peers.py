"""Whisper as others run it in batches: the transformers library, ``whisper.decode``, and faster-whisper's pipeline."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from turns import Arm

RENAMED = {
    "blocks": "layers",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "attn_ln": "self_attn_layer_norm",
    "cross_attn.out": "encoder_attn.out_proj",
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "encoder.ln_post": "encoder.layer_norm",
    "decoder.ln": "decoder.layer_norm",
    "decoder.token_embedding": "decoder.embed_tokens",
    "positional_embedding": "embed_positions.weight",
}
"""The library's names of openai-whisper's weights."""


def renamed(name: str) -> str:
    """The transformers library's name of a weight of openai-whisper."""
    for ours, theirs in RENAMED.items():
        name = re.sub(rf"\b{re.escape(ours)}\b", theirs, name)
    return name


def library_whisper(model: Any) -> Any:
    """The same network and weights in the transformers library."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    sizes = model.dims
    config = WhisperConfig(
        vocab_size=sizes.n_vocab,
        num_mel_bins=sizes.n_mels,
        d_model=sizes.n_audio_state,
        encoder_layers=sizes.n_audio_layer,
        encoder_attention_heads=sizes.n_audio_head,
        decoder_layers=sizes.n_text_layer,
        decoder_attention_heads=sizes.n_text_head,
        encoder_ffn_dim=4 * sizes.n_audio_state,
        decoder_ffn_dim=4 * sizes.n_text_state,
        max_source_positions=sizes.n_audio_ctx,
        max_target_positions=sizes.n_text_ctx,
    )
    found = WhisperForConditionalGeneration(config)
    state = {f"model.{renamed(name)}": weight for name, weight in model.state_dict().items()}
    missing, unexpected = found.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= {"proj_out.weight"}, missing
    found.tie_weights()
    return found.eval()


def batched_peers(model: Any, folder: Path, threads: int, longest: int) -> list[Arm]:
    """Peers that take a chunk at once.

    Args:
        model: openai-whisper's network with its weights, float32.
        folder: The same weights for CTranslate2.
        threads: Threads of CTranslate2.
        longest: Most tokens of a transcript.
    """
    import whisper
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    from transformers.generation import GenerationMixin
    from whisper.audio import log_mel_spectrogram, pad_or_trim
    from whisper.tokenizer import get_tokenizer

    options = whisper.DecodingOptions(language="en", temperature=0.0, without_timestamps=True, fp16=False)
    tokenizer = get_tokenizer(model.is_multilingual, language="en", task="transcribe")
    start = [*tokenizer.sot_sequence_including_notimestamps]
    library = library_whisper(model)
    pipeline = BatchedInferencePipeline(
        WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
    )

    def windows(chunk: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.stack([log_mel_spectrogram(pad_or_trim(audio), n_mels=model.dims.n_mels) for audio in chunk])

    def decode(chunk: Sequence[np.ndarray]) -> list[str]:
        return [found.text.strip() for found in model.decode(windows(chunk), options)]

    @torch.inference_mode()
    def generate(chunk: Sequence[np.ndarray]) -> list[str]:
        found = GenerationMixin.generate(
            library,
            input_features=windows(chunk),
            decoder_input_ids=torch.tensor([start] * len(chunk)),
            do_sample=False,
            num_beams=1,
            max_new_tokens=longest,
            eos_token_id=tokenizer.eot,
            pad_token_id=tokenizer.eot,
            suppress_tokens=[*tokenizer.non_speech_tokens, tokenizer.sot, tokenizer.no_speech],
        )
        said = [[token for token in row[len(start) :].tolist() if token < tokenizer.eot] for row in found]
        return [tokenizer.decode(row).strip() for row in said]

    def pipelined(chunk: Sequence[np.ndarray]) -> list[str]:
        found = []
        for audio in chunk:
            clip = [{"start": 0.0, "end": len(audio) / 16_000}]
            segments, _ = pipeline.transcribe(
                audio, language="en", beam_size=1, without_timestamps=True, clip_timestamps=clip, batch_size=len(chunk)
            )
            found.append("".join(segment.text for segment in segments).strip())
        return found

    return [
        Arm("batch: whisper.decode, float32", decode),
        Arm("batch: transformers generate, float32", generate),
        Arm("batch: faster-whisper's pipeline, int8", pipelined),
    ]
