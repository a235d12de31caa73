"""Systems behind an API are speech LLMs of which less is known: in words, in tables, in what they charged."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import polars as pl
import pytest
from api_asking import PRICES, TASK, ask, question, spec
from api_server import StandIn, serving
from report_study import SPEECH_OUTLINE, SPEECH_SYSTEMS, STATISTICS, Study, build, save, write_study

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.config.statistics import FamilyConfig, StatisticsConfig
from cascade_equivalence.nodes.api_answers import SERVICE, add_service
from cascade_equivalence.report import costs_table
from cascade_equivalence.report.display import NOT_RUN
from cascade_equivalence.report.figures.agreement import agreement_heatmap
from cascade_equivalence.report.figures.costs import costs_figure
from cascade_equivalence.report.figures.noise import noise_curves
from cascade_equivalence.report.figures.overlap import DOTS, overlap_figure
from cascade_equivalence.report.headline import print_headline
from cascade_equivalence.report.naming import nodes
from cascade_equivalence.report.paper_layout_behaviour import table1
from cascade_equivalence.report.results import Results
from cascade_equivalence.report.services import services
from cascade_equivalence.report.system_tables import made_of
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict import verdict
from cascade_equivalence.stats.numbers import read_comparison

mpl.use("Agg")
from matplotlib import pyplot as plt

CLOUD = ApiSpec.model_validate({"kind": "api", "provider": "gemini", "model": "cloud-1", "prices": PRICES})
UNKNOWN = "unknown"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study with speech LLMs, of which ``talker`` is behind an API and ran in the cloud at a price."""
    made = write_study(tmp_path_factory.mktemp("cloud"), SPEECH_OUTLINE)
    made.outline = replace(SPEECH_OUTLINE, systems=SPEECH_SYSTEMS | {"talker": CLOUD})
    for path in (*made.agreement, *made.contrasts):
        found = read_comparison(path)
        if "talker" in found.row(0):
            matches = pl.col("statistic").str.starts_with("match")
            found.with_columns(text=pl.when(matches).then(pl.lit(UNKNOWN)).otherwise("text")).write_csv(path)
    for node, path in nodes(made.answers, "system").items():
        table = pl.read_parquet(path).with_columns(seconds=pl.lit(0.5), prompt_tokens=pl.lit(9), new_tokens=pl.lit(1))
        if node.who == "talker":
            charged = {
                "cost": 0.001,
                "currency": "USD",
                "model_version": "cloud-1-a",
                "answered": "2026-01-01T00:00:00Z",
            }
            table = table.with_columns(**{name: pl.lit(value) for name, value in charged.items()})
        save(table, path)
    return made


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    return build(study)


def test_it_is_judged_as_a_speech_llm(tables: Tables, study: Study) -> None:
    assert study.outline.speech_llms == {"talker", "mumbler"}
    assert {pair.system for pair in study.outline.ordered_pairs()[:4]} == {"talker"}
    text = " ".join(verdict(tables, study.outline))
    assert "talker is a speech LLM behind an API (cloud-1), so whose LLM it has is not known" in text
    assert "No speech LLM is among the systems" not in text
    # It is never said to have a cascade's LLM, or another one.
    told = [part for part in text.split(". ") if part.startswith("talker agrees with")]
    assert told and all("cannot be compared with its own" in part for part in told)
    assert "the same LLM" not in " ".join(told) and "another LLM" not in " ".join(told)


def test_its_match_is_unknown_and_no_ceiling_is_its_own(tables: Tables) -> None:
    pairs = tables.agreement.filter(pl.col("system") == "talker")
    assert pairs.height and set(pairs["match"]) == {UNKNOWN} and set(pairs["system_kind"]) == {"api"}
    assert UNKNOWN in DOTS


def test_tables_say_what_it_is_made_of(tables: Tables) -> None:
    row = tables.accuracy.filter(system="talker").row(0, named=True)
    assert (made_of(row), row["kind"], row["asr"]) == ("cloud-1", "api", None)
    shown = table1(tables).rows
    assert ["talker", "End-to-end (API)", "cloud-1", NOT_RUN] in [[str(cell) for cell in line] for line in shown]


def test_figures_and_headline_show_it(tables: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    for draw, table in (
        (agreement_heatmap, tables.agreement),
        (overlap_figure, tables.agreement),
        (noise_curves, tables.noise),
        (costs_figure, tables.costs.with_columns(seconds_per_item=pl.lit(0.1))),
    ):
        plt.close(draw(table))
    print_headline(tables, STATISTICS)
    assert "talker" in capsys.readouterr().out


def test_what_it_charged_is_in_the_costs(tables: Tables) -> None:
    mine = tables.costs.filter(system="talker")
    assert mine["money"].to_list() == pytest.approx([0.001 * rows for rows in mine["rows"]])
    assert set(mine["currency"]) == {"USD"} and set(tables.costs.filter(system="mumbler")["money"]) == {None}
    shown = costs_table.totals(tables.costs)
    column = shown.columns.index("Charged")
    charged = {row[0]: row[column] for row in shown.rows}
    assert charged["talker"] == f"{sum(mine['money']):,.2f} USD" and "USD" not in charged["base-qwen"]
    assert any("behind an API" in remark for remark in costs_table.display(tables.costs, 0.95).remarks)
    local = tables.costs.filter(pl.col("system") != "talker")
    assert "Charged" not in costs_table.totals(local).columns
    assert not any("behind an API" in remark for remark in costs_table.display(local, 0.95).remarks)


def test_the_provenance_names_versions_and_warns_of_a_change(study: Study, tmp_path: Path) -> None:
    apis = {"talker": CLOUD}
    line = services(study.answers, apis)["talker"]
    assert line.startswith(f"cloud-1 at {CLOUD.endpoint}, answered by cloud-1-a (") and "warning" not in line
    assert line.endswith("USD") and services([p for p in study.answers if "talker" not in p.parts], apis) == {}
    rows = [
        (0.1, "USD", "cloud-1-b", "2026-02-01"),
        (None, "USD", None, "2026-03-01"),
        (0.1, "USD", "cloud-1-a", "2026-01-01"),
    ]
    path = save(pl.DataFrame(rows, schema=SERVICE, orient="row"), tmp_path / "talker" / "sst2" / "clean.parquet")
    line = services([path], apis)["talker"]
    assert line.index("cloud-1-a") < line.index("cloud-1-b") < line.index("a version that it did not name")
    # What was charged is not told where a part of it is not known.
    assert "changed in the midst" in line and "charged" not in line


def test_a_question_that_is_asked_once_is_charged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server_spec = _spec(server)
        ask(tmp_path, server_spec, range(3))
    asked = [question(number) for number in (0, 1, 2, 0)]
    judged = save(pl.DataFrame({"id": list("abcd")}), tmp_path / "judged.parquet")
    add_service(judged, server_spec, asked, TASK.max_new_tokens, tmp_path / "answers" / "clean.jsonl")
    found = pl.read_parquet(judged)
    assert found.columns == ["id", *SERVICE] and found["cost"][3] == 0
    assert all(cost > 0 for cost in found["cost"][:3]) and set(found["currency"]) == {"USD"}
    assert found["model_version"].null_count() == 0 and found["answered"].null_count() == 0


def _spec(server: StandIn) -> ApiSpec:
    return spec(server, prices=PRICES)


def agreement(files: list[Path], study: Study, statistics: StatisticsConfig) -> pl.DataFrame:
    """The table of agreement alone."""
    numbers = pl.concat(map(read_comparison, files))
    return Results(agreement=numbers, outline=study.outline, statistics=statistics)["agreement"]


def test_a_family_apart_is_corrected_by_itself(study: Study) -> None:
    """Each family's adjusted values are those of a study that has only its tests."""
    files = study.agreement
    apart = FamilyConfig(pairs=["talker~base-qwen", "talker~base-smol"], tasks=["ag_news", "sst2"])
    whole = agreement(files, study, StatisticsConfig(draws=300, family_apart=apart))
    plain = agreement(files, study, StatisticsConfig(draws=300))
    corrected = ["mcnemar_p_adjusted", "clustered_p_adjusted", "accuracies_differ"]
    assert whole.drop(corrected).equals(plain.drop(corrected))
    inside = pl.concat_str("system", "reference", separator="~").is_in(apart.pairs) & pl.col("task").is_in(apart.tasks)
    for part, wanted in ((whole.filter(inside), True), (whole.filter(~inside), False)):
        own = [path for path in files if _belongs(path, apart) is wanted]
        alone = agreement(own, study, StatisticsConfig(draws=300))
        assert part.select(corrected).equals(alone.select(corrected))
    assert not whole["mcnemar_p_adjusted"].equals(plain["mcnemar_p_adjusted"])
    everything = FamilyConfig(pairs=apart.pairs)
    broad = agreement(files, study, StatisticsConfig(draws=300, family_apart=everything))
    assert not broad["mcnemar_p_adjusted"].equals(whole["mcnemar_p_adjusted"])


def _belongs(path: Path, apart: FamilyConfig) -> bool:
    system, reference, _, task, *_ = read_comparison(path).row(0)
    return f"{system}~{reference}" in apart.pairs and task in list(map(str, apart.tasks))
