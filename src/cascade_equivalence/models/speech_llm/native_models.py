"""Speech LLMs of the transformers library that one front end opens: a row each, and nothing that computes.

Open this to add one. Its class must have ``get_audio_features`` and put the vectors in the place of its audio tokens;
what its sound is made into is in ``native_sound``, all else in ``native``.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cascade_equivalence.models.architecture import Architecture, InVllm, OwnText
from cascade_equivalence.models.speech_llm.native_kind import SOUND, Native

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.question import SpeechFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM


def _open(native: Native, files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    from cascade_equivalence.models.speech_llm.native import open_native

    return open_native(native, files, text, device, dtype)


def _text(native: Native) -> Any:
    from cascade_equivalence.models.speech_llm.native_text import text_class

    return text_class(native)


def native_architecture(
    name: str,
    title: str,
    native: Native,
    *more_types: str,
    refused: Mapping[str, str] = MappingProxyType({}),
    vllm: tuple[str, ...] = (),
    vllm_asked: str | None = None,
) -> Architecture:
    """The architecture of a speech LLM of the library.

    Args:
        name: The ``model_type`` of its checkpoints.
        title: What a reader sees.
        native: The rest.
        more_types: Further values of ``model_type`` that it goes by.
        refused: Values of ``model_type`` near it that cannot be opened: what they are, and what to take instead.
        vllm: Names in a config's ``architectures`` that vLLM has a model for.
        vllm_asked: What stands for sound in the prompt that vLLM is given, where it adds the rest.
    """
    template = native.template
    own = OwnText(network=partial(_text, native), chat_template=None if template is None else (lambda: template))
    return Architecture(
        name=name,
        title=title,
        open=partial(_open, native),
        own_text=own,
        more_types=more_types,
        refused=refused,
        vllm=InVllm(classes=vllm, written=native.written, asked=vllm_asked, adapter=native.adapter) if vllm else None,
    )


# What mistral-common writes for its `v7` audio models; their checkpoints ship tekken.json and no template.
_MISTRAL = (
    "<s>{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}"
    "{% elif message['role'] == 'user' %}{{ '[INST]' + message['content'] + '[/INST]' }}"
    "{% else %}{{ message['content'] + '</s>' }}{% endif %}{% endfor %}"
)

NATIVE = (
    # vLLM takes Voxtral in the layout of mistral-common alone.
    native_architecture(
        "voxtral",
        "Voxtral",
        Native(
            network="VoxtralForConditionalGeneration",
            sound="whole_windows",
            written=f"[BEGIN_AUDIO]{SOUND}",
            template=_MISTRAL,
        ),
    ),
    native_architecture(
        "granite_speech",
        "Granite Speech",
        Native(
            network="GraniteSpeechForConditionalGeneration",
            sound="granite",
            ears=("encoder", "projector"),
            adapter=True,
        ),
        vllm=("GraniteSpeechForConditionalGeneration",),
    ),
    native_architecture(
        "granite_speech_plus",
        "Granite Speech Plus",
        Native(
            network="GraniteSpeechPlusForConditionalGeneration",
            sound="granite",
            ears=("encoder", "projector"),
            adapter=True,
        ),
        vllm=("GraniteSpeechPlusForConditionalGeneration",),
    ),
    native_architecture(
        "audioflamingo3",
        "Audio Flamingo 3",
        Native(network="AudioFlamingo3ForConditionalGeneration", sound="audio_flamingo"),
        vllm=("AudioFlamingo3ForConditionalGeneration",),
    ),
    native_architecture(
        "glmasr",
        "GLM-ASR",
        Native(
            network="GlmAsrForConditionalGeneration",
            sound="glm_asr",
            written=f"<|begin_of_audio|>{SOUND}<|end_of_audio|><|user|>\n",
        ),
        vllm=("GlmAsrForConditionalGeneration",),
    ),
    native_architecture(
        "qwen2_5_omni",
        "Qwen2.5-Omni",
        Native(
            network="Qwen2_5OmniThinkerForConditionalGeneration",
            sound="qwen_omni",
            written=f"<|audio_bos|>{SOUND}<|audio_eos|>",
            ears=("audio_tower",),
            unused=("visual", "talker", "token2wav"),
        ),
        "qwen2_5_omni_thinker",
        vllm=("Qwen2_5OmniModel", "Qwen2_5OmniForConditionalGeneration"),
    ),
    native_architecture(
        "qwen3_omni_moe",
        "Qwen3-Omni",
        Native(
            network="Qwen3OmniMoeThinkerForConditionalGeneration",
            sound="qwen3_omni",
            written=f"<|audio_start|>{SOUND}<|audio_end|>",
            ears=("audio_tower",),
            unused=("visual", "talker", "code2wav"),
        ),
        "qwen3_omni_moe_thinker",
        vllm=("Qwen3OmniMoeForConditionalGeneration",),
    ),
    native_architecture(
        "gemma4",
        "Gemma 4",
        Native(
            network="Gemma4ForConditionalGeneration",
            sound="gemma",
            written=f"{{boa_token_id}}{SOUND}{{eoa_token_index}}",
            ears=("audio_tower", "embed_audio"),
            unused=("vision_tower", "embed_vision"),
            reads_ids=True,
        ),
        refused={
            "gemma3n": "a Gemma 3n, whose blocks put out several streams at once, which no layer of this project's is "
            "defined for; take a Gemma 4 that hears (E2B, E4B)"
        },
        vllm=("Gemma4ForConditionalGeneration",),
        # It writes the tokens around sound itself.
        vllm_asked=SOUND,
    ),
)
"""Their architectures."""
