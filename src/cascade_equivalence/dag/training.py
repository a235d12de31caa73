"""A connector's training as a graph: paths, inputs and what each node depends on."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.dag.fingerprint import code_fingerprint
from cascade_equivalence.dag.set_nodes import SetNodes
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import RESOURCES

if TYPE_CHECKING:
    from cascade_equivalence.connector.run import Material

TRAIN = "train"
HELD_OUT = "held"


class TrainingNodes(SetNodes):
    """Nodes of the connectors that a study trains."""

    def connector(self, name: str) -> ConnectorSpec:
        """A connector's definition."""
        return self.config.definitions.connectors[name]

    def connector_folder(self, name: str) -> str:
        """Folder of everything that a connector's training makes."""
        return f"{self.results}/connectors/{name}"

    def connector_manifests(self, name: str) -> list[str]:
        """Manifests of the Whisper model and of the text LLM."""
        spec = self.connector(name)
        return [self.manifest(spec.audio_model), self.manifest(spec.text_model)]

    def shard(self, name: str, shard: str) -> str:
        """A shard of a connector's training clips."""
        return f"{self.connector_folder(name)}/shards/{shard}.safetensors"

    def training_shards(self, name: str) -> list[str]:
        """Shards of the training clips."""
        spec = self.connector(name)
        return [self.shard(name, f"{TRAIN}-{number:04d}") for number in range(-(-spec.clips // spec.shard_clips))]

    def held_out_shards(self, name: str) -> list[str]:
        """Shards of the held-out clips, one a voice."""
        return [self.shard(name, f"{HELD_OUT}-{voice}") for voice in self.connector(name).evaluation_voices]

    def material(self, name: str) -> "Material":
        """What both stages train on."""
        from cascade_equivalence.connector.run import Material

        spec = self.connector(name)
        audio, text = (self.model(model) for model in (spec.audio_model, spec.text_model))
        return Material(
            train=[Path(path) for path in self.training_shards(name)],
            held_out=dict(zip(spec.evaluation_voices, map(Path, self.held_out_shards(name)), strict=True)),
            text_folder=Path(self.models, spec.text_model),
            names={
                "audio_model_id": audio.published_as or spec.audio_model,
                "text_model_id": text.published_as or spec.text_model,
            },
        )

    def training_store(self, name: str, stage: str) -> Path:
        """Folder of a stage's checkpoint: one for what the stage depends on, so that no other run goes on from it."""
        params = {
            "frames": [
                self.connector_texts_params(name),
                self.connector_shard_params(name),
                self.connector_frames_params(name),
            ],
            "distil": [self.connector_frames_params(name), self.connector_distil_params(name)],
        }[stage]
        digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]
        return self.store("connectors", name, stage, digest)

    def trained(self) -> list[str]:
        """What the target `train_connector` ends in."""
        files = ("model.safetensors", "config.json", "README.md", "evaluation.json")
        return [f"{self.connector_folder(name)}/model/{file}" for name in self.config.connectors for file in files]

    def connector_texts_params(self, name: str) -> dict[str, Any]:
        """What the training texts depend on; they keep away from the project's own items."""
        spec = self.connector(name)
        return {
            "texts": spec.texts.model_dump(mode="json"),
            "clips": spec.clips,
            "evaluation_clips": spec.evaluation_clips,
            "own_items": contents_of((RESOURCES / "items").glob("*.jsonl")),
            "code": code_fingerprint("training_texts"),
        }

    def connector_shard_params(self, name: str) -> dict[str, Any]:
        """What a shard depends on, beside texts and encoder."""
        spec = self.connector(name)
        voices = {voice: entry.model_dump(mode="json") for voice, entry in spec.voices.items()}
        added = VOICES.files(*(entry.voice.provider for entry in spec.voices.values()))
        return {
            "voices": voices,
            "shard_clips": spec.shard_clips,
            "code": code_fingerprint("training_shards", *added) + code_fingerprint("listen"),
        }

    def connector_frames_params(self, name: str) -> dict[str, Any]:
        """What the first stage depends on, beside its clips."""
        left_out = {"texts", "voices", "distil", "clips", "shard_clips", "evaluation_clips"}
        spec = self.connector(name).model_dump(mode="json", exclude=left_out)
        return {"spec": spec, "code": code_fingerprint("training_frames")}

    def connector_distil_params(self, name: str) -> dict[str, Any]:
        """What the second stage depends on, beside the first and its clips."""
        spec = self.connector(name)
        prompts = {task: self.task(task).asked() for task in spec.distil.tasks}
        return {
            "distil": spec.distil.model_dump(mode="json"),
            "prompts": prompts,
            "seed": spec.seed,
            "code": code_fingerprint("training_distil") + code_fingerprint("answer"),
        }

    def connector_evaluation_params(self, name: str) -> dict[str, Any]:
        """What the evaluation and the card depend on, beside the connector."""
        return {"spec": self.connector(name).model_dump(mode="json"), "code": code_fingerprint("training_distil")}
