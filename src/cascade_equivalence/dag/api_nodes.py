"""The nodes of systems behind an API: what they depend on, and what they are going to ask and cost."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.dag.fingerprint import code_fingerprint, code_of
from cascade_equivalence.dag.layout import Node
from cascade_equivalence.dag.set_nodes import SetNodes
from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.models.api.answers import ApiSystem
    from cascade_equivalence.models.api.estimate import Estimate, Part


class ApiNodes(SetNodes):
    """Parameters and costs of the nodes of API systems."""

    def api_params(self, system: str, task: str) -> dict[str, Any]:
        """What an API system's answers depend on, beside what is heard; never how fast or with which key."""
        return {
            "system": self.apis[system].identity(),
            "system_prompt": self.config.answer.system_prompt,
            "task": self.task(task).asked(),
            "code": code_fingerprint("answer_api", *code_of(task)),
        }

    def api_system(self, system: str) -> "ApiSystem":
        """An API system with what its jobs share."""
        from cascade_equivalence.models.api.answers import ApiSystem

        return ApiSystem(system, self.apis[system], self.config.api, self.store("api"))

    def estimate(self) -> "Estimate":
        """What the study's API systems are going to ask and cost at most: from clips where there are any, else texts.

        Raises:
            StudyError: The items of a task cannot be read.
        """
        from cascade_equivalence.models.api.estimate import Estimate

        parts = [self._api_part(system, node) for system in self.apis for node in self.nodes_of(system)]
        used = (0, 0.0)
        if self.apis:
            ledger = self.api_system(next(iter(self.apis))).ledger()
            used = ledger.used() if ledger.path.exists() else used
        return Estimate(tuple(parts), self.config.api.budget, used)

    def check_keys(self, environ: Mapping[str, str] = os.environ) -> None:
        """Refuse to begin without the keys that are going to be needed.

        Raises:
            StudyError: A system has something to ask, and its key is not in the environment.
        """
        from cascade_equivalence.models.api.keys import is_offline, missing_keys

        if not missing_keys(self.apis, environ) or is_offline(self.config.api, environ):
            return
        asking = self.estimate().asking
        if lines := missing_keys({name: self.apis[name] for name in asking}, environ):
            raise StudyError("\n".join(lines))

    def _api_part(self, system: str, node: Node) -> "Part":
        from cascade_equivalence.config.study import AUDIO_PLACEHOLDER
        from cascade_equivalence.models.api.costs import output_limit
        from cascade_equivalence.models.api.estimate import expected_part, known_part
        from cascade_equivalence.models.question import Question
        from cascade_equivalence.tasks.prompts import build_messages

        spec, asked, prompt = self.apis[system], self.task(node.task), self.config.answer.system_prompt
        names = (system, node.task, node.condition)
        items = {item.id: item for item in self.planned_items(node.task)[0]}
        messages = {
            name: build_messages(asked, prompt, AUDIO_PLACEHOLDER, item.options) for name, item in items.items()
        }
        voices = self.voices_of(node.task, node.condition)
        clips = [Path(self.clips(node.task, voice, node.condition)) for voice in voices]
        if not all(path.exists() for path in clips):
            limit = output_limit(spec, Question((), asked.answer_prefix, {}), asked.max_new_tokens)
            texts = [(item.text, messages[name]) for name, item in items.items()]
            return expected_part(names, spec, texts, limit, len(voices))
        questions = [
            Question(tuple(messages[name]), asked.answer_prefix, {}, sound)
            for name, sound in _lengths(clips)
            if name in messages
        ]
        store = self.store("answers", system, node.task, f"{node.condition}.jsonl")
        return known_part(names, spec, questions, asked.max_new_tokens, store)


def _lengths(clips: list[Path]) -> list[tuple[str, Any]]:
    """Item, hash and seconds of clips, without their sound."""
    import polars as pl

    from cascade_equivalence.models.recording import Recording

    def silent() -> Any:
        raise StudyError("an estimate hears nothing")

    table = pl.read_parquet(clips, columns=["id", "sha256", "seconds"])
    return [(name, Recording(sha256, seconds, silent)) for name, sha256, seconds in table.iter_rows()]
