"""API keys: only ever in the environment, and read no earlier than they are needed."""

import os
from collections.abc import Mapping

from cascade_equivalence.config.api import ApiConfig, ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.secrets import is_sendable

OFFLINE = "CASCADE_EQUIVALENCE_OFFLINE"


def is_offline(config: ApiConfig, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether answers are taken from the store only."""
    return config.offline or environ.get(OFFLINE, "").strip() not in ("", "0")


def missing_keys(specs: Mapping[str, ApiSpec], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Say which keys the environment lacks; one line a key, and none for a system that needs none.

    Args:
        specs: The systems that are going to ask, by name. One whose answers are all in the store needs no key: leave
            it out.
        environ: The environment.
    """
    wanted: dict[str, list[str]] = {}
    for name, spec in specs.items():
        if spec.key_variable and not environ.get(spec.key_variable, "").strip():
            wanted.setdefault(spec.key_variable, []).append(name)
    return [
        f"{variable} is not set: put the API key for {', '.join(names)} into that environment variable, and into no "
        "file of the study"
        for variable, names in wanted.items()
    ]


def api_key(name: str, spec: ApiSpec, environ: Mapping[str, str] = os.environ) -> str:
    """The key of a system; empty for one that needs none.

    Raises:
        StudyError: It is not in the environment, or is no key that a header can carry.
    """
    if problems := missing_keys({name: spec}, environ):
        raise StudyError(problems[0])
    key = environ.get(spec.key_variable, "").strip() if spec.key_variable else ""
    if not is_sendable(key):
        raise StudyError(f"{spec.key_variable} holds characters that no API key has: copy the key again")
    return key
