"""The stages that train a voice adapter: texts, clips, training, evaluation."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.adapter import plan
from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.config.voice_training import VoiceAdapterSpec
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages import resolve, speech
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.study import Study

if TYPE_CHECKING:
    from cascade_equivalence.adapter.run import AdapterMaterial

FILES = ("model.safetensors", "adapter_model.safetensors", "adapter_config.json", "config.json", "curve.json")
"""What training writes."""
DESCRIBED = ("README.md", "evaluation.json")
"""What the evaluation writes beside it."""


def definition(study: Study, name: str) -> VoiceAdapterSpec:
    """An adapter's definition."""
    return study.config.definitions.adapters[name]


def read_aloud(study: Study, name: str) -> ConnectorSpec:
    """The connector whose texts and voices an adapter is trained with."""
    return study.config.definitions.connectors[definition(study, name).read]


def folder(study: Study, name: str) -> str:
    """Folder of everything that an adapter's training makes."""
    return f"{study.results}/adapters/{name}"


def manifests(study: Study, name: str) -> dict[str, str]:
    """Manifests of the speech LLM that is changed, of its text LLM and of the encoder that it borrows."""
    base = definition(study, name).base
    audio = study.model(base).audio_model
    found = {"base": resolve.manifest(study, base), "text": resolve.manifest(study, study.text_model(base))}
    return found | ({"audio": resolve.manifest(study, audio)} if audio else {})


def shard(study: Study, name: str, shard: str) -> str:
    """A shard of an adapter's clips."""
    return f"{folder(study, name)}/shards/{shard}.safetensors"


def shards(study: Study, name: str) -> dict[str, str]:
    """All shards by name."""
    return {each: shard(study, name, each) for each in plan.shards(definition(study, name))}


def voices(study: Study, name: str, shard: str) -> dict[str, VoiceSpec]:
    """The voices of a shard by name."""
    spec = definition(study, name)
    own: dict[str, dict[str, VoiceSpec]] = {
        plan.HELD_OUT: dict(spec.evaluation_voices),
        plan.PLAIN: {voice: entry.voice for voice, entry in read_aloud(study, name).voices.items()},
    }
    return own.get(shard.partition("-")[0], dict(spec.voices))


def material(study: Study, name: str) -> "AdapterMaterial":
    """What an adapter is trained and measured on."""
    from cascade_equivalence.adapter.run import AdapterMaterial

    spec = definition(study, name)
    base, folders = study.model(spec.base), {part: Path(path).parent for part, path in manifests(study, name).items()}
    text = study.text_model(spec.base)
    assert base.transcription is not None, "checked before the study runs"
    known = {"base_model_id": spec.base, "audio_model_id": base.audio_model, "text_model_id": text}
    names = {key: study.model(each).published_as or each for key, each in known.items() if each is not None}
    return AdapterMaterial(
        shards={each: Path(path) for each, path in shards(study, name).items()},
        base=folders["base"],
        audio=folders.get("audio"),
        text=folders["text"],
        chat=study.model(text).chat,
        names=names,
        transcription=base.transcription,
        tasks={task: study.task(task) for task in (*spec.voiced_tasks, *spec.text_tasks)},
        texts=read_aloud(study, name).texts,
    )


def store(study: Study, name: str) -> Path:
    """Folder of the checkpoint: one for what the training depends on, so that no other run goes on from it."""
    params = [texts_params(study, name), shard_params(study, name), train_params(study, name)]
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]
    return study.store("adapters", name, digest)


def trained(study: Study) -> list[str]:
    """What the target `train_adapter` ends in."""
    return [f"{folder(study, name)}/model/{file}" for name in study.config.adapters for file in (*FILES, *DESCRIBED)]


def texts_params(study: Study, name: str) -> dict[str, Any]:
    """What the texts depend on; they keep away from the project's own items."""
    spec = definition(study, name)
    return {
        "texts": read_aloud(study, name).texts.model_dump(mode="json"),
        "clips": spec.clips + spec.plain_clips,
        "own_items": contents_of((RESOURCES / "items").glob("*.jsonl")),
        "code": code_fingerprint("adapter_texts"),
    }


def shard_params(study: Study, name: str) -> dict[str, Any]:
    """What a shard depends on, beside texts and models."""
    spec = definition(study, name)
    used = ("voices", "evaluation_voices", "prosody", "voiced_tasks", "max_words", "evaluation_texts")
    plain = read_aloud(study, name).voices
    kinds = {entry.voice.provider for entry in plain.values()}
    return {
        "plain_voices": {voice: entry.model_dump(mode="json") for voice, entry in plain.items()},
        "spec": spec.model_dump(mode="json", include={*used, "shard_clips", "clips", "plain_clips", "seed"}),
        "code": code_fingerprint("adapter_shard", *speech.code_of(*sorted(kinds))),
    }


def train_params(study: Study, name: str) -> dict[str, Any]:
    """What the training depends on, beside its clips and models."""
    spec = definition(study, name)
    prompts = {task: study.task(task).asked() for task in (*spec.voiced_tasks, *spec.text_tasks)}
    return {
        "spec": spec.model_dump(mode="json", exclude={"read", "voices", "evaluation_voices"}),
        "prompts": prompts,
        "code": code_fingerprint("adapter_training"),
    }


def evaluation_params(study: Study, name: str) -> dict[str, Any]:
    """What the evaluation and the card depend on, beside the adapter."""
    return {"spec": definition(study, name).model_dump(mode="json"), "code": code_fingerprint("adapter_evaluation")}
