"""A study as a graph: what each file is made from, and what it depends on."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.config.study import ORACLE, AnswerConfig, CascadeSpec, E2ESpec, ImplicitSpec
from cascade_equivalence.dag.api_nodes import ApiNodes
from cascade_equivalence.dag.fingerprint import code_fingerprint, code_of
from cascade_equivalence.dag.layout import Node
from cascade_equivalence.dag.needs import NodeNeeds
from cascade_equivalence.dag.noise_nodes import NoiseNodes
from cascade_equivalence.dag.retest_nodes import RetestNodes
from cascade_equivalence.provenance.hashes import contents_of, state_of
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS

__all__ = ["Node", "Study"]


class Study(NodeNeeds, ApiNodes, NoiseNodes, RetestNodes):
    """Inputs, targets and parameters of every node of a study.

    Args:
        config: The checked config.
    """

    # -- targets and inputs -------------------------------------------------------------------------------------------

    def all_clips(self) -> list[str]:
        """Every speech file."""
        return [
            self.clips(n.task, voice, n.condition) for n in self.nodes for voice in self.voices_of(n.task, n.condition)
        ]

    def all_transcripts(self) -> list[str]:
        """Every transcripts file."""
        return [self.transcripts(asr, n.task, n.condition) for asr in self.asrs for n in self.heard_nodes(asr)]

    def all_answers(self) -> list[str]:
        """Every answers file."""
        return [
            self.answers(system, n.task, n.condition) for system in self.config.systems for n in self.nodes_of(system)
        ]

    def all_agreement(self) -> list[str]:
        """Every agreement file."""
        return [
            self.agreement(self.pair_name(index), n.task, n.condition)
            for index, pair in enumerate(self.config.pairs)
            for n in self.nodes_of(pair.system, pair.reference)
        ]

    def all_contrasts(self) -> list[str]:
        """Every contrast file."""
        asked = [(contrast.system, contrast.first, contrast.second) for contrast in self.config.contrasts]
        return [self.contrast(*names, n.task, n.condition) for names in asked for n in self.nodes_of(*names)]

    def clips_of(self, task: str, condition: str) -> list[str]:
        """Speech that a transcription node hears."""
        return [self.clips(task, voice, condition) for voice in self.voices_of(task, condition)]

    def heard_by(self, system: str, task: str, condition: str) -> list[str]:
        """What a system answers from: a cascade from transcripts, a speech LLM from speech."""
        spec = self.system(system)
        if isinstance(spec, E2ESpec | ApiSpec):
            return self.clips_of(task, condition)
        return [self.transcripts(spec.asr, task, condition)]

    def heard_in_pair(self, system: str, reference: str, task: str, condition: str) -> list[str]:
        """Transcripts of the recogniser that a pair's cascade reads, the reference's first; none if neither has one."""
        asrs = [getattr(self.system(name), "asr", ORACLE) for name in (reference, system)]
        return [self.transcripts(asr, task, condition) for asr in asrs if asr != ORACLE and not self.is_lens(asr)][:1]

    def preflights(self, *models: str) -> list[str]:
        """Preflights that must pass before these models answer: those of the speech LLMs."""
        return [self.preflight(self.listener(name)) for name in models if self.is_speech_llm(name)]

    def preflights_of(self, system: str) -> list[str]:
        """Preflights that must pass before a system answers."""
        spec = self.system(system)
        return self.preflights(spec.model) if isinstance(spec, E2ESpec) else []

    def preflight_params(self, model: str) -> dict[str, Any]:
        """What a preflight depends on, beside the weights: on the known clips, too."""
        clips = contents_of((RESOURCES / "preflight").iterdir())
        return self.transcribe_params(model) | {"clips": clips, "check": code_fingerprint("preflight")}

    def answering_manifests(self, system: str) -> list[str]:
        """Manifests of the models that a system's answers need, its text LLM's first."""
        return [self.manifest(model) for model in self.answering_models(system)]

    def transcribing_manifests(self, asr: str) -> list[str]:
        """Manifests of the models that transcripts need, none for the true texts."""
        return [self.manifest(model) for model in self.transcribing_models(asr)]

    def pair_manifests(self, *systems: str) -> list[str]:
        """Manifests of some systems' text LLMs, each once, in their order; none where one is not known."""
        if not self.apis.keys().isdisjoint(systems):
            return []
        return list(dict.fromkeys(self.manifest(self.backbone(name)) for name in systems))

    def all_manifests(self) -> list[str]:
        """Manifests of all models of the study."""
        models = [model for name in self.config.systems for model in self.answering_models(name)]
        models += [model for asr in self.asrs for model in self.transcribing_models(asr)]
        return list(dict.fromkeys(self.manifest(model) for model in models))

    def wildcards(self) -> dict[str, str]:
        """Wildcard constraints: only names of this study, so that a misspelt path is no file."""
        noise = [name for name in self.conditions if name != CLEAN]
        erased = self.config.mechanism is not None and self.config.mechanism.erasure is not None
        return {
            "model": _either(self.config.definitions.models),
            "asr": _either(name for name in self.asrs if not self.is_lens(name)),
            "opened": _either(self.opened() if self.config.mechanism else ()),
            "layer": r"\d+",
            "concept": _either(self.concepts() if erased else ()),
            "lens": _either(name for name in self.asrs if self.is_lens(name)),
            "task": _either(self.config.tasks),
            "voice": _either(dict.fromkeys([*self.config.speech.voices, *self.config.speech.prosody_voices])),
            "condition": _either(self.conditions),
            "variant": _either(self.config.statistics.repeats),
            "noise": _either(noise),
            "part": "speech|music",
            "connector": _either(self.config.definitions.connectors),
            "shard": r"train-\d{4}|held-[A-Za-z0-9._-]+",
            "system": _either(self.config.systems),
            **{role: _either(self.config.systems) for role in ("reference", "first", "second")},
        }

    def either_system(self, *, api: bool) -> str:
        """A regular expression for the systems behind an API, or for the others: each has a rule of its own."""
        return _either(name for name in self.config.systems if (name in self.apis) is api)

    def either_answered_by(self, engine: str) -> str:
        """A regular expression for the systems without an API whose answers an engine gives."""
        return _either(name for name in self.config.systems if name not in self.apis and self.engine_of(name) == engine)

    # -- what a node depends on ---------------------------------------------------------------------------------------

    def model_params(self, model: str) -> dict[str, Any]:
        """What resolved weights depend on. A folder of the user's counts as it is now."""
        spec = self.model(model)
        params: dict[str, Any] = {
            "spec": spec.model_dump(mode="json", exclude={"blocks", "billions"}),
            "code": code_fingerprint("resolve", *self.opened_by(model)),
        }
        if isinstance(spec.source, PathSource):
            params["folder"] = state_of(spec.source, spec.gguf, Path(self.models))
        return params

    def speech_params(self, task: str, voice: str) -> dict[str, Any]:
        """What the clean speech of a voice depends on, beside the items.

        A user's recordings count as they lie there now; those of a set's archive are made by a node of their own.
        """
        spec = self.config.definitions.voices[voice]
        provider = VOICES[spec.provider]
        code = code_fingerprint("speech", *provider.modules, *VOICES.files(provider.name))
        params = {"voice": spec.sound(), "max_seconds": self.config.speech.max_seconds, "code": code}
        if provider.files is not None and not self.extracted(task, voice):
            params["recordings"] = self.remembered_hashes.of_set(provider.files(spec, task))
        return params

    def speech_connections(self, voice: str) -> int:
        """Connections to a speech service that a node of a voice keeps open."""
        spec = self.config.definitions.voices[voice]
        return VOICES[spec.provider].connections_of(spec)

    def transcribe_params(self, asr: str) -> dict[str, Any]:
        """What transcripts depend on, beside weights and speech. The batch size is a matter of speed."""
        if not self.ear_models(asr):
            return {"code": code_fingerprint("transcripts")}
        if not self.is_speech_llm(asr):
            settings = self.config.transcribe.model_dump(mode="json", exclude={"batch_size"})
            return settings | {"code": code_fingerprint("transcribe")}
        spec = self.model(asr)
        prompt = spec.transcription.model_dump(mode="json") if spec.transcription else None
        return self._answering() | {
            "prompt": prompt,
            "chat": self.model(self.text_model(asr)).chat,
            "code": "".join(map(code_fingerprint, ("answer", "listen", "transcripts"))),
        }

    def _answering(self) -> dict[str, Any]:
        return self.config.answer.model_dump(mode="json", exclude={"batch_size", "engine"})

    def takes_engine(self, system: str) -> bool:
        """Whether a system's answers can be left to another engine: those of a text LLM with its own checkpoint."""
        spec = self.system(system)
        return isinstance(spec, CascadeSpec | ImplicitSpec) and self.model(self.backbone(system)).role == "llm"

    def engine_of(self, system: str) -> str:
        """What runs a system's LLM: the engine that is set, where it can."""
        return self.config.answer.engine if self.takes_engine(system) else "transformers"

    def answering(self, system: str) -> AnswerConfig:
        """How a system answers, with the engine that runs it."""
        return self.config.answer.model_copy(update={"engine": self.engine_of(system)})

    def engines(self) -> set[str]:
        """What runs the study's text LLMs."""
        return {self.engine_of(system) for system in self.config.systems if system not in self.apis}

    def answer_params(self, system: str, task: str) -> dict[str, Any]:
        """What answers depend on, beside weights and what is heard."""
        more = code_fingerprint("listen") if isinstance(self.system(system), E2ESpec) else ""
        engine = self.engine_of(system)
        if engine == "vllm":
            more += code_fingerprint("answer_vllm")
        return self._answering() | {
            "engine": engine,
            "task": self.task(task).asked(),
            "system": self.system(system).model_dump(mode="json"),
            "chat": self.model(self.backbone(system)).chat,
            "code": code_fingerprint("answer", *code_of(task), *self.opened_by(self.backbone(system))) + more,
        }

    def retest_params(self, system: str, variant: str, task: str) -> dict[str, Any]:
        """What the answers of a system that is asked again depend on, beside weights and what is heard."""
        code = code_fingerprint("answer_again")
        changed = {"variant": variant, **self.changed(variant, self.answering(system))}
        asked = {"task": self.asked_with(variant, task).asked()}
        return self.answer_params(system, task) | asked | {"again": changed, "code_again": code}

    def retest_agreement_params(self) -> dict[str, Any]:
        """What it depends on how far a system agrees with itself, beside the answers."""
        settings = self.config.statistics.model_dump(mode="json", include={"confidence"})
        return settings | {"code": code_fingerprint("agree", "stats/retest.py")}

    def agreement_params(self) -> dict[str, Any]:
        """What an agreement file depends on, beside the answers."""
        of_tables = {"fdr", "family", "family_excludes", "family_apart"}
        statistics = self.config.statistics
        settings = statistics.model_dump(mode="json", exclude=of_tables | statistics.asked_again())
        return settings | {"code": code_fingerprint("agree", *PAIR_STATISTICS.all_files())}

    def contrast_params(self) -> dict[str, Any]:
        """What a contrast depends on, beside the answers."""
        settings = self.config.statistics.model_dump(mode="json", include={"draws", "confidence", "seed"})
        return settings | {"code": code_fingerprint("agree")}


def _either(names: Iterable[str]) -> str:
    """A regular expression for one of some names; one that nothing matches where there are none."""
    return "|".join(re.escape(name) for name in names) or r"(?!)"
