"""A study as a graph: which files there are, what each is made from, and what it depends on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.conditions import CLEAN, condition_name, parse_condition
from cascade_equivalence.config.check import PROSODY_TASKS
from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.config.study import CascadeSpec, StudyConfig, TaskSpec
from cascade_equivalence.dag.fingerprint import code_fingerprint

if TYPE_CHECKING:
    from cascade_equivalence.report.naming import Outline

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Node:
    """One (task, condition) that every system answers."""

    task: str
    condition: str


class Study:
    """Paths, inputs and parameters of every node of a study.

    Args:
        config: The checked config.
    """

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.results = config.results.as_posix()
        self.models = config.models_folder.as_posix()

    def resolved(self) -> dict[str, Any]:
        """The whole config with its definitions filled in, free of other files."""
        return self.config.model_dump(mode="json", exclude={"registry"}) | {"registry": []}

    # -- what there is ------------------------------------------------------------------------------------------------

    @cached_property
    def conditions(self) -> list[str]:
        """Conditions of the study, clean first."""
        return [CLEAN, *(condition_name(snr) for snr in self.config.noise.snr_db)]

    def conditions_of(self, task: str) -> list[str]:
        """Conditions a task is run in."""
        return self.conditions if task in self.config.noise.tasks else [CLEAN]

    def voices_of(self, task: str, condition: str = CLEAN) -> list[str]:
        """Voices of a task in a condition."""
        if condition != CLEAN:
            return list(self.config.noise.voices)
        if self.config.items.source == "demo" and task in PROSODY_TASKS:
            return list(self.config.speech.prosody_voices)
        return list(self.config.speech.voices)

    def babble_voices(self, voice: str) -> list[str]:
        """Voices that babble behind a voice: never itself."""
        names = self.config.noise.babble_voices or self.config.speech.voices
        return [name for name in names if name != voice]

    @cached_property
    def nodes(self) -> list[Node]:
        """Every (task, condition)."""
        return [Node(task, condition) for task in self.config.tasks for condition in self.conditions_of(task)]

    @cached_property
    def asrs(self) -> list[str]:
        """ASR models of the systems, each once."""
        return list(dict.fromkeys(self.system(name).asr for name in self.config.systems))

    def system(self, name: str) -> CascadeSpec:
        """A system's definition."""
        return self.config.definitions.systems[name]

    def model(self, name: str) -> ModelSpec:
        """A model's definition."""
        return self.config.definitions.models[name]

    def task(self, name: str) -> TaskSpec:
        """How a task is asked."""
        return {str(key): spec for key, spec in self.config.definitions.tasks.items()}[name]

    def pair_name(self, index: int) -> str:
        """A pair's name in paths."""
        pair = self.config.pairs[index]
        return f"{pair.system}~{pair.reference}"

    # -- paths --------------------------------------------------------------------------------------------------------

    def manifest(self, model: str) -> str:
        """Manifest of resolved weights; they lie beside it."""
        return f"{self.models}/{model}/manifest.json"

    def items(self, task: str) -> str:
        """Items of a task."""
        return f"{self.results}/tasks/{task}/items.parquet"

    def clips(self, task: str, voice: str, condition: str = CLEAN) -> str:
        """Speech of a task in one voice and condition."""
        return f"{self.results}/speech/{task}/{voice}/{condition}.parquet"

    def transcripts(self, asr: str, task: str, condition: str) -> str:
        """Transcripts of a task in one condition, all voices."""
        return f"{self.results}/transcripts/{asr}/{task}/{condition}.parquet"

    def answers(self, system: str, task: str, condition: str) -> str:
        """Answers of a system to a task in one condition, all voices."""
        return f"{self.results}/answers/{system}/{task}/{condition}.parquet"

    def agreement(self, pair: str, task: str, condition: str) -> str:
        """Agreement of a pair on a task in one condition."""
        return f"{self.results}/agreement/{pair}/{task}/{condition}.json"

    def store(self, *parts: str) -> Path:
        """A file or folder of the store: what survives a killed job."""
        return Path(self.results, "store", *parts)

    # -- targets and inputs -------------------------------------------------------------------------------------------

    def all_clips(self) -> list[str]:
        """Every speech file."""
        return [
            self.clips(n.task, voice, n.condition) for n in self.nodes for voice in self.voices_of(n.task, n.condition)
        ]

    def all_transcripts(self) -> list[str]:
        """Every transcripts file."""
        return [self.transcripts(asr, n.task, n.condition) for asr in self.asrs for n in self.nodes]

    def all_answers(self) -> list[str]:
        """Every answers file."""
        return [self.answers(system, n.task, n.condition) for system in self.config.systems for n in self.nodes]

    def all_agreement(self) -> list[str]:
        """Every agreement file."""
        pairs = [self.pair_name(index) for index in range(len(self.config.pairs))]
        return [self.agreement(pair, n.task, n.condition) for pair in pairs for n in self.nodes]

    def clips_of(self, task: str, condition: str) -> list[str]:
        """Speech that a transcription node hears."""
        return [self.clips(task, voice, condition) for voice in self.voices_of(task, condition)]

    def pool_of(self, task: str, voice: str) -> list[str]:
        """Clean speech that the babble behind a voice is made of."""
        if self.config.noise.folder is not None:
            return []
        return [self.clips(task, other) for other in self.babble_voices(voice)]

    def item_files(self, task: str) -> list[str]:
        """Files that the items of a task are read from."""
        if self.config.items.source == "demo":
            return [(REPOSITORY / "resources" / "items" / f"{task}.jsonl").as_posix()]
        from cascade_equivalence.tasks.prepare import published_folder
        from cascade_equivalence.tasks.registry import get_task

        return [path.as_posix() for path in get_task(task).published_files(published_folder(self.config.items))]

    def transcripts_of(self, system: str, task: str, condition: str) -> str:
        """Transcripts that a cascade answers from."""
        return self.transcripts(self.system(system).asr, task, condition)

    def backbone_manifest(self, system: str) -> str:
        """Manifest of a system's text LLM."""
        return self.manifest(self.system(system).llm)

    def pair_manifests(self, system: str, reference: str) -> list[str]:
        """Manifests of two systems' text LLMs."""
        return list(dict.fromkeys(self.backbone_manifest(name) for name in (system, reference)))

    def all_manifests(self) -> list[str]:
        """Manifests of all models of the study."""
        systems = [self.system(name) for name in self.config.systems]
        return list(dict.fromkeys(self.manifest(model) for system in systems for model in (system.asr, system.llm)))

    def tables(self) -> list[str]:
        """Names of the tables."""
        return ["accuracy", "agreement", "noise", "transcription"]

    def figures(self) -> list[str]:
        """Names of the figures that this study has something to show in."""
        return [*(["agreement"] if self.config.pairs else []), *(["noise"] if self.config.noise.snr_db else [])]

    def targets(self) -> list[str]:
        """What the study ends in."""
        tables = [f"{self.results}/tables/{name}.{kind}" for name in self.tables() for kind in ("csv", "md")]
        figures = [f"{self.results}/figures/{name}.{kind}" for name in self.figures() for kind in ("svg", "png")]
        return [f"{self.results}/report.html", *tables, *figures]

    def wildcards(self) -> dict[str, str]:
        """Wildcard constraints: only names of this study, so that a misspelt path is no file."""
        noise = [name for name in self.conditions if name != CLEAN]
        return {
            "model": _either(self.config.definitions.models),
            "asr": _either(self.asrs),
            "task": _either(self.config.tasks),
            "voice": _either(dict.fromkeys([*self.config.speech.voices, *self.config.speech.prosody_voices])),
            "condition": _either(self.conditions),
            "noise": _either(noise),
            "system": _either(self.config.systems),
            "reference": _either(self.config.systems),
        }

    def outline(self) -> "Outline":
        """Names and order for the report."""
        from cascade_equivalence.report.naming import Outline

        systems = {name: self.system(name) for name in self.config.systems}
        return Outline(systems=systems, pairs=self.config.pairs, tasks=self.config.tasks)

    def gpus(self, stage: str) -> int:
        """GPUs a node of a stage asks the scheduler for."""
        return 0 if getattr(self.config, stage).device == "cpu" else 1

    # -- what a node depends on ---------------------------------------------------------------------------------------

    def model_params(self, model: str) -> dict[str, Any]:
        """What resolved weights depend on."""
        return {"spec": self.model(model).model_dump(mode="json"), "code": code_fingerprint("resolve")}

    def item_params(self, task: str) -> dict[str, Any]:
        """What the items of a task depend on."""
        items = self.config.items.model_dump(mode="json")
        if isinstance(items["per_task"], dict):
            items["per_task"] = items["per_task"].get(task)
        return {"items": items, "code": code_fingerprint("items", f"tasks/{task}.py")}

    def speech_params(self, voice: str) -> dict[str, Any]:
        """What the clean speech of a voice depends on."""
        spec = self.config.definitions.voices[voice]
        code = code_fingerprint("speech", f"speech/{spec.provider}*.py")
        return {"voice": spec.model_dump(mode="json"), "max_seconds": self.config.speech.max_seconds, "code": code}

    def noise_params(self, voice: str, condition: str) -> dict[str, Any]:
        """What noisy speech depends on, beside the clean speech it is made of."""
        noise = self.config.noise
        return {
            "snr_db": parse_condition(condition),
            "talkers": noise.talkers,
            "seed": noise.seed,
            "folder": noise.folder.as_posix() if noise.folder else None,
            "pool": [] if noise.folder else self.babble_voices(voice),
            "code": code_fingerprint("noise"),
        }

    def transcribe_params(self) -> dict[str, Any]:
        """What transcripts depend on, beside weights and speech. The batch size is a matter of speed."""
        settings = self.config.transcribe.model_dump(mode="json", exclude={"batch_size"})
        return settings | {"code": code_fingerprint("transcribe")}

    def answer_params(self, system: str, task: str) -> dict[str, Any]:
        """What answers depend on, beside weights and transcripts."""
        settings = self.config.answer.model_dump(mode="json", exclude={"batch_size"})
        spec = self.task(task)
        return settings | {
            "task": spec.model_dump(mode="json"),
            "system": self.system(system).model_dump(mode="json"),
            "chat": self.model(self.system(system).llm).chat,
            "code": code_fingerprint("answer", f"tasks/{task}.py"),
        }

    def agreement_params(self) -> dict[str, Any]:
        """What an agreement file depends on, beside the answers."""
        settings = self.config.statistics.model_dump(mode="json", exclude={"fdr"})
        return settings | {"code": code_fingerprint("agree")}

    def report_params(self) -> dict[str, Any]:
        """What tables, figures and the report depend on, beside the results."""
        pairs = [pair.model_dump(mode="json") for pair in self.config.pairs]
        return {"pairs": pairs, "fdr": self.config.statistics.fdr, "code": code_fingerprint("report")}


def _either(names: Iterable[str]) -> str:
    """A regular expression for one of some names; one that nothing matches where there are none."""
    return "|".join(re.escape(name) for name in names) or r"(?!)"
