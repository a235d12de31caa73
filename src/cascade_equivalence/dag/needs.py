"""What each node of a study needs of a machine, from its models, its items and its voices."""

from pathlib import Path

from cascade_equivalence.config.study import ORACLE
from cascade_equivalence.dag.report_nodes import ReportNodes
from cascade_equivalence.dag.resources import DEFAULT_BILLIONS, Need, counted_billions, counting_need, model_need

PREFLIGHT_CLIPS = 4
ERASED = 2
"""Under erasure a prompt is read twice: for an answer, and for the likelihoods of the labels."""
# Seconds on one core for an item: a neural voice, noise and rooms, pitch (pYIN).
SPEAKING, MIXING, TRACKING = 6.0, 2.0, 2.0
DRAWING = 4e-7
"""Seconds for a row in a permutation of errors and in a draw of rows: together up to 8e-8 were measured."""
# Of an utterance: vectors, their width where nothing is known of the model, bytes of a number.
VECTORS, WIDTH, FLOAT = 250, 4096, 4
LARGE_WIDTH = 1.6  # billions of parameters below which a model is half as wide
COPIES = 4
"""Times that a node holds a layer's states: as read, scaled, split, and in double precision by halves."""


class NodeNeeds(ReportNodes):
    """Memory, minutes, processors and batch of every node whose work varies."""

    def billions(self, *models: str) -> float:
        """Billions of parameters of some models together: as the registry says, as their weights say, or by role."""
        return sum(self._billions(name) for name in dict.fromkeys(models))

    def _billions(self, name: str) -> float:
        spec = self.model(name)
        known = spec.billions or counted_billions(spec.source, Path(self.manifest(name)))
        return known or DEFAULT_BILLIONS[spec.role]

    def gpus(self, stage: str) -> int:
        """GPUs a node of a stage asks the scheduler for."""
        return 0 if getattr(self.config, stage).device == "cpu" else 1

    def items_of(self, task: str) -> int:
        """Items of a task at most."""
        counts = self.config.items.per_task
        return counts if isinstance(counts, int) else {str(key): n for key, n in counts.items()}[task]

    def clip_count(self, task: str, condition: str) -> int:
        """Clips of a task in a condition, all voices."""
        return self.items_of(task) * len(self.voices_of(task, condition))

    # -- nodes that load models ---------------------------------------------------------------------------------------

    def answer_need(self, system: str, task: str, condition: str) -> Need:
        """Of a system that answers."""
        models = self.answering_models(system)
        role = "speech-llm" if self.system(system).kind == "e2e" else "llm"
        return self._asking(role, models, self.clip_count(task, condition))

    def transcribe_need(self, asr: str, task: str, condition: str) -> Need:
        """Of an ASR, a speech LLM or the true texts, as transcripts."""
        clips = self.clip_count(task, condition)
        if asr == ORACLE:
            return counting_need(0, 0).clips_kept(clips)
        if self.is_speech_llm(asr):
            return self._asking("speech-llm", self.transcribing_models(asr), clips)
        models, settings = self.transcribing_models(asr), self.config.transcribe
        gpu = bool(self.gpus("transcribe"))
        return model_need("asr", self.billions(*models), clips, settings.batch_size, gpu)

    def preflight_need(self, model: str) -> Need:
        """Of a speech LLM's preflight."""
        return self._asking("speech-llm", self.transcribing_models(model), PREFLIGHT_CLIPS)

    def implicit_need(self, lens: str, task: str, condition: str) -> Need:
        """Of reading a speech LLM's last layer."""
        return self._asking("speech-llm", self.transcribing_models(lens), self.clip_count(task, condition))

    def erased_need(self, model: str, concept: str, task: str) -> Need:
        """Of answering while a concept is erased: every variant, both arms."""
        erasure = self.erasure
        variants = sum(self.variants(concept).values())
        clips = min(erasure.per_task, self.items_of(task)) * variants * ERASED
        return self._asking("speech-llm", self.opened_models(model), clips)

    def capture_need(self, opened: str) -> Need:
        """Of capturing an opened model's states."""
        states = self.mechanism.states
        role = "speech-llm" if self.is_speech_llm(self.original(opened)) else "asr"
        size = self.billions(*self.opened_models(opened))
        # The states of all layers go to disk batch by batch; the clips are in memory.
        return model_need(role, size, self.utterance_count(), states.batch_size, bool(self.gpus_of_states()))

    def lens_need(self, model: str) -> Need:
        """Of reading a layer through the unembedding; the tuned lens trains on it."""
        size, gpu = self.billions(self.text_model(model)), bool(self.gpus_of_states())
        need = model_need("llm", size, self.utterance_count(), 1, gpu)
        return Need(need.megabytes + self._states_megabytes(model), need.minutes + 60, need.threads)

    def _asking(self, role: str, models: list[str], clips: float) -> Need:
        """Of asking a text LLM or a speech LLM, which the settings of answers are for."""
        batch = self.config.answer.batch_size
        return model_need(role, self.billions(*models), clips, batch, bool(self.gpus("answer")))

    # -- nodes that count ---------------------------------------------------------------------------------------------

    def speech_need(self, task: str) -> Need:
        """Of speaking a task in one voice."""
        items = self.items_of(task)
        return counting_need(1000, SPEAKING * items).clips_kept(items)

    def noise_need(self, task: str, voice: str) -> Need:
        """Of mixing babble into a task: the clips of all babbling voices are decoded."""
        items = self.items_of(task)
        return counting_need(2000, MIXING * items).clips_kept(items * (1 + len(self.babble_voices(voice))))

    def agreement_need(self) -> Need:
        """Of a comparison: the same for all of a study, so that they can be sent as one array of jobs."""
        rows = max(self.clip_count(node.task, node.condition) for node in self.nodes)
        return counting_need(1000, 60 + DRAWING * rows * self.config.statistics.draws)

    def utterances_need(self) -> Need:
        """Of drawing utterances and tracking their pitch."""
        return counting_need(2000, TRACKING * self.utterance_count()).clips_kept(self.utterance_count())

    def surplus_need(self, task: str) -> Need:
        """Of measuring what a task's audio tells beyond its transcripts: pitch, and nested classifiers."""
        clips = self.items_of(task) * len(self.config.surplus.voices or self.voices_of(task))
        return counting_need(2000, 5 * TRACKING * clips).clips_kept(clips)

    def layer_need(self, opened: str) -> Need:
        """Of probing a layer, or of its moments."""
        return counting_need(1000 + self._states_megabytes(self.original(opened)), 3600, threads=2)

    def erasers_need(self, model: str) -> Need:
        """Of fitting a concept's erasers, a layer after the other."""
        return counting_need(1000 + self._states_megabytes(model), 600 * len(self.layers_of(model)), threads=2)

    def tables_need(self) -> Need:
        """Of reading everything for tables and report."""
        clips = sum(self.clip_count(node.task, node.condition) for node in self.nodes)
        return counting_need(1500, 600).clips_kept(clips * len(self.config.systems) / 10)

    def utterance_count(self) -> int:
        """Utterances that models are watched on, at most."""
        states = self.mechanism.states
        return sum(min(states.per_task, self.items_of(task)) for task in states.tasks)

    def _states_megabytes(self, model: str) -> float:
        """Memory of one layer's states."""
        width = WIDTH if self.billions(self.text_model(model)) >= LARGE_WIDTH else WIDTH / 2
        return COPIES * self.utterance_count() * VECTORS * width * FLOAT / 1e6
