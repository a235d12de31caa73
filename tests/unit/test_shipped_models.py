"""The small speech LLMs that are shipped hear: they pass the check that any speech LLM passes before it answers."""

import json
from pathlib import Path

import pytest
import torch

from cascade_equivalence.__main__ import read_study
from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.sources import folder
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.models.speech_llm.preflight import preflight
from cascade_equivalence.nodes.answers import model_files
from cascade_equivalence.nodes.transcripts import transcription_prompt
from cascade_equivalence.resources import REPOSITORY, RESOURCES
from cascade_equivalence.speech.waveform import decode_flac

STUDY = read_study(REPOSITORY / "config" / "dial.yaml")
SHIPPED = sorted(
    name
    for name, spec in STUDY.config.definitions.models.items()
    # Of an adapter the whole change; what lies between it and its base is in the suite of voice adapters.
    if isinstance(spec.source, PathSource) and str(spec.source.path).startswith(folder.SHIPPED) and spec.scale == 1
)


def resolved(name: str) -> Path:
    """Folder of a model in the cache, its parts first."""
    spec, models = STUDY.model(name), default_cache() / "models"
    parts = {}
    if spec.base is not None:
        parts = {"base": resolved(spec.base), "text": resolved(STUDY.text_model(spec.base))}
    return resolve_model(name, spec, models / name, parts=parts)


@pytest.mark.models
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_speech_llm_hears(name: str) -> None:
    torch.set_num_threads(2)
    manifests = [resolved(model) / "manifest.json" for model in STUDY.transcribing_models(name)]
    text, model = open_model(model_files(manifests, STUDY.model(STUDY.text_model(name)).chat), STUDY.config.answer)
    assert model is not None
    kept = RESOURCES / "preflight"
    said = json.loads((kept / "texts.json").read_text(encoding="utf-8"))
    clips = [decode_flac((kept / f"{clip}.flac").read_bytes()) for clip in said]
    found = preflight(model, clips, list(said.values()), text.render(*transcription_prompt(STUDY.model(name))))
    assert found["word_errors"] < found["words"]
