"""Figures, a file each; a new one is a file beside these and a line in ``registry.py``, or added from outside."""
