"""The stages that train a connector: texts, clips, two stages of training, evaluation."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages import resolve, speech
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.study import Study

if TYPE_CHECKING:
    from cascade_equivalence.connector.run import TrainingMaterial


TRAIN = "train"
HELD_OUT = "held"


def definition(study: Study, name: str) -> ConnectorSpec:
    """A connector's definition."""
    return study.config.definitions.connectors[name]


def folder(study: Study, name: str) -> str:
    """Folder of everything that a connector's training makes."""
    return f"{study.results}/connectors/{name}"


def manifests(study: Study, name: str) -> list[str]:
    """Manifests of the Whisper model and of the text LLM."""
    spec = definition(study, name)
    return [resolve.manifest(study, spec.audio_model), resolve.manifest(study, spec.text_model)]


def shard(study: Study, name: str, shard: str) -> str:
    """A shard of a connector's training clips."""
    return f"{folder(study, name)}/shards/{shard}.safetensors"


def training_shards(study: Study, name: str) -> list[str]:
    """Shards of the training clips."""
    spec = definition(study, name)
    return [shard(study, name, f"{TRAIN}-{number:04d}") for number in range(-(-spec.clips // spec.shard_clips))]


def held_out_shards(study: Study, name: str) -> list[str]:
    """Shards of the held-out clips, one a voice."""
    return [shard(study, name, f"{HELD_OUT}-{voice}") for voice in definition(study, name).evaluation_voices]


def material(study: Study, name: str) -> "TrainingMaterial":
    """What both stages train on."""
    from cascade_equivalence.connector.run import TrainingMaterial

    spec = definition(study, name)
    audio, text = (study.model(model) for model in (spec.audio_model, spec.text_model))
    return TrainingMaterial(
        train=[Path(path) for path in training_shards(study, name)],
        held_out=dict(zip(spec.evaluation_voices, map(Path, held_out_shards(study, name)), strict=True)),
        text_folder=Path(study.models, spec.text_model),
        names={
            "audio_model_id": audio.published_as or spec.audio_model,
            "text_model_id": text.published_as or spec.text_model,
        },
    )


def store(study: Study, name: str, stage: str) -> Path:
    """Folder of a stage's checkpoint: one for what the stage depends on, so that no other run goes on from it."""
    params = {
        "frames": [
            texts_params(study, name),
            shard_params(study, name),
            frames_params(study, name),
        ],
        "distil": [frames_params(study, name), distil_params(study, name)],
    }[stage]
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]
    return study.store("connectors", name, stage, digest)


def trained(study: Study) -> list[str]:
    """What the target `train_connector` ends in."""
    files = ("model.safetensors", "config.json", "README.md", "evaluation.json")
    return [f"{folder(study, name)}/model/{file}" for name in study.config.connectors for file in files]


def texts_params(study: Study, name: str) -> dict[str, Any]:
    """What the training texts depend on; they keep away from the project's own items."""
    spec = definition(study, name)
    return {
        "texts": spec.texts.model_dump(mode="json"),
        "clips": spec.clips,
        "evaluation_clips": spec.evaluation_clips,
        "own_items": contents_of((RESOURCES / "items").glob("*.jsonl")),
        "code": code_fingerprint("connector_texts"),
    }


def shard_params(study: Study, name: str) -> dict[str, Any]:
    """What a shard depends on, beside texts and encoder."""
    spec = definition(study, name)
    voices = {voice: entry.model_dump(mode="json") for voice, entry in spec.voices.items()}
    providers = sorted({entry.voice.provider for entry in spec.voices.values()})
    return {
        "voices": voices,
        "shard_clips": spec.shard_clips,
        "code": code_fingerprint("connector_shard", *speech.code_of(*providers)),
    }


def frames_params(study: Study, name: str) -> dict[str, Any]:
    """What the first stage depends on, beside its clips."""
    left_out = {"texts", "voices", "distil", "clips", "shard_clips", "evaluation_clips"}
    spec = definition(study, name).model_dump(mode="json", exclude=left_out)
    code = code_fingerprint("connector_frames", without=["connector/distil.py", "models/text_llm.py"])
    return {"spec": spec, "code": code}


def distil_params(study: Study, name: str) -> dict[str, Any]:
    """What the second stage depends on, beside the first and its clips."""
    spec = definition(study, name)
    prompts = {task: study.task(task).asked() for task in spec.distil.tasks}
    return {
        "distil": spec.distil.model_dump(mode="json"),
        "prompts": prompts,
        "seed": spec.seed,
        "code": code_fingerprint("connector_distil"),
    }


def evaluation_params(study: Study, name: str) -> dict[str, Any]:
    """What the evaluation and the card depend on, beside the connector."""
    return {"spec": definition(study, name).model_dump(mode="json"), "code": code_fingerprint("connector_evaluation")}
