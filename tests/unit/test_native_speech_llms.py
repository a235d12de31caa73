"""What is true of single speech LLMs of the transformers library, beside what the suite of all of them shows."""

import json
import shutil
from pathlib import Path

import own_text_checks as checks
import pytest
import torch
from own_text_checks import CONFIG, files_of
from safetensors.torch import load_file
from tiny_speech_llms import TINY
from transformers import GraniteConfig, GraniteForCausalLM

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import ModelFiles
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)
TYPED = [{"role": "user", "content": "Story: The hosts reached the cup final."}]


@pytest.fixture(scope="module")
def granite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY["granite_speech"].save(tmp_path_factory.mktemp("granite"))


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def typed_logits(text: TextLLM) -> torch.Tensor:
    row = text.tokenize(text.render(TYPED))
    return checks.logits_of(text, [row], len(row))[0]


def test_granite_is_its_base_model_for_text(granite: Path) -> None:
    """Typed, it is the published text LLM's own class with the same weights: the match is exact by construction."""
    prefix = "language_model."
    weights = load_file(granite / "model.safetensors")
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    section = json.loads((granite / "config.json").read_text())["text_config"]
    base = GraniteForCausalLM(GraniteConfig(**section)).eval()
    base.load_state_dict(own, strict=False)
    assert own.keys() >= {name for name in base.state_dict() if "lm_head" not in name}
    base.tie_weights()
    alone = open_model(ModelFiles(granite, "r", True), CONFIG)[0]
    row = alone.tokenize(alone.render(TYPED))
    with torch.no_grad():
        expected = base(input_ids=torch.tensor([row])).logits[0]
    _, speech = open_model(files_of(granite), CONFIG)
    assert speech is not None
    for text in (alone, speech.typed):
        torch.testing.assert_close(typed_logits(text), expected, atol=1e-4, rtol=0)
    assert (typed_logits(speech.text) - expected).abs().max() > 1e-2


def test_a_granite_hears_through_its_adapter_or_not_at_all(granite: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(granite, copy)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (copy / name).unlink()
    with pytest.raises(StudyError, match=r"lacks adapter_config\.json and adapter_model\.safetensors"):
        open_model(files_of(copy), CONFIG)
    # Later ones were merged with it, and say so.
    change_config(copy, has_lora_adapter=False)
    _, merged = open_model(files_of(copy), CONFIG)
    assert merged is not None and merged.typed is merged.text


def test_a_granite_with_another_spectrogram_is_refused(granite: Path, tmp_path: Path) -> None:
    shutil.copytree(granite, tmp_path / "copy")
    path = tmp_path / "copy" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hop_length": 320}))
    with pytest.raises(StudyError, match="hop_length 320"):
        open_model(files_of(tmp_path / "copy"), CONFIG)
