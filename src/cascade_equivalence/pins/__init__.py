"""Pinned environments: versions and families in one place, hashed locks and conda's files written from them."""
