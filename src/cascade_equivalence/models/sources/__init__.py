"""Weights from where they are published to one checked folder a model."""
