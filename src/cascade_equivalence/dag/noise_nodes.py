"""Noise as a graph: what each condition is made of, and where MUSAN is fetched to."""

from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import NOISE_KINDS, parse_condition
from cascade_equivalence.dag.fingerprint import code_fingerprint
from cascade_equivalence.dag.set_nodes import SetNodes
from cascade_equivalence.speech.noise_kinds.base import NoiseKind


class NoiseNodes(SetNodes):
    """Nodes that make the noisy speech, and what it is made of."""

    def pool_of(self, task: str, voice: str, condition: str) -> list[str]:
        """Files that the noise behind a voice is made of: clean speech of others, or unpacked recordings."""
        kind = _kind(condition)
        if kind.made_of(self.config.noise) == "voices":
            return [self.clips(task, other) for other in self.babble_voices(voice)]
        part = self._musan_part(kind)
        return [self.musan_manifest(part)] if part and self._fetches_musan() else []

    def noise_folder(self, condition: str) -> Path | None:
        """Folder with the sound files that a condition's noise is made of; None where it is made of none."""
        noise = self.config.noise
        kind = _kind(condition)
        if part := self._musan_part(kind):
            own = noise.musan.folder if noise.musan else None
            return own / part if own else Path(self.musan_manifest(part)).parent
        return noise.folder_of(kind.name) if kind.made_of(noise) == "folder" else None

    def noise_params(self, voice: str, condition: str) -> dict[str, Any]:
        """What noisy speech depends on, beside the files it is made of: on nothing of the other kinds of noise."""
        noise = self.config.noise
        kind, level = _kind(condition), parse_condition(condition).level
        code = code_fingerprint("noise", *kind.modules, *NOISE_KINDS.files(kind.name))
        params: dict[str, Any] = {"kind": kind.name, "level": level, "seed": noise.seed, "code": code}
        folder = self.noise_folder(condition)
        params["folder"] = folder.as_posix() if folder else None
        params |= kind.params(noise)
        if kind.made_of(noise) == "voices":
            params["pool"] = self.babble_voices(voice)
        return params

    def _musan_part(self, kind: NoiseKind) -> str | None:
        """Part of MUSAN that a kind of noise is made of; None if it is made of something else."""
        return kind.musan if kind.made_of(self.config.noise) == "musan" else None

    def _fetches_musan(self) -> bool:
        return self.config.noise.musan is not None and self.config.noise.musan.archive is not None

    def musan_record(self) -> str:
        """Record of MUSAN's archive."""
        return f"{self.sets}/musan/archive.json"

    def musan_manifest(self, part: str) -> str:
        """Manifest of a part of MUSAN; its files lie beside it."""
        return f"{self.sets}/musan/{part}/manifest.json"

    def musan_params(self) -> dict[str, Any]:
        """What the fetched archive depends on."""
        musan = self.config.noise.musan
        source = musan.model_dump(mode="json", exclude={"folder", "parts"}) if musan else None
        return {"musan": source, "code": code_fingerprint("musan")}

    def unpack_params(self, part: str) -> dict[str, Any]:
        """What an unpacked part of the archive depends on."""
        return {"part": part, "code": code_fingerprint("musan")}


def _kind(condition: str) -> NoiseKind:
    """The kind of noise of a condition that is not clean."""
    return NOISE_KINDS[f"{parse_condition(condition).kind}"]
