"""The shipped registry of models is valid, and every entry can be resolved by the kinds of source there are."""

from pathlib import Path

import yaml

from cascade_equivalence.config.model_files import DATA_SUFFIXES
from cascade_equivalence.config.sources import HubSource, WheelSource
from cascade_equivalence.config.study import Definitions

REGISTRY = Path(__file__).parents[2] / "config" / "models.yaml"


def test_the_registry_names_models_that_can_be_resolved() -> None:
    models = Definitions.model_validate(yaml.safe_load(REGISTRY.read_text())).models
    demo = {"whisper-tiny.en", "whisper-base", "smollm2-135m-instruct", "gemma-3-270m"}
    assert {name for name, spec in models.items() if isinstance(spec.source, WheelSource)} == demo
    for spec in models.values():
        if isinstance(spec.source, WheelSource):
            assert spec.gguf is None or list(spec.source.files) == [spec.gguf]
            assert spec.role == "llm" or {"model.bin", "config.json", "tokenizer.json"} < set(spec.source.files)
        if isinstance(spec.source, HubSource):
            assert all(Path(pattern).suffix in DATA_SUFFIXES or pattern == "model.bin" for pattern in spec.source.files)
    assert not models["gemma-3-270m"].chat
    gated = [name for name, spec in models.items() if isinstance(spec.source, HubSource) and spec.source.gated]
    assert gated == ["llama-3.1-8b-instruct"]
