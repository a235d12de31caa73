"""Controls of each concept: its rank, draws that stay as they are, and what they leave of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from eraser_study import Study, planted_study, r2, words_of

from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.mechanism.eraser_files import eraser_hash

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return planted_study(tmp_path_factory.mktemp("study"))


def test_random_directions_keep_what_the_concepts_erase(study: Study) -> None:
    found = study.fit("proxy")
    erasers, drawn = study.erasers("proxy"), found["controls"]["random"]
    assert drawn["probe_after"] > 0.6 * found["probe_before"] and drawn["text_decodability"]["after"] > 0.8
    rows, table = study.train()
    left = [r2(erasers[f"random{draw}"](torch.from_numpy(rows)).numpy(), words_of(table)) for draw in range(3)]
    assert drawn["probe_after"] == pytest.approx(np.mean(left), abs=1e-5)
    for draw, share in enumerate(drawn["removed_variances"]):
        gone = rows - erasers[f"random{draw}"](torch.from_numpy(rows)).numpy()
        assert share == pytest.approx(np.var(gone, axis=0).sum() / np.var(rows, axis=0).sum(), rel=1e-4)
    overlap = study.erasers("proxy", 5)["random0"].left.T @ erasers["random0"].left
    assert torch.linalg.norm(overlap, 2) < 0.999


@pytest.mark.parametrize("concept", ["proxy", "acoustic"])
def test_the_principal_control_takes_as_much_variance_as_its_concept(study: Study, concept: str) -> None:
    found = study.fit(concept, ErasureConfig(seeds=60, controls=["principal"]))
    (drawn,) = found["controls"].values()
    assert drawn["target"] == pytest.approx(found["removed_variance"])
    assert drawn["expected"] == pytest.approx(drawn["target"], rel=0.05)
    assert drawn["removed_variance"] == pytest.approx(drawn["target"], rel=0.2)
    assert len(drawn["removed_variances"]) == 60
    study.fit(concept)


def test_more_draws_are_the_same_and_others(study: Study, tmp_path: Path) -> None:
    """What was answered under a draw goes on to hold when there are more of them, or other controls."""
    few, many = (replace(study, folder=tmp_path / name) for name in ("few", "many"))
    few.fit("boc", ErasureConfig(seeds=2, controls=["principal"]))
    many.fit("boc", ErasureConfig(seeds=4))
    one, other = few.erasers("boc"), many.erasers("boc")
    assert set(one) < set(other)
    for name, eraser in one.items():
        assert eraser_hash({3: eraser}) == eraser_hash({3: other[name]})
    assert len({eraser_hash({3: eraser}) for eraser in other.values()}) == len(other)
    assert eraser_hash({3: one["linear"]}) != eraser_hash({4: one["linear"]})
