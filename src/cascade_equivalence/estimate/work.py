"""GPU time of a study's nodes, one entry a stage and model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from cascade_equivalence import stages
from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.study import E2ESpec, Elsewhere
from cascade_equivalence.costs import speed
from cascade_equivalence.costs.figures import Figures
from cascade_equivalence.estimate.texts import TaskSize

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study

TOGETHER = {"answer": 12, "implicit_transcripts": 12}
"""Nodes of a stage, of one system or model, that share a job: ``group-components`` of ``profiles/slurm``."""


class UnknownSizeError(Exception):
    """Nobody says how large a model is; the message is its name."""


@dataclass(frozen=True)
class Work:
    """What some nodes of a stage take.

    Attributes:
        stage: What is done, by the name of its rule.
        who: System, model or source of transcripts.
        nodes: Nodes that need a GPU; each opens its models.
        jobs: Jobs of a cluster that they share, as ``profiles/slurm`` groups them: after a job's first node the model
            is open, or, in vLLM, read from the machine's memory.
        rows: Clips, transcripts or answers.
        loading: Seconds of a GPU before they begin.
        working: Seconds of a GPU after that.
    """

    stage: str
    who: str
    nodes: int
    jobs: int
    rows: int
    loading: float
    working: float


class Workload:
    """The GPU work of a study.

    Args:
        study: The study.
        spoken: Its tasks' items, by task.
        figures: What estimates multiply.
    """

    def __init__(self, study: "Study", spoken: Mapping[str, TaskSize], figures: Figures) -> None:
        self.study, self.spoken, self.figures = study, spoken, figures

    def entries(self) -> tuple[list[Work], list[str]]:
        """The work of every stage; nodes whose device is the processor have none.

        Returns:
            The work, in the order of the stages; and the models of unknown size, whose nodes are left out.
        """
        found: list[Work] = []
        unknown: dict[str, None] = {}
        for measure in self._stages():
            try:
                found.append(measure())
            except UnknownSizeError as error:
                unknown[str(error)] = None
        return found, list(unknown)

    def rows(self, task: str, condition: str) -> int:
        """Clips of a task in a condition, all voices."""
        items = min(self.spoken[task].items, self.study.clips_a_voice(task, condition))
        return items * len(self.study.voices_of(task, condition))

    def billions(self, model: str) -> float:
        """Parameters of a model's own weights.

        Raises:
            UnknownSizeError: Neither its files nor its entry say.
        """
        known = stages.needs.known_billions(self.study, model)
        if known is None:
            raise UnknownSizeError(model)
        return known

    def utterances(self) -> dict[str, int]:
        """Utterances that models are watched on, by task."""
        states = self.study.mechanism.states
        readings = {task: stages.opened_models.readings(self.study, task) for task in states.tasks}
        return {task: min(states.per_task, self.spoken[task].items) * each for task, each in readings.items()}

    # -- stages -------------------------------------------------------------------------------------------------------

    def _stages(self) -> list[Callable[[], Work]]:
        study = self.study
        answering, transcribing = stages.needs.gpus(study, "answer"), stages.needs.gpus(study, "transcribe")
        asrs = [asr for asr in study.asrs if study.hearing_models(asr)]
        listeners = [asr for asr in asrs if study.is_speech_llm(asr)]
        specs = [study.system(name) for name in study.config.systems]
        checked = [spec.model for spec in specs if isinstance(spec, E2ESpec)]
        checked += [study.listener(asr) for asr in listeners]
        found: list[Callable[[], Work]] = []
        if answering:
            found += [partial(self._preflight, model) for model in dict.fromkeys(checked)]
        found += [
            partial(self._transcription, asr) for asr in asrs if (answering if asr in listeners else transcribing)
        ]
        if answering:
            found += [partial(self._answer, name) for name in study.config.systems if study.is_here(name)]
            again = dict.fromkeys(each.system for each in stages.repeat.retests(study))
            found += [partial(self._answer_again, name) for name in again]
            found += [partial(self._conflict, name) for name in self._in_conflict()]
        if study.config.mechanism is None:
            return found
        speech = stages.opened_models.speech_llms(study)
        if stages.opened_models.gpus(study):
            found += [partial(self._capture, opened) for opened in stages.opened_models.models(study)]
            found += [partial(self._lens, model) for model in speech]
            if study.mechanism.similarity is not None:
                found += [partial(self._similarity, model) for model in speech]
        if answering and study.mechanism.erasure is not None:
            found += [
                partial(self._erasure, model, concept) for model in speech for concept in stages.erasure.concepts(study)
            ]
        if answering and study.mechanism.patching is not None:
            found += [partial(self._patching, model) for model in speech]
        if answering and study.mechanism.attributions is not None:
            found += [partial(self._attributions, model) for model in speech]
        if answering and study.mechanism.steering is not None:
            found += [partial(self._steering, model) for model in speech]
        return found

    def _preflight(self, model: str) -> Work:
        return self._work("preflight", model, 1, 0, self.study.transcribing_models(model), 0.0)

    def _transcription(self, asr: str) -> Work:
        study, nodes = self.study, self.study.heard_nodes(asr)
        rows = [(node.task, self.rows(node.task, node.condition)) for node in nodes]
        seconds = sum(count * self._transcribing(asr, task) for task, count in rows)
        stage = "implicit_transcripts" if study.is_lens(asr) else "transcribe"
        return self._work(stage, asr, len(nodes), _sum(rows), study.transcribing_models(asr), seconds)

    def _transcribing(self, asr: str, task: str) -> float:
        """Seconds that a clip takes to be transcribed."""
        study, network, config = self.study, self.figures.network, self.study.config.transcribe
        tokens = self.spoken[task].letters / network.letters_per_token
        if study.is_speech_llm(asr):
            return self._asking(study.listener(asr), task, heard=True, written=0 if study.is_lens(asr) else tokens)
        written = min(tokens, config.max_new_tokens)
        return speed.transcribing_seconds(
            self.billions(asr),
            self._frames(self.spoken[task].seconds),
            written,
            config.batch_size,
            self.figures,
            float32=config.engine == "openai-whisper",
        )

    def _frames(self, seconds: float) -> float:
        """Frames of a clip that a recogniser hears, in the windows that the study sets."""
        if self.study.config.transcribe.window == "whole":
            return speed.frames(seconds, self.figures)
        from cascade_equivalence.models.transcription.windows import window_of

        return window_of(seconds) * self.figures.network.frames_per_second

    def answers(self) -> int:
        """Answers of all systems, without those that are asked again."""
        study = self.study
        return sum(
            self.rows(node.task, node.condition)
            for name in study.config.systems
            if name not in study.imported
            for node in study.asked_nodes(name)
        )

    def answers_again(self) -> int:
        """Answers of systems that are asked again."""
        return sum(self.rows(each.task, CLEAN) for each in stages.repeat.retests(self.study))

    def _answer(self, system: str) -> Work:
        nodes = self.study.asked_nodes(system)
        return self._answering("answer", system, [(node.task, self.rows(node.task, node.condition)) for node in nodes])

    def _answer_again(self, system: str) -> Work:
        nodes = [each for each in stages.repeat.retests(self.study) if each.system == system]
        return self._answering("answer_again", system, [(each.task, self.rows(each.task, CLEAN)) for each in nodes])

    def _answering(self, stage: str, system: str, rows: Sequence[tuple[str, int]]) -> Work:
        study, spec = self.study, self.study.system(system)
        assert not isinstance(spec, Elsewhere), f"{system} runs elsewhere"
        model, heard = (spec.model, True) if isinstance(spec, E2ESpec) else (spec.llm, False)
        seconds = sum(
            count * self._asking(model, task, heard=heard, written=study.task(task).max_new_tokens)
            for task, count in rows
        )
        return self._work(stage, system, len(rows), _sum(rows), study.answering_models(system), seconds)

    def _in_conflict(self) -> list[str]:
        return stages.conflict.systems(self.study) if self.study.config.conflict.tasks else []

    def _conflict(self, system: str) -> Work:
        rows = [(task, stages.conflict.prompts(self.study, task)) for task in self.study.config.conflict.tasks]
        return self._answering("answer_conflict", system, rows)

    def _capture(self, opened: str) -> Work:
        study, model, counts = self.study, stages.opened_models.original(opened), self.utterances()
        if study.is_speech_llm(model):
            seconds = sum(count * self._asking(model, task, heard=True, written=0) for task, count in counts.items())
        else:
            encoder = self.figures.network.encoder_share * self.billions(model)
            lengths = [(count, self.spoken[task].seconds) for task, count in counts.items()]
            seconds = sum(
                count * (self._beside + speed.hearing_seconds(encoder, length, self.figures))
                for count, length in lengths
            )
        return self._work(
            "capture", opened, 1, sum(counts.values()), stages.opened_models.weights(study, opened), seconds
        )

    def _lens(self, model: str) -> Work:
        study, network, counts = self.study, self.figures.network, self.utterances()
        text, layers = study.text_model(model), len(stages.opened_models.layers(study, model))
        across = speed.width(self.billions(text), study.model(text).blocks or 1)
        head = across * network.vocabulary / speed.BILLION
        heard = sum(count * self.spoken[task].seconds for task, count in counts.items())
        seconds = layers * speed.reading_seconds(head, self.vectors(model) * heard, self.figures)
        return self._work("read_lens", model, layers, layers * sum(counts.values()), [text], seconds)

    def _similarity(self, model: str) -> Work:
        counts = self.utterances()
        seconds = sum(
            count * (self._beside + self._reading(model, task, heard=False)) for task, count in counts.items()
        )
        models = stages.opened_models.weights(self.study, model)
        return self._work("compare_hearing", model, 1, sum(counts.values()), models, seconds)

    def _erasure(self, model: str, concept: str) -> Work:
        study, erasure = self.study, self.study.erasure
        batch, rows, seconds = study.config.answer.batch_size, 0, 0.0
        size = self.billions(study.text_model(model))
        for task in erasure.tasks:
            items = min(erasure.per_task, self.spoken[task].items)
            # A clip is heard once for all ways to erase.
            seconds += items * self._hearing(task)
            for heard, variants in stages.erasure.variants(self.study, concept).items():
                reading = self._reading(model, task, heard=heard)
                # Prompts are read once a way, for scores and answer, and once more by the model as it is; then one step
                # scores the candidates, and the answer is written.
                writing = speed.writing_seconds(size, 1 + study.task(task).max_new_tokens, batch, self.figures)
                rows += items * variants
                seconds += items * (variants * (self._beside + reading + writing) + (reading if variants else 0.0))
        models = stages.opened_models.weights(study, model)
        return self._work("answer_erased", f"{model}, {concept}", len(erasure.tasks), rows, models, seconds)

    def _patching(self, model: str) -> Work:
        study, patching, rows, seconds = self.study, stages.patching.settings(self.study), 0, 0.0
        readings = stages.patching.readings(study, model)
        for task in patching.tasks:
            pairs = min(patching.per_task, self.spoken[task].items)
            rows += pairs * readings
            seconds += pairs * self._hearing(task)
            seconds += pairs * readings * (self._beside + self._reading(model, task, heard=False))
        models = stages.opened_models.weights(study, model)
        return self._work("patch_states", model, len(patching.tasks), rows, models, seconds)

    def _attributions(self, model: str) -> Work:
        study, attributions, rows, seconds = self.study, stages.attributions.settings(self.study), 0, 0.0
        for task in attributions.tasks:
            words = ceil(self.spoken[task].letters / self.figures.network.letters_per_token)
            asked = min(attributions.per_task, self.spoken[task].items) * (1 + words)
            rows += asked * (stages.attributions.HEARINGS + stages.attributions.READINGS)
            heard = self._hearing(task) + self._reading(model, task, heard=True) + self._beside
            read = self._reading(model, task, heard=False) + self._beside
            seconds += asked * (stages.attributions.HEARINGS * heard + stages.attributions.READINGS * read)
        models = [*stages.opened_models.weights(study, model), stages.attributions.timing(study)]
        return self._work("attribute_words", model, len(attributions.tasks), rows, models, seconds)

    def _steering(self, model: str) -> Work:
        study, steering, rows, seconds = self.study, stages.steering.settings(self.study), 0, 0.0
        for task in steering.tasks:
            items = min(steering.per_task, self.spoken[task].items)
            asked = 2 * steering.fit + items * stages.steering.ways(study, model)
            rows += asked
            seconds += (2 * steering.fit + items) * self._hearing(task)
            seconds += asked * (self._beside + self._reading(model, task, heard=True))
        models = stages.opened_models.weights(study, model)
        return self._work("steer_states", model, len(steering.tasks), rows, models, seconds)

    # -- parts --------------------------------------------------------------------------------------------------------

    @property
    def _beside(self) -> float:
        return self.figures.use.row_milliseconds / 1000

    def vectors(self, model: str) -> float:
        """Vectors of a second of sound in a speech LLM's prompt."""
        return self.study.model(model).vectors_per_second or self.figures.network.vectors_per_second

    def _asking(self, model: str, task: str, *, heard: bool, written: float) -> float:
        """Seconds that one question takes a text LLM or a speech LLM."""
        size, batch = self.billions(self.study.text_model(model)), self.study.config.answer.batch_size
        vectors = self.vectors(model) if heard else None
        return speed.asking_seconds(size, self.spoken[task].length, written, batch, self.figures, vectors)

    def _hearing(self, task: str) -> float:
        return speed.hearing_seconds(self.figures.network.tower_billions, self.spoken[task].seconds, self.figures)

    def _reading(self, model: str, task: str, *, heard: bool) -> float:
        """Seconds for what a prompt has of its own; what all prompts of a task share is read once."""
        tokens = speed.prompt_tokens(self.spoken[task].length, self.figures, self.vectors(model) if heard else None)
        return speed.reading_seconds(self.billions(self.study.text_model(model)), tokens, self.figures)

    def _work(self, stage: str, who: str, nodes: int, rows: int, models: Sequence[str], working: float) -> Work:
        size = sum(self.billions(model) for model in dict.fromkeys(models))
        jobs = ceil(nodes / TOGETHER.get(stage, 1))
        first, again = speed.loading_seconds(size, self.figures), self.figures.loading.open_seconds
        if stage == "answer" and self.study.engine_of(who) == "vllm":
            again = speed.loading_again_seconds(size, self.figures)
        return Work(stage, who, nodes, jobs, rows, jobs * first + (nodes - jobs) * again, working)


def _sum(rows: Sequence[tuple[str, int]]) -> int:
    return sum(count for _, count in rows)
