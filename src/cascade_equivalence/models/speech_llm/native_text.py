"""Classes of the transformers library without some of their parts: a speech LLM's text LLM, and what hears in it."""

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import transformers
from transformers.modeling_outputs import CausalLMOutputWithPast

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.native_kind import Native

HEAD, LANGUAGE = "lm_head", "language_model"
NO_ADAPTER = "nowhere"
"""A folder that no checkpoint has."""


def without(network: Any, parts: Sequence[str], head: bool) -> Any:
    """A class of the library whose base model lacks some parts, and which perhaps has no unembedding.

    The library renames weights and finds ties by a class's name and module: those stay.
    """
    dropped = [rf"(^|\.){part}\." for part in (*parts, *(() if head else (HEAD,)))]

    def init(self: Any, config: Any) -> None:
        network.__init__(self, config)
        for part in parts:
            setattr(self.base_model, part, None)
        if not head:
            self.lm_head = None

    more: dict[str, Any] = {} if head else {"_tied_weights_keys": None}
    ignored = [*(network._keys_to_ignore_on_load_unexpected or ()), *dropped]
    names = {"__init__": init, "__module__": network.__module__, "_keys_to_ignore_on_load_unexpected": ignored}
    made: Any = type(network.__name__, (network,), names | more)

    def from_pretrained(_: Any, *args: Any, **kwargs: Any) -> Any:
        # Of a checkpoint with an adapter beside its weights the library would load that, too.
        return super(made, made).from_pretrained(*args, adapter_kwargs={"subfolder": NO_ADAPTER}, **kwargs)

    made.from_pretrained = classmethod(from_pretrained)
    return made


def library_class(native: Native) -> Any:
    """The library's class.

    Raises:
        StudyError: The installed library has none of that name.
    """
    found = getattr(transformers, native.network, None)
    if found is None:
        raise StudyError(
            f"transformers {transformers.__version__} has no {native.network}: install the pinned transformers"
        )
    return found


@cache
def text_class(native: Native) -> Any:
    """The class of the text LLM inside a checkpoint: the library's, without ears and eyes."""
    made = without(library_class(native), [*native.ears, *native.unused], head=True)

    def few_logits(self: Any, logits_to_keep: int = 0, **kwargs: Any) -> Any:
        # The library's class computes those of the whole prompt.
        found = self.base_model(**kwargs)
        logits = self.lm_head(found[0][:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, past_key_values=found.past_key_values)

    def divided(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = super(made, self).forward(*args, **kwargs)
        # Granite's text LLM divides its logits, as it was trained to; the library's class around it leaves that out.
        # Answers are the same, likelihoods are not.
        found.logits = found.logits / self.config.get_text_config().logits_scaling
        return found

    def all_columns(self: Any, logits_to_keep: int = 0, **kwargs: Any) -> Any:
        # Asked by number, the library leaves columns out of the last blocks, which then cannot be watched or changed.
        kept = torch.arange(-logits_to_keep, 0, device=self.device) if logits_to_keep else 0
        return super(made, self).forward(logits_to_keep=kept, **kwargs)

    def beside_sound(self: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        decoder = self.get_decoder()
        if not decoder.config.hidden_size_per_layer_input:
            return {}
        words = ids.where(ids != AUDIO, decoder.config.pad_token_id)
        return {"per_layer_inputs": decoder.get_per_layer_inputs(words)}

    if native.adapter:
        made.forward = divided
    elif native.reads_ids:
        made.forward, made.beside_sound, made.blocks_in_one = all_columns, beside_sound, True
    elif "logits_to_keep" not in inspect.signature(made.forward).parameters:
        made.forward = few_logits
    return made
