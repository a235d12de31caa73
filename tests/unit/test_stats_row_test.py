"""How often McNemar's test of rows shows a difference that is not there, from the design effect of a comparison."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.stats import equivalence
from cascade_equivalence.stats.clustered import row_test_size
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.paired import Paired


def study(generator: np.random.Generator, texts: int, voices: int, anew: float) -> Paired:
    """Two systems equally often right; in some voices a system is right or wrong anew."""

    def correct() -> np.ndarray:
        of_text = np.repeat(generator.random(texts) < 0.7, voices)
        again = generator.random(texts * voices) < anew
        return np.where(again, generator.random(texts * voices) < 0.7, of_text)

    system, reference = correct(), correct()
    gold = np.zeros(len(system), dtype=np.intp)
    clusters = Clusters(np.repeat(np.arange(texts), voices), texts)
    first, second = (np.where(right, 0, 1).astype(np.intp) for right in (system, reference))
    return Paired(("a", "b", "invalid"), first, second, gold, system, reference, clusters)


@given(alpha=st.floats(0.001, 0.4), effect=st.floats(1, 100))
def test_it_keeps_its_level_without_a_design_effect_and_exceeds_it_with_one(alpha: float, effect: float) -> None:
    assert row_test_size(1.0, alpha) == pytest.approx(alpha)
    assert alpha - 1e-12 <= row_test_size(effect, alpha) <= row_test_size(effect + 1, alpha) < 1


@pytest.mark.parametrize(("voices", "anew"), [(1, 0.0), (6, 0.0), (6, 0.2), (3, 0.5)])
def test_it_is_how_often_the_test_of_rows_rejects(voices: int, anew: float) -> None:
    generator = np.random.default_rng(voices)
    found = [equivalence.tests(study(generator, 300, voices, anew), 0.05) for _ in range(600)]
    # Without the continuity correction that the paper's test has: the formula is that of the plain statistic.
    rejected = np.mean([(each["b"] - each["c"]) ** 2 / (each["b"] + each["c"]) > 3.8415 for each in found])
    sizes = np.array([each["row_test"]["size"] for each in found])
    assert abs(rejected - sizes.mean()) < 3 * (rejected * (1 - rejected) / len(found)) ** 0.5 + 0.01
    assert (sizes.mean() > 0.08) == (voices > 1)


def test_it_is_missing_where_there_is_nothing_to_tell_it_from() -> None:
    generator = np.random.default_rng(0)
    alone = equivalence.tests(study(generator, 1, 6, 0.5), 0.05)["row_test"]
    same = study(generator, 20, 2, 0.0)
    equal = Paired(
        same.categories, same.system, same.system, same.gold, same.system_correct, same.system_correct, same.clusters
    )
    nothing = equivalence.tests(equal, 0.1)["row_test"]
    assert alone == {"alpha": 0.05, "design_effect": None, "size": None}
    assert nothing == {"alpha": 0.1, "design_effect": None, "size": None}
