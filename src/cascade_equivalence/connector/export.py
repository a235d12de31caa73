"""A trained connector as a model folder: weights, config, what it reaches, and a card that says so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cascade_equivalence.files import replacing, write_text
from cascade_equivalence.models.checkpoint import SINGLE
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector
from cascade_equivalence.models.speech_llm.load import CONNECTOR


def write_connector(connector: TokenMixtureConnector, models: Mapping[str, str | None], folder: Path) -> None:
    """Write weights (float16) and config.json in the layout of a speech LLM without audio tower and text LLM.

    Args:
        connector: The trained connector.
        models: ``audio_model_id`` and ``text_model_id``, as a reader knows them.
        folder: The folder; made if missing.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        CONNECTOR + name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in connector.state_dict().items()
    }
    with replacing(folder / SINGLE) as part:
        save_file(weights, part, metadata={"format": "pt"})
    config: dict[str, Any] = {
        "model_type": "ultravox",
        "stack_factor": connector.shape.stack_factor,
        "connector": connector.shape.model_dump(mode="json"),
        **models,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The connector's weights of a folder, by the connector's own names, float32."""
    from safetensors.torch import load_file

    found = load_file(folder / SINGLE)
    own = {name.removeprefix(CONNECTOR): tensor for name, tensor in found.items() if name.startswith(CONNECTOR)}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in own.items()}
