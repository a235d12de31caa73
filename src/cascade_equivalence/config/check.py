"""Checks of a whole study that types cannot make: names of things that do not exist, combinations that cannot work."""

import math
from collections.abc import Hashable, Iterator, Sequence

from cascade_equivalence.conditions import NOISE_KINDS
from cascade_equivalence.config.check_conflict import conflict_problems
from cascade_equivalence.config.check_folders import folder_problems
from cascade_equivalence.config.check_mechanism import mechanism_problems
from cascade_equivalence.config.check_models import (
    adapter_problems,
    connector_problems,
    model_problems,
    system_problems,
)
from cascade_equivalence.config.check_noise import noise_problems, noises_of_voices
from cascade_equivalence.config.check_prompts import prompt_problems
from cascade_equivalence.config.elsewhere import answers_elsewhere, service_problems
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.names import TASKS, VOICES
from cascade_equivalence.config.paper import paper_problems
from cascade_equivalence.config.repeats import repeat_problems
from cascade_equivalence.config.sources import has_silence
from cascade_equivalence.config.spoken import clean_voices, own_voices
from cascade_equivalence.config.study import E2ESpec, ImplicitSpec, StudyConfig, SystemSpec, Typed


def problems(study: StudyConfig) -> Iterator[str]:
    """Say what is wrong with a study whose sections are each valid; one line a problem."""
    yield from folder_problems(study)
    yield from _name_problems(study)
    yield from _repetitions(study)
    yield from system_problems(study)
    yield from service_problems(study)
    yield from connector_problems(study)
    yield from adapter_problems(study)
    yield from _engine_problems(study)
    if study.items.source == "demo" and study.items.folder is not None:
        yield "items.folder: the demo's items come with the project; leave it out, or set items.source to published"
    yield from _task_problems(study)
    yield from noise_problems(study.noise, study.speech.voices)
    yield from _prosody_problems(study)
    yield from _silence_problems(study)
    yield from _statistics_problems(study)
    yield from repeat_problems(study)
    yield from _surplus_problems(study)
    yield from conflict_problems(study)
    opened = study.mechanism.models if study.mechanism else []
    yield from paper_problems(study.paper, study.systems, opened, own_items=study.items.source == "demo")
    yield from mechanism_problems(study, lambda task: clean_voices(study, task))
    if study.transcribe.engine == "openai-whisper" and study.transcribe.dtype == "int8":
        yield "transcribe.dtype: openai-whisper has no int8; set transcribe.engine to faster-whisper or hybrid"


def _name_problems(study: StudyConfig) -> Iterator[str]:
    defined = study.definitions
    yield from unknown("systems", study.systems, defined.systems, "system")
    yield from unknown("speech.voices", study.speech.voices, defined.voices, "voice")
    yield from unknown("speech.prosody_voices", study.speech.prosody_voices, defined.voices, "voice")
    yield from unknown("noise.babble_voices", study.noise.babble_voices, defined.voices, "voice")
    yield from unknown("noise.voices", study.noise.voices, study.speech.voices, "spoken voice")
    yield from unknown("noise.systems", study.noise.systems, study.systems, "selected system")
    for index, pair in enumerate(study.pairs):
        if (pair.reference, pair.system) in {(other.system, other.reference) for other in study.pairs[:index]}:
            yield f"pairs.{index}: {pair.system!r} and {pair.reference!r} are compared already, the other way round"
        for side in ("system", "reference"):
            yield from unknown(f"pairs.{index}.{side}", [getattr(pair, side)], study.systems, "selected system")
        if pair.system == pair.reference:
            yield f"pairs.{index}: {pair.system!r} is compared with itself"
    for index, contrast in enumerate(study.contrasts):
        for side in ("system", "first", "second"):
            yield from unknown(f"contrasts.{index}.{side}", [getattr(contrast, side)], study.systems, "selected system")
        if len({contrast.system, contrast.first, contrast.second}) < 3:  # noqa: PLR2004
            yield f"contrasts.{index}: name three different systems"
    yield from unknown("connectors", study.connectors, defined.connectors, "connector")
    yield from unknown("adapters", study.adapters, defined.adapters, "voice adapter")


def _statistics_problems(study: StudyConfig) -> Iterator[str]:
    pairs = [f"{pair.system}~{pair.reference}" for pair in study.pairs]
    # An interval ends at percentiles: beyond each of them there must be a draw.
    if study.statistics.draws < (least := math.ceil(2 / (1 - study.statistics.confidence) - 1e-9)):
        yield f"statistics.draws: {study.statistics.draws} are too few for this confidence; take {least} or more"
    yield from unknown("statistics.family_excludes", study.statistics.family_excludes, pairs, "pair")
    yield from repeated("statistics.family_excludes", study.statistics.family_excludes)
    if apart := study.statistics.family_apart:
        yield from unknown("statistics.family_apart.pairs", apart.pairs, pairs, "pair")
        yield from repeated("statistics.family_apart.pairs", apart.pairs)


def _surplus_problems(study: StudyConfig) -> Iterator[str]:
    surplus = study.surplus
    for key, names in (("surplus.tasks", surplus.tasks), ("surplus.voices", surplus.voices)):
        yield from repeated(key, names)
    for task in surplus.tasks:
        if not TASKS[task].labels:
            yield f"surplus.tasks: {task} has free answers: of those there is no entropy to explain; leave it out"
        spoken = clean_voices(study, task)
        yield from unknown("surplus.voices", surplus.voices, spoken, f"voice that speaks {task}:")
    if surplus.asr is not None:
        yield from model_problems(study, "surplus.asr", surplus.asr, ("asr", "speech-llm"), anywhere=True)
        read = [getattr(study.definitions.systems.get(name), "asr", None) for name in study.systems]
        if surplus.tasks and surplus.asr in study.definitions.models and surplus.asr not in read:
            known = ", ".join(dict.fromkeys(name for name in read if name in study.definitions.models)) or "none"
            yield f"surplus.asr: no system of the study reads transcripts of {surplus.asr!r}; read are: {known}"
    if surplus.pitch_low >= surplus.pitch_high:
        yield "surplus: pitch_low must be below pitch_high"


def _repetitions(study: StudyConfig) -> Iterator[str]:
    lists: dict[str, Sequence[Hashable]] = {
        "registry": study.registry,
        "tasks": study.tasks,
        "systems": study.systems,
        "pairs": [f"{pair.system} ~ {pair.reference}" for pair in study.pairs],
        "contrasts": [" ~ ".join((contrast.system, contrast.first, contrast.second)) for contrast in study.contrasts],
        "speech.voices": study.speech.voices,
        "speech.prosody_voices": study.speech.prosody_voices,
        **{f"noise.{NOISE_KINDS[kind].levels_key}": levels for kind, levels in study.noise.levels().items()},
        "noise.voices": study.noise.voices,
        "noise.tasks": study.noise.tasks,
        "noise.systems": study.noise.systems,
        "noise.babble_voices": study.noise.babble_voices,
    }
    for key, names in lists.items():
        yield from repeated(key, names)


def _silence_problems(study: StudyConfig) -> Iterator[str]:
    chosen = [study.definitions.systems[name] for name in study.systems if name in study.definitions.systems]
    silent = [spec for spec in chosen if not isinstance(spec, ImportedSpec) and not _without_silence(study, spec)]
    if study.speech.silence and chosen and not silent:
        yield (
            "speech.silence: no system of the study can be asked over silence, as all answered or were transcribed "
            "elsewhere; leave it out, or add a system that hears"
        )


def _without_silence(study: StudyConfig, spec: SystemSpec) -> bool:
    """Whether a system reads transcripts of another program that has none of silence."""
    return not has_silence(getattr(spec, "asr", ""), study.definitions.models)


def _engine_problems(study: StudyConfig) -> Iterator[str]:
    yield from unknown("answer.shares", study.answer.shares, study.systems, "selected system")
    for name in study.answer.shares:
        if name in study.definitions.systems and answers_elsewhere(study, name):
            yield f"answer.shares: {name} is not answered here, so there is no job to split; leave it out"
    if study.answer.engine != "transformers" and not any(
        isinstance(study.definitions.systems.get(name), Typed | ImplicitSpec) and not answers_elsewhere(study, name)
        for name in study.systems
    ):
        yield f"answer.engine: {study.answer.engine} runs the text LLMs of cascades, and this study has none here"
    if study.answer.speech_engine == "transformers":
        return
    key = f"answer.speech_engine: {study.answer.speech_engine}"
    if not any(isinstance(study.definitions.systems.get(name), E2ESpec) for name in study.systems):
        yield f"{key} runs speech LLMs, and this study has no system of kind e2e"
    if study.answer.mode != "generate":
        yield f"{key} gives free answers only: set answer.mode to generate, or leave speech LLMs on transformers"


def _task_problems(study: StudyConfig) -> Iterator[str]:
    counts = study.items.per_task
    for task in study.tasks:
        if task in study.definitions.tasks:
            for problem in prompt_problems(task, study.definitions.tasks[task]):
                yield f"tasks.{task}: {problem}"
        else:
            yield f"tasks: {task!r} has no prompt; define it under `tasks:` in a registry file"
        own = own_voices(study, task)
        yield from unknown(f"tasks.{task}.voices", own, study.definitions.voices, "voice")
        yield from repeated(f"tasks.{task}.voices", own)
        if own and task in study.noise.tasks and (strange := [name for name in study.noise.voices if name not in own]):
            yield (
                f"tasks.{task}.voices: noise is mixed into {', '.join(strange)}, which does not speak {task}; name "
                "voices of the task in noise.voices, or leave the task out of noise.tasks"
            )
        if not isinstance(counts, int) and task not in counts:
            yield f"items.per_task: there is no number for {task}; give one, or one number for all tasks"
        if not isinstance(study.items.max_words, int) and task not in study.items.max_words:
            yield f"items.max_words: there is no number for {task}; give one, or one number for all tasks"
        if study.answer.mode == "forced_choice" and not TASKS[task].labels:
            yield f"answer.mode: forced_choice needs labels to choose from; {task} has free answers, so leave it out"


def _prosody_problems(study: StudyConfig) -> Iterator[str]:
    if study.items.source != "demo":
        return
    speech, noise, defined = study.speech, study.noise, study.definitions
    asked = [task for task in TASKS if task in study.tasks and TASKS[task].styles]
    if asked and not speech.prosody_voices:
        yield f"speech.prosody_voices: the demo's items of {' and '.join(asked)} need voices that control prosody"
    for voice in speech.prosody_voices if asked else []:
        if voice in defined.voices and not VOICES[provider := defined.voices[voice].provider].prosody:
            yield f"speech.prosody_voices: {voice!r} is of provider {provider!r}, which has no prosody"
    if not any(noise.levels().values()) or not set(asked) & set(noise.tasks):
        return
    babble = noise.babble_voices or speech.voices if noises_of_voices(noise) else []
    for key, voices in (("noise.voices", noise.voices), ("noise.babble_voices", babble)):
        if others := [voice for voice in voices if voice not in speech.prosody_voices]:
            yield (
                f"{key}: {', '.join(others)} cannot speak the demo's items of {' and '.join(asked)}; take voices of "
                "speech.prosody_voices, or leave these tasks out of noise.tasks"
            )
