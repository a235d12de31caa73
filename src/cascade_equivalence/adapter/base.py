"""The ear of the speech LLM that a voice adapter changes, for making its training clips."""

from pathlib import Path

import torch

from cascade_equivalence.connector.run import input_embeddings
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector
from cascade_equivalence.models.speech_llm.load import load_audio_encoder
from cascade_equivalence.models.text_llm import TextLLM


def open_base(base: Path, audio: Path | None, text: Path) -> AudioEncoder:
    """Encoder and connector of the speech LLM that is changed, in float32 on the processor."""
    embeddings = input_embeddings(TextLLM(text, "cpu", torch.float32, chat=False))
    encoder = load_audio_encoder(base, audio, embeddings.shape[1], "cpu", torch.float32)
    if isinstance(encoder.multi_modal_projector, TokenMixtureConnector):
        encoder.multi_modal_projector.attach(embeddings)
    return encoder
