"""The stage that makes clean speech, a file a task and voice."""

from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.stages import sets
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

SPEAKING = 6.0
"""Seconds on one core for an item: a neural voice."""


def file(study: Study, task: str, voice: str, condition: str = CLEAN) -> str:
    """Speech of a task in one voice and condition."""
    return f"{study.results}/speech/{task}/{voice}/{condition}.parquet"


def all_files(study: Study) -> list[str]:
    """Every speech file."""
    return [
        file(study, n.task, voice, n.condition) for n in study.nodes for voice in study.voices_of(n.task, n.condition)
    ]


def files_of(study: Study, task: str, condition: str) -> list[str]:
    """Speech that a transcription node hears."""
    return [file(study, task, voice, condition) for voice in study.voices_of(task, condition)]


def code_of(*providers: str) -> list[str | Path]:
    """What is particular to the code of providers of voices: modules of the package, files of plugins."""
    return [*(module for name in providers for module in VOICES[name].modules), *VOICES.files(*providers)]


def params(study: Study, task: str, voice: str) -> dict[str, Any]:
    """What the clean speech of a voice depends on, beside the items.

    A user's recordings count as they lie there now; those of a set's archive are made by a node of their own.
    """
    spec = study.config.definitions.voices[voice]
    provider = VOICES[spec.provider]
    code = code_fingerprint("synthesize_speech", *code_of(spec.provider))
    params = {"voice": spec.sound(), "max_seconds": study.config.speech.max_seconds, "code": code}
    if provider.files is not None and not sets.extracted(study, task, voice):
        params["recordings"] = study.remembered_hashes.of_set(provider.files(spec, task))
    return params


def connections(study: Study, voice: str) -> int:
    """Connections to a speech service that a node of a voice keeps open."""
    spec = study.config.definitions.voices[voice]
    return VOICES[spec.provider].connections_of(spec)


def need(study: Study, task: str) -> Need:
    """Of speaking a task in one voice."""
    items = study.items_of(task)
    return counting_need(1000, SPEAKING * items).clips_kept(items)
