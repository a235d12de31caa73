"""Names of what the audio went through: `clean`, or `snr` and the signal-to-noise ratio in dB."""

import math
from decimal import Decimal

from cascade_equivalence.errors import StudyError

CLEAN = "clean"
PREFIX = "snr"


def condition_name(snr_db: float) -> str:
    """Name of a noise condition: ``snr10``, ``snr0``, ``snr-5``, ``snr2.5``.

    Args:
        snr_db: Signal-to-noise ratio in dB; any finite number.

    Returns:
        The shortest decimal notation, so that two ratios never share a name.

    Raises:
        StudyError: If the ratio is no finite number.
    """
    if not math.isfinite(snr_db):
        raise StudyError(f"A signal-to-noise ratio must be a finite number of dB, not {snr_db}.")
    snr_db = float(snr_db)
    return f"{PREFIX}{int(snr_db)}" if snr_db.is_integer() else f"{PREFIX}{Decimal(repr(snr_db)):f}"


def parse_condition(name: str) -> float | None:
    """Signal-to-noise ratio of a condition, in dB; None for ``clean``.

    Args:
        name: A name as :func:`condition_name` writes it, or ``clean``.

    Raises:
        StudyError: If it is neither. Other spellings of a ratio (``snr10.0``) are refused: a name is also a path, and
            one condition must not have two.
    """
    if name == CLEAN:
        return None
    try:
        snr_db = float(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else math.nan
    except ValueError:
        snr_db = math.nan
    if not math.isfinite(snr_db):
        raise StudyError(f"There is no condition {name!r}: write {CLEAN!r} or, for 10 dB of noise, {PREFIX + '10'!r}.")
    if condition_name(snr_db) != name:
        raise StudyError(f"Write the condition {name!r} as {condition_name(snr_db)!r}.")
    return snr_db
