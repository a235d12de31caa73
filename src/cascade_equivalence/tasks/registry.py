"""The tasks of the package, in the paper's order. A new one is a file beside this one and a line here."""

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.tasks.ag_news import AgNews
from cascade_equivalence.tasks.base import Task
from cascade_equivalence.tasks.commonsense_qa import CommonsenseQa
from cascade_equivalence.tasks.meld import Meld
from cascade_equivalence.tasks.mustard import Mustard
from cascade_equivalence.tasks.own import OwnTask
from cascade_equivalence.tasks.sst2 import Sst2
from cascade_equivalence.tasks.trivia_qa import TriviaQa

KIND = Task
DESCRIBED = OwnTask
"""What a config can describe: made of a name and its entry."""
OWN: tuple[Task, ...] = (AgNews(), Sst2(), CommonsenseQa(), Meld(), Mustard(), TriviaQa())


def get_task(name: str) -> Task:
    """Look a task up.

    Raises:
        StudyError: If there is none of that name.
    """
    return TASKS.find(name)


__all__ = ["TASKS", "get_task"]
