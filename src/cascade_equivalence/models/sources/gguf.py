"""GGUF files, converted once to the layout of the transformers library.

A GGUF file is read as data. Its de-quantised values are kept in float32, so that the model computes with exactly the
numbers in the file; loading as bfloat16 rounds them then, not here.
"""

import functools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.progress import progress

_MAGIC = b"GGUF"
_STEPS = 3  # config, tokenizer, weights


@contextmanager
def _read_once() -> Iterator[None]:
    """Let transformers parse a GGUF file once, and quickly.

    It parses the file's tables for the config, again for the tokenizer and again for the weights, and `gguf` makes five
    array views for every number it reads: for a vocabulary of 262,144 entries that is 54 s of work where 14 s do.
    """
    import gguf

    original = gguf.GGUFReader

    class Reader(original):  # type: ignore[misc, valid-type]
        """A reader that takes one view per value."""

        def _get(
            self,
            offset: int,
            dtype: type[np.generic],
            count: int = 1,
            override_order: Any = None,
        ) -> np.ndarray:
            kind = np.dtype(dtype).newbyteorder(override_order or self.byte_order)
            return np.frombuffer(self.data, kind, int(count), int(offset))

    gguf.GGUFReader = functools.lru_cache(maxsize=1)(Reader)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        gguf.GGUFReader = original  # type: ignore[misc]


@contextmanager
def _own_progress() -> Iterator[None]:
    """Keep the bars of transformers out of logs."""
    from transformers.utils import logging

    bars: Any = logging  # its functions carry no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def convert(source: Path, target: Path) -> dict[str, str]:
    """Write a GGUF model as safetensors, with its tokenizer.

    Weights that the model ties stay tied. The generation config holds the special tokens and no sampling defaults.

    Args:
        source: The GGUF file. Its folder must hold nothing else that describes a model.
        target: Folder to write.

    Returns:
        The libraries that converted and their versions.

    Raises:
        StudyError: The file is not GGUF, or holds an architecture or a type that cannot be converted.
    """
    with source.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise StudyError(f"{source.name} does not start like a GGUF file; check the parts and their order")
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    where: dict[str, Any] = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    try:
        with _read_once(), _own_progress(), progress(f"converting {source.name}", total=_STEPS) as advance:
            config = AutoConfig.from_pretrained(**where, trust_remote_code=False)
            advance()
            tokenizer = AutoTokenizer.from_pretrained(**where, trust_remote_code=False)
            advance()
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                **where, config=config, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
            )
            advance()
    except ImportError as error:
        raise StudyError(f"reading GGUF needs the packages gguf and accelerate: {error}") from error
    except (ValueError, KeyError, IndexError, NotImplementedError, OSError, struct.error) as error:
        raise StudyError(f"{source.name} cannot be converted from GGUF: {type(error).__name__}: {error}") from error
    model, info = loaded
    if lost := sorted(info["missing_keys"] | info["unexpected_keys"]):
        raise StudyError(f"{source.name} does not fit {config.model_type}: {', '.join(lost)}; the model would be wrong")
    # The weights are plain numbers from here on; what says otherwise would forbid saving them.
    model.is_quantized = False
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokens = {key: getattr(model.config, key, None) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig.from_dict({"do_sample": False, **tokens})
    target.mkdir(parents=True, exist_ok=True)
    with _own_progress():
        model.save_pretrained(target)
    # It is written down, too: how a file was read once, which HF_HUB_OFFLINE changes, is no part of what a model is.
    tokenizer.init_kwargs["local_files_only"] = False
    tokenizer.save_pretrained(target)
    return {name: version(name) for name in ("gguf", "tokenizers", "torch", "transformers")}
