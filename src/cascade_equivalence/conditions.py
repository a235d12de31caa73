"""Names of conditions: `clean`, or a kind of noise and its level in one word, such as `snr10`; made and parsed here.

`snr10` is babble at 10 dB (the paper's noise), `music10` music and `stationary10` stationary noise at 10 dB, and
`reverb600` a room with a reverberation time (RT60) of 600 ms. How the names of a kind begin, and what its levels are,
the kind says itself; this module alone knows how names are made of both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from cascade_equivalence.errors import StudyError
from cascade_equivalence.registry import Registry

if TYPE_CHECKING:
    from cascade_equivalence.speech.noise_kinds.base import NoiseKind

CLEAN = "clean"
SILENCE = "silence"
"""Clips of silence, as long as the spoken ones: what is answered there is owed to the prompt alone."""
NOISE_KINDS: "Registry[NoiseKind]" = Registry(
    "noise kind", home="cascade_equivalence.speech.noise_kinds.registry", unique="prefix"
)
"""The kinds, in the order in which a reader sees them."""


@dataclass(frozen=True)
class Scale:
    """What the levels of a kind of noise are counted in.

    Attributes:
        word: What a level is, such as ``signal-to-noise ratio``.
        short: The same on an axis, such as ``SNR``.
        unit: Its unit, such as ``dB``.
        least: Lowest level that a config can ask for.
        most: Highest.
        rising: Whether a higher level is harder to hear.
        whole: Whether only whole numbers above 0 are levels.
        digits: Decimals of a level that was computed.
        apart: How far clean speech stands from a level that is alone, on an axis.
        link: The word before a level in a sentence: noise ``at`` 10 dB, reverberation ``of`` 600 ms.
        column: Column of the tidy tables that holds the level; None where none does, and it stands in the condition's
            name only.
    """

    word: str
    short: str
    unit: str
    least: float
    most: float
    rising: bool
    whole: bool = False
    digits: int = 1
    apart: float = 1.0
    link: str = "at"
    column: Literal["snr_db", "rt60_ms"] | None = None

    @property
    def milder(self) -> str:
        """The sign of a level that is only known to be milder than another."""
        return "<" if self.rising else ">"

    def check(self, level: float) -> None:
        """Refuse what is no level.

        Raises:
            StudyError: It is none.
        """
        if self.whole and not (level > 0 and level.is_integer()):
            raise StudyError(f"A {self.word} must be a whole number of {self.unit} above 0, not {level}.")
        if not math.isfinite(level):
            raise StudyError(f"A {self.word} must be a finite number of {self.unit}, not {level}.")


# Beyond 200 dB either the speech or the noise has left every number that sound is kept in.
RATIO = Scale("signal-to-noise ratio", "SNR", "dB", -200, 200, rising=False, apart=5.0, column="snr_db")
"""Of what is mixed with the speech."""
# The shortest and the longest that the simulated rooms can have.
RT60 = Scale(
    *("reverberation time", "RT60", "ms", 200, 1200),
    rising=True,
    whole=True,
    digits=0,
    apart=200.0,
    link="of",
    column="rt60_ms",
)
"""Of rooms."""


@dataclass(frozen=True)
class Condition:
    """What the audio went through.

    Attributes:
        kind: Kind of noise; None for clean speech, and for silence.
        level: Its level, such as a signal-to-noise ratio in dB; None where there is no noise.
        is_silent: Whether nothing is said.
    """

    kind: str | None = None
    level: float | None = None
    is_silent: bool = False

    @property
    def scale(self) -> Scale | None:
        """What the level is counted in; None for clean speech."""
        return None if self.kind is None else NOISE_KINDS.find(self.kind).scale

    @property
    def snr_db(self) -> float | None:
        """Signal-to-noise ratio in dB; None where there is none."""
        return self._in("snr_db")

    @property
    def rt60_ms(self) -> float | None:
        """Reverberation time in ms; None where there is no room."""
        return self._in("rt60_ms")

    @property
    def severity(self) -> float:
        """Larger for what is harder to hear; only within a kind. Clean speech comes before all."""
        if self.level is None or self.scale is None:
            return -math.inf
        return self.level if self.scale.rising else -self.level

    def _in(self, column: str) -> float | None:
        return self.level if self.scale is not None and self.scale.column == column else None


def condition_name(level: float, kind: str = "babble") -> str:
    """Name of a condition: ``snr10``, ``snr-5``, ``music2.5``, ``reverb600``.

    Args:
        level: The level: of most kinds a signal-to-noise ratio in dB, any finite number; of ``reverb`` the RT60 in
            whole ms, above 0.
        kind: Kind of noise.

    Returns:
        The shortest decimal notation, so that two conditions never share a name.

    Raises:
        StudyError: If there is no such level or kind.
    """
    level, known = float(level), NOISE_KINDS.find(kind)
    known.scale.check(level)
    return known.prefix + (f"{int(level)}" if level.is_integer() else f"{Decimal(repr(level)):f}")


def parse_condition(name: str) -> Condition:
    """Read a condition off its name.

    Args:
        name: A name as :func:`condition_name` writes it, ``clean``, or ``silence``.

    Raises:
        StudyError: If it is neither. Other spellings of a level (``snr10.0``) are refused: a name is also a path, and
            one condition must not have two.
    """
    if name in (CLEAN, SILENCE):
        return Condition(is_silent=name == SILENCE)
    for kind in NOISE_KINDS.values():
        if not name.startswith(kind.prefix):
            continue
        try:
            level = float(name.removeprefix(kind.prefix))
            written = condition_name(level, kind.name)
        except (ValueError, StudyError):
            # What begins like this kind may be of another, whose prefix is longer.
            continue
        if written != name:
            raise StudyError(f"Write the condition {name!r} as {written!r}.")
        return Condition(kind.name, level)
    forms = "; ".join(f"for {kind.example[1]}, {kind.example[0]!r}" for kind in NOISE_KINDS.values())
    raise StudyError(f"There is no condition {name!r}: write {CLEAN!r} or, {forms}.")


def sort_conditions(names: Iterable[str]) -> list[str]:
    """Conditions, each once, in a reader's order: clean, kind by kind from the mildest to the hardest, silence."""
    kinds = list(NOISE_KINDS)

    def rank(name: str) -> tuple[int, float]:
        found = parse_condition(name)
        if found.is_silent:
            return len(kinds), 0.0
        return (-1 if found.kind is None else kinds.index(found.kind)), found.severity

    return sorted(set(names), key=rank)


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """The noisy ones of some conditions by kind, each from the mildest to the hardest; kinds in a reader's order."""
    found: dict[str, list[str]] = {}
    for name in sort_conditions(names):
        if (kind := parse_condition(name).kind) is not None:
            found.setdefault(kind, []).append(name)
    return found
