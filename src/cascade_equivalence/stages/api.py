"""The stage in which services answer: what their answers depend on, and what they are going to be asked and cost.

Services are systems behind an API, and the LLMs and recognisers of cascades that an endpoint runs.
"""

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.conditions import SILENCE
from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import items, speech, transcribe
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.study import Node, Study

if TYPE_CHECKING:
    from cascade_equivalence.models.api.estimate import ApiEstimate, Part
    from cascade_equivalence.models.api.system import ApiSystem


def params(study: Study, system: str, task: str) -> dict[str, Any]:
    """What a service's answers depend on, beside what is heard or read; never how fast or with which key."""
    return {
        "system": study.apis[system].identity(),
        "system_prompt": study.config.answer.system_prompt,
        "task": study.task(task).asked(),
        "code": code_fingerprint("answer_api", *code_of(task)),
    }


def service(study: Study, system: str) -> "ApiSystem":
    """What answers for a system, with what its jobs share."""
    from cascade_equivalence.models.api.system import ApiSystem

    spec, config, folder = study.apis[system], study.config.api, study.store("api")
    return ApiSystem(system, spec, config, folder, "speech-llm" if study.system(system).kind == "api" else "llm")


def recogniser(study: Study, asr: str) -> "ApiSystem":
    """A recogniser that an endpoint runs, with what its jobs share."""
    from cascade_equivalence.models.api.system import ApiSystem

    return ApiSystem(asr, study.recogniser_services[asr], study.config.api, study.store("api"), "asr")


def is_asked(study: Study) -> bool:
    """Whether the study asks any service."""
    return bool(study.apis or study.recogniser_services)


def estimate(study: Study) -> "ApiEstimate":
    """What services are going to be asked and cost at most: from clips and transcripts where there are any, else texts.

    Raises:
        StudyError: The items of a task cannot be read.
    """
    from cascade_equivalence.models.api.estimate import ApiEstimate

    heard = [(asr, node) for asr in study.recogniser_services for node in study.heard_nodes(asr)]
    parts = [_heard_part(study, asr, node) for asr, node in heard]
    parts += [_part(study, system, node) for system in study.apis for node in study.asked_nodes(system)]
    used = (0, 0.0)
    if is_asked(study):
        first = next(iter(study.apis), None)
        asked = recogniser(study, next(iter(study.recogniser_services))) if first is None else service(study, first)
        ledger = asked.ledger()
        used = ledger.used() if ledger.path.exists() else used
    return ApiEstimate(tuple(parts), study.config.api.budget, used)


def check_keys(study: Study, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to begin without the keys that are going to be needed.

    Raises:
        StudyError: A system has something to ask, and its key is not in the environment.
    """
    from cascade_equivalence.models.api.keys import is_offline, missing_keys

    services = {**study.recogniser_services, **study.apis}
    if not missing_keys(services, environ) or is_offline(study.config.api, environ):
        return
    asking = estimate(study).asking
    if lines := missing_keys({name: services[name] for name in asking}, environ):
        raise StudyError("\n".join(lines))


def _part(study: Study, system: str, node: Node) -> "Part":
    from cascade_equivalence.config.study import GIVEN, ORACLE, Typed
    from cascade_equivalence.models.api.costs import output_limit
    from cascade_equivalence.models.api.estimate import expected_part, known_part
    from cascade_equivalence.models.question import Question
    from cascade_equivalence.tasks.prompts import build_messages
    from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

    spec, asked, prompt = study.apis[system], study.task(node.task), study.config.answer.system_prompt
    names = (system, node.task, node.condition)
    known = {item.id: item for item in items.planned(study, node.task)[0]}
    # As many as are heard: which of them they are shows in the clips.
    some = dict(islice(known.items(), study.most_items(node.condition)))
    limit = output_limit(spec, Question((), asked.answer_prefix, {}), asked.max_new_tokens)
    store = study.store("answers", system, node.task, f"{node.condition}.jsonl")
    if isinstance(cascade := study.system(system), Typed):
        read = Path(transcribe.file(study, cascade.asr, node.task, node.condition))
        voices = study.voices_of(node.task, node.condition)
        if not read.exists() and cascade.asr not in GIVEN:
            asks = [build_messages(asked, prompt, item.text, item.options) for item in some.values()]
            return expected_part(names, spec, [("", turns) for turns in asks], limit, len(voices))
        said = cascade.asr == ORACLE and node.condition != SILENCE
        given = [(name, item.text if said else "") for name, item in some.items() for _ in voices]
        rows = [(name, text) for name, text in _texts(read) if name in known] if read.exists() else given
        texts = [build_messages(asked, prompt, text, known[name].options) for name, text in rows]
        written = [Question(tuple(turns), asked.answer_prefix, {}) for turns in texts]
        return known_part(names, spec, written, asked.max_new_tokens, store)
    messages = {name: build_messages(asked, prompt, AUDIO_PLACEHOLDER, item.options) for name, item in known.items()}
    voices = study.voices_of(node.task, node.condition)
    clips = [Path(speech.file(study, node.task, voice, node.condition)) for voice in voices]
    if not all(path.exists() for path in clips):
        spoken = [(item.text, messages[name]) for name, item in some.items()]
        return expected_part(names, spec, spoken, limit, len(voices))
    questions = [
        Question(tuple(messages[name]), asked.answer_prefix, {}, sound)
        for name, sound in _lengths(clips)
        if name in messages
    ]
    return known_part(names, spec, questions, asked.max_new_tokens, store)


def _heard_part(study: Study, asr: str, node: Node) -> "Part":
    """What a recogniser is going to be asked of one task in one condition."""
    from cascade_equivalence.models.api.estimate import expected_part, known_part
    from cascade_equivalence.models.question import Question

    spec, names = study.recogniser_services[asr], (asr, node.task, node.condition)
    assert spec.max_output_tokens is not None
    voices = study.voices_of(node.task, node.condition)
    clips = [Path(speech.file(study, node.task, voice, node.condition)) for voice in voices]
    if not all(path.exists() for path in clips):
        some = islice(items.planned(study, node.task)[0], study.most_items(node.condition))
        spoken = [(item.text, ()) for item in some]
        return expected_part(names, spec, spoken, spec.max_output_tokens, len(voices))
    questions = [Question((), "", {}, sound) for _, sound in _lengths(clips)]
    store = study.store("transcripts", asr, node.task, f"{node.condition}.jsonl")
    return known_part(names, spec, questions, spec.max_output_tokens, store)


def _texts(transcripts: Path) -> list[tuple[str, str]]:
    """Item and transcript of each row."""
    import polars as pl

    return list(pl.read_parquet(transcripts, columns=["id", "text"]).iter_rows())


def _lengths(clips: list[Path]) -> list[tuple[str, Any]]:
    """Item, hash and seconds of clips, without their sound."""
    import polars as pl

    from cascade_equivalence.models.recording import Recording

    def silent() -> Any:
        raise StudyError("an estimate hears nothing")

    table = pl.read_parquet(clips, columns=["id", "sha256", "seconds"])
    return [(name, Recording(sha256, seconds, silent)) for name, sha256, seconds in table.iter_rows()]
