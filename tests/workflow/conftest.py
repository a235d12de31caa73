"""The study that the workflow tests change."""

from pathlib import Path

import pytest
from checkout import Config, tiny_config


@pytest.fixture
def study(tiny_models: Path) -> Config:
    """The config of the finished study, to be changed freely."""
    return tiny_config(tiny_models)
