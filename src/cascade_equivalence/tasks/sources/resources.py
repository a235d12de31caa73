"""The project's files about published sets: where they come from, and what is wrong with their recordings."""

from dataclasses import dataclass
from pathlib import Path

from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.sources.exclusions import Exclusions, read_exclusions
from cascade_equivalence.tasks.sources.pins import SetPin, pin_of, read_set_pins


@dataclass(frozen=True)
class SetResources:
    """What the project knows of one published set.

    Attributes:
        pin: Its sources and contents.
        exclusions: Its known faults; empty for most sets.
    """

    pin: SetPin
    exclusions: Exclusions


UNKNOWN = SetPin.model_construct(licence="not known", texts=[], expected=[], recordings=None)
"""Of a task that is not the package's and says nothing of its set: there is nothing to fetch or to compare with."""

NOTHING_KNOWN = SetResources(UNKNOWN, Exclusions(Path()))
"""Of a task that is read from a data set of the user's choice."""


def sets_file(resources: Path) -> Path:
    """The list of sources."""
    return resources / "sets.yaml"


def exclusions_file(task: str, resources: Path) -> Path:
    """The list of a set's known faults; it need not exist."""
    return resources / "exclusions" / f"{task}.csv"


def read_resources(task: str, resources: Path) -> SetResources:
    """Read what the project knows of a set.

    Args:
        task: The set.
        resources: The project's folder of resources.

    Raises:
        StudyError: If the set is unknown, or a file is not as it should be.
    """
    path = sets_file(resources)
    if resources != RESOURCES and not path.is_file():
        return SetResources(UNKNOWN, read_exclusions(exclusions_file(task, resources), "test"))
    pin = pin_of(task, read_set_pins(path), path)
    split = pin.recordings.split if pin.recordings else "test"
    return SetResources(pin, read_exclusions(exclusions_file(task, resources), split))
