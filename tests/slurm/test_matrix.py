"""A small matrix of real models through SLURM: what comes out is what a run on one machine gives."""

from collections import Counter
from typing import Any

import polars as pl
import pytest
from checkout import REAL_RUN, Checkout
from cluster import Cluster
from killing import STORES, assert_computed_once
from on_cluster import PROFILE, Site

from cascade_equivalence.models.sources.wheels import default_cache

MEASURED = "seconds"  # never the same twice
SYSTEMS = ("tiny-smollm2", "base-smollm2")
# Two tasks: their comparisons share a job.
TASKS = ("sst2", "ag_news")
STUDY: dict[str, Any] = {
    "registry": [f"config/{name}.yaml" for name in ("models", "systems", "voices", "tasks")],
    "results": "results/matrix",
    "tasks": list(TASKS),
    "items": {"source": "demo", "per_task": 4},
    "speech": {"voices": ["us"]},
    "systems": list(SYSTEMS),
    "pairs": [{"system": SYSTEMS[0], "reference": SYSTEMS[1], "label": "same LLM, two recognisers"}],
    # `auto` asks SLURM for a GPU; torch sees none here and takes the processor.
    "transcribe": {"engine": "hybrid", "max_new_tokens": 64},
    "statistics": {"draws": 200},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Site:
    """The matrix, run on the cluster."""
    site = Site(tmp_path_factory.mktemp("matrix") / "project", cluster, default_cache())
    # All answers first: then both comparisons are ready together, and are one job.
    for rule in ("answer", "agree"):
        done = site.snakemake(STUDY, *PROFILE, "--until", rule)
        assert done.returncode == 0, done.stdout
    return site


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The matrix, run without a scheduler."""
    checkout = Checkout(tmp_path_factory.mktemp("local") / "project", default_cache())
    done = checkout.snakemake(STUDY, "--until", "agree", *REAL_RUN)
    assert done.returncode == 0, done.stdout
    return checkout


def tables(checkout: Checkout, folder: str) -> dict[str, list[dict[str, Any]]]:
    paths = sorted((checkout.root / "results/matrix" / folder).rglob("*.parquet"))
    return {
        path.relative_to(checkout.root).as_posix(): pl.read_parquet(path).drop(MEASURED).to_dicts() for path in paths
    }


@pytest.mark.models
@pytest.mark.parametrize("folder", ["transcripts", "answers"])
def test_the_cluster_finds_what_one_machine_finds(site: Site, local: Checkout, folder: str) -> None:
    found = tables(site, folder)
    assert len(found) == len(SYSTEMS) * len(TASKS) and all(len(rows) == 4 for rows in found.values())
    assert found == tables(local, folder)


@pytest.mark.models
def test_comparisons_are_equal_to_the_last_digit(site: Site, local: Checkout) -> None:
    found = site.files("results/matrix/agreement/**/*.csv")
    assert len(found) == len(TASKS)
    assert found == local.files("results/matrix/agreement/**/*.csv")


@pytest.mark.models
def test_each_kind_of_node_ran_where_it_belongs(site: Site, cluster: Cluster) -> None:
    lines = cluster.run("squeue", "-h", "-t", "all", "-o", "%k|%P|%i|%Z").stdout.splitlines()
    mine = [line.split("|") for line in lines if line.endswith(str(site.root))]
    by_rule: dict[str, set[str]] = {}
    for comment, partition, _, _ in mine:
        by_rule.setdefault(comment.removeprefix("rule_").partition("_wildcards")[0], set()).add(partition)
    # Answers of a system share a job, and so do all comparisons.
    answers = {f"answers_{system}_answer": {"gpu"} for system in SYSTEMS}
    assert (
        by_rule
        == {
            "synthesize_speech": {"cpu"},
            "transcribe": {"gpu"},
            "comparisons_agree": {"cpu"},
        }
        | answers
    )
    assert Counter(comment for comment, *_ in mine)["rule_comparisons_agree"] == 1


@pytest.mark.models
def test_every_answer_was_computed_once_and_every_claim_was_let_go(site: Site) -> None:
    assert_computed_once(site.files(STORES))
    claims = site.files("results/matrix/store/claims/**/*.json")
    assert len(claims) == 2 * len(SYSTEMS) * len(TASKS) and set(claims.values()) == {b""}
