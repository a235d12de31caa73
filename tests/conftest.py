"""Options and fixtures of all tests."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from checkout import Checkout, tiny_config

# What numba compiles for librosa it keeps beside librosa, where processes that compile at once spoil it for good: each
# that runs tests has a folder of its own.
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long forms of the tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="the long form runs with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny random models, one folder each."""
    from tiny_models import build_all

    return build_all(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Checkout:
    """A copy of the project in which the study of ``tiny_config`` was run to its end, for real and unbroken."""
    checkout = Checkout(tmp_path_factory.mktemp("finished") / "project")
    done = checkout.run(tiny_config(tiny_models))
    assert done.returncode == 0, done.stdout
    return checkout
