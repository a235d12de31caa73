"""What holds for every concept, the example of docs/plugins among them, on states in which something is planted."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
from eraser_study import ALPHABET, CONFIG, READS, WORDS, Study, r2, write_study
from registries import names, with_examples

from cascade_equivalence.config.mechanism import DRAWN, ErasureConfig
from cascade_equivalence.config.names import CONCEPTS, ConceptKind
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.mechanism.concept import Columns, Concept
from cascade_equivalence.mechanism.ctc import read_ctc_probe
from cascade_equivalence.mechanism.frame_labels import ProbedFrames
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.moments import read_moments
from cascade_equivalence.mechanism.states import States

pytestmark = pytest.mark.usefixtures("examples")
torch.set_num_threads(1)

# What is read has no labels that could be read off states: see test_mechanism_subspace.
NAMES = [name for name in names(CONCEPTS) if name not in READS]
with with_examples():
    MATCHED = [name for name in NAMES if CONCEPTS[name].matched]
    CONTROLS = [name for name in NAMES if not CONCEPTS[name].matched]
    OF_UTTERANCES = [name for name in NAMES if CONCEPTS[name].columns is not None]
LAYER = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Every word is first in some texts; these have two to four words."""
    rng = np.random.default_rng(1)
    texts = [" ".join([WORDS[n // 4 % len(WORDS)], *rng.choice(WORDS, rng.integers(1, 4))]) for n in range(160)]
    return write_study(tmp_path_factory.mktemp("study"), texts)


@pytest.fixture(scope="module")
def fitted(study: Study, examples: None) -> dict[str, dict[str, Any]]:
    """What the summary says of each concept."""
    del examples
    return {name: study.fit(name) for name in NAMES}


@pytest.fixture(params=NAMES)
def concept(request: pytest.FixtureRequest) -> Concept:
    return CONCEPTS[request.param]


def values_of(study: Study, concept: Concept, table: pl.DataFrame, config: ErasureConfig = CONFIG) -> Columns:
    """Columns of some utterances, each counted once; of a concept of frames, the shares of its labels."""
    if concept.columns is not None:
        return concept.columns(table, config, ALPHABET, np.ones(table.height))
    assert concept.labels is not None
    whole = pl.read_parquet(study.utterances)
    rows = np.flatnonzero(whole["id"].is_in(table["id"].implode()).to_numpy())
    files = study.layers[LAYER]
    frames = ProbedFrames(States(files.states), pl.read_parquet(study.index), rows, read_ctc_probe(files.ctc))
    found = concept.labels(frames, config)
    return Columns(tuple(found.names), found.values, found.reason)


def trained(study: Study) -> pl.DataFrame:
    """Utterances that erasers are fitted on, in the order in which they are."""
    rows = read_moments(study.layers[LAYER].moments).rows
    return pl.read_parquet(study.utterances)[rows]


def targets(study: Study, concept: Concept) -> tuple[np.ndarray, np.ndarray]:
    """ProbedFrames of the train split, and what each is of the concept: its utterance's columns, or its own label."""
    rows, owners = study.train()
    if concept.labels is not None:
        said = read_ctc_probe(study.layers[LAYER].ctc).logits(torch.from_numpy(rows)).argmax(1)
        return rows, torch.nn.functional.one_hot(said.flatten()).double().numpy()
    columns = values_of(study, concept, trained(study))
    place = {name: number for number, name in enumerate(trained(study)["id"])}
    return rows, columns.values[[place[name] for name in owners["id"]]]


def erased(eraser: Eraser, rows: np.ndarray) -> np.ndarray:
    return eraser(torch.from_numpy(rows)).numpy()


# -- columns -----------------------------------------------------------------------------------------------------------


def test_columns_are_as_many_as_their_names_and_finite(study: Study, concept: Concept) -> None:
    table = trained(study)
    found = values_of(study, concept, table)
    assert found.reason is None and found.values.shape == (table.height, len(found.names))
    assert np.isfinite(found.values).all() and (found.values.std(0) > 0).any()
    if found.classes:
        assert set(np.unique(found.values)) == {0, 1} and (found.values.sum(1) == 1).all()
    np.testing.assert_array_equal(values_of(study, concept, table).values, found.values)


# Shuffled labels are another utterance's by intent.
@pytest.mark.parametrize("concept", [name for name in OF_UTTERANCES if name in MATCHED], indirect=True)
def test_an_utterance_has_the_same_row_wherever_it_stands(study: Study, concept: Concept) -> None:
    table = trained(study)
    turned = values_of(study, concept, table[::-1])
    np.testing.assert_allclose(turned.values[::-1], values_of(study, concept, table).values, atol=1e-12)


def test_no_two_concepts_have_the_same_columns(study: Study) -> None:
    found = {name: values_of(study, CONCEPTS[name], trained(study)).values for name in NAMES}
    for one, other in combinations(NAMES, 2):
        assert not np.array_equal(found[one], found[other]), (one, other)


@pytest.mark.parametrize("concept", OF_UTTERANCES, indirect=True)
def test_missing_texts_and_sounds_stay_finite(study: Study, concept: Concept) -> None:
    assert concept.columns is not None
    table = trained(study).with_columns(
        log_f0=pl.lit(None, pl.Float64),
        text=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("")).otherwise(pl.col("text")),
    )
    for some in (table, table[:1]):
        found = concept.columns(some, CONFIG, ALPHABET, np.ones(some.height))
        assert found.values.shape == (some.height, len(found.names)) and np.isfinite(found.values).all()


# -- what it says of itself --------------------------------------------------------------------------------------------


def test_it_is_declared_and_known_to_the_config(concept: Concept) -> None:
    assert concept.kind in get_args(ConceptKind) and concept.title and concept.about and concept.directions > 0
    assert [name for name in NAMES if CONCEPTS[name].title == concept.title] == [concept.name]
    assert concept.name not in DRAWN and f'"{concept.name}"' in str(json_schema()).replace("'", '"')
    assert ErasureConfig.model_validate({"concepts": [concept.name]}).concepts == [concept.name]
    if not concept.matched:
        assert CONCEPTS[concept.control_of].matched and concept.fitted and concept.brief


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_what_it_controls_for_in_another_order(name: str, study: Study) -> None:
    own, of = (values_of(study, CONCEPTS[each], trained(study)) for each in (name, CONCEPTS[name].control_of))
    assert own.names == of.names and not np.array_equal(own.values, of.values)
    np.testing.assert_array_equal(np.sort(own.values, 0), np.sort(of.values, 0))
    other = values_of(study, CONCEPTS[name], trained(study), CONFIG.model_copy(update={"seed": 1}))
    assert not np.array_equal(other.values, own.values)


# -- erasers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_it_can_be_read_linearly_from_erased_states(
    name: str, study: Study, fitted: dict[str, dict[str, Any]]
) -> None:
    rows, values = targets(study, CONCEPTS[name])
    # What does not vary cannot be read, nor erased.
    values = values[:, values.std(0) > 0]
    found, erasers = fitted[name], study.erasers(name)
    before = r2(rows, values)
    assert before > 0.01 and found["rank"] == erasers["linear"].rank == erasers["affine"].rank > 0
    for variant in ("linear", "affine"):
        assert r2(erased(erasers[variant], rows), values) < 0.01 * before, variant
    assert found["probe_before"] == pytest.approx(before, abs=0.05)
    assert found["probe_after"] < 0.01 * found["probe_before"]


@pytest.mark.parametrize("name", NAMES)
def test_controls_have_the_rank_of_their_own_concept_and_leave_it(
    name: str, study: Study, fitted: dict[str, dict[str, Any]]
) -> None:
    found, drawn = (
        fitted[name],
        [f"{control}{draw}" for control in DRAWN for draw in range(CONCEPTS[name].draws(CONFIG))],
    )
    wanted: Sequence[str] = drawn if name in MATCHED else ()
    assert set(found.get("controls", {})) == (set(DRAWN) if name in MATCHED else set())
    for layer in study.layers:
        erasers = study.erasers(name, layer)
        rank = erasers["linear"].rank
        assert set(erasers) == {"linear", "affine", *wanted}
        for control in wanted:
            each = erasers[control]
            assert each.rank == rank and each.bias is None
            torch.testing.assert_close(each.right @ each.left, torch.eye(rank), rtol=1e-4, atol=1e-5)
    if name in MATCHED:
        assert found["controls"]["random"]["probe_after"] > 0.5 * found["probe_before"]
        rows, _ = study.train()
        left = {tuple(erased(study.erasers(name)[control], rows[:1])[0]) for control in wanted}
        assert len(left) == len(wanted), "no two draws are the same"


@pytest.mark.parametrize("pooling", ["frame", "utterance"])
@pytest.mark.parametrize("shrinkage", [False, True])
def test_studies_with_fewer_utterances_than_dimensions_work(
    tmp_path_factory: pytest.TempPathFactory, pooling: str, shrinkage: bool
) -> None:
    texts = [f"{WORDS[n % 3]} {WORDS[n % 8]}" for n in range(12)]
    small = write_study(tmp_path_factory.mktemp("small"), texts, 64, [3])
    for name in NAMES:
        found = small.fit(name, ErasureConfig(pooling=pooling, shrinkage=shrinkage, seeds=2))
        if found.get("reason") is not None:
            assert found["rank"] == 0, name
            continue
        assert 0 <= found["probe_after"] <= found["probe_before"] + 1e-9 <= 1 + 1e-6, name
        for eraser in small.erasers(name).values():
            assert eraser.rank == found["rank"] and torch.isfinite(eraser(torch.randn(3, 64))).all()
