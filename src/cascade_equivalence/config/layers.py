"""Which layers of a model are opened where the config names none."""

PAPER_LAYERS = 8
"""The paper looks at every fourth of 32 blocks, and at the last: eight steps."""


def spread_layers(blocks: int) -> list[int]:
    """Layers at even steps from the first block, and the last (paper section 3.4: 0, 4, ..., 28, 31 of 32 blocks).

    Args:
        blocks: Number of blocks.

    Returns:
        At most nine layers, ascending, counted from 0.
    """
    step = -(-blocks // PAPER_LAYERS)
    return sorted({*range(0, blocks, step), blocks - 1})
