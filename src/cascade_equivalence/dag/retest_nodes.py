"""Systems that are asked again as a graph: which, about what, and where their answers and agreement are."""

from dataclasses import dataclass

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.names import VARIANTS
from cascade_equivalence.config.repeats import asked_again
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.dag.set_nodes import SetNodes
from cascade_equivalence.tasks.repeats import AGAIN


@dataclass(frozen=True)
class Retest:
    """A system that is asked again about a task, on clean speech.

    Attributes:
        system: The system.
        variant: What is changed.
        task: The task.
    """

    system: str
    variant: str
    task: str


class RetestNodes(SetNodes):
    """Nodes of systems that are asked again."""

    def retests(self) -> list[Retest]:
        """All that is asked again; none of a task in which the variant cannot change anything."""
        return [Retest(*names) for names in asked_again(self.config)]

    def answers_again(self, system: str, variant: str, task: str) -> str:
        """Answers of a system that is asked again."""
        return self.answers(f"{system}{AGAIN}{variant}", task, CLEAN)

    def retest(self, system: str, variant: str, task: str) -> str:
        """How far a system that is asked again agrees with itself."""
        return self.agreement(f"{system}~{system}{AGAIN}{variant}", task, CLEAN)

    def all_retests(self) -> list[str]:
        """Every file on how far a system agrees with itself."""
        return [self.retest(each.system, each.variant, each.task) for each in self.retests()]

    def asked_with(self, variant: str, task: str) -> TaskSpec:
        """How a task is asked under a variant."""
        from cascade_equivalence.tasks.registry import get_task

        spec = VARIANTS[variant].ask(get_task(task), self.task(task))
        assert spec is not None, f"{variant} changes nothing in {task}"
        return spec

    def changed(self, variant: str, answering: AnswerConfig) -> dict[str, object]:
        """The settings of answers that a variant changes, with their new values.

        Args:
            variant: The variant.
            answering: How the system answers otherwise, its arithmetic resolved.
        """
        after = VARIANTS[variant].configure(answering).model_dump(mode="json")
        return {name: after[name] for name, value in answering.model_dump(mode="json").items() if after[name] != value}
