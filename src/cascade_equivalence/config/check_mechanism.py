"""Checks of the section `mechanism` that types cannot make."""

from collections.abc import Callable, Iterable, Iterator

from cascade_equivalence.config.check_models import model_problems
from cascade_equivalence.config.elsewhere import endpoint_of
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.mechanism import (
    RANDOM,
    AttributionsConfig,
    ErasureConfig,
    MechanismConfig,
    SteeringConfig,
)
from cascade_equivalence.config.names import CONCEPTS, TASKS
from cascade_equivalence.config.study import StudyConfig

VoicesOf = Callable[[str], list[str]]


def mechanism_problems(study: StudyConfig, voices_of: VoicesOf) -> Iterator[str]:
    """Say what is wrong with the models to open; one line a problem.

    Args:
        study: The study; its section may be missing.
        voices_of: Voices that speak a task.
    """
    opened = study.mechanism
    if opened is None:
        return
    yield from _model_problems(study, opened)
    states, erasure = opened.states, opened.erasure
    yield from repeated("mechanism.states.tasks", states.tasks)
    yield from _voice_problems("states.voices", states.voices, states.tasks, voices_of)
    yield from repeated("mechanism.states.voices", states.voices)
    if not states.tasks:
        yield "mechanism.states.tasks: name at least one task"
    if opened.probes.pitch_low >= opened.probes.pitch_high:
        yield "mechanism.probes: pitch_low must be below pitch_high"
    yield from _hearing_problems(study, opened)
    if (patching := opened.patching) is not None:
        yield from _heard_and_read_problems("patching", patching.tasks, patching.voice, voices_of)
        yield from repeated("mechanism.patching.positions", patching.positions)
    if (words := opened.attributions) is not None:
        yield from _heard_and_read_problems("attributions", words.tasks, words.voice, voices_of)
        yield from _transcript_problems(study, words)
    if (steering := opened.steering) is not None:
        yield from _heard_and_read_problems("steering", steering.tasks, steering.voice, voices_of)
        for key in ("strengths", "positions", "concepts", "ranks"):
            yield from repeated(f"mechanism.steering.{key}", getattr(steering, key))
        erased = opened.erasure.concepts if opened.erasure else []
        yield from unknown("mechanism.steering.concepts", steering.concepts, erased, "concept of mechanism.erasure:")
        yield from _random_eraser_problems(steering, erasure)
    if erasure is None:
        return
    yield from repeated("mechanism.erasure.tasks", erasure.tasks)
    yield from repeated("mechanism.erasure.concepts", erasure.concepts)
    yield from repeated("mechanism.erasure.controls", erasure.controls)
    for name in dict.fromkeys(erasure.concepts):
        if CONCEPTS[name].reads and opened.similarity is None:
            yield (
                f"mechanism.erasure.concepts: {name!r} needs what the models read, too: add `similarity: {{}}` to "
                "`mechanism`, or leave it out"
            )
        if CONCEPTS[name].reads and states.positions != "audio":
            yield (
                f"mechanism.erasure.concepts: {name!r} sets the words where they are heard beside the words where they "
                f"are read, and states.positions: {states.positions} keeps the rest of the prompt, too: take audio, or "
                "leave it out"
            )
    if erasure.voice is not None:
        yield from _voice_problems("erasure.voice", [erasure.voice], erasure.tasks, voices_of)


def _hearing_problems(study: StudyConfig, opened: MechanismConfig) -> Iterator[str]:
    known = [study.definitions.models[name] for name in opened.models if name in study.definitions.models]
    if known and all(model.role != "speech-llm" for model in known):
        for key in ("patching", "similarity", "attributions", "steering"):
            if getattr(opened, key) is not None:
                why = "no speech LLM is opened, and only one hears and reads"
                yield f"mechanism.{key}: {why}; leave it out, or open one"


def _heard_and_read_problems(key: str, tasks: list[str], voice: str | None, voices_of: VoicesOf) -> Iterator[str]:
    """Of a part in which speech LLMs hear and read, and log-odds of labels are taken."""
    yield from repeated(f"mechanism.{key}.tasks", tasks)
    for task in dict.fromkeys(tasks):
        if not TASKS[task].labels:
            yield f"mechanism.{key}.tasks: {task} has free answers: of those there are no log-odds; leave it out"
    if voice is not None:
        yield from _voice_problems(f"{key}.voice", [voice], tasks, voices_of)


def _random_eraser_problems(steering: SteeringConfig, erasure: ErasureConfig | None) -> Iterator[str]:
    """Of random erasers beside a concept's: those of `mechanism.erasure` are taken."""
    concepts = [name for name in dict.fromkeys(steering.concepts) if erasure and name in erasure.concepts]
    if erasure is None or not concepts or not steering.draws:
        return
    if RANDOM not in erasure.controls:
        yield (
            f"mechanism.erasure.controls: steering sets {steering.draws} random erasers beside each of its concepts', "
            f"and none are drawn; add {RANDOM!r}, or set `mechanism.steering.draws` to 0"
        )
        return
    for name in concepts:
        if not CONCEPTS[name].matched:
            yield (
                f"mechanism.steering.concepts: {name!r} is a control and has no random erasers of its own; leave it "
                "out, or set `draws` to 0"
            )
        elif steering.draws > (drawn := CONCEPTS[name].draws(erasure)):
            yield (
                f"mechanism.steering.draws: {steering.draws}, but `mechanism.erasure` draws {drawn} random erasers of "
                f"{name!r}; ask for {drawn} at most, or raise `seeds` there (`variance_seeds` for concepts found by "
                "variance)"
            )


def _transcript_problems(study: StudyConfig, words: AttributionsConfig) -> Iterator[str]:
    """Of the recogniser whose transcripts are read, and the Whisper that times words."""
    read = [getattr(study.definitions.systems.get(name), "asr", None) for name in study.systems]
    known = list(dict.fromkeys(name for name in read if name in study.definitions.models))
    yield from unknown("mechanism.attributions.asr", [words.asr], known, "recogniser that a system reads:")
    if words.timing is None and words.asr not in known:
        return
    key = "timing" if words.timing else "asr"
    yield from model_problems(study, f"mechanism.attributions.{key}", words.timing or words.asr, ("asr",))


def _model_problems(study: StudyConfig, opened: MechanismConfig) -> Iterator[str]:
    defined = study.definitions.models
    yield from _choices("models", opened.models, defined, "model")
    # A model whose name is wrong is told once, where it is listed.
    known = opened.models if all(name in defined for name in opened.models) else None
    for key, names in (("layers", opened.layers), ("probes.upsample", opened.probes.upsample)):
        yield from _choices(key, names, names if known is None else known, "opened model")
    for name in opened.models:
        if name not in defined:
            continue
        if defined[name].transcripts is not None:
            yield f"mechanism.models: {name!r} has transcripts in place of weights: there is nothing to open"
        model = defined[name]
        if model.role == "llm":
            yield f"mechanism.models: {name!r} hears nothing; open the speech LLM around it, or an ASR"
            continue
        if endpoint_of(study, name) is not None:
            yield f"mechanism.models: {name!r} is run by an endpoint, which shows nothing of its inside; leave it out"
            continue
        inner = defined.get(model.text_model) if model.text_model else model
        if inner is None:
            continue
        layers = opened.layers.get(name, [])
        yield from repeated(f"mechanism.layers.{name}", layers)
        if not layers and inner.blocks is None:
            yield (
                f"mechanism.layers.{name}: list the layers, or say under models.{model.text_model or name}.blocks how "
                "many blocks there are"
            )
        if inner.blocks is not None and (beyond := [layer for layer in layers if layer >= inner.blocks]):
            last = inner.blocks - 1
            yield f"mechanism.layers.{name}: there is no layer {beyond[0]}; the last of {inner.blocks} is {last}"


def _voice_problems(key: str, voices: Iterable[str], tasks: Iterable[str], voices_of: VoicesOf) -> Iterator[str]:
    """A line a voice that does not speak all of some tasks."""
    for voice in dict.fromkeys(voices):
        if silent := [task for task in dict.fromkeys(tasks) if voice not in voices_of(task)]:
            yield from unknown(
                f"mechanism.{key}", [voice], voices_of(silent[0]), f"voice that speaks {', '.join(silent)}:"
            )


def _choices(key: str, names: Iterable[str], known: Iterable[str], kind: str) -> Iterator[str]:
    """One line for all names that are none of the known ones, and one for each that is repeated."""
    names, known = list(names), list(known)
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if len(missing) > 1:
        yield f"mechanism.{key}: {', '.join(missing)} are no {kind}s; known: {', '.join(sorted(known)) or 'none'}"
    else:
        yield from unknown(f"mechanism.{key}", missing, known, kind)
    yield from repeated(f"mechanism.{key}", names)
