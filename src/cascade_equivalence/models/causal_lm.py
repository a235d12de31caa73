"""A causal language model of the transformers library: its whole weights, and its key-value cache."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import CacheLayerMixin, LinearAttentionCacheLayerMixin

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import own_text_in
from cascade_equivalence.models.checkpoint import opening, weight_files


def read_config(folder: Path) -> Any:
    """The config of a folder that holds a text LLM, alone or inside a speech LLM: that of the whole."""
    own = own_text_in(folder)
    reader = own.network().config_class if own else AutoConfig
    with opening(folder):
        return reader.from_pretrained(folder, trust_remote_code=False)


def load_causal_lm(folder: Path, dtype: torch.dtype, config: Any = None) -> Any:
    """Load a model from safetensors, complete or not at all.

    Args:
        folder: A text LLM's folder, or a speech LLM's that holds its text LLM: that alone is loaded.
        dtype: Arithmetic of the weights.
        config: What `read_config` gives, where it was changed since.

    Raises:
        StudyError: There are no safetensors; the library does not open them; or weights are missing, or have other
            shapes than the config says.
    """
    weight_files({path.name: path for path in folder.iterdir()}, str(folder))
    own = own_text_in(folder)
    opener = own.network() if own else AutoModelForCausalLM
    more = {} if config is None else {"config": config}
    with opening(folder):
        loaded: Any = opener.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, trust_remote_code=False, **more
        )
    model, report = loaded
    # The library would make up what is missing.
    if report["missing_keys"] or report["mismatched_keys"]:
        names = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise StudyError(f"{folder} lacks weights or has them in other shapes ({names[0]}): resolve the model again")
    return model


def cached_layers(cache: DynamicCache) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Index, keys and values (rows, heads, columns, width) of each layer that holds any."""
    for index, layer in enumerate(cache.layers):
        if isinstance(layer, CacheLayerMixin) and layer.keys is not None and layer.values is not None:
            yield index, layer.keys, layer.values


def holds_columns(cache: DynamicCache) -> bool:
    """Whether a cache is keys and values alone, a column a token; the state of a recurrent layer is not."""
    return all(
        isinstance(layer, CacheLayerMixin) and not isinstance(layer, LinearAttentionCacheLayerMixin)
        for layer in cache.layers
    )


def copied(cache: DynamicCache) -> DynamicCache:
    """The same cache, to go on from in another way; what is written to one of them is not in the other."""
    if not holds_columns(cache):
        return copy.deepcopy(cache)
    # Keys and values are never changed in place, only joined to longer ones.
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    return other
