"""What cannot work in the section that opens models."""

from collections.abc import Callable, Iterable, Iterator

from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.mechanism import MechanismConfig
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
    yield from _choices("states.tasks", states.tasks, study.tasks, "selected task")
    for task in states.tasks:
        yield from _choices("states.voices", states.voices, voices_of(task), f"voice that speaks {task}:")
    if not states.tasks:
        yield "mechanism.states.tasks: name at least one task"
    if opened.probes.pitch_low >= opened.probes.pitch_high:
        yield "mechanism.probes: pitch_low must be below pitch_high"
    if erasure is None:
        return
    yield from _choices("erasure.tasks", erasure.tasks, study.tasks, "selected task")
    yield from repeated("mechanism.erasure.concepts", erasure.concepts)
    yield from repeated("mechanism.erasure.controls", erasure.controls)
    if erasure.voice is not None:
        for task in set(erasure.tasks) & set(study.tasks):
            yield from _choices("erasure.voice", [erasure.voice], voices_of(task), f"voice that speaks {task}:")


def _model_problems(study: StudyConfig, opened: MechanismConfig) -> Iterator[str]:
    defined = study.definitions.models
    yield from _choices("models", opened.models, defined, "model")
    yield from _choices("layers", opened.layers, opened.models, "opened model")
    yield from _choices("probes.upsample", opened.probes.upsample, opened.models, "opened model")
    for name in opened.models:
        if name not in defined:
            continue
        model = defined[name]
        if model.role == "llm":
            yield f"mechanism.models: {name!r} hears nothing; open the speech LLM around it, or an ASR"
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


def _choices(key: str, names: Iterable[str], known: Iterable[str], kind: str) -> Iterator[str]:
    names = list(names)
    yield from unknown(f"mechanism.{key}", names, known, kind)
    yield from repeated(f"mechanism.{key}", names)
