"""The first stage's loss and labels: against PyTorch's CTC, brute force, and their own definitions."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llm import byte_level_tokenizer

from cascade_equivalence.connector.clips import Batch, sample_classes
from cascade_equivalence.connector.frames import hide, learning_rate, sequence_share
from cascade_equivalence.connector.labels import UNKNOWN, output_labels, spell
from cascade_equivalence.connector.objective import frame_loss, sequence_loss, sequence_posteriors
from cascade_equivalence.models.transcription.alignment import monotonic_path

BLANK = 6


def example(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, list[list[int]]]:
    torch.manual_seed(seed)
    return torch.randn(3, 9, BLANK + 1, requires_grad=True), torch.tensor([9, 7, 5]), [[0, 1, 1, 3], [2, 5], [4]]


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_ctc(seed: int) -> None:
    logits, counts, targets = example(seed)
    loss = sequence_loss(logits, counts, targets, BLANK)
    (ours,) = torch.autograd.grad(loss, logits)
    flat = torch.tensor([label for row in targets for label in row])
    lengths = torch.tensor([len(row) for row in targets])
    reference = torch.nn.functional.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1), flat, counts, lengths, blank=BLANK, reduction="sum"
    )
    (theirs,) = torch.autograd.grad(reference, logits)
    torch.testing.assert_close(ours * counts.sum(), theirs, atol=1e-5, rtol=1e-4)


def test_posteriors_are_probabilities_within_a_clip_and_nothing_behind() -> None:
    logits, counts, targets = example()
    shifted = [[label + 1 for label in row] for row in targets]
    posteriors = sequence_posteriors(logits.roll(1, -1).log_softmax(-1), counts, shifted)
    for row, count in zip(posteriors, counts.tolist(), strict=True):
        torch.testing.assert_close(row[:count].sum(-1), torch.ones(count), atol=1e-4, rtol=0)
        assert not row[count:].any()


def test_a_target_that_does_not_fit_teaches_nothing() -> None:
    logits, _, _ = example()
    posteriors = sequence_posteriors(logits.log_softmax(-1), torch.tensor([9, 9, 2]), [[1], [2], [1, 1, 2]])
    assert not posteriors[2].any() and posteriors[0].any()


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(0, 4), st.randoms(use_true_random=False))
def test_the_monotonic_path_is_the_best_of_all(tokens: int, more: int, random: object) -> None:
    frames = tokens + more
    salience = np.array([[random.uniform(-1, 1) for _ in range(frames)] for _ in range(tokens)])  # type: ignore[attr-defined]

    def gain(starts: tuple[int, ...]) -> float:
        edges = [*starts, frames]
        return sum(salience[token, edges[token] : edges[token + 1]].sum() for token in range(tokens))

    found = monotonic_path(salience)
    assert found[0] == 0 and (np.diff(found) > 0).all()
    every = itertools.combinations(range(1, frames), tokens - 1)
    assert gain(tuple(found)) == pytest.approx(max(gain((0, *rest)) for rest in every))


def test_with_all_classes_drawn_the_sampled_loss_is_the_full_one() -> None:
    torch.manual_seed(1)
    labels = torch.tensor([[0, 4, UNKNOWN], [2, 2, 5]])
    batch = Batch(torch.zeros(2, 1, 1), torch.tensor([1, 1]), labels, [[0, 4], [2, 5]], ["", ""])
    logits = torch.randn(2, 3, 9)
    sampled = sample_classes(batch, 8, 8, torch.Generator().manual_seed(0))
    assert sorted(sampled.classes.tolist()) == list(range(8)) and not sampled.correction.any()
    chosen = logits[..., torch.cat([sampled.classes, torch.tensor([8])])]
    for smoothing in (0.0, 0.1):
        torch.testing.assert_close(
            frame_loss(chosen, sampled.labels, UNKNOWN, smoothing), frame_loss(logits, labels, UNKNOWN, smoothing)
        )
    assert [sampled.classes[row].tolist() for row in sampled.targets] == batch.targets


def test_the_sampled_partition_sum_is_right_on_average() -> None:
    labels = torch.tensor([[0, 1, 2]])
    batch = Batch(torch.zeros(1, 1, 1), torch.tensor([1]), labels, [[0, 1, 2]], [""])
    logits = torch.linspace(-1, 1, 40)
    sums = []
    for seed in range(400):
        sampled = sample_classes(batch, 40, 10, torch.Generator().manual_seed(seed))
        sums.append((logits[sampled.classes] + sampled.correction).exp().sum())
    assert float(torch.stack(sums).mean()) == pytest.approx(float(logits.exp().sum()), rel=0.02)


TOKENIZER = byte_level_tokenizer()


@settings(max_examples=40)
@given(st.lists(st.text("abcdefgh'.,", min_size=1, max_size=7), min_size=1, max_size=6), st.data())
def test_labels_run_through_the_text_once(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    spelling = spell(TOKENIZER, f" {text}")
    assert TOKENIZER.decode(spelling.tokens).strip() == text
    assert spelling.words == sorted(spelling.words) and set(spelling.words) == set(range(len(words)))
    gaps = data.draw(st.lists(st.integers(10, 40), min_size=len(words), max_size=len(words)))
    starts = [3, *(3 + np.cumsum(gaps)).tolist()]
    labels = output_labels(spelling, starts, starts[-1] + 6, 1.0)
    assert (labels[:3] == UNKNOWN).all() and (labels[starts[-1] :] == UNKNOWN).all()
    said = [token for token, _ in itertools.groupby(labels[3 : starts[-1]].tolist())]
    assert said == [token for token, _ in itertools.groupby(spelling.tokens)]


def test_hidden_frames_come_in_runs_of_about_the_asked_share() -> None:
    batch = Batch(torch.ones(40, 400, 2), torch.full((40,), 400), torch.zeros(40, 1), [], [])
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(hide(batch, 0.0, generator), batch.states)
    share = float((hide(batch, 0.1, generator) == 0).float().mean())
    assert 0.05 < share < 0.15


@given(st.integers(1, 2000), st.integers(1, 200))
def test_the_schedule_rises_then_falls(steps: int, warmup: int) -> None:
    rates = [learning_rate(step, steps, warmup, 1.0) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    later = rates[min(warmup, steps - 1) :]
    assert later == sorted(later, reverse=True)


def test_the_sequence_loss_comes_in_late() -> None:
    shares = [sequence_share(made / 100, 0.4) for made in range(101)]
    assert shares[:41] == [0.0] * 41 and shares == sorted(shares) and shares[-1] == pytest.approx(0.9)
