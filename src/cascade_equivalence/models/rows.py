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


def left_padded(rows: Sequence[list[int]], prefix: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Put rows side by side, padding before their own text.

    Args:
        rows: Token ids of each prompt.
        prefix: Tokens at the start of every row that are left out of the result, being in a cache.

    Returns:
        Tokens (rows, columns) behind the prefix, and the mask (rows, prefix + columns) of what is not padding.
    """
    longest = max(len(row) for row in rows) - prefix
    ids = torch.full((len(rows), longest), PADDING)
    mask = torch.zeros((len(rows), prefix + longest), dtype=torch.long)
    mask[:, :prefix] = 1
    for index, row in enumerate(rows):
        own = len(row) - prefix
        ids[index, longest - own :] = torch.tensor(row[prefix:])
        mask[index, prefix + longest - own :] = 1
    return ids, mask


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
