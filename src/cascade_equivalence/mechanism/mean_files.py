"""Write and read mean states of utterances where they are read, by layer."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.models.tensor_files import order_metadata
from cascade_equivalence.stats.clusters import Floats


def write_means(path: Path, means: Mapping[int, Floats], about: Mapping[str, str]) -> None:
    """Write means (utterances, width) of some layers, a row an utterance of the table; NaN where nothing is read."""
    with replacing(path) as part:
        tensors = {f"layer{layer}": torch.from_numpy(np.ascontiguousarray(each)) for layer, each in means.items()}
        save_file(tensors, part, dict(about))
        order_metadata(part)


def read_means(path: Path, layer: int) -> Floats:
    """Read the means (utterances, width) of a layer.

    Raises:
        StudyError: The file is missing or damaged, or lacks the layer.
    """
    try:
        with safe_open(path, "np") as file:
            found: Floats = file.get_tensor(f"layer{layer}")
            return found
    except (SafetensorError, OSError) as error:
        raise StudyError(f"{path} cannot be read ({error}): remove it and run again") from error
