"""A study as a graph: what there is, and where its files are."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.check import clean_voices
from cascade_equivalence.config.sources import ModelSpec
from cascade_equivalence.config.study import LENS, ORACLE, E2ESpec, StudyConfig, SystemSpec, TaskSpec
from cascade_equivalence.models.architecture import ARCHITECTURES


@dataclass(frozen=True)
class Node:
    """One (task, condition)."""

    task: str
    condition: str


class Layout:
    """Names and paths of every node of a study.

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
        return [CLEAN, *self.config.noise.conditions()]

    def conditions_of(self, task: str) -> list[str]:
        """Conditions a task is run in."""
        return self.conditions if task in self.config.noise.tasks else [CLEAN]

    def voices_of(self, task: str, condition: str = CLEAN) -> list[str]:
        """Voices of a task in a condition."""
        if condition != CLEAN:
            return list(self.config.noise.voices)
        return list(clean_voices(self.config, task))

    def babble_voices(self, voice: str) -> list[str]:
        """Voices that babble behind a voice: never itself."""
        names = self.config.noise.babble_voices or self.config.speech.voices
        return [name for name in names if name != voice]

    @cached_property
    def nodes(self) -> list[Node]:
        """Every (task, condition)."""
        return [Node(task, condition) for task in self.config.tasks for condition in self.conditions_of(task)]

    def nodes_of(self, *systems: str) -> list[Node]:
        """Every (task, condition) that all of some systems answer."""
        noisy = set(systems) <= set(self.config.noise.systems or self.config.systems)
        return [node for node in self.nodes if noisy or node.condition == CLEAN]

    def heard_nodes(self, asr: str) -> list[Node]:
        """Every (task, condition) that some system reads transcripts of."""
        readers = [name for name in self.config.systems if getattr(self.system(name), "asr", None) == asr]
        wanted = {node for name in readers for node in self.nodes_of(name)}
        return [node for node in self.nodes if node in wanted]

    @cached_property
    def asrs(self) -> list[str]:
        """Where transcripts come from, each once: ASR models, speech LLMs, their lenses, or ``oracle``."""
        systems = [self.system(name) for name in self.config.systems]
        return list(dict.fromkeys(system.asr for system in systems if not isinstance(system, E2ESpec | ApiSpec)))

    def system(self, name: str) -> SystemSpec:
        """A system's definition."""
        return self.config.definitions.systems[name]

    def model(self, name: str) -> ModelSpec:
        """A model's definition."""
        return self.config.definitions.models[name]

    def text_model(self, name: str) -> str:
        """The text LLM that a model is, or speaks through."""
        return self.model(name).text_model or name

    def ear_models(self, name: str) -> list[str]:
        """Models that hear for an ASR, a speech LLM or ``oracle``: the model, and the audio tower it borrows."""
        if name == ORACLE:
            return []
        model = self.listener(name)
        audio = self.model(model).audio_model
        return [model, *([audio] if audio else [])]

    def backbone(self, system: str) -> str:
        """The text LLM inside a system whose weights are known."""
        spec = self.system(system)
        assert not isinstance(spec, ApiSpec), f"{system} has no weights"
        return self.text_model(spec.model if isinstance(spec, E2ESpec) else spec.llm)

    def answering_models(self, system: str) -> list[str]:
        """Models that a system's answers need: its text LLM and, of a speech LLM, what hears; none behind an API."""
        spec = self.system(system)
        if isinstance(spec, ApiSpec):
            return []
        return [self.backbone(system), *(self.ear_models(spec.model) if isinstance(spec, E2ESpec) else [])]

    def transcribing_models(self, asr: str) -> list[str]:
        """Models that transcripts need: of a speech LLM its text LLM, then what hears."""
        ears = self.ear_models(asr)
        return [self.text_model(ears[0]), *ears] if self.is_speech_llm(asr) else ears

    def listener(self, asr: str) -> str:
        """The model behind a source of transcripts: itself, or the one whose lens is read."""
        return asr.removesuffix(LENS)

    def is_lens(self, asr: str) -> bool:
        """Whether transcripts are read off a speech LLM's last layer."""
        return asr.endswith(LENS)

    def is_speech_llm(self, name: str) -> bool:
        """Whether a model is a speech LLM."""
        return name != ORACLE and self.model(self.listener(name)).role == "speech-llm"

    def opened_by(self, model: str) -> tuple[Path, ...]:
        """Files of plugins that a model's checkpoint may be opened by: its architecture shows only when it is there."""
        return ARCHITECTURES.all_files() if self.model(model).role == "speech-llm" else ()

    @cached_property
    def apis(self) -> dict[str, ApiSpec]:
        """The study's systems behind an API, by name."""
        specs = {name: self.system(name) for name in self.config.systems}
        return {name: spec for name, spec in specs.items() if isinstance(spec, ApiSpec)}

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

    def preflight(self, model: str) -> str:
        """Record of a speech LLM's preflight."""
        return f"{self.results}/preflight/{model}.json"

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

    def contrast(self, system: str, first: str, second: str, task: str, condition: str) -> str:
        """Difference of a system's agreements with two references."""
        return f"{self.results}/contrasts/{system}~{first}~{second}/{task}/{condition}.json"

    def store(self, *parts: str) -> Path:
        """A file or folder of the store: what survives a killed job."""
        return Path(self.results, "store", *parts)
