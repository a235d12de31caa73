"""Where the paper's tables and figures are found: all of them, under names that exist."""

import pytest

from cascade_equivalence.report.display import markdown
from cascade_equivalence.report.figures.figure import FIGURES, figure_name
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.paper_tables import ABSENT, NAMES, paper_index
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.resources import RESOURCES

PRINTED = read_numbers(RESOURCES / "paper" / "numbers.csv")
INDEX = paper_index(set(NAMES), set(FIGURES))


def test_every_table_and_figure_of_the_paper_has_one_counterpart() -> None:
    places = [row[0] for row in INDEX.rows]
    assert places == [*(f"Table {n}" for n in range(1, 8)), *(f"Figure {n}" for n in range(1, 7))]
    numbered = PRINTED["place"].filter(PRINTED["place"].str.contains("^(Table|Figure)")).unique()
    assert set(numbered) <= set(places)


def test_what_they_name_exists() -> None:
    named = {name.removeprefix("tables/").removesuffix(".csv") for row in INDEX.rows for name in row[3].split(", ")}
    assert named <= {file for table in TABLES.values() for file in table.files}


@pytest.mark.parametrize("name", FIGURES)
def test_files_of_figures_have_the_papers_number_and_give_back_the_name(name: str) -> None:
    figure = FIGURES[name]
    assert figure_name(figure.stem) == name
    assert figure.stem == (f"figure{figure.paper.number}_{name}" if figure.paper else name)


def test_a_file_of_another_name_is_called_by_it() -> None:
    assert figure_name("figure1_beside") == "figure1_beside"


def test_the_index_names_the_files_that_are_there_and_says_what_is_not() -> None:
    index = paper_index({"table2"}, ["agreement", "costs"])
    here = {row[0]: row[2] for row in index.rows}
    assert here.pop("Table 2") == "paper/table2.md" and here.pop("Figure 1") == "figures/figure1_agreement.svg"
    assert set(here.values()) == {ABSENT} and len(here) == 11
    assert "figure1_agreement" in markdown(index) and len({len(row) for row in index.rows}) == 1
