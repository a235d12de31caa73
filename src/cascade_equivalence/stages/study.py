"""What there is in a study: its tasks, conditions, voices, systems, models, and the folders of its results.

What a stage makes of them is in the module of the stage.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cascade_equivalence.conditions import CLEAN, SILENCE
from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.elsewhere import answers_elsewhere, endpoint_of
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.mechanism import ErasureConfig, MechanismConfig
from cascade_equivalence.config.sources import DegradedSource, ModelSpec, TranscriptsSource, has_silence
from cascade_equivalence.config.spoken import clean_voices
from cascade_equivalence.config.study import (
    GIVEN,
    LENS,
    AnswerConfig,
    ByItself,
    E2ESpec,
    Elsewhere,
    ImplicitSpec,
    StudyConfig,
    SystemSpec,
    TaskSpec,
    Typed,
)
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.provenance.record import HASHES, RECORDS


@dataclass(frozen=True)
class Node:
    """One (task, condition)."""

    task: str
    condition: str


class Study:
    """What a config says there is, with all names resolved.

    Args:
        config: The checked config.
    """

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.results = config.results.as_posix()
        self.models = config.models_folder.as_posix()
        self.sets = config.items.sets_folder.as_posix()
        # What was found already of sets, and of models' sizes in billions of parameters: many nodes ask for the same.
        self.known_sets: dict[str, Any] = {}
        self.known_sizes: dict[str, float] = {}

    def resolved(self) -> dict[str, Any]:
        """The whole config with its definitions filled in, free of other files."""
        return self.config.model_dump(mode="json", exclude={"registry"}) | {"registry": []}

    @cached_property
    def conditions(self) -> list[str]:
        """Conditions of the study, clean first."""
        return [CLEAN, *self.config.noise.conditions()]

    def conditions_of(self, task: str) -> list[str]:
        """Conditions a task is run in."""
        return self.conditions if task in self.config.noise.tasks else [CLEAN]

    def voices_of(self, task: str, condition: str = CLEAN) -> list[str]:
        """Voices of a task in a condition."""
        spoken = list(clean_voices(self.config, task))
        if condition == SILENCE:
            return spoken[:1]
        return spoken if condition == CLEAN else list(self.config.noise.voices)

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
        outside = [spec for name in systems if isinstance(spec := self.system(name), ImportedSpec)]
        return [
            node
            for node in self.nodes
            if ((noisy and not outside) or node.condition == CLEAN)
            and all(node.task in spec.answers for spec in outside)
        ]

    @cached_property
    def silent_nodes(self) -> list[Node]:
        """Every task over silence, for all systems; none where the study does not ask for it."""
        return [Node(task, SILENCE) for task in self.config.tasks] if self.config.speech.silence else []

    def asked_nodes(self, *systems: str) -> list[Node]:
        """Every (task, condition) that all of some systems answer, silence among them."""
        silent = self.silent_nodes if all(map(self.is_asked_over_silence, systems)) else []
        return [*self.nodes_of(*systems), *silent]

    def heard_nodes(self, asr: str) -> list[Node]:
        """Every (task, condition) that some system reads transcripts of, silence among them where there are such."""
        readers = [name for name in self.config.systems if getattr(self.system(name), "asr", None) == asr]
        wanted = {node for name in readers for node in self.nodes_of(name)}
        silent = self.silent_nodes if any(map(self.is_asked_over_silence, readers)) else []
        return [*(node for node in self.nodes if node in wanted), *silent]

    @cached_property
    def asrs(self) -> list[str]:
        """Where transcripts come from, each once: ASR models, speech LLMs, their lenses, or a text that is given."""
        systems = [self.system(name) for name in self.config.systems]
        return list(dict.fromkeys(system.asr for system in systems if not isinstance(system, ByItself)))

    def system(self, name: str) -> SystemSpec:
        """A system's definition."""
        return self.config.definitions.systems[name]

    def model(self, name: str) -> ModelSpec:
        """A model's definition."""
        return self.config.definitions.models[name]

    def text_model(self, name: str) -> str:
        """The text LLM that a model is, or speaks through."""
        return self.model(name).text_model or name

    def hearing_models(self, name: str) -> list[str]:
        """Models that hear for an ASR, a speech LLM or a given text: the model, and the audio tower it borrows.

        None of them are here for a recogniser behind an endpoint, nor for transcripts that another program wrote.
        """
        if name in GIVEN or name in self.recogniser_services or self.transcripts_of(name) is not None:
            return []
        model = self.listener(name)
        audio = self.model(model).audio_model
        return [model, *([audio] if audio else [])]

    def backbone(self, system: str) -> str:
        """The text LLM inside a system whose weights are known."""
        spec = self.system(system)
        assert not isinstance(spec, Elsewhere), f"{system} has no weights"
        return self.text_model(spec.model if isinstance(spec, E2ESpec) else spec.llm)

    def answering_models(self, system: str) -> list[str]:
        """Models that a system's answers need: its text LLM and, of a speech LLM, what hears; none elsewhere."""
        spec = self.system(system)
        if not self.is_here(system):
            return []
        return [self.backbone(system), *(self.hearing_models(spec.model) if isinstance(spec, E2ESpec) else [])]

    def transcripts_of(self, asr: str) -> TranscriptsSource | DegradedSource | None:
        """Where a recogniser's transcripts come from, where it has some in place of weights."""
        return None if asr in GIVEN else self.model(self.listener(asr)).transcripts

    def is_asked_over_silence(self, system: str) -> bool:
        """Whether a system can be: what others answered, or transcribed without silence, is there once."""
        asr = getattr(self.system(system), "asr", "")
        return system not in self.imported and has_silence(asr, self.config.definitions.models)

    def transcribing_models(self, asr: str) -> list[str]:
        """Models that transcripts need: of a speech LLM its text LLM, then what hears."""
        ears = self.hearing_models(asr)
        return [self.text_model(ears[0]), *ears] if self.is_speech_llm(asr) else ears

    def listener(self, asr: str) -> str:
        """The model behind a source of transcripts: itself, or the one whose lens is read."""
        return asr.removesuffix(LENS)

    def is_lens(self, asr: str) -> bool:
        """Whether transcripts are read off a speech LLM's last layer."""
        return asr.endswith(LENS)

    def is_speech_llm(self, name: str) -> bool:
        """Whether a model is a speech LLM."""
        return name not in GIVEN and self.model(self.listener(name)).role == "speech-llm"

    @cached_property
    def apis(self) -> dict[str, ApiSpec]:
        """Systems that a service answers for, by name: of kind ``api``, and cascades whose LLM an endpoint runs."""
        found: dict[str, ApiSpec] = {}
        for name in self.config.systems:
            match self.system(name):
                case ApiSpec() as spec:
                    found[name] = spec
                case spec if isinstance(spec, Typed) and (source := endpoint_of(self.config, spec.llm)) is not None:
                    found[name] = source.asked_as("llm")
        return found

    @cached_property
    def recogniser_services(self) -> dict[str, ApiSpec]:
        """Recognisers of the study that an endpoint runs, by name."""
        return {
            asr: source.asked_as("asr") for asr in self.asrs if (source := endpoint_of(self.config, asr)) is not None
        }

    @cached_property
    def imported(self) -> dict[str, ImportedSpec]:
        """The study's systems that answered elsewhere, by name."""
        return {name: spec for name in self.config.systems if isinstance(spec := self.system(name), ImportedSpec)}

    def is_here(self, system: str) -> bool:
        """Whether a system is one whose weights are here: of a cascade those of its LLM."""
        return not answers_elsewhere(self.config, system)

    def task(self, name: str) -> TaskSpec:
        """How a task is asked."""
        return self.config.definitions.tasks[name]

    def pair_name(self, index: int) -> str:
        """A pair's name in paths."""
        pair = self.config.pairs[index]
        return f"{pair.system}~{pair.reference}"

    def store(self, *parts: str) -> Path:
        """A file or folder of the store: what survives a killed job."""
        return Path(self.results, "store", *parts)

    @property
    def sets_folder(self) -> Path:
        """Folder of the published sets: the user's own, or the fetched ones'."""
        return self.config.items.folder or self.config.items.sets_folder

    @property
    def recordings_folder(self) -> Path:
        """Folder for the recordings that are made from the sets' archives."""
        return self.config.items.sets_folder / "recordings"

    @cached_property
    def remembered_hashes(self) -> FileHashes:
        """Hashes of files that no node makes; they lie with the results."""
        return FileHashes(Path(self.results) / RECORDS / HASHES, within=Path(self.results))

    @property
    def mechanism(self) -> MechanismConfig:
        """The section of the config."""
        assert self.config.mechanism is not None
        return self.config.mechanism

    @property
    def erasure(self) -> ErasureConfig:
        """The section on erasure."""
        assert self.mechanism.erasure is not None
        return self.mechanism.erasure

    def items_of(self, task: str) -> int:
        """Items of a task at most."""
        counts = self.config.items.per_task
        return counts if isinstance(counts, int) else counts[task]

    def clips_a_voice(self, task: str, condition: str) -> int:
        """Clips of a task in a condition, each voice."""
        items, some = self.items_of(task), self.most_items(condition)
        return items if some is None else min(items, some)

    def most_items(self, condition: str) -> int | None:
        """How many items of each task are heard in a condition at most; None if all."""
        return self.config.speech.silence_items if condition == SILENCE else None

    def clip_count(self, task: str, condition: str) -> int:
        """Clips of a task in a condition, all voices."""
        return self.clips_a_voice(task, condition) * len(self.voices_of(task, condition))

    def takes_engine(self, system: str) -> bool:
        """Whether a system's answers can be left to another engine: those of a text LLM with its own checkpoint."""
        spec = self.system(system)
        known = isinstance(spec, Typed | ImplicitSpec) and self.is_here(system)
        return known and self.model(self.backbone(system)).role == "llm"

    def engine_of(self, system: str) -> str:
        """What runs a system's LLM: the engine that is set, where it can."""
        if isinstance(self.system(system), E2ESpec):
            return self.config.answer.speech_engine
        return self.config.answer.engine if self.takes_engine(system) else "transformers"

    def answering(self, system: str) -> AnswerConfig:
        """How a system answers, with the engine that runs it."""
        return self.config.answer.model_copy(update={"engine": self.engine_of(system)})

    def engines(self) -> set[str]:
        """What runs the study's LLMs."""
        return {self.engine_of(system) for system in self.config.systems if self.is_here(system)}
