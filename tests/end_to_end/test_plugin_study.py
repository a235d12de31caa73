"""One thing of each kind, added from outside the package, goes through a study on real models to its report."""

import json
import shutil
from typing import Any

import polars as pl
import pytest
from checkout import AGGREGATES, REAL_RUN, REPOSITORY, Checkout

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.models.sources.wheels import default_cache
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.base import Task
from cascade_equivalence.vocabulary import INVALID

EXAMPLES = REPOSITORY / "docs" / "plugins"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))
RESULTS = "results/mine"
STUDY: dict[str, Any] = {
    "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
    "plugins": [f"mine/{name}" for name in NAMES],
    "results": RESULTS,
    "tasks": ["parity"],
    "items": {"source": "demo", "per_task": 8},
    "speech": {"voices": ["line"]},
    "noise": {"kinds": {"hum": {"levels": [5]}}, "voices": ["line"], "tasks": ["parity"]},
    "systems": ["ears", "cascade"],
    "pairs": [{"system": "ears", "reference": "cascade", "label": "matched"}],
    "mechanism": {
        "models": ["my-ears"],
        "layers": {"my-ears": [10]},
        "states": {"tasks": ["parity"], "device": "cpu"},
        "probes": {"shuffles": 2, "folds": 2, "ctc": {"epochs": 2}},
        "erasure": {"tasks": ["parity"], "per_task": 4, "concepts": ["words"], "seeds": 1},
    },
    "transcribe": {"engine": "hybrid", "dtype": "float32", "max_new_tokens": 64},
    "answer": {"dtype": "float32"},
    "statistics": {"draws": 200},
    "definitions": {
        "models": {
            "my-ears": {
                "role": "speech-llm",
                "licence": "Apache-2.0",
                "source": {"kind": "path", "path": "mine/my-ears"},
                "text_model": "smollm2-135m-instruct",
                "audio_model": "whisper-tiny.en",
            }
        },
        "systems": {
            "ears": {"kind": "e2e", "model": "my-ears"},
            "cascade": {"kind": "cascade", "asr": "whisper-tiny.en", "llm": "smollm2-135m-instruct"},
        },
        "voices": {"line": {"provider": "telephone", "low": 200.0}},
        "tasks": {
            "parity": {
                "prompt": "Is the number even or odd?\n{speech}\nAnswer with one word: even or odd.",
                "answer_prefix": "The number is",
            }
        },
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study, run to its end."""
    checkout = Checkout(tmp_path_factory.mktemp("plugins") / "project", default_cache())
    mine = checkout.root / "mine"
    shutil.copytree(EXAMPLES, mine)
    shutil.copytree(RESOURCES / "mini-speech-llm", mine / "my-ears")
    config = json.loads((mine / "my-ears" / "config.json").read_text())
    (mine / "my-ears" / "config.json").write_text(json.dumps(config | {"model_type": "my_ears"}))
    done = checkout.snakemake(STUDY, *REAL_RUN)
    assert done.returncode == 0, done.stdout
    return checkout


def table(site: Checkout, name: str) -> pl.DataFrame:
    return pl.read_csv(site.root / RESULTS / "tables" / f"{name}.csv", infer_schema_length=None)


@pytest.mark.models
def test_each_is_in_the_tables(site: Checkout) -> None:
    noise = table(site, "noise")
    assert set(noise["task"]) == {"parity"} and set(noise["condition"]) == {"clean", "hum5"}
    assert set(noise["noise"].drop_nulls()) == {"hum"} and set(noise["snr_db"].drop_nulls()) == {5.0}
    both = table(site, "both_right")
    assert both.height == 2
    for row in both.iter_rows(named=True):
        right = [
            pl.read_parquet(site.root / RESULTS / "answers" / row[side] / "parity" / f"{row['condition']}.parquet")
            for side in ("system", "reference")
        ]
        joined = right[0].join(right[1], on=["id", "voice"], suffix="_reference", validate="1:1")
        assert row["both_right"] == pytest.approx((joined["correct"] & joined["correct_reference"]).mean())
    assert "words" in table(site, "erasure")["concept"]
    assert table(site, "erasers").filter(concept="words")["rank"].unique().to_list() == [1]
    assert not table(site, "erasure_controls").filter(concept="words").is_empty()
    claims = pl.read_csv(site.root / RESULTS / "claims.csv", infer_schema_length=None)
    assert claims.row(-1, named=True)["claim"] == "mostly_the_same"


@pytest.mark.models
def test_each_is_in_the_page_and_the_figures(site: Checkout) -> None:
    page = (site.root / RESULTS / "report.html").read_text()
    for shown in ("Even or odd", "mains hum", "Number of words", "Clips that both get right", "in bars"):
        assert shown in page, shown
    assert "Most answers are the same" in page
    drawn = (site.root / RESULTS / "figures" / "bars.svg").read_text()
    assert "Even or odd" in drawn and "ears" in drawn


@pytest.mark.models
def test_the_parser_of_the_task_is_its_own(site: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = pl.read_parquet(sorted((site.root / RESULTS / "answers").glob("*/parity/*.parquet")))
    assert answers.height == 2 * 2 * 8
    monkeypatch.chdir(site.root)
    try:
        study = load_study(STUDY)
        task, prefix = TASKS["parity"], study.definitions.tasks["parity"].answer_prefix
    finally:
        plugins.use([])
    assert task.parse("7", (), {}) == "odd" and Task.parse(task, "7", (), {}) == INVALID
    assert answers["parsed"].to_list() == [task.parse(raw, (), {}, prefix) for raw in answers["raw"]]


@pytest.mark.models
def test_each_is_known_to_the_config_and_the_command_line(site: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.root)
    try:
        targets = stages.report.targets(Study(load_study(STUDY)))
        schema = json.dumps(json_schema())
    finally:
        plugins.use([])
    assert all(f'"{name}"' in schema for name in ("parity", "words", "TelephoneVoice"))
    assert f"{RESULTS}/tables/both_right.csv" in targets and f"{RESULTS}/figures/bars.svg" in targets
    config = site.root / "mine.yaml"
    config.write_text(json.dumps(STUDY))
    for kind, name in (("tasks", "parity"), ("noises", "hum"), ("concepts", "words"), ("voices", "line")):
        assert any(line.split()[0] == name for line in said(site, "list", kind, "mine.yaml").splitlines())
    assert "valid" in said(site, "check", "mine.yaml")
    assert "parity" in said(site, "estimate", "mine.yaml", "--json")


def said(site: Checkout, *arguments: str) -> str:
    done = site.python("-m", "cascade_equivalence", *arguments, PYTHONPATH="src")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.models
def test_a_change_of_one_makes_again_what_it_is_in(site: Checkout) -> None:
    assert site.plan(STUDY).jobs == set()
    changes = {
        ("figure.py", "ylim=(0, 1)", "ylim=(0, 1.1)"): (set(), ""),
        ("statistic.py", "system_correct &", "system_correct |"): ({"agree"}, "parity"),
        ("concept.py", "float(len(text.split()))", "float(len(text))"): (
            {"fit_erasers_my_ears", "answer_erased"},
            "words",
        ),
        ("noise.py", "MAINS_HZ = 50.0", "MAINS_HZ = 60.0"): ({"mix_noise", "transcribe", "answer", "agree"}, "hum5"),
    }
    for (file, old, new), (rules, name) in changes.items():
        with site.edited(f"mine/{file}", old, new):
            jobs = {job for job in site.plan(STUDY).jobs if job[0] not in (*AGGREGATES, "all")}
        assert {job[0] for job in jobs} == rules and all(name in job for job in jobs), file
    assert site.plan(STUDY).jobs == set()
