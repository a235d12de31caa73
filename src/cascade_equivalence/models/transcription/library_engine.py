"""The engine of the transformers library's recognisers: the checkpoint's class and processor, greedy, English."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cascade_equivalence.config.study import TranscribeConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.transcription.recognisers import SAMPLING_RATE, Recogniser


def arithmetic(config: TranscribeConfig) -> str:
    """The dtype of a recogniser: float32 unless the config names another.

    Raises:
        StudyError: It names one that torch does not compute in.
    """
    if config.dtype == "int8":
        raise StudyError(
            "transcribe.dtype: int8 is for faster-whisper and hybrid; set it to auto for other recognisers"
        )
    return "float32" if config.dtype == "auto" else config.dtype


class LibraryEngine:
    """A recogniser of the transformers library.

    Args:
        folder: Its checkpoint: config, safetensors, processor and tokenizer.
        recogniser: What kind it is.
        config: Device, arithmetic and longest transcript.

    Raises:
        StudyError: The checkpoint cannot be opened, lacks weights, or its processor does not take sound of 16 kHz.
    """

    def __init__(self, folder: Path, recogniser: Recogniser, config: TranscribeConfig) -> None:
        import transformers

        self.recogniser = recogniser
        self.longest = config.max_new_tokens
        self.device = resolve_device(config.device)
        self.dtype = resolve_dtype(arithmetic(config), self.device)
        try:
            self.processor: Any = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
            model, told = getattr(transformers, recogniser.auto).from_pretrained(
                folder, dtype=self.dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
        except Exception as error:  # what the library raises on a broken checkpoint is its own affair
            reason = str(error).strip().splitlines()
            raise StudyError(
                f"{folder} cannot be opened as {recogniser.title}: {reason[0] if reason else type(error).__name__}; "
                "fetch the model again, with config, safetensors, preprocessor_config.json and all tokenizer files"
            ) from error
        if missing := sorted(told["missing_keys"]):
            raise StudyError(
                f"{folder} lacks weights of {recogniser.title}: {', '.join(map(str, missing[:3]))} and the like, "
                f"{len(missing)} in all; fetch the model again"
            )
        ears = getattr(self.processor, "feature_extractor", None)
        if ears is None:
            raise StudyError(
                f"{folder} has no processor that takes sound: let `files` of its entry match preprocessor_config.json "
                "or processor_config.json, and fetch the model again"
            )
        if (rate := getattr(ears, "sampling_rate", SAMPLING_RATE)) != SAMPLING_RATE:
            raise StudyError(f"{folder} hears sound of {rate} Hz; clips have {SAMPLING_RATE}")
        self.model: Any = model.to(self.device).eval()

    @torch.inference_mode()
    def transcribe(self, audio: Sequence[np.ndarray]) -> list[str]:
        """Transcribe waveforms (16 kHz, float32), in order."""
        batches = [audio] if self.recogniser.together else [[clip] for clip in audio]
        return [text.strip() for batch in batches for text in self._read(batch)]

    def _read(self, audio: Sequence[np.ndarray]) -> list[str]:
        inputs = {name: self._moved(value) for name, value in self.recogniser.request(self.processor, audio).items()}
        if self.recogniser.decoding == "frames":
            # With them left out beforehand, two frames would be joined that one of them stands between.
            marked: list[str] = self.processor.batch_decode(self.model(**inputs).logits.argmax(-1))
            return [self._unmarked(text) for text in marked]
        greedy = {"max_new_tokens": self.longest, "do_sample": False, "num_beams": 1}
        found = self.model.generate(**inputs, **(greedy if self.recogniser.counted else {}))
        tokens = getattr(found, "sequences", found)
        # What was asked stands before the answer, whether a text LLM or a decoder was asked.
        asked = inputs.get("input_ids", inputs.get("decoder_input_ids"))
        tokens = tokens if asked is None else tokens[:, asked.shape[1] :]
        texts: list[str] = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def _unmarked(self, text: str) -> str:
        """A text without the tokenizer's control tokens."""
        for token in self.processor.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
