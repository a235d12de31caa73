"""The engines that transcribe: three ways to run Whisper, and one for the transformers library's other recognisers.

Whisper runs in torch, in CTranslate2, or in torch's encoder before CTranslate2's decoder. All three are greedy, force
English, take one window a clip (30 s, unless ``transcribe.window`` says otherwise) and give the same text but for
rounding. On a processor with bfloat16 matrix units the hybrid is the fastest: the encoder, half of the work, runs in
bfloat16, which CTranslate2 does not do on a processor, and CTranslate2's decoder is faster than torch's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import torch
from torch.nn import functional

from cascade_equivalence.config.study import TranscribeConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_json
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.transcription.features import window
from cascade_equivalence.models.transcription.library_engine import LibraryEngine, arithmetic
from cascade_equivalence.models.transcription.recognisers import TRANSFORMERS, WHISPER, Recogniser, find_recogniser
from cascade_equivalence.models.transcription.windows import WHOLE, ClipWindows

CONTEXT = 448
"""Positions of every Whisper's decoder: the prompt and the transcript."""
ENCODED_AT_ONCE = 2
"""Windows that a processor encodes together: the activations of more outgrow its caches."""


class Engine(Protocol):
    """Transcribes batches of clips."""

    def transcribe(self, audio: Sequence[np.ndarray]) -> list[str]:
        """Transcribe waveforms (16 kHz, float32), in order."""


class TorchEncoder:
    """Whisper's encoder in torch, in the fastest arithmetic that leaves its features intact."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        from cascade_equivalence.models.openai_whisper import load_openai_whisper

        self.model = load_openai_whisper(folder, device, torch.float32)
        self.mels = self.model.dims.n_mels
        self.device = device
        self.dtype = dtype

    @torch.inference_mode()
    def __call__(self, audio: Sequence[np.ndarray], seconds: float = WHOLE) -> torch.Tensor:
        """Encode a batch: float32 features (clips, positions, width), 50 positions a second of the window."""
        mel = window(audio, self.mels, seconds).to(self.device)
        parts = mel.split(ENCODED_AT_ONCE) if self.device == "cpu" else [mel]
        # Autocast keeps layer norms and the softmax in float32.
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            return torch.cat([self._states(part).float() for part in parts])

    def _states(self, mel: torch.Tensor) -> torch.Tensor:
        """What the network's own ``forward`` gives, which takes whole windows only."""
        encoder = self.model.encoder
        states = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        states = (states + encoder.positional_embedding[: states.shape[1]]).to(states.dtype)
        for block in encoder.blocks:
            states = block(states)
        found: torch.Tensor = encoder.ln_post(states)
        return found


class OpenAIWhisper:
    """openai-whisper: encoder and decoder in torch."""

    def __init__(self, folder: Path, config: TranscribeConfig) -> None:
        from whisper.decoding import DecodingOptions

        device = resolve_device(config.device)
        if config.dtype == "int8":
            raise StudyError("transcribe.dtype: int8 needs the engine faster-whisper; openai-whisper has no int8")
        self.encode = TorchEncoder(folder, device, resolve_dtype(config.dtype, device))
        self.options = DecodingOptions(
            language="en",
            temperature=0.0,
            without_timestamps=True,
            sample_len=config.max_new_tokens,
            fp16=False,
        )

    @torch.inference_mode()
    def transcribe(self, audio: Sequence[np.ndarray], seconds: float = WHOLE) -> list[str]:
        """See :class:`Engine`."""
        features = self.encode(audio, seconds)
        # By this number the library knows that it is given features, not a spectrogram.
        self.encode.model.dims.n_audio_ctx = features.shape[1]
        return [result.text.strip() for result in self.encode.model.decode(features, self.options)]


class CTranslate2Decoder:
    """Whisper in CTranslate2 (the engine of faster-whisper), from windows or from encoder features."""

    def __init__(self, folder: Path, device: str, compute_type: str, max_new_tokens: int) -> None:
        import ctranslate2
        from tokenizers import Tokenizer

        possible = ctranslate2.get_supported_compute_types(device)
        if compute_type not in possible:
            named = get_args(TranscribeConfig.model_fields["dtype"].annotation)
            raise StudyError(
                f"transcribe.dtype: CTranslate2 does not compute in {compute_type} on this {device}; set "
                f"{' or '.join(sorted(possible.intersection(named)))}"
            )
        if not (folder / "model.bin").exists():
            raise StudyError(
                f"{folder} holds no CTranslate2 model.bin: set transcribe.engine to openai-whisper, or take the model "
                "from a repository of faster-whisper"
            )
        self.model = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type=compute_type, intra_threads=torch.get_num_threads()
        )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        start = ["<|startoftranscript|>", *(["<|en|>", "<|transcribe|>"] if self.model.is_multilingual else [])]
        self.prompt = [self.tokenizer.token_to_id(token) for token in [*start, "<|notimestamps|>"]]
        self.end = self.tokenizer.token_to_id("<|endoftext|>")
        longest = min(max_new_tokens, CONTEXT - len(self.prompt))
        # CTranslate2 stops at half of its max_length, and earlier where the prompt takes more than that.
        self.max_length = max(2 * longest, len(self.prompt) + longest)

    def __call__(self, features: torch.Tensor) -> list[str]:
        """Decode windows (clips, mels, frames) or encoder features (clips, positions, width), float32."""
        import ctranslate2

        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features.cpu().numpy()))
        results = self.model.generate(
            view, [self.prompt] * len(features), beam_size=1, max_length=self.max_length, suppress_blank=True
        )
        texts = [[token for token in result.sequences_ids[0] if token < self.end] for result in results]
        return [self.tokenizer.decode(text).strip() for text in texts]


def _compute_type(config: TranscribeConfig, device: str, automatic: str) -> str:
    if config.dtype == "auto":
        return automatic if device == "cpu" else "float16"
    return config.dtype


def _hybrid_decoder(config: TranscribeConfig, device: str) -> str:
    if config.dtype in ("int8", "float32"):
        return config.dtype
    return "float32" if device == "cpu" else "float16"


class FasterWhisper:
    """CTranslate2 for encoder and decoder; int8 on a processor unless the config says otherwise."""

    def __init__(self, folder: Path, config: TranscribeConfig) -> None:
        device = resolve_device(config.device)
        compute_type = _compute_type(config, device, "int8")
        self.decode = CTranslate2Decoder(folder, device, compute_type, config.max_new_tokens)
        self.mels = self.decode.model.n_mels

    def transcribe(self, audio: Sequence[np.ndarray], seconds: float = WHOLE) -> list[str]:
        """See :class:`Engine`."""
        return self.decode(window(audio, self.mels, seconds))


class Hybrid:
    """The encoder in torch, the decoder in CTranslate2 (float32 on a processor)."""

    def __init__(self, folder: Path, config: TranscribeConfig) -> None:
        device = resolve_device(config.device)
        encoder = "bfloat16" if config.dtype == "int8" else config.dtype
        self.encode = TorchEncoder(folder, device, resolve_dtype(encoder, device))
        self.decode = CTranslate2Decoder(folder, device, _hybrid_decoder(config, device), config.max_new_tokens)

    def transcribe(self, audio: Sequence[np.ndarray], seconds: float = WHOLE) -> list[str]:
        """See :class:`Engine`."""
        return self.decode(self.encode(audio, seconds))


ENGINES: dict[str, Any] = {"openai-whisper": OpenAIWhisper, "faster-whisper": FasterWhisper, "hybrid": Hybrid}


@dataclass(frozen=True)
class EngineIdentity:
    """What, beside the weights and the sound, decides a transcript: part of the store's key."""

    engine: str
    dtype: str
    max_new_tokens: int


def recogniser_in(folder: Path) -> Recogniser | None:
    """The kind of recogniser of a checkpoint; None for Whisper.

    Raises:
        StudyError: There is none of its kind.
    """
    path = folder / "config.json"
    return find_recogniser(read_json(path).get("model_type", WHISPER), str(folder)) if path.is_file() else None


def open_engine(folder: Path, config: TranscribeConfig) -> Engine:
    """Load a checkpoint: Whisper in the engine that the config names, any other recogniser in its own.

    Raises:
        StudyError: It cannot be opened.
    """
    if (recogniser := recogniser_in(folder)) is not None:
        return LibraryEngine(folder, recogniser, config)
    engine = ENGINES[config.engine](folder, config)
    opened: Engine = ClipWindows(engine.transcribe) if config.window == "clip" else engine
    return opened


def identity(config: TranscribeConfig, recogniser: Recogniser | None = None) -> EngineIdentity:
    """The engine's part of a transcript's key; ``auto`` is resolved, so another machine's arithmetic is another key.

    Args:
        config: What the study says.
        recogniser: The kind of recogniser; None for Whisper.
    """
    if recogniser is not None:
        return EngineIdentity(TRANSFORMERS, arithmetic(config), config.max_new_tokens)
    device = resolve_device(config.device)
    if config.engine == "faster-whisper":
        dtype = _compute_type(config, device, "int8")
    else:
        dtype = config.dtype if config.dtype != "auto" else str(resolve_dtype("auto", device)).removeprefix("torch.")
        if config.engine == "hybrid" and device != "cpu":
            dtype += f", decoder {_hybrid_decoder(config, device)}"
    engine = f"{config.engine}, windows of the clip" if config.window == "clip" else config.engine
    return EngineIdentity(engine, dtype, config.max_new_tokens)
