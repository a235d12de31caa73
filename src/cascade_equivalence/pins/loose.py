"""What the installed package asks for: lower bounds from the pins, so that it fits beside other packages."""

from pathlib import Path

from cascade_equivalence.files import write_text
from cascade_equivalence.pins.families import Families

BASE = "base"


def lower_bound(version: str) -> str:
    """The first version of a pin's series: its first number, or if that is 0 the first two.

    >>> lower_bound("2.13.0"), lower_bound("0.41.0"), lower_bound("20250625")
    ('2', '0.41', '20250625')
    """
    numbers = version.split(".")
    return ".".join(numbers[: 2 if numbers[0] == "0" else 1])


def requirements(sources: Families, extra: str) -> list[str]:
    """What an extra asks for beside the base, or what the base does, as in PEP 508."""
    base = {} if extra == BASE else sources.extras[BASE]
    pins = {package: version for package, version in sources.extras[extra].items() if package not in base}
    return [f"{package}>={lower_bound(version)}" for package, version in sorted(pins.items(), key=_by_name)]


def _by_name(pin: tuple[str, str]) -> str:
    return pin[0].lower()


def loose_path(sources: Families, extra: str) -> Path:
    """Where an extra's lower bounds stand."""
    return sources.folder / "loose" / f"{extra}.txt"


def loose_text(sources: Families, extra: str) -> str:
    """The file of an extra's lower bounds."""
    head = f"# Written by `make locks` from requirements/families.yaml (extras: {extra}) and the pins."
    return "\n".join([head, *requirements(sources, extra)]) + "\n"


def write_loose(sources: Families) -> None:
    """Write the lower bounds of the base and of every extra."""
    for extra in sources.extras:
        path = loose_path(sources, extra)
        path.parent.mkdir(exist_ok=True)
        write_text(path, loose_text(sources, extra))
