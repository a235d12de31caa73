"""The examples of plugins that add to the report: each is declared, made and shown as the file stands."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import report_study
from study_config import BASE, ROOT

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.claims_paper import CLAIMS
from cascade_equivalence.report.claims_table import claims_table
from cascade_equivalence.report.figures.figure import FIGURES
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.outcomes import FAILS, HOLDS
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import write_markdown
from cascade_equivalence.resources import PAPER_NUMBERS
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.registry import TASKS

EXAMPLES = ROOT / "docs" / "plugins"
FILES = [str(EXAMPLES / f"{name}.py") for name in ("statistic", "figure", "claim")]


@pytest.fixture
def study() -> Iterator[Study]:
    """A study that names the examples."""
    yield Study(load_study(BASE | {"plugins": FILES}, ROOT))
    plugins.use([])


def test_what_they_add_is_declared_made_and_shown(study: Study, tmp_path: Path) -> None:
    (table,), (figure,), (claim,) = (registry.added() for registry in (TABLES, FIGURES, CLAIMS))
    assert table in stages.report.tables(study) and figure in stages.report.figures(study)

    tables = report_study.build(report_study.write_study(tmp_path, report_study.SPEECH_OUTLINE))
    values = tables[table].drop_nulls(f"{table}_low")
    assert values.height and values.select(pl.col(table).is_between(f"{table}_low", f"{table}_high")).to_series().all()
    tables.write(tmp_path / "tables")
    write_markdown(tables, tmp_path / "tables", 0.95)
    assert {f"{table}.csv", f"{table}.md"} <= {path.name for path in (tmp_path / "tables").iterdir()}
    assert {f"{figure}.svg", f"{figure}.png"} <= {path.name for path in write_figures(tables, tmp_path / "figures")}
    judged = claims_table(
        list(CLAIMS.values()),
        tables,
        sufficient={name: task.text_sufficient for name, task in TASKS.items()},
        labels=report_study.LABELS,
        paper=None,
        numbers=read_numbers(PAPER_NUMBERS),
        statistics=report_study.STATISTICS,
    )
    (row,) = judged.filter(claim=claim).to_dicts()
    assert row["outcome"] in (HOLDS, FAILS) and row["value"] is not None and judged["claim"].to_list()[-1] == claim


def test_a_claim_about_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "claim.py"
    wrong.write_text((EXAMPLES / "claim.py").read_text().replace('"table": "agreement"', '"table": "agrement"'))
    with pytest.raises(StudyError, match=r"claim\.py.*agrement"):
        load_study(BASE | {"plugins": [str(wrong)]}, ROOT)
    plugins.use([])
