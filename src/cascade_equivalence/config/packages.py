"""Patterns for names of packages, versions and repositories, as the standards define them.

A client takes a free string for an address, a path, an option or a repository just as well, and may then run what it
finds there. These forms are none of those.
"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NPM_PART = r"[A-Za-z0-9_][A-Za-z0-9._~-]*"
_NPM_NAME = re.compile(rf"(?:@{_NPM_PART}/)?{_NPM_PART}")
_PYPI_VERSION = re.compile(
    r"(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?[0-9]*)?"
    r"(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?"
    r"(?:[-_.]?dev[-_.]?[0-9]*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_NPM_VERSION = re.compile(rf"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){{2}}(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?")
# What ends so is a file for pip and npm, even where the rest is a name or a local version.
_ARCHIVE = re.compile(r"\.(?:zip|whl|tar|tgz|gz|tbz2?|bz2|txz|tlz|xz|lzma|lz)", re.IGNORECASE)
_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./+@-]*", re.ASCII)


def is_package_name(name: str, index: str) -> bool:
    """Whether a string is the name of a package: PEP 508 for `pypi`, npm's own rules for `npm`."""
    form = _NPM_NAME if index == "npm" else _PYPI_NAME
    return form.fullmatch(name) is not None and not _ends_like_a_file(name)


def is_exact_version(version: str, index: str) -> bool:
    """Whether a string is one version and no range: PEP 440 for `pypi`, semantic versioning for `npm`."""
    form = _NPM_VERSION if index == "npm" else _PYPI_VERSION
    return form.fullmatch(version) is not None and not _ends_like_a_file(version)


def _ends_like_a_file(text: str) -> bool:
    return any(_ARCHIVE.fullmatch(text[dot:]) for dot in (text.rfind("."),) if dot >= 0)


def _is_repository(name: str) -> bool:
    return _REPOSITORY.fullmatch(name) is not None and ".." not in name


def _is_revision(name: str) -> bool:
    return _REVISION.fullmatch(name) is not None and ".." not in name and "//" not in name


def _checked(is_one: Callable[[str], bool], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not is_one(text):
            raise ValueError(f"this is no {what}")
        return text

    return AfterValidator(check)


NAME_HELP = "the name of a package alone: no address, path, option or space"
VERSION_HELP = "one exact version such as 1.2.3: no range, address, path, option or space"

PackageName = Annotated[str, _checked(lambda text: is_package_name(text, "pypi"), f"package name; give {NAME_HELP}")]
PackageVersion = Annotated[str, _checked(lambda text: is_exact_version(text, "pypi"), f"version; give {VERSION_HELP}")]
Repository = Annotated[
    str,
    _checked(_is_repository, "repository; give `owner/name` in letters, digits, `.`, `_` and `-`"),
    Field(description="Repository, `owner/name`.", json_schema_extra={"pattern": f"^{_REPOSITORY.pattern}$"}),
]
Revision = Annotated[str, _checked(_is_revision, "commit, tag or branch; give its name alone, such as `main`")]
