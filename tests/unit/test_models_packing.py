"""Packed linear layers give what plain ones give, follow their weight, and are left out where they do not pay."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cascade_equivalence.models import packing
from cascade_equivalence.models.packing import PackedLinear, pack_linears

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
possible = pytest.mark.skipif(not packing.packs(), reason="this torch packs no weights")


class Tied(nn.Module):
    """An embedding whose table is the head's, too."""

    def __init__(self, width: int, middle: int, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.inside = nn.Sequential(nn.Linear(width, middle), nn.SiLU(), nn.Linear(middle, width, bias=False))
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.head(self.inside(self.embedding(ids)))
        return logits


def both(width: int = 24, middle: int = 40, words: int = 60) -> tuple[Tied, Tied]:
    """A plain network, and one of the same weights whose layers are packed."""
    torch.manual_seed(0)
    plain, packed = Tied(width, middle, words), Tied(width, middle, words)
    packed.load_state_dict(plain.state_dict())
    pack_linears(packed)
    return plain, packed


@possible
@settings(deadline=None, max_examples=50)
@given(
    width=st.integers(1, 70),
    middle=st.integers(1, 90),
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    inference=st.booleans(),
)
def test_a_packed_network_gives_the_plain_ones_logits(
    width: int, middle: int, rows: list[int], inference: bool
) -> None:
    plain, packed = both(width, middle)
    ids = torch.randint(0, 60, rows)
    with torch.inference_mode(inference), torch.no_grad():
        torch.testing.assert_close(packed(ids), plain(ids), **CLOSE)
        # Again, with what is packed by now, for other rows.
        torch.testing.assert_close(packed(ids[:1]), plain(ids[:1]), **CLOSE)
    assert all(type(layer) is PackedLinear for layer in packed.modules() if isinstance(layer, nn.Linear))


@possible
def test_a_weight_that_changes_is_packed_anew() -> None:
    plain, packed = both()
    ids = torch.arange(7)
    with torch.no_grad():
        before = packed(ids)
        for network in (plain, packed):
            for number, weight in enumerate(network.parameters()):
                generator = torch.Generator().manual_seed(number)
                weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))
        assert not torch.allclose(before, packed(ids))
        torch.testing.assert_close(packed(ids), plain(ids), **CLOSE)
        for network in (plain, packed):
            network.inside[0].weight = nn.Parameter(torch.ones_like(network.inside[0].weight))
        torch.testing.assert_close(packed(ids), plain(ids), **CLOSE)


@possible
def test_gradients_flow_as_through_plain_layers() -> None:
    plain, packed = both()
    ids = torch.arange(5)
    with torch.no_grad():
        packed(ids)
    for network in (plain, packed):
        network(ids).square().sum().backward()
    for one, other in zip(plain.parameters(), packed.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(other.grad, one.grad)


@possible
def test_the_names_and_the_tied_table_stay() -> None:
    plain, packed = both()
    assert packed.state_dict().keys() == plain.state_dict().keys()
    assert packed.head.weight is packed.embedding.weight


@possible
def test_other_arithmetic_is_not_packed() -> None:
    _, packed = both()
    ids = torch.arange(5)
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            assert packed(ids).dtype == torch.bfloat16
        assert packed.to(torch.bfloat16)(ids).dtype == torch.bfloat16
        assert packed.float()(ids[:0]).shape == (0, 60)


def test_layers_stay_plain_where_packing_is_off_or_too_large_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds() -> set[type]:
        return {type(layer) for layer in both()[1].modules() if isinstance(layer, nn.Linear)}

    with monkeypatch.context() as patch:
        patch.setenv(packing.PLAIN, "1")
        assert kinds() == {nn.Linear}
    with monkeypatch.context() as patch:
        patch.setattr(packing, "PACKED_AT_MOST", 100)
        assert kinds() == {nn.Linear}
    try:
        for fails in (lambda *_: torch.zeros(2, 3, 48), lambda *_: torch.ops.mkldnn._no_such_operator()):
            packing.packs.cache_clear()
            with monkeypatch.context() as patch:
                patch.setattr(packing, "_multiply", fails)
                assert not packing.packs() and kinds() == {nn.Linear}
    finally:
        packing.packs.cache_clear()
