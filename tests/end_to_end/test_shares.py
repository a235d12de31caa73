"""One long job split over several, for real, on tiny models: the same answers, and nothing is left lying about."""

from pathlib import Path

import polars as pl
from checkout import Checkout, tiny_config


def test_answers_in_shares_are_those_of_one_job(finished: Checkout, tiny_models: Path) -> None:
    whole = tiny_config(tiny_models) | {"results": "results/whole", "tasks": ["ag_news"], "systems": ["true"]}
    del whole["noise"], whole["pairs"]
    whole["items"]["per_task"] = 192
    whole["speech"]["voices"] = ["us", "us-male", "gb"]
    whole["answer"]["batch_size"] = 16
    done = finished.run(whole, "all_answers")
    assert done.returncode == 0, done.stdout
    split = whole | {"results": "results/split", "answer": whole["answer"] | {"shares": {"true": 3}}}
    # So many clips make two shares only.
    plan = finished.plan(split, "all_answers")
    shares = {("answer_share", "true", "ag_news", "clean", number, "2") for number in "12"}
    assert {job for job in plan.jobs if job[0] == "answer_share"} == shares
    done = finished.run(split, "all_answers")
    assert done.returncode == 0, done.stdout

    one, two = (finished.root / config["results"] for config in (whole, split))
    answers = [pl.read_parquet(folder / "answers/true/ag_news/clean.parquet").drop("seconds") for folder in (one, two)]
    assert answers[0].height == 576 and answers[0].equals(answers[1])
    # Nothing that is on record is gone.
    assert finished.python("-m", "cascade_equivalence", "verify", "study.yaml").returncode == 0
    assert [path.name for path in (two / "store/answers/true/ag_news").iterdir()] == ["clean.jsonl"]
    assert not finished.plan(split, "all_answers").jobs - {("all_answers",)}

    # Split otherwise, all is known already, the time that it took, too.
    before = pl.read_parquet(two / "answers/true/ag_news/clean.parquet")
    done = finished.run(split | {"answer": whole["answer"]}, "all_answers")
    assert done.returncode == 0, done.stdout
    assert pl.read_parquet(two / "answers/true/ag_news/clean.parquet").equals(before)
