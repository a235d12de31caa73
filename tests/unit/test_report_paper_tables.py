"""The paper's tables in its own layout, of a made-up study."""

import io
from pathlib import Path

import polars as pl
import pytest
from latex_document import compiled, needs_latex
from report_mechanism_study import RANKS, write_behaviour, write_mechanism
from report_study import build

from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.report.display import MARKS, MINUS, NOT_RUN, markdown, percent
from cascade_equivalence.report.latex import latex
from cascade_equivalence.report.paper_layout_behaviour import classified
from cascade_equivalence.report.paper_layout_table import BRACKETS, Cell, PaperTable, RowGroup, paper_table
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.paper_tables import paper_displays, write_paper_tables
from cascade_equivalence.report.shared_errors import SCHEMA
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.resources import RESOURCES

NUMBERS = read_numbers(RESOURCES / "paper" / "numbers.csv")
PAPER = PaperConfig.model_validate(
    {
        "systems": {
            "talker": {"name": "Ultravox"},
            "base-qwen": {"name": "Whisper+Llama-3.1-8B"},
            "base-smol": {"name": "Cascade-S", "stands_in": False},
        },
        "models": {"talker-llm": {"name": "Ultravox"}, "base": {"name": "Whisper"}},
    }
)
HEADERS = {
    "table1": ["System", "Type", "Parts", "Params"],
    "table2": ["System", "AG", "SST", "CSQA", "MELD", "MUS"],
    "table3": ["Input (abridged)", "Gold", "Both", "Type"],
    "table4": ["Layer", "Energy", "Pitch", "CTC", "BoC"],
    "table5": ["Layer", "talker-llm", "mumbler-llm"],
    "table6": ["Task", "κ impl", "κ casc", "Acc. impl", "Acc. speech LLM"],
    "table7": ["Condition", "d", "AG", "SST", "CSQA", "MELD", "MUS"],
}
LONG = "so many words that nobody can read them all in one cell of a table " * 3


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The made-up study's tables."""
    root = tmp_path_factory.mktemp("study")
    return build(write_behaviour(root), mechanism=write_mechanism(root, tasks=["ag_news", "sst2"]))


@pytest.fixture(scope="module")
def errors() -> pl.DataFrame:
    """Examples of shared errors of one pair."""
    same = {"pair": "p", "system": "talker", "reference": "base-qwen", "id": "1", "voice": "us"}
    rows = [
        {"task": "sst2", "spoken": "chilling | 50% & <b>", "heard": "Chilling, fifty", "type": "LLM"},
        {"task": "ag_news", "spoken": LONG, "heard": "amante", "type": "ASR"},
    ]
    return pl.DataFrame([same | {"gold": "right", "both": "wrong"} | row for row in rows], schema=SCHEMA)


@pytest.fixture(scope="module")
def found(tables: Tables, errors: pl.DataFrame) -> dict[str, PaperTable]:
    """The tables in the paper's layout."""
    return {table.name: table for table in paper_displays(tables, errors, PAPER, NUMBERS)}


def plain(table: PaperTable) -> pl.DataFrame:
    """What a program reads from the CSV."""
    return pl.read_csv(io.StringIO(table.csv()))


def printed(place: str, **names: object) -> str:
    """A number of the paper as it prints it."""
    return NUMBERS.filter(place=place, **names)["printed"].item()


def test_tables_have_the_papers_columns(found: dict[str, PaperTable]) -> None:
    assert {name: table.columns for name, table in found.items()} == HEADERS
    for table in found.values():
        assert table.title.endswith(f"(Table {table.name[-1]} of the paper)")
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert len({len(row) for row in table.plain}) == 1


def test_table_1_marks_cascades_with_a_speech_llms_own_llm(found: dict[str, PaperTable], tables: Tables) -> None:
    exact = tables.agreement.filter((pl.col("match") == "exact") & (pl.col("system_kind") == "e2e"))
    exact = exact.filter(pl.col("reference_kind") == "cascade")
    rows = {row[0]: row for row in found["table1"].rows}
    assert list(rows) == tables.accuracy["system"].unique(maintain_order=True).to_list()
    marked = {name for name, row in rows.items() if row[2].endswith("†")}
    assert marked == {*exact["reference"], "base-smol"} and "tiny-qwen" in rows
    assert {rows[name][1] for name in marked} == {"Matched cascade"}
    assert rows["talker"][1:] == ["End-to-end", "talker-llm", NOT_RUN] and rows["tiny-qwen"][2] == "tiny → qwen"


def test_table_2_has_the_accuracies_and_the_papers_in_brackets(found: dict[str, PaperTable], tables: Tables) -> None:
    names = {"talker": "Ultravox", "base-smol": "Cascade-S"}
    cells = {(row["system"], row["task"]): row for row in tables.accuracy.iter_rows(named=True)}
    for system, *row in found["table2"].rows:
        for task, cell in zip(classified(tables.accuracy), row, strict=True):
            mine = cells.get((system, task))
            expected = NOT_RUN if mine is None else percent(mine["accuracy"]) + MARKS[mine["against_chance"]]
            if mine and system in names:
                expected += f" ({printed('Table 2', system=names[system], task=task)})"
            assert cell == expected, (system, task)
    remarks = " ".join(found["table2"].remarks)
    trivia = percent(cells["talker", "trivia_qa"]["accuracy"])
    assert f"talker {trivia} (37.5)" in remarks and BRACKETS in remarks
    assert "Stand-ins: talker for Ultravox." in remarks and "base-smol (Cascade-S)" in remarks
    numbers = plain(found["table2"])
    assert numbers["AG"].dtype == numbers["AG (paper)"].dtype == pl.Float64
    assert dict(numbers.select("System", "AG (paper)").iter_rows())["base-smol"] == 85.0
    assert numbers["CSQA"].null_count() == numbers.height and "CSQA (paper)" not in numbers.columns


def test_table_3_groups_examples_by_task(found: dict[str, PaperTable], tables: Tables, errors: pl.DataFrame) -> None:
    table = found["table3"]
    assert [row[0] for row in table.rows[::2]] == ["AG News", "SST-2"]
    assert all(not any(row[1:]) for row in table.rows[::2])
    misheard, understood = table.rows[1], table.rows[3]
    spoken, heard = misheard[0].split(" → ")
    assert len(spoken) <= 62 and LONG.startswith(spoken[1:-2]) and heard == "“amante”"
    assert misheard[1:] == ["right", "wrong", "ASR"] and understood[0] == "“chilling | 50% & <b>”"
    overlap = tables.agreement.filter(system="talker", reference="base-qwen", task="ag_news", condition="clean")
    rate = percent(overlap["overlap"].item())
    assert any(f"AG News {rate} (96)" in remark for remark in table.remarks)
    assert not any("SST-2" in remark for remark in table.remarks), "one wrong answer is no news"
    assert plain(table).columns == ["Task", *HEADERS["table3"]]
    two = pl.concat([errors, errors.with_columns(reference=pl.lit("talker-own"))])
    (table,) = [each for each in paper_displays(tables, two, None, NUMBERS) if each.name == "table3"]
    headings = [row[0] for row in table.rows if not any(row[1:])]
    assert headings[0] == "talker vs. base-qwen: AG News" and len(headings) == 4


@pytest.mark.parametrize(("name", "places"), [("table4", 2), ("table5", 3)])
def test_layers_have_their_values_and_the_papers_at_the_same_depth(
    found: dict[str, PaperTable], tables: Tables, name: str, places: int
) -> None:
    numbers = plain(found[name])
    if name == "table4":
        trained = tables.probes.filter(~pl.col("untrained"))
        expected = trained.pivot("probe", index=["model", "layer"], values="value")
        assert numbers.height == expected.height
        for ours, theirs in (("Energy", "energy"), ("CTC", "ctc")):
            assert (numbers[ours] - expected[theirs]).abs().max() <= 0.5 * 0.1**places + 1e-9
        mine = dict(numbers.filter(Model="talker-llm").select("Layer", "Energy (paper)").iter_rows())
        assert mine == {0: 0.86, 4: 0.85, 8: 0.83}  # of the paper's layers 0, 16 and 31
        assert numbers.filter(Model="mumbler-llm")["Energy (paper)"].null_count() == 3
        cell = found[name].rows[1][1]
        assert cell.startswith(".") and cell.endswith(" (.86)")
    else:
        expected = tables.lens.filter(model="talker-llm")["precision"]
        assert (numbers["talker-llm"] - expected).abs().max() <= 0.5 * 0.1**places + 1e-9
        assert numbers["talker-llm (paper)"].to_list() == [0.0, 0.012, 0.342]
        assert "mumbler-llm (paper)" not in numbers.columns
    assert any("relative depth" in remark for remark in found[name].remarks)


def test_table_6_is_the_sufficiency_table(found: dict[str, PaperTable], tables: Tables) -> None:
    numbers = plain(found["table6"])
    assert numbers.height == tables.sufficiency.height
    for row, mine in zip(numbers.iter_rows(named=True), tables.sufficiency.iter_rows(named=True), strict=True):
        for column, name in (("κ impl", "kappa_implicit"), ("κ casc", "kappa_explicit")):
            assert (row[column] is None) == (mine[name] is None)
            assert row[column] is None or row[column] == pytest.approx(mine[name], abs=0.5e-3 + 1e-9)
        assert row["Acc. speech LLM"] == pytest.approx(100 * mine["system_accuracy"], abs=0.05 + 1e-9)
        known = mine["system"] == "talker" and mine["task"] in ("ag_news", "sst2")
        assert row["κ impl (paper)"] == ({"ag_news": 0.943, "sst2": 0.141}[mine["task"]] if known else None)
        assert row["κ casc (paper)"] == ({"ag_news": 0.933, "sst2": 0.737}[mine["task"]] if known else None)
    assert not any("-" in cell for row in found["table6"].rows for cell in row[1:])
    assert any(remark.startswith("n/a: ") for remark in found["table6"].remarks)


def test_table_7_has_the_papers_conditions_and_pools_draws(found: dict[str, PaperTable], tables: Tables) -> None:
    numbers = plain(found["table7"])
    own = numbers.filter(Model="talker-llm")
    assert own["Condition"].to_list() == ["Baseline", "Text (first word)", "CTC", "BoC", "Acoustic", "Random"]
    assert own["AG (paper)"].to_list() == [82.9, 0.0, 9.0, 5.9, 70.0, 78.9]
    assert own["d (paper)"].to_list() == [None, 159, 49, 48, 2, 159]
    assert numbers.filter(Model="mumbler-llm")["AG (paper)"].null_count() == 6
    heard = tables.erasure.filter(model="talker-llm", arm="audio", task="ag_news")
    draws = heard.filter(pl.col("variant").str.starts_with("random"), concept="proxy")
    assert draws.height == 20
    expected = {
        "Random": draws["accuracy"].mean(),
        "CTC": heard.filter(concept="ctc", variant="linear")["accuracy"].item(),
        "Baseline": heard.filter(concept="none")["accuracy"].item(),
    }
    for condition, accuracy in expected.items():
        assert own.filter(Condition=condition)["AG"].item() == pytest.approx(100 * accuracy, abs=0.05 + 1e-9)
    assert found["table7"].rows[2][1].startswith(f"{RANKS['proxy'] - 1} to {RANKS['proxy']} (159)")
    assert any("mean of 20 draws" in remark for remark in found["table7"].remarks)


def test_without_the_papers_names_only_the_study_is_shown(tables: Tables) -> None:
    for table in paper_displays(tables, None, None, NUMBERS):
        assert BRACKETS not in table.remarks and not any("(paper)" in name for name in table.plain[0])
        assert table.name in ("table1", "table7") or not any("(" in cell for row in table.rows for cell in row)


def test_tables_with_nothing_in_them_are_left_out(tables: Tables, tmp_path: Path) -> None:
    assert paper_displays(Tables(), None, PAPER, NUMBERS) == []
    closed = {name: table.head(0) for name, table in tables.items() if name in ("probes", "lens", "erasure")}
    shown = paper_displays(tables.changed(**closed), None, PAPER, NUMBERS)
    assert [table.name for table in shown] == ["table1", "table2", "table6"]
    write_paper_tables(paper_displays(tables, None, PAPER, NUMBERS), tmp_path)
    write_paper_tables(shown, tmp_path)
    expected = {f"table{number}.{ending}" for number in (1, 2, 6) for ending in ("csv", "md", "tex")}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_files_are_the_tables(found: dict[str, PaperTable], tmp_path: Path) -> None:
    write_paper_tables(found.values(), tmp_path)
    for name, table in found.items():
        assert (tmp_path / f"{name}.md").read_text(encoding="utf-8") == markdown(table)
        assert (tmp_path / f"{name}.tex").read_text(encoding="utf-8") == latex(table)
        read = pl.read_csv(tmp_path / f"{name}.csv")
        assert read.columns == list(table.plain[0]) and read.height == len(table.plain) - 1
        assert MINUS not in (tmp_path / f"{name}.csv").read_text(encoding="utf-8")


def test_plain_numbers_lose_marks_and_nothing_else() -> None:
    text = f"a {MINUS} b"
    rows = [[text, Cell(f"{MINUS}1.5", " ‡", f"{MINUS}2.0%"), Cell()], ["b", Cell("3.0"), Cell("n/a", "", "7")]]
    table = paper_table("t", "T", ["x", "y", "z"], [RowGroup("g", rows)], [], grouped_by="RowGroup")
    assert table.rows == [["g", "", ""], [text, f"{MINUS}1.5 ‡ ({MINUS}2.0%)", NOT_RUN], ["b", "3.0", "n/a (7)"]]
    assert [list(row) for row in table.plain] == [
        ["RowGroup", "x", "y", "y (paper)", "z", "z (paper)"],
        ["g", text, "-1.5", "-2.0", "", ""],
        ["g", "b", "3.0", "", "", "7"],
    ]


@needs_latex
def test_all_seven_compile_in_one_document_and_fit_the_page(found: dict[str, PaperTable], tmp_path: Path) -> None:
    assert list(found) == list(HEADERS)
    said = compiled(tmp_path, [latex(table) for table in found.values()])
    assert not any(fault in said for fault in ("Overfull", "Float too large", "Missing character"))
