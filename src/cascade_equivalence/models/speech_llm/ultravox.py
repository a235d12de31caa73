"""Ultravox: a Whisper encoder and a connector before a text LLM that has a checkpoint of its own."""

import torch

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector, tokenizer_hash
from cascade_equivalence.models.speech_llm.load import has_text_weights, load_audio_encoder
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM


def open_ultravox(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> SpeechLLM:
    """Load an Ultravox, or a checkpoint with a connector of the project's own, around its text LLM.

    Args:
        files: The checkpoint, and the Whisper model that hears where it has no audio tower.
        text: The text LLM that it speaks through.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.

    Raises:
        StudyError: The checkpoint is incomplete, or was made for another text LLM.
    """
    # Another LLM's answers would pass for its own, and the match for exact.
    if has_text_weights(files.folder):
        raise StudyError(
            f"{files.folder} ships a text LLM of its own (language_model.*), which is not supported yet: only "
            "checkpoints that speak through a published text LLM are"
        )
    embeddings = text.model.get_input_embeddings()
    width = int(embeddings.weight.shape[1])
    encoder = load_audio_encoder(files.folder, files.audio_folder, width, device, dtype)
    connector = encoder.multi_modal_projector
    if isinstance(connector, TokenMixtureConnector):
        _check_tokenizer(connector, text)
        with torch.inference_mode():
            connector.attach(embeddings(torch.arange(embeddings.weight.shape[0], device=device)))
    return SpeechLLM(encoder, text, leading_space=bool(getattr(connector, "leading_space", False)))


def _check_tokenizer(connector: TokenMixtureConnector, text: TextLLM) -> None:
    """Refuse a text LLM whose tokens are not those that the connector speaks.

    Raises:
        StudyError: The tokenizers differ.
    """
    wanted = connector.shape.tokenizer
    if wanted is not None and wanted != tokenizer_hash(text.tokenizer):
        raise StudyError(
            "the connector speaks the tokens of another text model: its tokenizer is not the given one's. Name the "
            "text model it was trained with in `text_model`, or train a connector for this one"
        )
