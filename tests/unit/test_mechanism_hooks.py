"""Hooks see and change what blocks put out, and leave no trace."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.hooks import replaced, watched

torch.set_num_threads(1)


class Tupled(nn.Linear):
    """A block that puts out more than its states."""

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, str]:
        return super().forward(states), "weights of attention"


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4), Tupled(4, 4), nn.Linear(4, 4)])

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            states = block(states)
            if isinstance(states, tuple):
                states, rest = states
                assert rest == "weights of attention"
        return states


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(0)
    return Chain()


@pytest.fixture(autouse=True)
def traces(chain: Chain) -> Iterator[None]:
    states = torch.randn(2, 3, 4)
    before = chain(states)
    yield
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in chain.modules())
    assert torch.equal(chain(states), before)


def test_outputs_are_seen_in_both_forms(chain: Chain) -> None:
    seen: list[tuple[int, torch.Tensor]] = []
    states = torch.randn(2, 3, 4)
    with watched(list(chain.blocks), [2, 0, 1, 1], lambda layer, output: seen.append((layer, output))):
        out = chain(states)
    chain(states)
    first, second = chain.blocks[0](states), chain.blocks[1](chain.blocks[0](states))[0]
    assert [layer for layer, _ in seen] == [0, 1, 2]
    for (_, output), expected in zip(seen, (first, second, out), strict=True):
        assert torch.equal(output, expected)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_what_is_put_there_is_what_the_next_block_gets(chain: Chain, layer: int) -> None:
    states, instead = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    expected = instead
    for block in chain.blocks[layer + 1 :]:
        expected = block(expected)
        expected = expected[0] if isinstance(expected, tuple) else expected
    with replaced(list(chain.blocks), {layer: lambda _: instead}):
        assert torch.equal(chain(states), expected)


def test_a_later_watch_sees_what_was_put_there(chain: Chain) -> None:
    blocks, states = list(chain.blocks), torch.randn(1, 2, 4)
    seen: dict[int, torch.Tensor] = {}
    with replaced(blocks, {1: torch.zeros_like}), watched(blocks, [1], seen.__setitem__):
        chain(states)
        with replaced(blocks, {1: torch.ones_like}):
            inner = chain(states)
        assert torch.equal(chain(states), chain.blocks[2](torch.zeros_like(states)))
    assert torch.equal(inner, chain.blocks[2](torch.ones_like(states)))
    assert torch.equal(seen[1], torch.zeros_like(states))


def test_hooks_go_when_the_work_fails(chain: Chain) -> None:
    blocks = list(chain.blocks)

    def fail(_states: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(blocks, [0], lambda *_: None), replaced(blocks, {2: fail}):
        chain(torch.randn(1, 2, 4))


@pytest.mark.parametrize("layer", [-1, 3])
def test_a_layer_that_is_not_there(chain: Chain, layer: int) -> None:
    blocks = list(chain.blocks)
    with pytest.raises(StudyError, match=rf"no layer {layer}: its 3 blocks are layers 0 to 2"):
        watched(blocks, [0, layer], lambda *_: None).__enter__()
    with pytest.raises(StudyError, match="no layer"):
        replaced(blocks, {0: torch.zeros_like, layer: torch.zeros_like}).__enter__()
