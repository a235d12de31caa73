"""A concept added in one place is erased, controlled, judged, estimated and shown wherever concepts are."""

import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import report_mechanism_study as made_up
from eraser_study import Study, planted_study
from matplotlib import pyplot as plt
from pydantic import TypeAdapter
from test_estimate import FIGURE, make

from cascade_equivalence import plugins, stages
from cascade_equivalence.cli.commands.names import run as list_names
from cascade_equivalence.config.mechanism import ErasureConfig
from cascade_equivalence.config.names import CONCEPTS, ConceptName
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.errors import StudyError
from cascade_equivalence.estimate.study import estimate_study
from cascade_equivalence.mechanism.concept import Columns, Concept, standardised
from cascade_equivalence.report.erasure_tables import erasure
from cascade_equivalence.report.figures.erasure import erasure_figure
from cascade_equivalence.report.finding import NECESSARY, SPARED
from cascade_equivalence.report.verdict_mechanism import findings

NAME, TITLE = "last_word", "Letters of the last word"


def last_words(table: pl.DataFrame, _config: ErasureConfig, _alphabet: str, weights: np.ndarray) -> Columns:
    """How long the last word is."""
    lengths = [[float(len(text.split()[-1]))] for text in table["text"]]
    return Columns(("letters",), standardised(np.array(lengths), weights))


CONCEPT = Concept(name=NAME, title=TITLE, about="how long the last word is", kind="text", columns=last_words)

PLUGIN = """
import numpy as np
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.mechanism.concept import Columns, Concept

def columns(table, config, alphabet, weights):
    return Columns(("first",), np.array([[{first}]] * table.height))

CONCEPTS.add(Concept(name="mine", title="Mine", about="made up", kind="sound", columns=columns))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return planted_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def concept(monkeypatch: pytest.MonkeyPatch) -> str:
    """The concept, among those of the package."""
    add(monkeypatch, CONCEPT)
    return NAME


def add(monkeypatch: pytest.MonkeyPatch, concept: Concept) -> None:
    assert concept.name not in CONCEPTS
    monkeypatch.setattr(CONCEPTS, "_added", {})
    assert CONCEPTS.add(concept) is concept


def test_it_is_planned_wherever_concepts_are(concept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert TypeAdapter(ConceptName).validate_python(concept) == concept
    assert concept in str(json_schema())
    asked = Namespace(kind="concepts", config=None, json=False)
    assert list_names(asked) == 0 and CONCEPT.about in capsys.readouterr().out

    def opened(*concepts: str) -> dict[str, Any]:
        raw = {"tasks": ["sst2"], "per_task": 50, "concepts": list(concepts), "seeds": 4}
        return {"mechanism": {"models": ["talker"], "states": {"tasks": ["sst2"], "per_task": 100}, "erasure": raw}}

    study = make(tmp_path, **opened("proxy", concept))
    assert re.fullmatch(stages.wildcards.constraints(study)["concept"], concept)
    files = stages.report.mechanism_files(study)
    assert stages.erasers.summary(study, "talker", concept) in files["erasers"]
    assert stages.erasure.file(study, "talker", concept, "sst2") in files["erasure"]
    assert stages.erasure.draws(study, concept) == stages.erasure.draws(study, "proxy") > 0
    assert {"controls", "seeds"} <= stages.erasers.params(study, concept).keys()
    with_it, without = (
        {stage.stage: stage for stage in estimate_study(each, FIGURE).stages}["answer_erased"]
        for each in (study, make(tmp_path, **opened("proxy")))
    )
    assert with_it.rows > without.rows


@pytest.mark.parametrize(("kind", "claim"), [("text", NECESSARY), ("sound", SPARED)])
def test_it_is_shown_and_judged_by_its_kind(
    kind: Any, claim: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add(monkeypatch, replace(CONCEPT, kind=kind))
    monkeypatch.setitem(made_up.RANKS, NAME, 1)
    monkeypatch.setitem(made_up.SURVIVAL, (NAME, "linear", "audio"), 0.1)
    tables = made_up.inside(tmp_path, made_up.World(), erasure=True, concepts=("proxy", NAME))
    assert {None, *made_up.CONTROLS} == set(tables.erasers.filter(concept=NAME)["control"])
    shown = {row[1] for row in erasure(tables.erasure, tables.erasers).rows}
    assert TITLE in map(str, shown)
    figure = erasure_figure(tables.erasure)
    assert TITLE in [label.get_text() for label in figure.axes[0].get_yticklabels()]
    plt.close(figure)
    judged = {finding.claim for finding in findings(tables, made_up.STATISTICS) if finding.subject == TITLE}
    assert claim in judged and not {NECESSARY, SPARED} - {claim} & judged


def test_a_control_stands_beside_its_own_concept_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    control = replace(CONCEPT, kind="control", control_of="acoustic", fitted="made up", brief="made up")
    add(monkeypatch, control)
    monkeypatch.setitem(made_up.RANKS, NAME, 1)
    tables = made_up.inside(tmp_path, made_up.World(), erasure=True, concepts=("proxy", "acoustic", NAME))
    assert set(tables.erasure_controls.filter(control=NAME)["concept"]) == {"acoustic"}
    assert not {finding.subject for finding in findings(tables, made_up.STATISTICS)} & {TITLE}


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": None},
        {"columns": 3},
        {"kind": "speech"},
        {"labels": lambda *_: None},
        {"name": "Speaker"},
        {"name": "none"},
        {"name": "random"},
        {"name": "../up"},
        {"kind": "control"},
        {"control_of": "proxy"},
        {"settings": frozenset({"nothing"})},
    ],
)
def test_one_that_lacks_something_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(StudyError) as refused:
        replace(CONCEPT, **changes)
    assert repr(changes.get("name", NAME)) in str(refused.value)


@pytest.mark.parametrize("values", [np.zeros((3, 1)), np.zeros((120, 2)), np.full((120, 1), np.nan)])
def test_columns_that_do_not_fit_are_refused(values: np.ndarray, monkeypatch: pytest.MonkeyPatch, study: Study) -> None:
    add(monkeypatch, replace(CONCEPT, columns=lambda *_: Columns(("letters",), values)))
    with pytest.raises(StudyError, match=NAME):
        study.fit(NAME)


def test_what_is_no_concept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named:
        name = NAME

    with pytest.raises(StudyError, match=NAME):
        add(monkeypatch, Named())  # type: ignore[arg-type]
    assert NAME not in CONCEPTS


def test_another_concept_of_the_same_name_is_refused() -> None:
    with pytest.raises(StudyError, match="proxy"):
        CONCEPTS.add(replace(CONCEPT, name="proxy"))


def test_a_concept_that_is_not_there_is_refused_by_name(study: Study) -> None:
    with pytest.raises(StudyError, match="proxy"):
        study.fit("proxi")


def test_its_file_is_part_of_what_its_own_nodes_are_made_by(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.addfinalizer(lambda: plugins.use([]))
    path = tmp_path / "mine.py"

    def codes(first: str) -> dict[str, str]:
        path.write_text(PLUGIN.format(first=first))
        opened = {
            "models": ["talker"],
            "states": {"tasks": ["sst2"]},
            "erasure": {"concepts": ["proxy", "mine"], "tasks": ["sst2"]},
        }
        study = make(tmp_path, plugins=[str(path)], mechanism=opened)
        return {concept: stages.erasers.params(study, concept)["code"] for concept in ("proxy", "mine")}

    before, after = codes("0.0"), codes("1.0")
    assert before["proxy"] == after["proxy"] != before["mine"] != after["mine"]
