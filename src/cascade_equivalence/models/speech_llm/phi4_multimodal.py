"""Phi-4-multimodal: a conformer and two linear layers before Phi-4-mini, which hears through a LoRA adapter.

The transformers library's own class computes; the checkpoint is the hub's revision ``refs/pr/70``, the published
weights in that class's layout (12.5 vectors a second). The class has no LoRA of its own: without the speech adapter the
model answers that it cannot hear. So the adapter is loaded with the peft library and is on whenever sound or its prompt
is read; for typed prompts (``typed``: the own-weights cascade) it is off, and the text LLM is what it was before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import Phi4MultimodalFeatureExtractor

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import sound_settings
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.rendering import control_tokens, defuse
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.audio_encoder import SAMPLE_RATE, check_audio
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.speech_llm.speech_adapter import load_speech_adapter
from cascade_equivalence.models.speech_llm.typed_text import TypedText
from cascade_equivalence.models.text_llm import TextLLM

ADAPTER_FOLDER = "speech-lora"
ANSWER_ROOM = 256
"""Tokens kept free for an answer below the length at which the model changes its positions."""


class Phi4FrontEnd:
    """The audio part of Phi-4-multimodal: the library's module, one clip at a time.

    In a batch that module lets a clip attend to the padding behind it (its mask is added to the attention's scores as
    0 or 1, and not as minus infinity), so that a clip's vectors would depend on its company. A clip by itself has no
    padding. A clip above 40 s is encoded in pieces of 40 s, as the module does it.

    Args:
        audio: The module inside the model.
        features: The checkpoint's own spectrogram.
    """

    def __init__(self, audio: Any, features: Phi4MultimodalFeatureExtractor) -> None:
        self.audio = audio
        self.features = features

    @torch.inference_mode()
    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Compute the vectors that the text LLM reads for each clip.

        Args:
            audios: Waveforms at 16 kHz, one channel, floating-point.

        Returns:
            For each clip, in order, a tensor (vectors, text width) in the model's dtype on its device: a vector for
            every eight frames of 10 ms, the last one of what is left.

        Raises:
            StudyError: A clip is not such a waveform.
        """
        for index, audio in enumerate(audios):
            check_audio(audio, f"clip {index + 1} of {len(audios)}")
        return [self._vectors(audio) for audio in audios]

    def _vectors(self, audio: np.ndarray) -> torch.Tensor:
        # The shortest sound that has a frame.
        filled = np.pad(audio.astype(np.float32), (0, max(0, self.features.win_length - len(audio))))
        made = self.features(filled, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        count = int(made["audio_embed_sizes"][0])
        weight = self.audio.down_proj_for_speech.weight
        # The module writes the vectors over those of its audio tokens: here there is nothing else.
        tokens = torch.full((1, count), self.audio.config.audio_config.audio_token_id, device=weight.device)
        nothing = torch.zeros(1, count, weight.shape[0], dtype=weight.dtype, device=weight.device)
        written: torch.Tensor = self.audio(tokens, nothing, made["audio_input_features"], made["audio_embed_sizes"])
        return written[0]


class Phi4MultimodalLLM(SpeechLLM):
    """Phi-4-multimodal ready to answer.

    A prompt is rendered as a text LLM's is; then the placeholder becomes the vectors, in the place of the model's own
    audio token.

    Args:
        encoder: The audio part.
        text: The LLM inside, with the speech adapter on.

    Raises:
        StudyError: The tokenizer does not have the model's audio token.
    """

    def __init__(self, encoder: Phi4FrontEnd, text: TextLLM) -> None:
        super().__init__(encoder, text)
        self._typed = TypedText(text)
        config, tokenizer = text.model.config, text.tokenizer
        self.limit = config.original_max_position_embeddings or config.max_position_embeddings
        self.audio_id = int(config.audio_config.audio_token_id)
        token: Any = tokenizer.convert_ids_to_tokens(self.audio_id)
        if token is None or text.tokenize(token) != [self.audio_id]:
            raise StudyError(
                f"{tokenizer.name_or_path}: token {self.audio_id}, where the model takes sound, is not in its "
                "tokenizer: fetch the model again, with all tokenizer files"
            )
        self.audio_token = str(token)
        # Rendering takes apart what the tokenizer knows as a token of its own.
        self.rendered = defuse(PLACEHOLDER, control_tokens(tokenizer))

    @property
    def typed(self) -> TextLLM:
        """The text LLM with the speech adapter off."""
        return self._typed

    def _row(self, prompt: str, vectors: int) -> list[int]:
        before, after = self._around(prompt.replace(self.rendered, PLACEHOLDER))
        ids = self.text.tokenize(f"{before}{self.audio_token}{after}")
        place = ids.index(self.audio_id)
        row = [*ids[:place], *[AUDIO] * vectors, *ids[place + 1 :]]
        if len(row) + ANSWER_ROOM > self.limit:
            raise StudyError(
                f"a prompt with its sound has {len(row)} tokens ({vectors} of them sound); beyond {self.limit} the "
                f"model counts positions in another way, and {ANSWER_ROOM} are kept for the answer: shorten the "
                "task's prompt, or cut the clip"
            )
        return row


def open_phi4_multimodal(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> Phi4MultimodalLLM:
    """Make a speech LLM of Phi-4-multimodal's text LLM, which has the audio part in it.

    Args:
        files: The checkpoint.
        text: The LLM inside, from the same folder. The speech adapter is loaded into it: from now on it is on, but in
            the result's ``typed``.
        device: ``cpu`` or ``cuda``, where the text LLM is already.
        dtype: Arithmetic, which the text LLM has already.

    Raises:
        StudyError: The adapter is missing or does not fit, or the checkpoint is incomplete.
    """
    sound_settings(files.folder)
    features = Phi4MultimodalFeatureExtractor.from_pretrained(files.folder)
    load_speech_adapter(text.model, files.folder / ADAPTER_FOLDER)
    return Phi4MultimodalLLM(Phi4FrontEnd(text.model.get_decoder().embed_tokens_extend.audio_embed, features), text)
