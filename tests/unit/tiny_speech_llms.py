"""The random checkpoints of all speech LLMs that hold their text LLM, by the architecture they are of."""

from tiny_phi4 import TINY as PHI4
from tiny_qwen2_audio import TINY as QWEN2_AUDIO
from tiny_speech_llms_gemma import GEMMA4
from tiny_speech_llms_granite import GRANITE_SPEECH
from tiny_speech_llms_omni import OMNI, OMNI3
from tiny_speech_llms_voxtral import VOXTRAL
from tiny_speech_llms_windows import AUDIO_FLAMINGO, GLM_ASR

TINY = {
    "qwen2_audio": QWEN2_AUDIO,
    "phi4_multimodal": PHI4,
    "voxtral": VOXTRAL,
    "granite_speech": GRANITE_SPEECH,
    "audioflamingo3": AUDIO_FLAMINGO,
    "glmasr": GLM_ASR,
    "qwen2_5_omni": OMNI,
    "qwen3_omni_moe": OMNI3,
    "gemma4": GEMMA4,
}
