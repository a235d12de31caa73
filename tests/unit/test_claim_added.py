"""A claim added in one place, with a test and a choice of rows of its own, is judged and shown after the paper's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import report_study
from report_mechanism_study import write_mechanism

from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.claims_paper import (
    CLAIM_TESTS,
    CLAIMS,
    PICKS,
    ClaimTest,
    PaperClaim,
    Pick,
    new_claim,
)
from cascade_equivalence.report.claims_rows import Facts, measured
from cascade_equivalence.report.claims_table import claims_table, display
from cascade_equivalence.report.claims_tested import ClaimResult
from cascade_equivalence.report.finding import PROBES, Claim, Finding
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.outcomes import HOLDS, UNTOLD
from cascade_equivalence.report.paper_numbers import read_numbers
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_inside import INSIDE_CLAIMS, Inside, InsideClaim
from cascade_equivalence.report.verdict_mechanism import findings, four_levels, stories, tally
from cascade_equivalence.resources import PAPER_NUMBERS
from cascade_equivalence.tasks.registry import TASKS

TITLE = "Most answers are the same & more"
CLAIM: dict[str, Any] = {
    "id": "most_agree",
    "section": "ours",
    "title": TITLE,
    "says": "More than a tenth of the answers are the same.",
    "judged_on": "agreement",
    "test": "mean",
    "rows": {"table": "agreement", "value": "observed_agreement", "pick": ["ceilings"]},
    "against": 0.1,
    "unit": "share",
    "holds": "{value} are the same.",
    "fails": "{value} are the same.",
    "untold": "{value}; {reason}.",
}


def counted(claim: PaperClaim, facts: Facts) -> ClaimResult:
    """Are there any rows at all?"""
    assert claim.rows is not None
    found = measured(claim.rows, facts.tasks(claim.tasks), facts, 0.0)
    return ClaimResult(value=float(len(found)), p=0.0001, supports=bool(found), tasks=[each.task for each in found])


@pytest.fixture
def added() -> Iterator[list[str]]:
    """Two claims, among the paper's: one as the paper's are judged, one with a test and rows of its own."""
    PICKS.add(Pick("yes_and_no", lambda _: pl.col("task") == "sst2"))
    CLAIM_TESTS.add(ClaimTest("counted", counted))
    rows = {"table": "accuracy", "value": "accuracy", "pick": ["yes_and_no"]}
    own = [new_claim(**CLAIM), new_claim(**CLAIM | {"id": "any_rows", "test": "counted", "rows": rows})]
    for claim in own:
        CLAIMS.add(claim)
    yield [claim.id for claim in own]
    for registry in (CLAIMS, CLAIM_TESTS, PICKS):
        registry.drop(registry.added())


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of the study with speech LLMs."""
    return report_study.build(report_study.write_study(tmp_path_factory.mktemp("study"), report_study.SPEECH_OUTLINE))


def judged(tables: Tables) -> pl.DataFrame:
    return claims_table(
        list(CLAIMS.values()),
        tables,
        sufficient={name: task.text_sufficient for name, task in TASKS.items()},
        labels=report_study.LABELS,
        paper=None,
        numbers=read_numbers(PAPER_NUMBERS),
        statistics=report_study.STATISTICS,
    )


def test_it_is_judged_and_shown_after_the_papers(tables: Tables, added: list[str], tmp_path: Path) -> None:
    found = judged(tables)
    assert found["claim"].to_list() == list(CLAIMS) and found["claim"].to_list()[-2:] == added
    rows = {row["claim"]: row for row in found.iter_rows(named=True)}
    one, other = (rows[name] for name in added)
    assert one["outcome"] == HOLDS and one["value"] > 0.1 and one["p"] is not None
    assert other["outcome"] == HOLDS and other["tasks"].split(", ") == ["sst2"] * int(other["value"])

    shown = display(found, 0.95)
    assert [row[0] for row in shown.rows][-2:] == [TITLE, TITLE]
    page = write_report(
        tmp_path / "report.html",
        title="t",
        tables=tables,
        figures=[],
        outline=report_study.SPEECH_OUTLINE,
        statistics=report_study.STATISTICS,
        extra_tables=[("claims", shown)],
    ).read_text()
    assert page.count(TITLE.replace("&", "&amp;")) >= 2


def test_the_papers_claims_say_the_same_beside_it(tables: Tables, added: list[str]) -> None:
    """Only the correction, which is over all claims of the study, knows of the others."""
    corrected = ["outcome", "sentence", "p_adjusted", "reason", "detail"]
    papers = judged(tables).filter(~pl.col("claim").is_in(added)).drop(corrected)
    CLAIMS.drop(added)
    assert judged(tables).drop(corrected).equals(papers)


def test_it_may_be_made_of_the_papers_but_not_of_one_that_comes_later(tables: Tables, added: list[str]) -> None:
    whole = CLAIM | {"test": "all_of", "rows": None, "untold": "{detail}."}
    CLAIMS.add(new_claim(**whole | {"id": "both", "parts": ["text_sufficiency", added[0]]}))
    assert judged(Tables())["outcome"].to_list()[-1] == UNTOLD
    CLAIMS.add(new_claim(**whole | {"id": "too_early", "parts": ["later"]}))
    CLAIMS.add(new_claim(**CLAIM | {"id": "later"}))
    with pytest.raises(StudyError, match=r"too_early.*later"):
        judged(tables)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"test": "guess"}, "guess"),
        ({"rows": CLAIM["rows"] | {"table": "agrement"}}, "agrement"),
        ({"rows": CLAIM["rows"] | {"value": "kapa"}}, "kapa"),
        ({"rows": CLAIM["rows"] | {"pick": ["nobody"]}}, "nobody"),
        ({"rows": None}, "rows"),
        ({"against": "no_column"}, "no_column"),
        ({"holds": "{colour}"}, "colour"),
        ({"parts": ["ceiling"]}, "parts"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_told_in_one_line_when_it_is_made(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError, match=rf"most_agree.*{told}") as error:
        new_claim(**CLAIM | wrong)
    assert "\n" not in str(error.value)


def test_a_claim_on_the_inside_of_models_is_judged_corrected_and_told(tmp_path: Path) -> None:
    claim = Claim("many_layers", PROBES, "It has layers & more", "Layers")

    def judge(inside: Inside) -> Iterator[Finding]:
        layers = inside.tables.probes.filter(model=inside.model)["layer"].n_unique()
        yield Finding(inside.model, claim, "Layers", "", HOLDS, f"{layers} layers", p=0.0001)

    study = report_study.write_study(tmp_path, report_study.IMPLICIT_OUTLINE)
    found = report_study.build(study, mechanism=write_mechanism(tmp_path / "mechanism"))
    before = findings(found, report_study.STATISTICS)
    INSIDE_CLAIMS.add(InsideClaim(claim, judge))
    try:
        after = findings(found, report_study.STATISTICS)
        models = {each.model for each in before}
        assert {each.model for each in after if each.claim == claim} == models
        assert all(each.p_adjusted is not None for each in after if each.claim == claim)
        assert [replace(each, p_adjusted=None, outcome="", why="") for each in after if each.claim != claim] == [
            replace(each, p_adjusted=None, outcome="", why="") for each in before
        ]
        for story in stories(after, report_study.IMPLICIT_OUTLINE):
            assert story.judgements[-1].claim == claim
        assert any("Layers: holds" in cell for row in four_levels(after).rows for cell in row)
        assert sum(row[1] == claim.title for row in tally(after).rows) == len(models)
    finally:
        INSIDE_CLAIMS.drop([claim.name])
    assert findings(found, report_study.STATISTICS) == before


def test_a_claim_of_no_level_of_evidence_is_refused() -> None:
    with pytest.raises(StudyError, match=r"many_layers.*Probes"):
        Claim("many_layers", "Guesses", "It has layers", "Layers")
