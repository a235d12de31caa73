"""The stage that makes noisy speech: what each condition is made of, and where MUSAN is fetched to."""

from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import NOISE_KINDS, parse_condition
from cascade_equivalence.speech.noise_kinds.base import NoiseKind
from cascade_equivalence.stages import speech
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

MIXING = 2.0
"""Seconds on one core for an item: noise and rooms."""


def pool(study: Study, task: str, voice: str, condition: str) -> list[str]:
    """Files that the noise behind a voice is made of: clean speech of others, or unpacked recordings."""
    kind = _kind(condition)
    if kind.made_of(study.config.noise) == "voices":
        return [speech.file(study, task, other) for other in study.babble_voices(voice)]
    part = _musan_part(study, kind)
    return [musan_manifest(study, part)] if part and _fetches_musan(study) else []


def folder(study: Study, condition: str) -> Path | None:
    """Folder with the sound files that a condition's noise is made of; None where it is made of none."""
    noise = study.config.noise
    kind = _kind(condition)
    if part := _musan_part(study, kind):
        own = noise.musan.folder if noise.musan else None
        return own / part if own else Path(musan_manifest(study, part)).parent
    return noise.folder_of(kind.name) if kind.made_of(noise) == "folder" else None


def params(study: Study, voice: str, condition: str) -> dict[str, Any]:
    """What noisy speech depends on, beside the files it is made of: on nothing of the other kinds of noise."""
    noise = study.config.noise
    kind, level = _kind(condition), parse_condition(condition).level
    code = code_fingerprint("mix_noise", *kind.modules, *NOISE_KINDS.files(kind.name))
    params: dict[str, Any] = {"kind": kind.name, "level": level, "seed": noise.seed, "code": code}
    own = folder(study, condition)
    params["folder"] = own.as_posix() if own else None
    params |= kind.params(noise)
    if kind.made_of(noise) == "voices":
        params["pool"] = study.babble_voices(voice)
    return params


def musan_manifest(study: Study, part: str) -> str:
    """Manifest of a part of MUSAN; its files lie beside it."""
    return f"{study.sets}/musan/{part}/manifest.json"


def musan_params(study: Study) -> dict[str, Any]:
    """What the fetched archive depends on."""
    musan = study.config.noise.musan
    source = musan.model_dump(mode="json", exclude={"folder", "parts"}) if musan else None
    return {"musan": source, "code": code_fingerprint("fetch_musan")}


def unpack_params(study: Study, part: str) -> dict[str, Any]:
    """What an unpacked part of the archive depends on."""
    return {"part": part, "code": code_fingerprint("unpack_musan")}


def need(study: Study, task: str, voice: str) -> Need:
    """Of mixing babble into a task: the clips of all babbling voices are decoded."""
    items = study.items_of(task)
    return counting_need(2000, MIXING * items).clips_kept(items * (1 + len(study.babble_voices(voice))))


def _musan_part(study: Study, kind: NoiseKind) -> str | None:
    """Part of MUSAN that a kind of noise is made of; None if it is made of something else."""
    return kind.musan if kind.made_of(study.config.noise) == "musan" else None


def _fetches_musan(study: Study) -> bool:
    return study.config.noise.musan is not None and study.config.noise.musan.archive is not None


def _kind(condition: str) -> NoiseKind:
    """The kind of noise of a condition that is not clean."""
    return NOISE_KINDS[f"{parse_condition(condition).kind}"]
