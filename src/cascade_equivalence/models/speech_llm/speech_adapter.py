"""A speech adapter: a LoRA on the text LLM, without which some models do not hear. For typed prompts it is off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.checkpoint import read_header

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
# No weight of the model has this in its name: the library takes weights that do for the adapter's.
ADAPTER = "hearing"


@contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """Run a model as it was before its adapter was loaded, as long as the context lasts."""
    model.disable_adapters()
    try:
        yield
    finally:
        model.enable_adapters()


def load_speech_adapter(model: Any, where: Path) -> None:
    """Load the speech LoRA into a model, and turn it on.

    Args:
        model: The model without an adapter.
        where: The folder that the adapter is in.

    Raises:
        StudyError: The adapter is damaged, of another model or without effect, or peft is not installed.
    """
    read_header(where / ADAPTER_FILES[1])
    try:
        found = model.load_adapter(str(where), adapter_name=ADAPTER, use_safetensors=True)
    except ImportError as error:
        raise StudyError("the model hears through a LoRA adapter, which needs peft: install the pinned peft") from error
    except (ValueError, RuntimeError) as error:
        raise StudyError(f"{where} is not an adapter of this model ({error}): fetch the model again") from error
    wrong = sorted(map(str, [*found.missing_keys, *found.unexpected_keys, *found.mismatched_keys]))
    if wrong:
        raise StudyError(f"{where} does not fit the model ({wrong[0]}, {len(wrong)} in all): fetch the model again")
    learned = [weight for name, weight in model.named_parameters() if f"lora_B.{ADAPTER}." in name]
    if not any(bool(weight.any()) for weight in learned):
        raise StudyError(f"{where} changes nothing: its LoRA is all zeros; fetch the model again")
    model.set_adapter(ADAPTER)
    model.requires_grad_(False).eval()
