"""What a study writes to disk, folder by folder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cascade_equivalence import stages
from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.mechanism import BASELINE
from cascade_equivalence.config.names import CONCEPTS, VOICES
from cascade_equivalence.config.study import E2ESpec
from cascade_equivalence.costs import speed
from cascade_equivalence.costs.figures import Figures
from cascade_equivalence.estimate.texts import TaskSize
from cascade_equivalence.estimate.work import UnknownSizeError, Workload

if TYPE_CHECKING:
    from cascade_equivalence.stages.study import Study

STATE_BYTES = 2
"""States are kept in the model's own arithmetic, bfloat16 on a GPU."""
FACTOR_BYTES = 4
SIDES = 2
"""An eraser is two matrices of its rank by the model's width, in float32, as what is heard is on a processor."""


def disk(study: "Study", spoken: Mapping[str, TaskSize], figures: Figures) -> dict[str, float]:
    """Bytes that a study writes.

    Args:
        study: The study.
        spoken: Its tasks' items, by task.
        figures: Sizes.

    Returns:
        Bytes by folder; tables, figures, logs and comparisons are too small to count. Models of unknown size are left
        out.
    """
    sizes, work = figures.bytes, Workload(study, spoken, figures)
    seconds = {True: 0.0, False: 0.0}
    for node in study.nodes:
        seconds[node.condition == CLEAN] += work.rows(node.task, node.condition) * spoken[node.task].seconds
    heard = [work.rows(node.task, node.condition) for asr in study.asrs for node in study.heard_nodes(asr)]
    asked = work.answers() + work.answers_again()
    found = {
        "models": sum(_own(study, work, model) for model in _models(study)) * speed.BILLION * sizes.weight,
        "sets": _sets(study, spoken, figures),
        "speech (clean)": seconds[True] * sizes.clean_second,
        "speech (noise)": seconds[False] * sizes.noisy_second,
        # What was spoken is kept once more, so that nothing is spoken twice; noise can be mixed again.
        "store/speech": seconds[True] * sizes.clean_second,
        "transcripts": sum(heard) * sizes.transcript,
        "store/transcripts": sum(heard) * sizes.kept_transcript,
        "answers": asked * sizes.answer,
        "store/answers": asked * sizes.kept_answer,
        "store/heard": _heard(study, work),
        **_opened(study, work, figures),
    }
    return {name: size for name, size in found.items() if size}


def service_calls(study: "Study", spoken: Mapping[str, TaskSize]) -> dict[str, int]:
    """Clips that a speech service is asked for, by voice."""
    found: dict[str, int] = {}
    for task in study.config.tasks:
        for voice in dict.fromkeys([*study.voices_of(task), *_in_the_background(study, task)]):
            if VOICES[study.config.definitions.voices[voice].provider].is_service:
                found[voice] = found.get(voice, 0) + spoken[task].items
    return found


def _in_the_background(study: "Study", task: str) -> list[str]:
    """Voices whose clean speech of a task is what others are heard in."""
    return [
        other
        for node in study.nodes
        if node.task == task and node.condition != CLEAN
        for voice in study.voices_of(task, node.condition)
        for other in study.babble_voices(voice)
        if stages.speech.file(study, task, other) in stages.noise.pool(study, task, voice, node.condition)
    ]


def _models(study: "Study") -> list[str]:
    """Every model of the study, each once, with what adapters are put on: their own folders only link to it."""
    names = [model for name in study.config.systems for model in study.answering_models(name)]
    names += [model for asr in study.asrs for model in study.transcribing_models(asr)]
    if study.config.mechanism is not None:
        names += [
            model
            for opened in stages.opened_models.models(study)
            for model in stages.opened_models.weights(study, opened)
        ]
    return list(
        dict.fromkeys(each for name in names for each in (name, *stages.resolve.part_models(study, name).values()))
    )


def _known(work: Workload, model: str) -> float:
    try:
        return work.billions(model)
    except UnknownSizeError:
        return 0.0


def _own(study: "Study", work: Workload, model: str) -> float:
    """Billions of parameters in a model's own files; an adapter's count without what it is put on."""
    return _known(work, model) - sum(_known(work, part) for part in stages.resolve.part_models(study, model).values())


def _sets(study: "Study", spoken: Mapping[str, TaskSize], figures: Figures) -> float:
    """Fetched archives, the recordings that are taken from them, and MUSAN."""
    total = 0.0
    for task in study.config.tasks:
        for voice in study.voices_of(task):
            if stages.sets.extracted(study, task, voice):
                pin = stages.items.known_set(study, task).pin
                total += (pin.recordings.archive.bytes or 0) if pin.recordings else 0
                total += spoken[task].items * spoken[task].seconds * figures.bytes.clean_second
    musan = study.config.noise.musan
    return total + (figures.bytes.musan if musan is not None and musan.archive is not None else 0)


def _heard(study: "Study", work: Workload) -> float:
    """What speech LLMs hear of each clip, where it is kept: once a model, whatever it is asked."""
    places: dict[str, set[tuple[str, str]]] = {}
    for name in study.config.systems:
        if isinstance(spec := study.system(name), E2ESpec):
            places.setdefault(spec.model, set()).update((n.task, n.condition) for n in study.asked_nodes(name))
    for asr in filter(study.is_speech_llm, study.asrs):
        places.setdefault(study.listener(asr), set()).update((n.task, n.condition) for n in study.heard_nodes(asr))
    total = 0.0
    for model, own in places.items():
        text = study.text_model(model)
        across = speed.width(_known(work, text), study.model(text).blocks or 1)
        if study.config.answer.keeps_heard(across):
            seconds = sum(work.rows(task, condition) * work.spoken[task].seconds for task, condition in sorted(own))
            total += seconds * work.vectors(model) * across * FACTOR_BYTES
    return total


def _opened(study: "Study", work: Workload, figures: Figures) -> dict[str, float]:
    """States, moments, erasers and answers under erasure of the models that are opened."""
    found: dict[str, float] = {}
    if study.config.mechanism is None:
        return found
    network, sizes = figures.network, figures.bytes
    heard = sum(count * work.spoken[task].seconds for task, count in work.utterances().items())
    for opened in stages.opened_models.models(study):
        model = stages.opened_models.original(opened)
        speaks, layers = study.is_speech_llm(model), len(stages.opened_models.layers(study, opened))
        share, rate = (1.0, work.vectors(model)) if speaks else (network.encoder_share, network.frames_per_second)
        text = study.text_model(model)
        across = speed.width(share * _known(work, text), study.model(text).blocks or 1)
        _add(found, "states", layers * rate * heard * across * STATE_BYTES)
        if not speaks or opened != model or study.mechanism.erasure is None:
            continue
        _add(found, "moments", layers * across**2 * sizes.moment)
        for concept in stages.erasure.concepts(study):
            erasers = len(study.erasure.affine) + stages.erasure.draws(study, concept)
            directions = 0 if concept == BASELINE else CONCEPTS[concept].directions * erasers
            _add(found, "erasers", layers * directions * SIDES * across * FACTOR_BYTES)
            rows = sum(min(study.erasure.per_task, work.spoken[task].items) for task in study.erasure.tasks)
            rows *= sum(stages.erasure.variants(work.study, concept).values())
            _add(found, "erasure", rows * sizes.erased_answer)
            _add(found, "store/erasure", rows * sizes.kept_erased)
    return found


def _add(found: dict[str, float], name: str, size: float) -> None:
    found[name] = found.get(name, 0.0) + size
