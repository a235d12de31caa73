"""A study that opens its models, run to its end on random ones, and what a change of it runs again.

The models are random; the numbers show that the parts fit together, and nothing else.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from checkout import AGGREGATES, Checkout, Config, Job, opened_config

END: set[Job] = {("all",), *((rule,) for rule in AGGREGATES)}


@pytest.fixture(scope="module")
def study(tiny_models: Path) -> Config:
    return opened_config(tiny_models)


@pytest.fixture(scope="module")
def results(finished: Checkout, study: Config) -> Iterator[Path]:
    done = finished.run(study)
    assert done.returncode == 0, done.stdout
    yield finished.root / "results" / "opened"
    shutil.rmtree(finished.root / "results" / "opened")


def table(results: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(results / "tables" / f"{name}.csv", infer_schema_length=None)


def test_layers_share_one_pass(results: Path) -> None:
    index = pl.read_parquet(results / "states" / "speech-a" / "index.parquet")
    utterances = pl.read_parquet(results / "mechanism" / "utterances.parquet")
    assert index["utterance"].n_unique() == utterances.height == 16
    made = [path.stat().st_mtime for path in (results / "states" / "speech-a").iterdir()]
    assert len(made) == 3 and max(made) - min(made) < 60


def test_an_untrained_twin_is_another_model(results: Path) -> None:
    own, twin = (
        pl.read_parquet(results / "states" / name / "index.parquet") for name in ("speech-a", "speech-a@untrained")
    )
    assert own.equals(twin)
    first, second = (
        (results / "states" / name / "layer1.safetensors").read_bytes()[1024:]
        for name in ("speech-a", "speech-a@untrained")
    )
    assert len(first) == len(second) and first != second


def test_every_layer_is_probed_and_read(results: Path) -> None:
    probes, lens = table(results, "probes"), table(results, "lens")
    assert set(probes["layer"]) == {0, 1} and {"energy", "pitch", "boc", "ctc"} <= set(probes["probe"])
    assert lens["layer"].to_list() == [0, 1]


def test_states_are_put_into_other_runs(results: Path) -> None:
    found = table(results, "patching")
    assert set(found["positions"]) == {"behind", "last", "words"} and set(found["layer"]) == {0, 1}
    rows = pl.read_parquet(results / "patching" / "speech-a" / "ag_news.parquet")
    assert rows.height == 2 * 2 * 3 * found["pairs"][0] > 0
    # The run that states are put into is the same for those that were heard and those that were read.
    arms = [rows.filter(arm=arm).sort("source_id", "target_id", "positions", "layer") for arm in ("audio", "text")]
    assert arms[0]["target"].to_list() == pytest.approx(arms[1]["target"].to_list(), abs=1e-4)
    assert (results / "figures" / "patching.svg").stat().st_size > 0


def test_a_cascade_is_told_what_the_voice_tells(results: Path) -> None:
    found = table(results, "words")
    assert found.select("system", "reference", "augmented").unique().rows() == [("heard", "first", "told")]
    assert set(found["task"]) == {"ag_news", "sst2"}
    tags = pl.read_parquet(results / "voice" / "whisper-a" / "sst2" / "clean.parquet")
    assert tags.height == 16 and tags["energy"].null_count() == 0


def test_what_is_heard_stands_against_what_is_typed(results: Path) -> None:
    row, *orders = table(results, "conflict").iter_rows(named=True)
    assert len(orders) == 2
    assert (row["system"], row["reference"], row["task"]) == ("heard", "first", "sst2")
    assert row["prompts"] == 8 and 0 <= row["system_typed"] + row["system_heard"] <= 1


def test_what_is_heard_is_set_beside_what_is_read(results: Path) -> None:
    found, ranks = table(results, "similarity"), table(results, "lens_ranks")
    assert found["layer"].to_list() == [-1, 0, 1] and found["words"].min() > 0
    assert ranks["layer"].to_list() == [0, 1] and ranks["tokens"].min() > 0
    assert (results / "figures" / "similarity.svg").stat().st_size > 0


def test_words_are_taken_out_of_what_is_heard_and_read(results: Path) -> None:
    words = pl.read_parquet(results / "attributions" / "speech-a" / "sst2.parquet")
    found = table(results, "attributions").row(0, named=True)
    assert found["words"] == words.height and found["items"] == words["id"].n_unique()


def test_erasing_has_a_cost_and_curved_probes_are_told(results: Path) -> None:
    losses, curved = table(results, "erasure_loss"), table(results, "curved")
    assert set(losses["concept"]) == {"proxy", "ctc"} and losses["loss_change"].null_count() == 0
    assert set(curved["target"]) == {"voice", "manner", "pitch", "energy"}


def test_states_are_moved_and_kept_from_a_concept(results: Path) -> None:
    rows = pl.read_parquet(results / "steering" / "speech-a" / "sst2.parquet")
    assert set(rows["change"]) == {"none", "direction", "proxy"} and set(rows["id"].value_counts()["count"]) != {0}
    odds = {row["id"]: row["log_odds"] for row in rows.filter(change="none").iter_rows(named=True)}
    for row in rows.filter(change="proxy", amount=0).iter_rows(named=True):
        assert row["log_odds"] == pytest.approx(odds[row["id"]], abs=1e-5)
    assert set(table(results, "steering")["change"]) <= {"direction", "proxy"}


def test_every_condition_is_answered(results: Path) -> None:
    drawn = {f"{control}{draw}" for control in ("random", "principal") for draw in range(2)}
    for concept, variants in (("none", {"none"}), ("proxy", {"linear", "affine"}), ("ctc", {"linear", "affine"})):
        found = pl.read_parquet(results / "erasure" / "speech-a" / concept / "sst2.parquet")
        heard, read = (set(found.filter(arm=arm)["variant"]) for arm in ("audio", "text"))
        assert read == variants and heard == variants | (set() if concept == "none" else drawn)
        assert found.height == 4 * (len(heard) + len(read))
        assert (found["kl"] >= 0).all() and found["forced"].is_in(["negative", "positive"]).all()
        if concept == "none":
            assert (found["kl"] < 1e-9).all()
    baseline = pl.read_parquet(results / "erasure" / "speech-a" / "none" / "sst2.parquet").filter(
        pl.col("arm") == "audio"
    )
    heard = pl.read_parquet(results / "answers" / "heard" / "sst2" / "clean.parquet")
    both = baseline.join(heard, on=["id", "voice"], validate="1:1")
    # Nothing is erased in the baseline: these are the study's own answers.
    assert both.height == 4 and both["raw"].to_list() == both["raw_right"].to_list()


def test_erased_concepts_are_guarded(results: Path) -> None:
    summary = json.loads((results / "erasers" / "speech-a" / "proxy" / "summary.json").read_text())
    assert summary


def test_the_report_looks_inside(results: Path) -> None:
    page = (results / "report.html").read_text()
    assert "Inside the models" in page
    assert {"probes", "lens", "erasure"} <= {path.stem for path in (results / "tables").glob("*.csv")}


def test_a_finished_study_has_nothing_to_do(results: Path, finished: Checkout, study: Config) -> None:
    plan = finished.plan(study)
    assert plan.code == 0 and plan.jobs == set(), plan.jobs


def test_a_new_concept_runs_its_own_nodes(results: Path, finished: Checkout, study: Config) -> None:
    more = study | {"mechanism": study["mechanism"] | {"erasure": dict(study["mechanism"]["erasure"])}}
    more["mechanism"]["erasure"]["concepts"] = ["proxy", "ctc", "boc"]
    own = {("fit_erasers_speech_a", "boc"), ("answer_erased", "speech-a", "boc", "sst2")}
    assert finished.plan(more).jobs == own | END


def test_a_new_task_is_only_answered(results: Path, finished: Checkout, study: Config) -> None:
    more = study | {"mechanism": study["mechanism"] | {"erasure": dict(study["mechanism"]["erasure"])}}
    more["mechanism"]["erasure"]["tasks"] = ["sst2", "ag_news"]
    own = {("answer_erased", "speech-a", concept, "ag_news") for concept in ("none", "proxy", "ctc")}
    assert finished.plan(more).jobs == own | END


def test_the_batch_size_is_no_reason_to_run(results: Path, finished: Checkout, study: Config) -> None:
    other = study | {"answer": study["answer"] | {"batch_size": 3}}
    assert finished.plan(other).jobs == set()
