"""Fixtures of several unit tests."""

import sys
from collections.abc import Callable, Iterator

import pytest
from registries import with_examples

from cascade_equivalence.__main__ import main


@pytest.fixture(scope="module")
def examples() -> Iterator[None]:
    """What the examples of docs/plugins add is in the registries for the tests of a file."""
    with with_examples():
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line: called with its words, it gives the exit status."""

    def run(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["cascade-equivalence", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            if not isinstance(end.code, int):
                raise
            if end.code == 2:  # what argparse refuses
                raise
            return end.code
        return 0

    return run
