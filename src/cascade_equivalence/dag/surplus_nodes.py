"""The acoustic surplus of tasks as a graph: paths, inputs and what each node depends on."""

from typing import Any

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.dag.fingerprint import code_fingerprint
from cascade_equivalence.dag.mechanism import MechanismNodes


class SurplusNodes(MechanismNodes):
    """Nodes of the tasks whose acoustic surplus is measured."""

    def surplus(self, task: str) -> str:
        """What the audio of a task tells beyond its transcripts."""
        return f"{self.results}/surplus/{task}.json"

    def all_surplus(self) -> list[str]:
        """Every surplus file."""
        return [self.surplus(task) for task in self.config.surplus.tasks]

    def surplus_clips(self, task: str) -> list[str]:
        """Speech that is heard."""
        return [self.clips(task, voice) for voice in self.config.surplus.voices or self.voices_of(task)]

    def surplus_transcripts(self, task: str) -> list[str]:
        """Transcripts that are read; none for the text that was spoken."""
        asr = self.config.surplus.asr
        return [] if asr is None else [self.transcripts(asr, task, CLEAN)]

    def surplus_params(self, task: str) -> dict[str, Any]:
        """What a surplus depends on, beside speech, transcripts and items."""
        settings = self.config.surplus.model_dump(mode="json", exclude={"tasks", "voices"})
        sampling = self.config.statistics.model_dump(mode="json", include={"draws", "confidence"})
        return settings | sampling | {"task": task, "code": code_fingerprint("surplus")}
