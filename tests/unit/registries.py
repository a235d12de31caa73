"""Every thing of a registry, the examples of docs/plugins among them, for suites that hold all to the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from checkout import REPOSITORY

from cascade_equivalence import plugins
from cascade_equivalence.registry import Registry

EXAMPLES = sorted((REPOSITORY / "docs" / "plugins").glob("*.py"))


@contextmanager
def with_examples() -> Iterator[None]:
    """Have what the examples add in the registries, and nothing of them afterwards."""
    plugins.use(EXAMPLES)
    try:
        yield
    finally:
        plugins.use([])


def names(registry: Registry[Any]) -> list[str]:
    """The package's things by name, and the examples' behind them."""
    with with_examples():
        assert registry.of_plugins(), f"no example adds a {registry.kind}"
        return list(registry)
