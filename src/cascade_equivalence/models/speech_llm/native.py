"""One front end for the speech LLMs of the transformers library: the library's own modules compute.

A checkpoint is opened in two parts, each whole: the text LLM without what hears or sees (so all that reads a text LLM's
folder reads this one, and the own-weights cascade has no ears), and what hears without the text LLM. In between are
vectors, which stand in the text LLM's input where the model's audio tokens would.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import sound_settings
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.rendering import control_tokens, defuse
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm import native_sound
from cascade_equivalence.models.speech_llm.audio_encoder import SAMPLE_RATE, check_audio
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.speech_llm.native_kind import SOUND, Native, fill_in
from cascade_equivalence.models.speech_llm.native_sound import Listening
from cascade_equivalence.models.speech_llm.native_text import LANGUAGE, library_class, without
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES, load_speech_adapter
from cascade_equivalence.models.speech_llm.typed_text import TypedText
from cascade_equivalence.models.text_llm import TextLLM


class NativeFrontEnd:
    """What hears in a speech LLM of the library, one clip at a time.

    Args:
        ears: The library's class without its text LLM.
        listening: How it hears a waveform.
        title: The model, for messages.
    """

    def __init__(self, ears: Any, listening: Listening, title: str) -> None:
        self.ears = ears
        self.listening = listening
        self.title = title

    @torch.inference_mode()
    def embed(self, audios: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Compute the vectors that the text LLM reads for each clip.

        Args:
            audios: Waveforms at 16 kHz, one channel, floating-point.

        Returns:
            For each clip, in order, a tensor (vectors, text width) in the model's dtype on its device.

        Raises:
            StudyError: A clip is not such a waveform.
        """
        for index, audio in enumerate(audios):
            check_audio(audio, f"clip {index + 1} of {len(audios)}")
        longest = self.listening.longest
        if longest is not None and (cut := sum(len(audio) > longest for audio in audios)):
            warnings.warn(
                f"{self.title} hears the first {longest / SAMPLE_RATE:g} s of a clip: {cut} of {len(audios)} are "
                "longer, and what is said behind that is not heard",
                stacklevel=2,
            )
        return [self._vectors(audio[:longest]) for audio in audios]

    def _vectors(self, audio: np.ndarray) -> torch.Tensor:
        filled = np.pad(audio.astype(np.float32), (0, max(0, self.listening.shortest - len(audio))))
        made = {
            name: each.to(self.ears.device, self.ears.dtype if each.is_floating_point() else None)
            for name, each in self.listening.inputs(filled).items()
        }
        found = self.ears.base_model.get_audio_features(**made, return_dict=True)
        vectors: torch.Tensor = found.pooler_output
        if getattr(found, "attention_mask", None) is not None:
            vectors = vectors[found.attention_mask]
        return vectors.reshape(-1, vectors.shape[-1])


class NativeSpeechLLM(SpeechLLM):
    """A speech LLM of the library ready to answer.

    A prompt is rendered as a text LLM's is; then the placeholder becomes what the model has for sound, and its audio
    token the vectors.

    Args:
        encoder: What hears.
        text: The LLM inside.
        written: How sound is written, with ``SOUND`` for the audio token.
        audio_id: The audio token.
        adapter: Whether the text LLM has a speech adapter, which is on.

    Raises:
        StudyError: The tokenizer does not have the tokens that sound is written with.
    """

    def __init__(self, encoder: NativeFrontEnd, text: TextLLM, written: str, audio_id: int, adapter: bool) -> None:
        super().__init__(encoder, text)
        tokenizer: Any = text.tokenizer
        token = tokenizer.convert_ids_to_tokens(audio_id) if 0 <= audio_id < len(tokenizer) else None
        if token is None or text.tokenize(token) != [audio_id]:
            raise StudyError(
                f"{tokenizer.name_or_path}: token {audio_id}, where {encoder.title} takes sound, is not in its "
                "tokenizer: fetch the model again, with all tokenizer files"
            )
        self.audio_id = audio_id
        self.marked = written.replace(SOUND, str(token))
        around = written.replace(SOUND, "").strip()
        # A mark is a token of its own; what reads it as letters is another model's tokenizer.
        if around and not set(text.tokenize(around)) & set(tokenizer.added_tokens_decoder):
            raise StudyError(
                f"{tokenizer.name_or_path}: {around}, which stands around sound, is not in its tokenizer: fetch the "
                "model again, with all tokenizer files"
            )
        # Rendering takes apart what the tokenizer knows as a token of its own.
        self.rendered = defuse(PLACEHOLDER, control_tokens(tokenizer))
        self._typed = TypedText(text) if adapter else text

    @property
    def typed(self) -> TextLLM:
        """The text LLM as it reads typed prompts: with its speech adapter off, if it has one."""
        return self._typed

    def _row(self, prompt: str, vectors: int) -> list[int]:
        before, after = self._around(prompt.replace(self.rendered, PLACEHOLDER))
        ids = self.text.tokenize(f"{before}{self.marked}{after}")
        place = ids.index(self.audio_id)
        return [*ids[:place], *[AUDIO] * vectors, *ids[place + 1 :]]


def _load_ears(native: Native, network: Any, files: SpeechFiles, device: str, dtype: torch.dtype) -> Any:
    """The library's class without its text LLM, whole.

    Raises:
        StudyError: Weights are missing or have other shapes than the config says.
    """
    ears, report = without(network, [LANGUAGE, *native.unused], head=False).from_pretrained(
        files.folder, dtype=dtype, use_safetensors=True, output_loading_info=True, trust_remote_code=False
    )
    wrong = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if wrong:
        raise StudyError(
            f"{files.folder}: {wrong[0]} of what hears is missing or of another shape ({len(wrong)} in all): fetch the "
            "model again, with all its weights"
        )
    if deaf := [part for part in native.ears if getattr(ears.base_model, part) is None]:
        raise StudyError(
            f"{files.folder} has no {' and no '.join(deaf)}: its config.json describes a model that does not hear; "
            "name one of its kind that does"
        )
    return ears.requires_grad_(False).to(device).eval()


def open_native(native: Native, files: SpeechFiles, text: TextLLM, device: str, dtype: torch.dtype) -> NativeSpeechLLM:
    """Load what hears in a checkpoint of the library's before its text LLM.

    Args:
        native: What the model is.
        files: The checkpoint.
        text: The LLM inside, from the same folder.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic.

    Raises:
        StudyError: The checkpoint is incomplete, or its parts do not fit together.
    """
    network = library_class(native)
    config = text.model.config
    sound_settings(files.folder)
    ears = _load_ears(native, network, files, device, dtype)
    listen = cast(Callable[..., Listening], getattr(native_sound, native.sound))
    listening = listen(files.folder, config)
    if listening.rate != SAMPLE_RATE:
        raise StudyError(
            f"{files.folder} hears {listening.rate} samples a second; clips have {SAMPLE_RATE}: it is not supported"
        )
    title = native.network.removesuffix("ForConditionalGeneration")
    audio_id = config.audio_token_id
    if audio_id is None:
        raise StudyError(f"{files.folder}: config.json has no audio_token_id: fetch the model again")
    adapter = native.adapter and bool(config.has_lora_adapter)
    if adapter:
        _load_adapter(text, files)
    front_end = NativeFrontEnd(ears, listening, title)
    return NativeSpeechLLM(front_end, text, fill_in(native.written, text.tokenizer, config), int(audio_id), adapter)


def _load_adapter(text: TextLLM, files: SpeechFiles) -> None:
    """Load the speech adapter that lies beside a checkpoint's weights.

    Raises:
        StudyError: It is missing or does not fit.
    """
    if missing := [name for name in ADAPTER_FILES if not (files.folder / name).is_file()]:
        raise StudyError(
            f"{files.folder} lacks {' and '.join(missing)}, the speech adapter that its config.json speaks of: let "
            "`files` of its entry match, and fetch the model again"
        )
    load_speech_adapter(text.model, files.folder)
