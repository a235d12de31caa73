"""The text LLM inside a Qwen2-Audio checkpoint, opened the way any text LLM is.

A Qwen2-Audio folder holds its LLM beside its audio tower. This class takes the LLM alone out of such a folder: so all
that reads a text LLM's folder (answers, logit lens) reads this one too.
"""

from typing import Any

from transformers import Qwen2AudioConfig, Qwen2AudioProcessor, Qwen2ForCausalLM

# Names in the published checkpoints, and in those that the library saves: names in a text LLM's own.
RENAMED = {r"^language_model\.model\.": "model.", r"^language_model\.lm_head\.": "lm_head."}
AUDIO_PARTS = [r"^audio_tower\.", r"^multi_modal_projector\."]


class Qwen2AudioText(Qwen2ForCausalLM):
    """A Qwen2 network with the weights that Qwen2-Audio has in it: its blocks, final norm and unembedding.

    The published model's is that of Qwen-7B (32 blocks of width 4096), not of Qwen2-7B.

    Args:
        config: The whole model's; its ``text_config`` is what is built.
    """

    config_class = Qwen2AudioConfig
    _keys_to_ignore_on_load_unexpected = AUDIO_PARTS

    def __init__(self, config: Qwen2AudioConfig) -> None:
        text: Any = config.get_text_config()
        super().__init__(text)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load the LLM from a whole checkpoint; the audio parts are not read."""
        return super().from_pretrained(*args, key_mapping=RENAMED, **kwargs)


def library_chat_template() -> str:
    """The chat template that the library has for a checkpoint whose tokenizer comes without one."""
    return str(vars(Qwen2AudioProcessor)["default_chat_template"].fget(None))
