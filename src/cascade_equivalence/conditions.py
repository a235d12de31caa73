"""Names of what the audio went through: `clean`, or a kind of noise and its level in one plain word.

`snr10` is babble at 10 dB (the paper's noise), `music10` music and `stationary10` stationary noise at 10 dB, and
`reverb600` a room with a reverberation time (RT60) of 600 ms. This module alone knows how the names are made.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cascade_equivalence.errors import StudyError

Kind = Literal["babble", "music", "stationary", "reverb"]
Unit = Literal["dB", "ms"]

CLEAN = "clean"
PREFIXES: dict[Kind, str] = {"babble": "snr", "music": "music", "stationary": "stationary", "reverb": "reverb"}
"""How the names of each kind begin, in the order in which a reader sees the kinds."""


@dataclass(frozen=True)
class Condition:
    """What the audio went through.

    Attributes:
        kind: Kind of noise; None for clean speech.
        level: Signal-to-noise ratio in dB, or reverberation time (RT60) in ms; None for clean speech.
    """

    kind: Kind | None = None
    level: float | None = None

    @property
    def snr_db(self) -> float | None:
        """Signal-to-noise ratio in dB; None where there is none."""
        return None if self.kind == "reverb" else self.level

    @property
    def rt60_ms(self) -> float | None:
        """Reverberation time in ms; None where there is no room."""
        return self.level if self.kind == "reverb" else None

    @property
    def unit(self) -> Unit:
        """What the level is counted in."""
        return "ms" if self.kind == "reverb" else "dB"

    @property
    def severity(self) -> float:
        """Larger for what is harder to hear; only within a kind. Clean speech comes before all."""
        if self.level is None:
            return -math.inf
        return self.level if self.kind == "reverb" else -self.level


def condition_name(level: float, kind: Kind = "babble") -> str:
    """Name of a condition: ``snr10``, ``snr-5``, ``music2.5``, ``reverb600``.

    Args:
        level: Signal-to-noise ratio in dB, any finite number; of ``reverb`` the RT60 in whole ms, above 0.
        kind: Kind of noise.

    Returns:
        The shortest decimal notation, so that two conditions never share a name.

    Raises:
        StudyError: If there is no such level.
    """
    level = float(level)
    if kind == "reverb" and not (level > 0 and level.is_integer()):
        raise StudyError(f"A reverberation time must be a whole number of ms above 0, not {level}.")
    if not math.isfinite(level):
        raise StudyError(f"A signal-to-noise ratio must be a finite number of dB, not {level}.")
    return PREFIXES[kind] + (f"{int(level)}" if level.is_integer() else f"{Decimal(repr(level)):f}")


def parse_condition(name: str) -> Condition:
    """Read a condition off its name.

    Args:
        name: A name as :func:`condition_name` writes it, or ``clean``.

    Raises:
        StudyError: If it is neither. Other spellings of a level (``snr10.0``) are refused: a name is also a path, and
            one condition must not have two.
    """
    if name == CLEAN:
        return Condition()
    for kind, prefix in PREFIXES.items():
        if not name.startswith(prefix):
            continue
        try:
            level = float(name.removeprefix(prefix))
            written = condition_name(level, kind)
        except (ValueError, StudyError):
            break
        if written != name:
            raise StudyError(f"Write the condition {name!r} as {written!r}.")
        return Condition(kind, level)
    raise StudyError(
        f"There is no condition {name!r}: write {CLEAN!r} or, for 10 dB of babble, {PREFIXES['babble'] + '10'!r}; of "
        "music, 'music10'; of stationary noise, 'stationary10'; for a room with an RT60 of 600 ms, 'reverb600'."
    )


def sort_conditions(names: Iterable[str]) -> list[str]:
    """Conditions, each once, in a reader's order: clean, then kind by kind from the mildest to the hardest."""
    kinds = list(PREFIXES)

    def rank(name: str) -> tuple[int, float]:
        found = parse_condition(name)
        return (-1 if found.kind is None else kinds.index(found.kind)), found.severity

    return sorted(set(names), key=rank)


def families(names: Iterable[str]) -> dict[Kind, list[str]]:
    """The noisy ones of some conditions by kind, each from the mildest to the hardest; kinds in a reader's order."""
    found: dict[Kind, list[str]] = {}
    for name in sort_conditions(names):
        if (kind := parse_condition(name).kind) is not None:
            found.setdefault(kind, []).append(name)
    return found
