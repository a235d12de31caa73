"""Speech LLMs whose checkpoint holds the text LLM too: which there are, and what opens each.

Their entry names no ``text_model``: the text LLM is the checkpoint itself, so that an own-weights cascade types its
transcript into the same weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_json
from cascade_equivalence.models.speech_llm.settings import CONFIG

if TYPE_CHECKING:
    import torch

    from cascade_equivalence.models.answering import SpeechFiles
    from cascade_equivalence.models.speech_llm.model import SpeechLLM
    from cascade_equivalence.models.text_llm import TextLLM

Opener = Callable[["SpeechFiles", "TextLLM", str, "torch.dtype"], "SpeechLLM"]


def opener_of(folder: Path) -> Opener | None:
    """What opens a speech LLM that brings its own text LLM.

    Args:
        folder: Its checkpoint.

    Returns:
        The function, by the ``model_type`` of the checkpoint's config; None for one that speaks through another text
        LLM (Ultravox).

    Raises:
        StudyError: The checkpoint is one that only runs with code of its own.
    """
    path = folder / CONFIG
    match read_json(path).get("model_type") if path.is_file() else None:
        case "qwen2_audio":
            from cascade_equivalence.models.speech_llm.qwen2_audio import open_qwen2_audio

            return open_qwen2_audio
        case "phi4_multimodal":
            from cascade_equivalence.models.speech_llm.phi4_multimodal import open_phi4_multimodal

            return open_phi4_multimodal
        case "phi4mm":
            raise StudyError(
                f"{folder} is Phi-4-multimodal in a layout that needs the repository's own code, which is never run: "
                "take `revision: refs/pr/70` of microsoft/Phi-4-multimodal-instruct, the same weights in the layout of "
                "the transformers library"
            )
    return None


def check_own_text(text: "TextLLM", folder: Path, whole: type) -> None:
    """Refuse a text LLM that is not the checkpoint's own: its answers would pass for the speech LLM's.

    Args:
        text: The text LLM.
        folder: The speech LLM's checkpoint.
        whole: Class of the text LLM inside.

    Raises:
        StudyError: It was loaded from elsewhere.
    """
    given = Path(text.tokenizer.name_or_path)
    if not isinstance(text.model, whole) or given.resolve() != folder.resolve():
        raise StudyError(
            f"{folder} holds its own text LLM, but was given that of {given}: remove `text_model` from its entry"
        )
