"""Models that a study opens: which, with which layers, and what a node of theirs holds in memory."""

import re

from cascade_equivalence.config.layers import spread_layers
from cascade_equivalence.config.mechanism import UNTRAINED
from cascade_equivalence.stages import needs, resolve
from cascade_equivalence.stages.study import Study

# Of an utterance: vectors, their width where nothing is known of the model, bytes of a number.
VECTORS, WIDTH, FLOAT = 250, 4096, 4
LARGE_WIDTH = 1.6  # billions of parameters below which a model is half as wide
COPIES = 4
"""Times that a node holds a layer's states: as read, scaled, split, and in double precision by halves."""


def models(study: Study) -> list[str]:
    """Models that are opened, each with its untrained twin where one is asked for."""
    twins = ("", UNTRAINED) if study.mechanism.untrained else ("",)
    return [f"{model}{twin}" for model in study.mechanism.models for twin in twins]


def original(opened: str) -> str:
    """The model behind an opened one, which may be its untrained twin."""
    return opened.removesuffix(UNTRAINED)


def speech_llms(study: Study) -> list[str]:
    """Speech LLMs that are opened."""
    return [model for model in study.mechanism.models if study.is_speech_llm(model)]


def layers(study: Study, opened: str) -> list[int]:
    """Layers of an opened model that are looked at."""
    model = original(opened)
    blocks = study.model(study.text_model(model)).blocks
    return sorted(study.mechanism.layers.get(model) or spread_layers(blocks or 1))


def weights(study: Study, opened: str) -> list[str]:
    """Models that must be there: of a speech LLM its text LLM, then what hears."""
    return study.transcribing_models(original(opened))


def rule_name(rule: str, model: str) -> str:
    """Name of the rule that serves one model."""
    return f"{rule}_{re.sub(r'[^A-Za-z0-9]', '_', model)}"


def gpus(study: Study) -> int:
    """GPUs that capturing states asks the scheduler for."""
    return 0 if study.mechanism.states.device == "cpu" else 1


def manifests(study: Study, opened: str) -> list[str]:
    """Manifests of what an opened model needs."""
    return [resolve.manifest(study, model) for model in weights(study, opened)]


def readings(study: Study, task: str) -> int:
    """Voices in which models are watched on each item of a task."""
    states = study.mechanism.states
    return len(states.voices or study.voices_of(task)) if states.every_voice else 1


def utterance_count(study: Study) -> int:
    """Utterances that models are watched on, at most."""
    states = study.mechanism.states
    return sum(min(states.per_task, study.items_of(task)) * readings(study, task) for task in states.tasks)


def states_megabytes(study: Study, model: str) -> float:
    """Memory of one layer's states."""
    width = WIDTH if needs.billions(study, study.text_model(model)) >= LARGE_WIDTH else WIDTH / 2
    return COPIES * utterance_count(study) * VECTORS * width * FLOAT / 1e6
