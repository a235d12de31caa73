"""The stage in which systems behind an API answer: what they depend on, and what they are going to ask and cost."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stages import items, speech
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.study import Node, Study

if TYPE_CHECKING:
    from cascade_equivalence.models.api.answers import ApiSystem
    from cascade_equivalence.models.api.estimate import ApiEstimate, Part


def params(study: Study, system: str, task: str) -> dict[str, Any]:
    """What an API system's answers depend on, beside what is heard; never how fast or with which key."""
    return {
        "system": study.apis[system].identity(),
        "system_prompt": study.config.answer.system_prompt,
        "task": study.task(task).asked(),
        "code": code_fingerprint("answer_api", *code_of(task)),
    }


def service(study: Study, system: str) -> "ApiSystem":
    """An API system with what its jobs share."""
    from cascade_equivalence.models.api.answers import ApiSystem

    return ApiSystem(system, study.apis[system], study.config.api, study.store("api"))


def estimate(study: Study) -> "ApiEstimate":
    """What the study's API systems are going to ask and cost at most: from clips where there are any, else texts.

    Raises:
        StudyError: The items of a task cannot be read.
    """
    from cascade_equivalence.models.api.estimate import ApiEstimate

    parts = [_part(study, system, node) for system in study.apis for node in study.asked_nodes(system)]
    used = (0, 0.0)
    if study.apis:
        ledger = service(study, next(iter(study.apis))).ledger()
        used = ledger.used() if ledger.path.exists() else used
    return ApiEstimate(tuple(parts), study.config.api.budget, used)


def check_keys(study: Study, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to begin without the keys that are going to be needed.

    Raises:
        StudyError: A system has something to ask, and its key is not in the environment.
    """
    from cascade_equivalence.models.api.keys import is_offline, missing_keys

    if not missing_keys(study.apis, environ) or is_offline(study.config.api, environ):
        return
    asking = estimate(study).asking
    if lines := missing_keys({name: study.apis[name] for name in asking}, environ):
        raise StudyError("\n".join(lines))


def _part(study: Study, system: str, node: Node) -> "Part":
    from cascade_equivalence.config.study import AUDIO_PLACEHOLDER
    from cascade_equivalence.models.api.costs import output_limit
    from cascade_equivalence.models.api.estimate import expected_part, known_part
    from cascade_equivalence.models.question import Question
    from cascade_equivalence.tasks.prompts import build_messages

    spec, asked, prompt = study.apis[system], study.task(node.task), study.config.answer.system_prompt
    names = (system, node.task, node.condition)
    known = {item.id: item for item in items.planned(study, node.task)[0]}
    messages = {name: build_messages(asked, prompt, AUDIO_PLACEHOLDER, item.options) for name, item in known.items()}
    voices = study.voices_of(node.task, node.condition)
    clips = [Path(speech.file(study, node.task, voice, node.condition)) for voice in voices]
    if not all(path.exists() for path in clips):
        limit = output_limit(spec, Question((), asked.answer_prefix, {}), asked.max_new_tokens)
        texts = [(item.text, messages[name]) for name, item in known.items()]
        return expected_part(names, spec, texts, limit, len(voices))
    questions = [
        Question(tuple(messages[name]), asked.answer_prefix, {}, sound)
        for name, sound in _lengths(clips)
        if name in messages
    ]
    store = study.store("answers", system, node.task, f"{node.condition}.jsonl")
    return known_part(names, spec, questions, asked.max_new_tokens, store)


def _lengths(clips: list[Path]) -> list[tuple[str, Any]]:
    """Item, hash and seconds of clips, without their sound."""
    import polars as pl

    from cascade_equivalence.models.recording import Recording

    def silent() -> Any:
        raise StudyError("an estimate hears nothing")

    table = pl.read_parquet(clips, columns=["id", "sha256", "seconds"])
    return [(name, Recording(sha256, seconds, silent)) for name, sha256, seconds in table.iter_rows()]
