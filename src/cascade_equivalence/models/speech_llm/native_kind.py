"""What tells one speech LLM of the transformers library from another. Nothing here computes."""

import re
from dataclasses import dataclass
from typing import Any

SOUND = "{sound}"
"""Stands in ``Native.written`` for the audio token."""


@dataclass(frozen=True, kw_only=True)
class Native:
    """A speech LLM of the library.

    Attributes:
        network: Name of its class.
        sound: Name of the function of ``native_sound`` that makes what ``get_audio_features`` takes.
        written: How its chat template writes sound into a turn, with ``SOUND`` for the audio token; names of its
            config's fields in braces stand for the tokens whose ids they hold.
        ears: Modules of its base model that hear; they are loaded apart from the text LLM.
        unused: Modules that neither hear nor write, such as those that see.
        adapter: Whether its text LLM hears through a LoRA, which lies beside its weights unless its config says that it
            has none. It is on for sound, and off for what is typed.
        reads_ids: Whether its blocks also read the tokens' ids; where sound stands they read the padding token's.
        template: The chat template of checkpoints whose tokenizer comes without one.
    """

    network: str
    sound: str
    written: str = SOUND
    ears: tuple[str, ...] = ("audio_tower", "multi_modal_projector")
    unused: tuple[str, ...] = ()
    adapter: bool = False
    reads_ids: bool = False
    template: str | None = None


def fill_in(written: str, tokenizer: Any, config: Any) -> str:
    """How a model writes sound into a turn, with its config's tokens filled in; ``SOUND`` stays."""
    for field in re.findall(r"\{(\w+)\}", written.replace(SOUND, "")):
        written = written.replace(f"{{{field}}}", str(tokenizer.convert_ids_to_tokens(getattr(config, field))))
    return written
