"""The text LLM of a speech LLM that hears through an adapter, as it reads typed prompts."""

from typing import Any

from cascade_equivalence.models.speech_llm.speech_adapter import adapter_off
from cascade_equivalence.models.text_llm import TextLLM


class TypedText(TextLLM):
    """The same text LLM, with the same weights, whose adapter is off whenever it runs.

    Args:
        text: The text LLM with its adapter on.
    """

    def __init__(self, text: TextLLM) -> None:
        vars(self).update(vars(text))

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        with adapter_off(self.model):
            return super()._run(*args, **kwargs)
