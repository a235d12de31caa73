"""Secrets of the environment: checked before they are used, and never part of a message."""

import os
import re
from collections.abc import Iterator, Mapping

from cascade_equivalence.errors import StudyError

TOKEN = "HF_TOKEN"  # noqa: S105 - the name of the variable, not what it holds
_ADDRESSES = re.compile(r"(?:.*_proxy|(?:pip|npm_config)_.*(?:proxy|index_url|registry|find_links)|hf_endpoint)", re.I)
_USER = re.compile(r"(?<=//)[^/\s@]+@")
_HIDDEN = "(hidden)"
_SHORTEST = 3
"""Characters; replacing a shorter one would spoil every word of a message."""


def is_sendable(secret: str) -> bool:
    """Whether a header can carry a key or token: printable ASCII without space."""
    return secret.isascii() and secret.isprintable() and " " not in secret


def hub_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The hub's token: only what HF_TOKEN holds, never a stored login; None if there is none.

    Raises:
        StudyError: No header can carry it.
    """
    token = environ.get(TOKEN, "").strip()
    if not is_sendable(token):
        raise StudyError(f"{TOKEN} holds characters that no token has, such as a line break: copy the token again")
    return token or None


def hidden(text: object, environ: Mapping[str, str] = os.environ) -> str:
    """A message of a client without what the environment holds of secrets.

    Args:
        text: The message; a client may quote a proxy, an index or a header in it.
        environ: The environment.

    Returns:
        The same without tokens, and without users and passwords of addresses.
    """
    said = str(text)
    for secret in sorted(_secrets(environ), key=len, reverse=True):
        said = said.replace(secret, _HIDDEN)
    return _USER.sub(f"{_HIDDEN}@", said)


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """What must not be shown, also as Python quotes it and as an address encodes it."""
    found = [environ.get(TOKEN, "")]
    for name, value in environ.items():
        if _ADDRESSES.fullmatch(name):
            for address in value.split():
                # A malformed address is what clients quote: nothing but the last @ is relied on.
                user, at, _ = address.partition("//")[2].rpartition("@") if "//" in address else address.rpartition("@")
                if at:
                    found += [user, user.partition(":")[2]]
    for secret in found:
        for form in (secret, secret.strip(), repr(secret)[1:-1], repr(secret.strip())[1:-1], *secret.split()):
            if len(form) >= _SHORTEST:
                yield form
