"""Qwen2-Audio: Whisper's encoder, average-pooled by two, and one linear layer before a text LLM of its own.

After the model's report (Chu et al., 2024, arXiv 2407.10759) and the transformers library's implementation of it, whose
modules do the computing. There is no cross-attention: the vectors stand in the LLM's input like words, 25 a second.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Qwen2AudioConfig, Qwen2AudioEncoder, WhisperFeatureExtractor
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioMultiModalProjector

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.rendering import control_tokens, defuse
from cascade_equivalence.models.speech_llm.audio_encoder import SAMPLE_RATE, check_audio
from cascade_equivalence.models.speech_llm.load import CONNECTOR, TOWER, contents, fill, read_part
from cascade_equivalence.models.speech_llm.mel import HOP
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM

NAME = "Qwen2-Audio"
SHORTEST = 3 * HOP
"""Samples of the shortest clip that becomes a vector; shorter sound counts as that long, silence fills it up."""
BEGIN, END = "<|audio_bos|>", "<|audio_eos|>"
MARKED = f"{BEGIN}{PLACEHOLDER}{END}"
"""How the pretrained model has sound in its input."""
CHAT_MARKED = f"Audio 1: {MARKED}\n"
"""How the chat template writes a turn's sound."""


class Qwen2AudioFrontEnd(nn.Module):
    """The audio part of Qwen2-Audio, with the checkpoint keys of the published model.

    The encoder hears a window of 30 s, filled up with silence that its attention leaves out. As in the model's own
    processor, sound behind 30 s is not heard; a warning says so. A clip's vectors do not depend on the clips beside it.

    Args:
        audio_tower: The encoder, with the pooling.
        multi_modal_projector: The linear layer.
        features: The checkpoint's own spectrogram.

    Raises:
        StudyError: Encoder and spectrogram do not fit together.
    """

    def __init__(
        self,
        audio_tower: Qwen2AudioEncoder,
        multi_modal_projector: Qwen2AudioMultiModalProjector,
        features: WhisperFeatureExtractor,
    ) -> None:
        super().__init__()
        wanted = (audio_tower.config.num_mel_bins, 2 * audio_tower.config.max_source_positions)
        if wanted != (found := (features.feature_size, features.nb_max_frames)):
            raise StudyError(
                f"the audio tower takes {wanted[0]} mel bands and {wanted[1]} frames, the checkpoint's "
                f"preprocessor_config.json makes {found[0]} and {found[1]}: fetch the model again"
            )
        self.audio_tower = audio_tower
        self.multi_modal_projector = multi_modal_projector
        self.features = features

    @torch.inference_mode()
    def embed(self, audios: Sequence[np.ndarray], batch_size: int = 16) -> list[torch.Tensor]:
        """Compute the vectors that the text LLM reads for each clip.

        Args:
            audios: Waveforms at 16 kHz, one channel, floating-point.
            batch_size: Clips at once.

        Returns:
            For each clip, in order, a tensor (vectors, text width) in the model's dtype on its device. L mel frames of
            10 ms become ``(((L - 1) // 2 + 1) - 2) // 2 + 1`` vectors, at most 750.

        Raises:
            StudyError: A clip is not such a waveform.
        """
        for index, audio in enumerate(audios):
            check_audio(audio, f"clip {index + 1} of {len(audios)}")
        if cut := sum(len(audio) > self.features.n_samples for audio in audios):
            warnings.warn(
                f"{NAME} hears the first {self.features.n_samples / SAMPLE_RATE:g} s of a clip: {cut} of {len(audios)} "
                "are longer, and what is said behind that is not heard",
                stacklevel=2,
            )
        starts = range(0, len(audios), batch_size)
        return [vectors for start in starts for vectors in self._batch(audios[start : start + batch_size])]

    def _batch(self, audios: Sequence[np.ndarray]) -> Iterator[torch.Tensor]:
        device, dtype = self.audio_tower.conv1.weight.device, self.audio_tower.conv1.weight.dtype
        filled = [np.pad(audio.astype(np.float32), (0, max(0, SHORTEST - len(audio)))) for audio in audios]
        made = self.features(
            filled,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
            device=str(device),
        )
        frames, counts = self.audio_tower._get_feat_extract_output_lengths(made["attention_mask"].sum(-1).to(device))
        at = torch.arange(self.audio_tower.config.max_source_positions, device=device)
        mask = create_bidirectional_mask(
            config=self.audio_tower.config,
            inputs_embeds=torch.zeros(len(audios), len(at), 1, dtype=dtype, device=device),
            attention_mask=(at < frames[:, None]).long(),
        )
        states = self.audio_tower(made["input_features"].to(device, dtype), attention_mask=mask).last_hidden_state
        for vectors, count in zip(self.multi_modal_projector(states), counts.tolist(), strict=True):
            yield vectors[:count]


class Qwen2AudioLLM(SpeechLLM):
    """Qwen2-Audio ready to answer.

    A prompt is rendered as a text LLM's is; then the placeholder becomes what the model has for sound.

    Args:
        encoder: The audio part.
        text: The LLM inside.

    Raises:
        StudyError: The tokenizer does not have the tokens that stand around sound.
    """

    def __init__(self, encoder: Qwen2AudioFrontEnd, text: TextLLM) -> None:
        super().__init__(encoder, text)
        if missing := [token for token in (BEGIN, END) if len(text.tokenize(token)) != 1]:
            raise StudyError(
                f"{text.tokenizer.name_or_path}: {' and '.join(missing)}, which stands around sound, is not in its "
                "tokenizer: fetch the model again, with all tokenizer files"
            )
        self.marked = CHAT_MARKED if text.chat else MARKED
        # Rendering takes apart what the tokenizer knows as a token of its own.
        self.rendered = defuse(PLACEHOLDER, control_tokens(text.tokenizer))

    def _row(self, prompt: str, vectors: int) -> list[int]:
        return super()._row(prompt.replace(self.rendered, self.marked), vectors)


def load_front_end(folder: Path, device: str, dtype: torch.dtype) -> Qwen2AudioFrontEnd:
    """Load audio tower and projector of a Qwen2-Audio checkpoint; its text LLM is left alone.

    Args:
        folder: ``config.json``, ``preprocessor_config.json`` and safetensors.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.

    Returns:
        The audio part, in evaluation mode.

    Raises:
        StudyError: The checkpoint cannot be read, or its weights are not exactly those its config describes.
    """
    config: Any = Qwen2AudioConfig.from_pretrained(folder)
    features = WhisperFeatureExtractor.from_pretrained(folder)
    names = contents(folder, f"a {NAME} model")
    with torch.device("meta"):
        tower, projector = Qwen2AudioEncoder(config.audio_config), Qwen2AudioMultiModalProjector(config)
    width = int(config.text_config.hidden_size)
    for part, prefix in ((tower, TOWER), (projector, CONNECTOR)):
        fill(part, read_part(names, prefix), prefix, str(folder), width, dtype)
    return Qwen2AudioFrontEnd(tower, projector, features).requires_grad_(False).to(device).eval()


def open_qwen2_audio(files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> Qwen2AudioLLM:
    """Load Qwen2-Audio around its text LLM.

    Args:
        files: The checkpoint.
        text: The LLM inside, from the same folder.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.

    Raises:
        StudyError: The checkpoint is incomplete.
    """
    return Qwen2AudioLLM(load_front_end(files.folder, device, dtype), text)
