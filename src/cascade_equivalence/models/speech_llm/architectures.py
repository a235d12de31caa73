"""The architectures of speech LLMs that the package opens. What computes is imported when a checkpoint is opened."""

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from cascade_equivalence.models.architecture import PROCESSORS, Architecture, InVllm, OwnText
from cascade_equivalence.models.speech_llm.native_kind import SOUND
from cascade_equivalence.models.speech_llm.native_models import NATIVE
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.question import SpeechFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM


def _ultravox(files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    from cascade_equivalence.models.speech_llm.ultravox import open_ultravox

    return open_ultravox(files, text, device, dtype)


def _qwen2_audio(files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    from cascade_equivalence.models.speech_llm.qwen2_audio import open_qwen2_audio

    return open_qwen2_audio(files, text, device, dtype)


def _qwen2_audio_text() -> Any:
    from cascade_equivalence.models.speech_llm.qwen2_audio_text import Qwen2AudioText

    return Qwen2AudioText


def _qwen2_audio_template() -> str:
    from cascade_equivalence.models.speech_llm.qwen2_audio_text import library_chat_template

    return library_chat_template()


def _phi4_multimodal(files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    from cascade_equivalence.models.speech_llm.phi4_multimodal import open_phi4_multimodal

    return open_phi4_multimodal(files, text, device, dtype)


def _phi4_multimodal_text() -> Any:
    from transformers import Phi4MultimodalForCausalLM

    return Phi4MultimodalForCausalLM


def _voice_adapter(files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    from cascade_equivalence.models.speech_llm.voice_adapter import open_voice_adapter

    return open_voice_adapter(files, text, device, dtype)


def _adapted_text() -> Any:
    from cascade_equivalence.models.speech_llm.voice_adapter import AdaptedText

    return AdaptedText


KIND = Architecture
OWN = (
    # vLLM hears with Ultravox by the processor in its repository, whose code is never run; and it lacks the
    # transformers library's layout of Phi-4-multimodal since 0.12.
    Architecture(name="ultravox", title="Ultravox", open=_ultravox),
    Architecture(
        name="qwen2_audio",
        title="Qwen2-Audio",
        open=_qwen2_audio,
        own_text=OwnText(network=_qwen2_audio_text, chat_template=_qwen2_audio_template),
        files=PROCESSORS[:1],
        vllm=InVllm(
            classes=("Qwen2AudioForConditionalGeneration",),
            written=f"Audio 1: <|audio_bos|>{SOUND}<|audio_eos|>\n",
            plain=f"<|audio_bos|>{SOUND}<|audio_eos|>",
        ),
    ),
    Architecture(
        name="phi4_multimodal",
        title="Phi-4-multimodal",
        open=_phi4_multimodal,
        own_text=OwnText(network=_phi4_multimodal_text, model_type="phi3"),
        files=(PROCESSORS[0], *(f"speech-lora/{name}" for name in ADAPTER_FILES)),
        refused={
            "phi4mm": "Phi-4-multimodal in a layout that needs the repository's own code, which is never run: take "
            "`revision: refs/pr/70` of microsoft/Phi-4-multimodal-instruct, the same weights in the layout of the "
            "transformers library"
        },
    ),
    Architecture(
        name="voice_adapter",
        title="Voice adapter",
        open=_voice_adapter,
        own_text=OwnText(network=_adapted_text, config=itemgetter("text_config")),
        files=ADAPTER_FILES,
    ),
    *NATIVE,
)
"""The architectures of the package."""
