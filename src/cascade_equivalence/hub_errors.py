"""Why the Hugging Face hub did not deliver, in the user's terms: for repositories of models and of data sets."""

import sys
from functools import cache

from cascade_equivalence.secrets import hidden

REFUSED = (401, 403)


@cache
def network_error() -> type[Exception]:
    """The base of every network error, without naming the HTTP library, which differs between releases of the hub's."""
    from huggingface_hub.errors import HfHubHTTPError

    base = HfHubHTTPError.__bases__[0]
    assert issubclass(base, Exception)
    return base


@cache
def failures() -> tuple[type[Exception], ...]:
    """Everything that the hub's library raises where the hub does not deliver, or cannot be asked."""
    http = sys.modules[network_error().__module__.partition(".")[0]]
    # A proxy or an endpoint that is no address; in the HTTP library it belongs to no other kind.
    malformed = getattr(http, "InvalidURL", ValueError)
    return OSError, RuntimeError, ValueError, network_error(), malformed


def gate(page: str, terms: str) -> str:
    """What to do about a gate.

    Args:
        page: Address of the repository's page.
        terms: What has to be accepted there, such as ``licence``.
    """
    return (
        f"gated: accept its {terms} at {page} with your account, make a read token at "
        "https://huggingface.co/settings/tokens and put it in the environment variable HF_TOKEN"
    )


def advice(error: Exception, *, kind: str, page: str, terms: str) -> str:
    """What is wrong, and what to do.

    Args:
        error: What the hub's library raised.
        kind: What kind of repository it is, such as ``data set``.
        page: Address of the repository's page.
        terms: What has to be accepted if it is gated.
    """
    from huggingface_hub import errors

    # Narrow kinds before the wide ones that they belong to.
    known = {
        errors.GatedRepoError: f"the {kind} is {gate(page, terms)}",
        errors.RepositoryNotFoundError: f"there is no such {kind}, or it is private: check the name, or put a token in "
        "HF_TOKEN",
        errors.RevisionNotFoundError: f"the {kind} has no such revision: see {page} for the commits, tags and branches "
        "it has",
        errors.LocalEntryNotFoundError: "it is not in the hub's cache, or not all of it, and the hub cannot be reached "
        "or HF_HUB_OFFLINE is set: check the network and HF_ENDPOINT, or unset HF_HUB_OFFLINE",
        errors.EntryNotFoundError: f"the {kind} has no such file at this revision: see {page} for the files it has",
    }
    if found := next((text for known_error, text in known.items() if isinstance(error, known_error)), None):
        return found
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSED:
        return "the hub refuses the token in HF_TOKEN: make a new one with read access, or unset it"
    if isinstance(error, network_error()) and status is None:
        return (
            f"the hub cannot be reached ({hidden(error)}): check the network, the proxy settings and HF_ENDPOINT; "
            "where all files are in the hub's cache already, set HF_HUB_OFFLINE=1"
        )
    return f"{type(error).__name__}: {hidden(error)}; what has arrived is kept, so run again to go on"
