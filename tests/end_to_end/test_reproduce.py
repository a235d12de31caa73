"""Two runs of a study in two folders: the same numbers, the same bytes but for what a clock measured, a record each."""

import json
import re
import socket
import zipfile
from pathlib import Path

import pytest
from checkout import Checkout, tiny_config

from cascade_equivalence.jobs.screen import SHOW, STAGES

TINY = "results/tiny"
TIMED = ("tables/times.", "figures/costs.")
NUMBERS = ("tables/*", "figures/*", "paper/*.*", "comparison.csv", "agreement/**/*.csv")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> tuple[Checkout, str]:
    """The study of ``finished``, run once more, in another folder, and what was shown of it: a line a stage."""
    checkout = Checkout(tmp_path_factory.mktemp("again") / "another-project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHOW, STAGES)
        done = checkout.run(tiny_config(tiny_models))
    assert done.returncode == 0, done.stdout
    return checkout, done.stdout


@pytest.fixture(scope="module")
def again(shown: tuple[Checkout, str]) -> Checkout:
    return shown[0]


def command(checkout: Checkout, *words: str) -> tuple[int, str]:
    """The project's command line, run in a copy."""
    done = checkout.python("-m", "cascade_equivalence", *words, PYTHONPATH=str(checkout.root / "src"))
    return done.returncode, done.stdout


def test_every_node_left_a_record_and_every_file_is_as_recorded(finished: Checkout) -> None:
    code, said = command(finished, "verify", TINY, "--weights")
    assert code == 0 and said.rstrip().endswith("as recorded"), said
    for base in (TINY, "results/models"):
        records, logs = (
            {path.partition(f"/{kind}/")[2].rpartition(".")[0] for path in finished.files(f"{base}/{kind}/**/*.*")}
            for kind in ("records", "logs")
        )
        assert {name for name in records if not name.startswith((".hashes", "configs", "environments"))} == logs


def test_a_record_tells_what_the_node_used(finished: Checkout) -> None:
    record = json.loads((finished.root / TINY / "records/answer/first/sst2/snr10.json").read_text())
    manifest = json.loads((finished.root / "results/models/llama-a/manifest.json").read_text())
    assert record["models"] == {
        "llama-a": {"revision": manifest["revision"], "commit": None, "licence": manifest["licence"]}
    }
    assert record["params"]["settings"]["code"] in record["code"]["fingerprints"].values()
    assert record["device"]["used"] == "cpu" and record["machine"]["cores"] >= 1
    assert {use["place"] for use in record["inputs"]} == {"results", "models"}
    (config,) = finished.files(f"{TINY}/records/configs/*.json").values()
    assert json.loads(config)["statistics"]["draws"] == 200


def test_no_record_names_the_machine_or_its_folders(
    finished: Checkout, first_finished: Path, tiny_models: Path
) -> None:
    for path, content in finished.files("results/*/records/**/*.json").items():
        text = content.decode()
        assert not any(str(folder) in text for folder in (first_finished, finished.root, tiny_models)), path
        # A short name may be a part of other words.
        assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text), path


def test_records_make_nothing_run_again(finished: Checkout, tiny_models: Path) -> None:
    record = finished.root / TINY / "records/answer/first/sst2/clean.json"
    kept = record.read_bytes()
    try:
        record.unlink()
        assert finished.plan(tiny_config(tiny_models)).jobs == set()
        code, said = command(finished, "verify", TINY)
        assert code == 1 and "unrecorded" in said and "answers/first/sst2/clean.parquet" in said
    finally:
        record.write_bytes(kept)


def test_a_run_shows_a_line_a_stage_and_its_log_has_every_job(shown: tuple[Checkout, str]) -> None:
    checkout, said = shown
    (log,) = checkout.files(".snakemake/log/*.log").values()
    jobs = log.decode().count("Finished jobid: ")
    stages = re.findall(r"^(\w+): 0 of (\d+)", said, re.MULTILINE)
    ends = re.findall(r"^(\w+): (\d+) of \2", said, re.MULTILINE)
    assert sorted(stages) == sorted(ends) and sum(int(count) for _, count in stages) == jobs - 1  # the target
    assert "Finished jobid" not in said and "about" in said and "Complete log" in said
    assert len(said.splitlines()) < jobs


def test_two_runs_are_equal(finished: Checkout, again: Checkout) -> None:
    code, said = command(finished, "compare", TINY, str(again.root / TINY))
    assert code == 0 and said.rstrip().endswith("equal"), said
    assert "Measured, and never counted" in said and "answers: raw the same in all" in said


@pytest.mark.parametrize("pattern", NUMBERS)
def test_two_runs_write_the_same_bytes(finished: Checkout, again: Checkout, pattern: str) -> None:
    one, other = (
        {path: data for path, data in run.files(f"{TINY}/{pattern}").items() if not path.startswith(_timed())}
        for run in (finished, again)
    )
    assert one.keys() == other.keys() and one
    assert [path for path in one if one[path] != other[path]] == []


def _timed() -> tuple[str, ...]:
    return tuple(f"{TINY}/{name}" for name in TIMED)


def test_a_supplement_stands_for_its_results(finished: Checkout, again: Checkout, tmp_path: Path) -> None:
    code, said = command(finished, "pack", TINY, "-o", str(tmp_path / "supplement.zip"))
    assert code == 0, said
    with zipfile.ZipFile(tmp_path / "supplement.zip") as archive:
        archive.extractall(tmp_path)
    code, said = command(again, "verify", str(tmp_path / "tiny-supplement"))
    assert code == 0, said
    code, said = command(again, "compare", str(tmp_path / "tiny-supplement"), TINY)
    assert code == 0, said


def test_the_crate_describes_every_node(finished: Checkout) -> None:
    code, said = command(finished, "crate", TINY)
    assert code == 0, said
    graph = json.loads((finished.root / TINY / "ro-crate-metadata.json").read_text())["@graph"]
    nodes = [entity for entity in graph if entity["@id"].startswith("#node/")]
    assert len(nodes) == len(finished.files(f"{TINY}/logs/**/*.log"))
    assert command(finished, "verify", TINY)[0] == 0
