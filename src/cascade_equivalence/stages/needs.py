"""What a node asks a scheduler for: memory, minutes, processors and batch, from the work it has to do.

Limits, not expectations, since a job over its limit is ended: on a GPU ``SLACK`` times what the formulas and figures
of ``costs/`` give for clips of the length that the task plans, as ``cascade-equivalence estimate`` counts them. No
more than that, since SLURM fits short jobs into gaps that long ones leave; what a job has answered is kept. In the
demo (on a processor, bfloat16, one core a node) an answer takes about 0.6 s and a transcript 7 to 9 s for each
billion parameters. A profile's ``set-resources`` overrides any of it. A second attempt asks for more and takes a
smaller batch. None of it decides what comes out: a store knows no batch, and Snakemake makes nothing again because a
resource changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, TypeAlias

from cascade_equivalence.config.sources import PathSource, Source
from cascade_equivalence.costs import speed
from cascade_equivalence.costs.figures import read_figures
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import resolve
from cascade_equivalence.stages.study import Study

BILLION = 1e9
MEGA = 1e6
LARGE = 1.0
"""Billions of parameters from which a processor's cores pay."""
DEFAULT_BILLIONS = {"asr": 1.6, "llm": 8.0, "speech-llm": 9.0}
"""What a model has that does not say, by role: as many as the largest of the paper's."""

START = 10.0
"""Minutes for a cold start: libraries read from a shared file system, a queue that is slow to begin."""
LEAST = 3
"""No job asks for fewer: Snakemake starts twice in it, from a file system that may be slow."""
LONGEST = 24 * 60
"""No job asks for more minutes: partitions have limits, and what was answered until then is in the store."""
START_GPU, SLACK = 0.5, 2.2
"""Minutes, and times the expected time, on a GPU: older and slower ones than that of the figures."""
# Seconds a clip on a processor, for each billion parameters and beside them.
SECONDS_CPU = {"asr": 15.0, "llm": 4.0, "speech-llm": 8.0}
OVERHEAD = 0.05

WEIGHTS = ("*.safetensors", "model.bin", "*.gguf")

# MB of a process with its libraries, before it holds weights; a GPU's context comes on top.
LIBRARIES, CONTEXT = 2500, 3500
# Bytes a parameter while loading: float32 on a processor; on the way to a GPU, bfloat16. A fifth is for buffers.
BYTES_CPU, BYTES_GPU = 4.8, 2.4
BATCHED = 40  # MB of activations an item of a batch, for a small model on a processor
CLIP = 0.5  # MB of a clip that is made: compressed, and decoded
ROW = 0.02  # of a clip that is only heard, whose sound is read when its turn comes: its question and its answer
HEARD = 600  # of what is heard at once, decoded
WINDOW = speed.ItemLength(seconds=30.0, letters=450.0, options=100.0)
"""An item of which nothing is known: as long as a recogniser's window."""
MOST_WRITTEN = 128
"""Tokens of a long transcript of one window."""


Wildcards: TypeAlias = Any
"""Snakemake's wildcards of a job."""


@dataclass(frozen=True)
class Need:
    """What one node needs at its first attempt.

    Attributes:
        megabytes: Memory in MB.
        minutes: Run time.
        threads: Processors.
        batch_size: Items at once; 0 for a node without batches.
    """

    megabytes: float
    minutes: float
    threads: int = 1
    batch_size: int = 0

    def memory(self, attempt: int) -> int:
        """Memory in MB at an attempt, counted from 1: as much again each time."""
        return ceil(self.megabytes * attempt)

    def runtime(self, attempt: int) -> int:
        """Minutes at an attempt: as many again each time, at least ``LEAST`` and at most ``LONGEST``."""
        return min(LONGEST, ceil(max(LEAST, self.minutes) * attempt))

    def batch(self, attempt: int) -> int:
        """Items at once at an attempt: half as many each time, at least one."""
        return max(1, self.batch_size >> (attempt - 1))

    def clips_kept(self, clips: float) -> "Need":
        """The same with some clips that are made in memory."""
        return replace(self, megabytes=self.megabytes + CLIP * clips)

    def clips_named(self, clips: float) -> "Need":
        """The same with some clips whose sound is read one after the other."""
        return replace(self, megabytes=self.megabytes + HEARD + ROW * clips)


def asked(
    need: "Need | Callable[[Wildcards], Need]", *, batch: bool = False
) -> dict[str, Callable[[Wildcards, int], int]]:
    """What a rule asks the scheduler for: its directive ``resources`` takes it with ``**``.

    Args:
        need: What its nodes need, or how much a node does, by its wildcards.
        batch: Whether they have a batch size, which a second attempt halves.

    Returns:
        ``mem_mb``, ``runtime`` and, where asked for, ``batch_size``: functions of the wildcards and of the attempt.
    """

    def of(wildcards: Wildcards) -> Need:
        return need if isinstance(need, Need) else need(wildcards)

    found: dict[str, Callable[[Wildcards, int], int]] = {
        "mem_mb": lambda wildcards, attempt: of(wildcards).memory(attempt),
        "runtime": lambda wildcards, attempt: of(wildcards).runtime(attempt),
    }
    if batch:
        found["batch_size"] = lambda wildcards, attempt: of(wildcards).batch(attempt)
    return found


@dataclass(frozen=True)
class Asks:
    """How often a model is asked, and about what.

    Attributes:
        clips: How often.
        item: Length of an item.
        written: Tokens of an answer or a transcript.
        vectors: Of a speech LLM: vectors of a second of sound.
    """

    clips: float
    item: speed.ItemLength = WINDOW
    written: float = MOST_WRITTEN
    vectors: float | None = None

    def seconds(self, role: str, billions: float, batch: int) -> float:
        """Seconds on a GPU that a clip is expected to take."""
        figures = read_figures()
        if role == "asr":
            # In float32, which openai-whisper decodes in.
            frames = speed.frames(self.item.seconds, figures)
            return speed.transcribing_seconds(billions, frames, self.written, batch, figures, float32=True)
        vectors = (self.vectors or figures.network.vectors_per_second) if role == "speech-llm" else None
        return speed.asking_seconds(billions, self.item, self.written, batch, figures, vectors)


def model_need(role: str, billions: float, asked: Asks, batch_size: int, gpu: bool) -> Need:
    """What it takes to load models and to ask them about clips.

    Args:
        role: ``asr``, ``llm`` or ``speech-llm``: what the clips go through.
        billions: Parameters of all models that are loaded.
        asked: How often they are asked, and about what.
        batch_size: Clips at once.
        gpu: Whether they run on a GPU.
    """
    loading = SLACK * speed.loading_seconds(billions, read_figures())
    if gpu:
        start, seconds = START_GPU, SLACK * asked.seconds(role, billions, batch_size)
    else:
        start, seconds = START, SECONDS_CPU[role] * billions + OVERHEAD
    held = billions * BILLION * (BYTES_GPU if gpu else BYTES_CPU) / MEGA
    beside = LIBRARIES + (CONTEXT if gpu else BATCHED * batch_size)
    threads = 4 if gpu else 8 if billions >= LARGE else 2
    need = Need(beside + held, start + (loading + seconds * asked.clips) / 60, threads, batch_size)
    return need.clips_named(asked.clips)


def planned_length(task: str) -> speed.ItemLength:
    """Length of a task's items, as it plans them; of one that does not say as long as a window."""
    # Brings polars, whose threads would keep the server of a run from forking.
    from cascade_equivalence.tasks.base import Task
    from cascade_equivalence.tasks.registry import get_task

    asked = get_task(task)
    if asked.planned is Task.planned:
        return WINDOW
    planned = asked.planned
    seconds = planned.words / read_figures().pace.words_per_second
    return speed.ItemLength(max(seconds, planned.recorded_seconds or 0.0), planned.letters, planned.options)


def spoken_tokens(task: str) -> float:
    """Tokens of an item's transcript."""
    return planned_length(task).letters / read_figures().network.letters_per_token


def of_task(study: Study, task: str, clips: float, written: float | None = None, model: str = "") -> Asks:
    """A task's items, asked about so often.

    Args:
        study: The study.
        task: The task.
        clips: How often.
        written: Tokens of an answer; None for those that the task allows.
        model: The speech LLM that hears them.
    """
    vectors = study.model(model).vectors_per_second if model else None
    tokens = study.task(task).max_new_tokens if written is None else written
    return Asks(clips, planned_length(task), tokens, vectors)


def counting_need(megabytes: float, seconds: float, threads: int = 1, start: float = START) -> Need:
    """What it takes to count, draw or train something small beside a process's libraries.

    Args:
        megabytes: Data in memory.
        seconds: Of work on one core.
        threads: Processors.
        start: Minutes before it begins.
    """
    return Need(LIBRARIES / 2 + megabytes, start + seconds / 60, threads)


def counted_billions(source: Source, manifest: Path) -> float | None:
    """Billions of parameters of a model, as its files say.

    Args:
        source: Where its weights come from.
        manifest: Manifest of its resolved weights, which need not exist yet.

    Returns:
        What the manifest counts; of a folder that is not resolved yet, half of its weights' bytes; None where nothing
        is known.
    """
    if manifest.is_file():
        from cascade_equivalence.models.sources.manifest import read_manifest

        try:
            count = read_manifest(manifest).architecture.get("parameters")
        except StudyError:
            count = None  # the node that needs it says what is wrong with it
        return count / BILLION if isinstance(count, int | float) else None
    if isinstance(source, PathSource):
        # `{project}` is followed when weights are resolved; what is shipped with the project says its size.
        files = [path for pattern in WEIGHTS for path in source.path.glob(pattern)]
        return sum(path.stat().st_size for path in files) / 2 / BILLION or None
    return None


def known_billions(study: Study, model: str) -> float | None:
    """Billions of parameters of a model's own weights: of resolved ones as counted, else as its entry or a folder says.

    An adapter's are those of what it changes, too.

    Args:
        study: The study.
        model: The model.

    Returns:
        The size; None where nobody says it.
    """
    if model not in study.known_sizes:
        spec, manifest = study.model(model), Path(resolve.manifest(study, model))
        counted = counted_billions(spec.source, manifest) if manifest.is_file() or spec.billions is None else None
        size = counted or spec.billions
        if size is None:
            # Its weights may be resolved later in this run, and say it then.
            return None
        if spec.base is not None:
            size += sum(known_billions(study, part) or 0.0 for part in (spec.base, study.text_model(spec.base)))
        study.known_sizes[model] = size
    return study.known_sizes[model]


def billions(study: Study, *models: str) -> float:
    """Billions of parameters of some models together: as their weights say, as the registry says, or by role."""
    named = dict.fromkeys(models)
    return sum(known_billions(study, name) or DEFAULT_BILLIONS[study.model(name).role] for name in named)


def gpus(study: Study, stage: str) -> int:
    """GPUs a node of a stage asks the scheduler for."""
    return 0 if getattr(study.config, stage).device == "cpu" else 1


def asking_need(study: Study, role: str, models: list[str], asked: Asks) -> Need:
    """Of asking a text LLM or a speech LLM, which the settings of answers are for."""
    batch = study.config.answer.batch_size
    return model_need(role, billions(study, *models), asked, batch, bool(gpus(study, "answer")))
