"""Options and fixtures of all tests."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from checkout import Checkout, tiny_config

# What numba compiles for librosa it keeps beside librosa, where processes that compile at once spoil it for good: each
# that runs tests has a folder of its own.
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

# No test depends on how fast a machine is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long forms of the tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="the long form runs with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that is built once a run of the tests: by one of its processes, while the others wait for it.

    Args:
        factory: Makes folders of this process.
        name: The folder's name.
        build: Makes it, and what is in it.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        folder = factory.mktemp(name) / name
        build(folder)
        return folder
    shared = factory.getbasetemp().parent / f"shared-{run}"
    shared.mkdir(mode=0o700, exist_ok=True)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, done = shared / name, shared / f"{name}.done"
        if not done.exists():
            # Of a process that ended before it was done.
            shutil.rmtree(folder, ignore_errors=True)
            build(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny random models, one folder each; nothing may be written into it."""
    from tiny_models import build_all

    return once(tmp_path_factory, "models", build_all)


@pytest.fixture(scope="session")
def first_finished(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """A folder in which the study of ``tiny_config`` was run to its end, for real and unbroken; nobody changes it."""

    def build(folder: Path) -> None:
        done = Checkout(folder).run(tiny_config(tiny_models))
        assert done.returncode == 0, done.stdout

    return once(tmp_path_factory, "project", build)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, first_finished: Path) -> Checkout:
    """A copy of it, of this process: a study that was moved is as finished as it was."""
    return Checkout(tmp_path_factory.mktemp("finished") / "project", like=first_finished)
