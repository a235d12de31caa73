"""`Registry`: things of one kind by name, from which choices of the config, titles, orders and targets are derived."""

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, Union

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cascade_equivalence.errors import StudyError

Thing = TypeVar("Thing")
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
ALL: list["Registry[Any]"] = []
"""Every registry."""


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Things of one kind, each with a ``name``: the package's, in their module's order, then those that were added.

    Args:
        kind: What one is called, in messages.
        home: Module whose ``OWN`` are the package's, each a ``KIND``; it is imported when the first name is asked for.
        unique: What else no two of them share: an attribute, such as a prefix.
    """

    def __init__(self, kind: str, home: str, unique: str | None = None) -> None:
        self.kind, self._home, self._unique = kind, home, unique
        self._own: dict[str, Thing] | None = None
        self._added: dict[str, Thing] = {}
        self._files: dict[str, tuple[Path, ...]] = {}
        self._described: set[str] = set()
        ALL.append(self)

    def add(self, thing: Thing) -> Thing:
        """Add a thing that is not the package's.

        Returns:
            The thing.

        Raises:
            StudyError: Another has its name, or what else must be its own; it has no name that a file could have; or it
                is no such thing.
        """
        name = getattr(thing, "name", None)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise StudyError(f"a {self.kind} needs a name of letters, digits and underscores, not {name!r}")
        if name in self:
            raise StudyError(f"there are two {self.kind}s called {name!r}: give one another name")
        wanted = importlib.import_module(self._home).KIND
        if not isinstance(thing, wanted):
            raise StudyError(f"{name!r} is no {self.kind}: make it a {wanted.__name__} of {wanted.__module__}")
        if self._unique is not None:
            own = getattr(thing, self._unique)
            if other := next((each for each in self if getattr(self[each], self._unique) == own), None):
                raise StudyError(
                    f"the {self.kind}s {other!r} and {name!r} have one {self._unique}, {own!r}: give one another"
                )
        self._added[name] = thing
        return thing

    def describe(self, name: str, entry: Mapping[str, Any]) -> Thing:
        """Add a thing that a config describes; one of an earlier entry of the name goes.

        Args:
            name: Its name.
            entry: What the config says of it.

        Raises:
            StudyError: The name is the package's or a plugin's, or no name that a file could have.
        """
        if name in self._described:
            self.drop([name])
        thing = self.add(importlib.import_module(self._home).DESCRIBED(name, entry))
        self._described.add(name)
        return thing

    @property
    def describes(self) -> bool:
        """Whether a config can describe things of this kind."""
        return hasattr(importlib.import_module(self._home), "DESCRIBED")

    def find(self, name: str) -> Thing:
        """Look a thing up.

        Raises:
            StudyError: There is none of that name.
        """
        if name in self:
            return self[name]
        close = difflib.get_close_matches(name, self, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise StudyError(f"There is no {self.kind} {name!r}.{hint} Known: {', '.join(self)}.")

    def added(self) -> dict[str, Thing]:
        """The things that are not the package's."""
        return dict(self._added)

    def drop(self, names: Iterable[str]) -> None:
        """Forget things that were added."""
        for name in list(names):
            self._added.pop(name, None)
            self._files.pop(name, None)
            self._described.discard(name)

    def came_with(self, names: Iterable[str], files: tuple[Path, ...]) -> None:
        """Note which files some added things are made of: what depends on the things depends on them."""
        self._files |= dict.fromkeys(names, files)

    def files(self, *names: str) -> tuple[Path, ...]:
        """Files that some things came with, each once; the package's own have none."""
        return tuple(dict.fromkeys(file for name in names for file in self._files.get(name, ())))

    def all_files(self) -> tuple[Path, ...]:
        """Files that any of its things came with, each once."""
        return self.files(*self._files)

    def of_plugins(self) -> list[str]:
        """Names of the things that came with files."""
        return list(self._files)

    def of_config(self) -> list[str]:
        """Names of the things that a config describes."""
        return list(self._described)

    def __getitem__(self, name: str) -> Thing:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Thing]:
        if self._own is None:
            self._own = {thing.name: thing for thing in importlib.import_module(self._home).OWN}
        return self._own | self._added if self._added else self._own


class NameIn:
    """Marks a text of the config as the name of a thing in a registry: ``Annotated[str, NameIn(TASKS)]``."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        known = {"enum": list(self.registry)}
        # Editors offer the known names; others may be a config's own.
        return handler(schema) | ({"anyOf": [known, {"pattern": NAME.pattern}]} if self.registry.describes else known)

    def _known(self, name: str) -> str:
        if name not in self.registry:
            expected = ", ".join(f"'{known}'" for known in self.registry)
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name


class OneOf:
    """Marks a section of the config as that of a thing in a registry, which one of its keys names.

    ``Annotated[Voice, OneOf(VOICES, "provider")]``: the thing has the section's class as ``spec``, and that class has
    the thing's name as the only value of the key.
    """

    def __init__(self, registry: Registry[Any], key: str) -> None:
        self.registry, self.key = registry, key

    @property
    def form(self) -> Any:
        """The type that the section has now: a union of the things' classes."""
        return _form(self._forms(), self.key)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: self._adapter().validate_python(value))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(self._adapter().core_schema)

    def _forms(self) -> tuple[Any, ...]:
        return tuple(thing.spec for thing in self.registry.values())

    def _adapter(self) -> "TypeAdapter[Any]":
        return _adapter(self._forms(), self.key)


@cache
def _adapter(forms: tuple[Any, ...], key: str) -> "TypeAdapter[Any]":
    """What validates a section of one of some classes."""
    return TypeAdapter(_form(forms, key))


def _form(forms: tuple[Any, ...], key: str) -> Any:
    return Annotated[Union[forms], Field(discriminator=key)]  # noqa: UP007 - of no fixed members
