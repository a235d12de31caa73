"""Claims on the inside of models are one family, whose p-values are those of the intervals they rest on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cascade_equivalence.report.finding import NECESSARY, Finding
from cascade_equivalence.report.outcomes import FAILS, HOLDS, UNTOLD
from cascade_equivalence.report.verdict_claims import Sides, corrected, either, every

P = st.one_of(st.none(), st.integers(0, 1000).map(lambda share: share / 1000))


@given(st.lists(st.tuples(P, st.sampled_from([HOLDS, FAILS, UNTOLD])), max_size=20))
def test_what_does_not_pass_the_correction_cannot_be_told(claims: list[tuple[float | None, str]]) -> None:
    found = [Finding("m", NECESSARY, "s", "", outcome, "numbers", p=p) for p, outcome in claims]
    tested = [p for p, _ in claims if p is not None]
    adjusted = iter(stats.false_discovery_control(tested) if tested else [])
    for before, after in zip(found, corrected(found, 0.05), strict=True):
        p = None if before.p is None else next(adjusted)
        assert after.p_adjusted == (None if p is None else pytest.approx(p))
        passes = p is None or p <= 0.05
        assert after.outcome == (before.outcome if passes else UNTOLD)
        assert (after.why == before.why) == (passes or before.outcome == UNTOLD)


@given(st.floats(-5, 5), st.floats(0.01, 2), st.floats(-5, 5), st.sampled_from([0.9, 0.95]))
def test_a_p_value_and_its_interval_say_the_same(value: float, reach: float, bound: float, level: float) -> None:
    sides = Sides(value, value - reach, value + reach, level)
    if abs(abs(value - bound) - reach) < 1e-6:
        return
    assert (sides.above(bound) < 1 - level) == (value - reach > bound)
    assert (sides.below(bound) < 1 - level) == (value + reach < bound)


def test_all_are_needed_or_one_is_enough() -> None:
    assert every(0.1, 0.2) == 0.2 and every(0.1, None) is None and every() is None
    assert either(0.1, 0.2) == 0.1 and either(0.1, None) == 0.1 and either(None) is None
    assert Sides(None, None, None, 0.95).above(0) is None
