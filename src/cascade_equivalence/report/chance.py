"""Whether a system is above chance: it is, it is not, or there are too few texts to tell. One rule for the report."""

from collections.abc import Iterable

ABOVE, NOT_ABOVE, UNCLEAR = "above", "not above", "unclear"


def standing(against_chance: str | None) -> str | None:
    """How answers from a closed set stand to chance.

    Args:
        against_chance: What ``stats.accuracy.against_chance`` found; None of open answers, which have no such level.

    Returns:
        ``ABOVE``, ``NOT_ABOVE`` (at it, or below), ``UNCLEAR`` (too few groups to tell), or None.
    """
    if against_chance is None:
        return None
    return {"above": ABOVE, "unknown": UNCLEAR}.get(against_chance, NOT_ABOVE)


def standing_of(accuracy_low: float | None, chance: float | None, against_chance: str | None) -> str:
    """How answers of any kind stand to chance; of open ones, whether they are above zero.

    Args:
        accuracy_low: Lower limit of the accuracy; None where there are too few groups for one.
        chance: 1 / labels; None of open answers.
        against_chance: See ``standing``.
    """
    if chance is not None:
        return standing(against_chance) or UNCLEAR
    return UNCLEAR if accuracy_low is None else ABOVE if accuracy_low > 0 else NOT_ABOVE


def worst(standings: Iterable[str | None]) -> str:
    """How what rests on several systems stands: as the one does of which least can be said."""
    found = set(standings)
    return next((each for each in (NOT_ABOVE, UNCLEAR) if each in found), ABOVE)
