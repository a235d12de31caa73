"""The tuned lens undoes an affine map that was planted, and leaves the last layer alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import lens as lens_module
from cascade_equivalence.mechanism import tuned_lens
from cascade_equivalence.mechanism.lens import Unembedding
from cascade_equivalence.mechanism.states import States, StatesWriter
from cascade_equivalence.mechanism.tuned_lens import LensFit, TunedLens, fit_tuned_lens, gathered

torch.set_num_threads(1)

WIDTH, VOCABULARY, FRAMES = 24, 60, 1500
TRAIN, VALIDATION, TEST = np.arange(1000), np.arange(1000, 1200), np.arange(1200, FRAMES)


@pytest.fixture(scope="module")
def unembedding() -> Unembedding:
    torch.manual_seed(0)
    shape = {"hidden_size": WIDTH, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, initializer_range=0.4, **shape))
    for weight in model.parameters():
        weight.requires_grad_(False)
    model.model.norm.weight.copy_(torch.rand(WIDTH) + 0.5)
    return Unembedding(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the last layer and of one that is the last one through an invertible affine map, outliers and all."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("states")
    last = torch.randn(FRAMES, WIDTH)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH)).Q * torch.logspace(-0.5, 0.5, WIDTH)
    # One dimension is far larger than the rest, as in real models.
    mapped = (last - 0.3) @ turn * torch.cat([torch.ones(WIDTH - 1), torch.tensor([100.0])]) + 2 * torch.randn(WIDTH)
    for name, states in {"last": last, "mapped": mapped, "noise": torch.randn(FRAMES, WIDTH)}.items():
        with StatesWriter(folder / name, WIDTH, torch.float32, {}) as writer:
            writer.add(states)
    return folder


def fit(folder: Path, unembedding: Unembedding, layer: str = "mapped", steps: int = 250, seed: int = 0) -> LensFit:
    return fit_tuned_lens(States(folder / layer), States(folder / "last"), TRAIN, VALIDATION, unembedding, steps, seed)


def log_probs(unembedding: Unembedding, states: torch.Tensor) -> torch.Tensor:
    return unembedding.logits(states).double().log_softmax(-1)


def test_it_undoes_a_planted_map(folder: Path, unembedding: Unembedding) -> None:
    found = fit(folder, unembedding)
    layer, last = (gathered(States(folder / name), TEST) for name in ("mapped", "last"))
    goal = log_probs(unembedding, last)
    kl, agree = {}, {}
    for name, states in {"plain": layer, "tuned": found.lens(layer)}.items():
        shown = log_probs(unembedding, states)
        kl[name] = float((goal.exp() * (goal - shown)).sum(-1).mean())
        agree[name] = float((shown.argmax(-1) == goal.argmax(-1)).double().mean())
    assert kl["tuned"] < 0.1 * kl["plain"]
    assert agree["plain"] < 0.2
    assert agree["tuned"] > 0.8
    assert found.steps > 0


def test_the_divergences_are_those_of_the_map_that_is_given_back(folder: Path, unembedding: Unembedding) -> None:
    found = fit(folder, unembedding, steps=50)
    layer, last = (gathered(States(folder / name), VALIDATION) for name in ("mapped", "last"))
    goal = log_probs(unembedding, last)
    for states, expected in ((layer, found.plain_kl), (found.lens(layer), found.kl)):
        kl = (goal.exp() * (goal - log_probs(unembedding, states))).sum(-1).mean()
        assert float(kl) == pytest.approx(expected, rel=1e-3)


def test_the_last_layer_is_left_alone(folder: Path, unembedding: Unembedding) -> None:
    found = fit(folder, unembedding, "last")
    states = torch.randn(5, WIDTH)
    assert found.steps == 0 and found.kl == found.plain_kl == pytest.approx(0, abs=1e-6)
    assert torch.equal(found.lens(states), states) and torch.equal(TunedLens.identity(WIDTH)(states), states)


def test_the_same_seed_gives_the_same_map(folder: Path, unembedding: Unembedding) -> None:
    first, again, other = (fit(folder, unembedding, steps=25, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.lens.weight, again.lens.weight) and torch.equal(first.lens.bias, again.lens.bias)
    assert not torch.equal(first.lens.weight, other.lens.weight)


def test_how_many_frames_are_read_at_once_changes_nothing(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(folder, unembedding, steps=5)
    monkeypatch.setattr(lens_module, "BYTES_AT_ONCE", 150 * VOCABULARY * 4)
    parts = fit(folder, unembedding, steps=5)
    torch.testing.assert_close(parts.lens.weight, whole.lens.weight, rtol=1e-2, atol=1e-4)
    assert parts.kl == pytest.approx(whole.kl, rel=1e-3)


def test_training_that_goes_wrong_ends_early_and_leaves_the_lens(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_lens, "LEARNING_RATE", 1e4)
    validations: list[float] = []
    make = tuned_lens._validation

    def counted(*given: Any) -> Callable[[nn.Module], float]:
        measure = make(*given)

        def one(lens: nn.Module) -> float:
            validations.append(measure(lens))
            return validations[-1]

        return one

    monkeypatch.setattr(tuned_lens, "_validation", counted)
    found = fit(folder, unembedding, "noise", steps=1000)
    assert len(validations) == 1 + tuned_lens.PATIENCE
    assert found.steps == 0 and found.kl == found.plain_kl == validations[0] <= min(validations)
    assert not found.lens.weight.any() and not found.lens.bias.any()


def test_training_ends_where_nothing_more_is_gained(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_lens, "MARGIN", 1.0)  # no improvement is worth more steps
    found = fit(folder, unembedding, steps=1000)
    assert found.steps == tuned_lens.PATIENCE * tuned_lens.STEPS_BETWEEN_VALIDATIONS and found.kl < found.plain_kl


def exact(unembedding: Unembedding, last: torch.Tensor, shown: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Divergence where all but some tokens count as one."""

    def coarse(states: torch.Tensor) -> torch.Tensor:
        shares = log_probs(unembedding, states).exp()
        return torch.cat([shares[:, tokens], 1 - shares[:, tokens].sum(1, keepdim=True)], 1)

    goal, found = coarse(last), coarse(shown)
    return (goal * (goal / found).log()).sum(1)


def test_others_stand_for_the_rest_of_the_vocabulary(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_lens, "TOKENS", 8)
    monkeypatch.setattr(tuned_lens, "OTHERS", VOCABULARY - 8 - 1)
    last, shown = (States(folder / name).part(0, 200) for name in ("last", "noise"))
    goal = tuned_lens._Goal(last, unembedding)
    assert len(goal.tokens) == 8 and len(goal.others) == VOCABULARY - 8
    mass = log_probs(unembedding, last).exp().sum(0)
    assert set(goal.tokens.tolist()) == set(mass.topk(8).indices.tolist())
    places, generator = torch.arange(200), np.random.default_rng(0)
    draws = torch.stack([goal.kl(shown, places, generator) for _ in range(400)]).double()
    # Of all others but one a draw, the mean is near what all of them give, and no worse than over the whole vocabulary.
    torch.testing.assert_close(draws.mean(0), exact(unembedding, last, shown, goal.tokens), rtol=0.05, atol=0.02)
    same = torch.stack([goal.kl(last, places, generator) for _ in range(50)]).double()
    assert same.mean() < 0.05 * draws.mean()


def test_a_part_of_the_vocabulary_teaches_nearly_as_much(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(folder, unembedding)
    monkeypatch.setattr(tuned_lens, "TOKENS", 48)
    monkeypatch.setattr(tuned_lens, "OTHERS", 6)
    part = fit(folder, unembedding)
    assert part.plain_kl == whole.plain_kl and whole.kl <= part.kl < 0.1 * part.plain_kl
    last, layer = (gathered(States(folder / name), TEST) for name in ("last", "mapped"))
    agree = (unembedding.tokens(part.lens(layer)) == unembedding.tokens(last)).double().mean()
    assert agree > 0.7


def test_only_some_frames_are_trained_on_where_there_are_many(
    folder: Path, unembedding: Unembedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    monkeypatch.setattr(tuned_lens, "FRAMES_TO_TRAIN", 300)
    monkeypatch.setattr(tuned_lens, "gathered", lambda states, rows: read.append(len(rows)) or gathered(states, rows))
    assert fit(folder, unembedding, steps=50).kl > 0 and max(read) == 300


def test_an_unembedding_of_some_tokens_is_part_of_the_whole_with_caps_and_scales() -> None:
    torch.manual_seed(2)
    shape = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    granite = GraniteForCausalLM(GraniteConfig(vocab_size=50, logits_scaling=3.0, **shape))
    gemma = Gemma2ForCausalLM(Gemma2Config(vocab_size=50, final_logit_softcapping=0.1, head_dim=8, **shape))
    phi = PhiForCausalLM(PhiConfig(vocab_size=50, **shape))
    phi.model.norm = phi.model.final_layernorm  # its head has a bias; its norm has another name
    phi.lm_head.bias.data.normal_()
    tokens, states = torch.tensor([3, 40, 7]), torch.randn(5, 16)
    for model in (granite, gemma, phi):
        whole = Unembedding(model)
        part = tuned_lens._SomeTokens(whole, tokens)
        torch.testing.assert_close(part.logits(states), whole.logits(states)[:, tokens])
        assert part.vocabulary == 3 and whole.vocabulary == 50


def test_without_frames_there_is_nothing_to_train(folder: Path, unembedding: Unembedding) -> None:
    states, none = States(folder / "last"), np.arange(0)
    for train, validation in ((none, VALIDATION), (TRAIN, none)):
        with pytest.raises(StudyError, match="at least two training items"):
            fit_tuned_lens(states, states, train, validation, unembedding, 5, 0)


@given(rows=st.sets(st.integers(0, FRAMES - 1), min_size=1, max_size=40))
def test_rows_come_as_they_stand_in_the_file(folder: Path, rows: set[int]) -> None:
    states, wanted = States(folder / "last"), np.array(sorted(rows))
    assert torch.equal(gathered(states, wanted), states.part(0, FRAMES)[wanted])
