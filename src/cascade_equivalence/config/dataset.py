"""A data set of the Hugging Face hub as the source of a task's items: which files of it, at which commit."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import Label
from cascade_equivalence.config.packages import Repository

DATA_ENDINGS = (".parquet", ".jsonl", ".csv", ".json")
"""Files of rows that are read, the first that a data set has."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"\w[\w. -]*", re.ASCII)
_PATTERN = re.compile(r"[\w*][\w.* -]*(/[\w*][\w.* -]*)*", re.ASCII)


def _commit(revision: str) -> str:
    if not _COMMIT.fullmatch(revision):
        raise ValueError(
            "a branch or tag may move: pin the commit, all 40 digits, as "
            f"`git ls-remote https://huggingface.co/datasets/OWNER/NAME {revision}` prints them"
        )
    return revision


def _part(name: str) -> str:
    if not _PART.fullmatch(name) or ".." in name:
        raise ValueError("give its name alone, as the data set's page has it")
    return name


def _pattern(pattern: str) -> str:
    if not _PATTERN.fullmatch(pattern) or ".." in pattern or not pattern.endswith(DATA_ENDINGS):
        raise ValueError(f"give a file of the repository, or a pattern with `*`, ending in {', '.join(DATA_ENDINGS)}")
    return pattern


def _by_text(names: Any) -> Any:
    """Classes are often written as the numbers they are."""
    return {str(name): label for name, label in names.items()} if isinstance(names, Mapping) else names


class DatasetSpec(Closed):
    """Rows of one split of a data set, from its own files; no code of the repository is run."""

    repo: Repository
    revision: Annotated[str, AfterValidator(_commit)] = Field(
        description="Commit, all 40 digits: branches and tags move.", json_schema_extra={"pattern": "^[0-9a-f]{40}$"}
    )
    config: Annotated[str, AfterValidator(_part)] | None = Field(
        default=None, description="Configuration (subset) of the data set; null takes its default or only one."
    )
    split: Annotated[str, AfterValidator(_part)] = Field(default="test", description="Split, such as `test`.")
    files: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default=[],
        description="Files of the repository that hold the rows, or patterns with `*`; empty finds those of the "
        "configuration and split, as the data set's card or their names say.",
    )
    label_names: Annotated[dict[str, Label], BeforeValidator(_by_text)] = Field(
        default={},
        description="Value of the label column: the label it stands for. Empty takes the data set's own names of "
        "numbered classes.",
    )

    @property
    def page(self) -> str:
        """Where a person finds it."""
        return f"https://huggingface.co/datasets/{self.repo}/tree/{self.revision}"

    def read_from(self) -> dict[str, Any]:
        """Which rows it names, for what depends on them."""
        return self.model_dump(mode="json", exclude={"label_names"})
