"""An architecture of speech LLMs: checkpoints that say `model_type: my_ears` and are built like Ultravox.

What opens a checkpoint gives a `SpeechLLM`: what makes vectors of a sound, and the text LLM that reads them.
"""

from typing import TYPE_CHECKING

from cascade_equivalence.models.architecture import ARCHITECTURES, Architecture

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.question import SpeechFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM


def open_my_ears(files: "SpeechFiles", text: "TextLLM", device: str, dtype: "torch.dtype") -> "SpeechLLM":
    """Load a checkpoint; what computes is imported here, not where studies are planned."""
    from cascade_equivalence.models.speech_llm.ultravox import open_ultravox

    return open_ultravox(files, text, device, dtype)


ARCHITECTURES.add(Architecture(name="my_ears", title="My ears", open=open_my_ears))
