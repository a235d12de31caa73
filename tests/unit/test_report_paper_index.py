"""Where the paper's tables and figures are found: all of them, under names that exist."""

import pytest

from cascade_equivalence.report.display import markdown
from cascade_equivalence.report.html import SECTIONS
from cascade_equivalence.report.paper_index import (
    ABSENT,
    COUNTERPARTS,
    PAPER_FIGURES,
    figure_file,
    figure_name,
    paper_index,
)
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.paper_tables import NAMES
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.resources import RESOURCES

PRINTED = read_numbers(RESOURCES / "paper" / "numbers.csv")
FIGURES = [name for plan in SECTIONS.values() for name in plan.get("figures", {})]


def test_every_table_and_figure_of_the_paper_has_one_counterpart() -> None:
    places = [each.place for each in COUNTERPARTS]
    assert places == [*(f"Table {n}" for n in range(1, 8)), *(f"Figure {n}" for n in range(1, 7))]
    numbered = PRINTED["place"].filter(PRINTED["place"].str.contains("^(Table|Figure)")).unique()
    assert set(numbered) <= set(places)
    assert {each.place: each.name for each in COUNTERPARTS if each.place.startswith("Figure")} == {
        f"Figure {number}": name for name, number in PAPER_FIGURES.items()
    }


def test_what_they_name_exists() -> None:
    assert {each.name for each in COUNTERPARTS} <= {*NAMES, *FIGURES}
    assert {name for each in COUNTERPARTS for name in each.numbers} <= set(Tables.__dataclass_fields__)


@pytest.mark.parametrize("name", [*FIGURES, "another"])
def test_files_of_figures_have_the_papers_number_and_give_back_the_name(name: str) -> None:
    assert figure_name(figure_file(name)) == name
    assert figure_file(name) == (f"figure{PAPER_FIGURES[name]}_{name}" if name in PAPER_FIGURES else name)


def test_the_index_names_the_files_that_are_there_and_says_what_is_not() -> None:
    index = paper_index({"table2"}, ["agreement", "costs"])
    here = {row[0]: row[2] for row in index.rows}
    assert here.pop("Table 2") == "paper/table2.md" and here.pop("Figure 1") == "figures/figure1_agreement.svg"
    assert set(here.values()) == {ABSENT} and len(here) == 11
    assert "figure1_agreement" in markdown(index) and len({len(row) for row in index.rows}) == 1
