"""Recognisers of the transformers library beside Whisper: what is known of each, by the ``model_type`` of its config.

Open this to add one: an entry says which class of the library opens a checkpoint, how it is asked for English, and
whether clips can be heard together. Nothing here imports torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    import numpy as np

SAMPLING_RATE = 16_000
WHISPER = "whisper"
TRANSFORMERS = "transformers"
"""What the engine of all others is called in records and keys."""
Request = Callable[[Any, Sequence["np.ndarray"]], Mapping[str, Any]]
"""From a checkpoint's processor and waveforms (16 kHz, float32) to what its model takes."""


def _heard_alone(processor: Any, audio: Sequence["np.ndarray"]) -> Mapping[str, Any]:
    # Alone nothing is padded, and a model that was trained without a mask gets none.
    found: Mapping[str, Any] = processor(audio[0], sampling_rate=SAMPLING_RATE, return_tensors="pt")
    return found


def _asked_in_english(processor: Any, audio: Sequence["np.ndarray"]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = processor(
        audio=list(audio), language="en", sampling_rate=SAMPLING_RATE, return_tensors="pt"
    )
    return found


def _requested(processor: Any, audio: Sequence["np.ndarray"]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = processor.apply_transcription_request(audio=list(audio), return_tensors="pt")
    return found


def _requested_in_english(processor: Any, audio: Sequence["np.ndarray"]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = processor.apply_transcription_request(
        audio=list(audio), language="English", return_tensors="pt"
    )
    return found


def _written_in_english(processor: Any, audio: Sequence["np.ndarray"]) -> Mapping[str, Any]:
    # What it is asked for is a language to write in, of which that of the speech is one.
    found = processor(audio=audio[0], sampling_rate=SAMPLING_RATE, return_tensors="pt")
    return {**found, "tgt_lang": "eng"}


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """A kind of recogniser.

    Attributes:
        name: The ``model_type`` of its checkpoints.
        title: What a reader sees.
        auto: The class of the library that opens a checkpoint.
        decoding: ``frames``: one token a frame, the likeliest, repetitions joined (CTC); ``steps``: the class's own
            ``generate``, greedy.
        request: Makes a batch's inputs.
        together: Clips at once; False where padding would change what is heard, so that each is heard alone.
        counted: Whether ``generate`` counts the tokens that it writes, so that it can be told the most of them.
    """

    name: str
    title: str
    auto: Literal["AutoModelForCTC", "AutoModelForTDT", "AutoModelForRNNT", "AutoModelForSpeechSeq2Seq"]
    decoding: Literal["frames", "steps"]
    request: Request
    together: bool = True
    counted: bool = True


def _seamless(name: str, title: str) -> Recogniser:
    """One that was made to translate. Its encoder's strides would mix the padding into a clip's end: it hears alone."""
    return Recogniser(
        name=name,
        title=title,
        auto="AutoModelForSpeechSeq2Seq",
        decoding="steps",
        request=_written_in_english,
        together=False,
    )


def _ctc(name: str, title: str) -> Recogniser:
    """One that labels the frames of a clip, which it hears alone."""
    return Recogniser(
        name=name, title=title, auto="AutoModelForCTC", decoding="frames", request=_heard_alone, together=False
    )


OWN = (
    _ctc("wav2vec2", "wav2vec 2.0"),
    _ctc("wav2vec2-conformer", "wav2vec 2.0 Conformer"),
    _ctc("hubert", "HuBERT"),
    _ctc("wavlm", "WavLM"),
    Recogniser(
        name="parakeet_ctc",
        title="Parakeet CTC",
        auto="AutoModelForCTC",
        decoding="steps",
        request=_heard_alone,
        together=False,
        counted=False,
    ),
    Recogniser(
        name="parakeet_tdt",
        title="Parakeet TDT",
        auto="AutoModelForTDT",
        decoding="steps",
        request=_heard_alone,
        together=False,
        counted=False,
    ),
    Recogniser(
        name="parakeet_rnnt",
        title="Parakeet RNN-T",
        auto="AutoModelForRNNT",
        decoding="steps",
        request=_heard_alone,
        together=False,
        counted=False,
    ),
    Recogniser(
        name="moonshine",
        title="Moonshine",
        auto="AutoModelForSpeechSeq2Seq",
        decoding="steps",
        request=_heard_alone,
        together=False,
    ),
    Recogniser(name="canary", title="Canary", auto="AutoModelForSpeechSeq2Seq", decoding="steps", request=_requested),
    Recogniser(
        name="cohere_asr",
        title="Cohere Transcribe",
        auto="AutoModelForSpeechSeq2Seq",
        decoding="steps",
        request=_asked_in_english,
    ),
    Recogniser(
        name="qwen3_asr",
        title="Qwen3-ASR",
        auto="AutoModelForSpeechSeq2Seq",
        decoding="steps",
        request=_requested_in_english,
        together=False,
    ),
    _seamless("seamless_m4t", "SeamlessM4T"),
    _seamless("seamless_m4t_v2", "SeamlessM4T v2"),
)
RECOGNISERS = {each.name: each for each in OWN}
"""By ``model_type``."""


def find_recogniser(kind: object, where: str) -> Recogniser | None:
    """The recogniser of a ``model_type``; None for Whisper, which has engines of its own.

    Args:
        kind: What the config says.
        where: The model, for messages.

    Raises:
        StudyError: There is none of that kind.
    """
    if kind == WHISPER:
        return None
    if (found := RECOGNISERS.get(str(kind))) is None:
        raise StudyError(
            f"{where}: a model of type {kind!r} is no recogniser that can be opened; there are {WHISPER}, "
            f"{', '.join(RECOGNISERS)}. A speech LLM has the role speech-llm"
        )
    return found
