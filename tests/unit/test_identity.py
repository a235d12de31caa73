"""What a result says of itself: kept through a copy, and where it says nothing that is told and no fault."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import OF, about, files_about, names_in, write_table

NAMES = {"system": "a", "task": "sst2", "condition": "clean", "layer": 3, "untrained": False}


def test_a_copy_under_another_name_says_what_it_is_of(tmp_path: Path) -> None:
    write_table(pl.DataFrame({"id": ["x"]}), tmp_path / "a.parquet", NAMES)
    (tmp_path / "a.json").write_text(json.dumps({OF: NAMES, "value": 1}))
    for ending in ("parquet", "json"):
        other = Path(shutil.copy(tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"))
        assert names_in(other) == NAMES and about(other, ["layer", "task"]) == (3, "sst2")
        with pytest.raises(StudyError, match="about the same"):
            files_about([tmp_path / f"a.{ending}", other], ["system"])


@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"of": null}', '{"of": ["system"]}'])
def test_a_file_that_says_nothing_is_of_another_version(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert names_in(path) == {}
    with pytest.raises(StudyError, match=r"a\.json does not say of which system"):
        about(path, ["system"])
