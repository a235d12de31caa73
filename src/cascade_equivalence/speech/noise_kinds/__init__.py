"""Kinds of noise, a file each."""
