"""Prompts of a batch as token rows: padding, the prefix that they share, and the positions of their sound."""

from collections.abc import Sequence

import torch

AUDIO = -1
"""Stands in a row for one vector that comes from sound rather than from a token."""
# Stands in masked columns, where any token would do.
PADDING = 0


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Length of the longest prefix of tokens that all rows share, short of any row's last token and of any sound."""
    shortest, longest = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    count = 0
    while count < limit and shortest[count] == longest[count] != AUDIO:
        count += 1
    return count


def left_padded(rows: Sequence[list[int]], prefix: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Put rows side by side, all padding before them: a sliding window counts columns as distance.

    Args:
        rows: Token ids of each prompt.
        prefix: Tokens at the start of every row that are in a cache.

    Returns:
        The last tokens (rows, columns) of each row, as many as the longest has behind the prefix; the mask (rows,
        prefix + columns) of what is not padding; and how many tokens of the prefix stand before them in each row.
    """
    columns = max(len(row) for row in rows) - prefix
    ids = torch.full((len(rows), columns), PADDING)
    mask = torch.zeros((len(rows), prefix + columns), dtype=torch.long)
    for index, row in enumerate(rows):
        newest = row[-columns:]
        ids[index, columns - len(newest) :] = torch.tensor(newest)
        mask[index, prefix + columns - len(row) :] = 1
    return ids, mask, [max(0, len(row) - columns) for row in rows]


def moved_right(shared: torch.Tensor, kept: Sequence[int]) -> torch.Tensor:
    """Keys or values of a prefix for each row, its first ``kept`` columns at the right end and zeros before them.

    Args:
        shared: Of one row (1, heads, columns, width).
        kept: How many columns each row has of it.

    Returns:
        (rows, heads, columns, width).
    """
    _, heads, columns, width = shared.shape
    moved = shared.new_zeros(len(kept), heads, columns, width)
    for row, count in enumerate(kept):
        moved[row, :, columns - count :] = shared[0, :, :count]
    return moved


def write_audio(embeddings: torch.Tensor, ids: torch.Tensor, heard: Sequence[torch.Tensor]) -> torch.Tensor:
    """Write the vectors of each row's sound where ``AUDIO`` stands.

    Args:
        embeddings: Embeddings of the tokens (rows, columns, width).
        ids: The tokens (rows, columns).
        heard: Vectors of each row's sound (its number of ``AUDIO``, width), in row order.

    Returns:
        The embeddings with the vectors in their place.
    """
    if not any(len(vectors) for vectors in heard):
        return embeddings
    vectors = torch.cat([vectors.to(embeddings.device, embeddings.dtype) for vectors in heard])
    return embeddings.masked_scatter((ids == AUDIO)[..., None], vectors)
