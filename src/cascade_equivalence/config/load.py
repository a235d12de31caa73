"""Read a config, merge the registry files, check every name; one clear message when something is wrong."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cascade_equivalence.config.check import problems
from cascade_equivalence.config.explain import explain
from cascade_equivalence.config.study import Definitions, StudyConfig
from cascade_equivalence.errors import StudyError

SECTIONS = tuple(Definitions.model_fields)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, and not the first one's end."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping whose keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if not key.tag.endswith(":merge")]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is defined twice", node.start_mark)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StudyError(f"registry: {path} does not exist; it is named in the config's `registry`")
    try:
        # A subclass of the safe loader.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} must hold keys such as {', '.join(SECTIONS)}")
    return {section: definitions for section, definitions in content.items() if definitions is not None}


def load_study(raw: Mapping[str, Any], root: Path = Path()) -> StudyConfig:
    """Check a config and fill in what its registry files define.

    Args:
        raw: The config as Snakemake merged it, or as read from YAML.
        root: Folder that relative registry paths start from.

    Returns:
        The study, with every definition it can name under ``definitions``.

    Raises:
        StudyError: With one line for each thing that is wrong.
    """
    if not isinstance(raw, Mapping):
        raise StudyError(f"The config must hold keys such as {', '.join(list(StudyConfig.model_fields)[:5])}")
    lines: list[str] = []
    defined: dict[str, Any] = {section: {} for section in SECTIONS}
    entries = raw.get("registry")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str | Path):
            content = _read_yaml(root / entry)
            try:
                Definitions.model_validate(content)
            except ValidationError as error:
                lines += explain(error, Definitions, str(root / entry))
            else:
                _merge(defined, content)
    own = raw.get("definitions")
    if isinstance(own, Mapping):
        _merge(defined, own)
    elif own is not None:
        defined = own
    try:
        study = StudyConfig.model_validate({**raw, "definitions": defined})
    except ValidationError as error:
        lines += explain(error, StudyConfig)
    # A definition that was not read would be missed by every name that leads to it.
    if not lines:
        lines = list(problems(study))
    if lines:
        raise StudyError("The config is not valid:\n" + "\n".join(f"  {line}" for line in lines))
    return study


def _merge(defined: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add definitions; a later one of a name wins. What is no mapping is left for the types to refuse."""
    for section, definitions in more.items():
        if section in SECTIONS and isinstance(definitions, Mapping):
            defined[section] = {**defined[section], **definitions}
        elif section not in SECTIONS or definitions is not None:
            defined[section] = definitions
