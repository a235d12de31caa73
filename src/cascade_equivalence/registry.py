"""Things of one kind by name; choices of the config, titles, orders and targets are read off their registry."""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cascade_equivalence.errors import StudyError

Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Things of one kind, each with a ``name``, in the order in which they were added.

    Args:
        kind: What one is called, in messages.
        home: Module that adds those of the package; it is imported when the first name is asked for.
    """

    def __init__(self, kind: str, home: str) -> None:
        self.kind, self._home = kind, home
        self._things: dict[str, Thing] = {}

    def add(self, thing: Thing) -> Thing:
        """Add a thing.

        Returns:
            The thing.

        Raises:
            StudyError: Another has its name.
        """
        name: str = thing.name  # type: ignore[attr-defined]
        if name in self._things:
            raise StudyError(f"there are two {self.kind}s called {name!r}: give one another name")
        self._things[name] = thing
        return thing

    def find(self, name: str) -> Thing:
        """Look a thing up.

        Raises:
            StudyError: There is none of that name.
        """
        if name in self:
            return self[name]
        close = difflib.get_close_matches(name, self, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise StudyError(f"There is no {self.kind} {name!r}.{hint} {self.kind.capitalize()}s: {', '.join(self)}.")

    def __getitem__(self, name: str) -> Thing:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Thing]:
        importlib.import_module(self._home)
        return self._things


class NameIn:
    """Marks a text of the config as the name of a thing in a registry: ``Annotated[str, NameIn(TASKS)]``."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"enum": list(self.registry)}

    def _known(self, name: str) -> str:
        if name not in self.registry:
            expected = ", ".join(f"'{known}'" for known in self.registry)
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name
