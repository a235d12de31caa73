"""All tasks, by name. A new task is one file beside this one and one line here."""

import difflib

from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.ag_news import AgNews
from cascade_equivalence.tasks.base import Task
from cascade_equivalence.tasks.commonsense_qa import CommonsenseQa
from cascade_equivalence.tasks.meld import Meld
from cascade_equivalence.tasks.mustard import Mustard
from cascade_equivalence.tasks.sst2 import Sst2
from cascade_equivalence.tasks.trivia_qa import TriviaQa

TASKS: dict[str, Task] = {
    task.name: task for task in (AgNews(), Sst2(), CommonsenseQa(), TriviaQa(), Meld(), Mustard())
}


def get_task(name: str) -> Task:
    """Look a task up.

    Raises:
        StudyError: If there is none of that name.
    """
    if name in TASKS:
        return TASKS[name]
    close = difflib.get_close_matches(name, TASKS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise StudyError(f"There is no task {name!r}.{hint} Tasks: {', '.join(TASKS)}.")
