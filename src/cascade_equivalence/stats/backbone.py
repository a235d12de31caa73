"""How far two systems share their text LLM, computed from the weights and their config, never declared by hand."""

from collections.abc import Mapping
from typing import Any, Literal

Match = Literal["exact", "family", "none", "unknown"]
"""``unknown``: of a pair with a system behind an API, whose weights nobody sees."""
SHAPE = ("model_type", "layers", "hidden", "vocab")


def backbone_match(system: tuple[str, Mapping[str, Any]], reference: tuple[str, Mapping[str, Any]]) -> Match:
    """Compare two backbones.

    Args:
        system: Hash of the weights, and the shape of the network (``SHAPE`` of it is compared).
        reference: The same of the other system.

    Returns:
        ``exact`` for the same weights, ``family`` for other weights in a network of the same kind and shape, else
        ``none``.
    """
    if system[0] == reference[0]:
        return "exact"
    shapes = [[architecture.get(key) for key in SHAPE] for _, architecture in (system, reference)]
    return "family" if None not in shapes[0] and shapes[0] == shapes[1] else "none"
