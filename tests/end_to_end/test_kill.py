"""A study whose nodes and whose Snakemake are killed at any moment ends like one that never was."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Checkout, Config, tiny_config
from killing import STORES, Run, assert_computed_once, assert_kept, times, wait_until, whole_lines

WAYS: tuple[Callable[[Run], None], ...] = (Run.kill_snakemake, Run.kill_all, Run.kill_node, Run.interrupt)
TABLES = "results/*/tables/*.csv"
MEASURED = "times.csv"  # times are never the same twice
SECONDS_TO_NOTICE = 60.0


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "project")


@pytest.fixture
def study(tiny_models: Path) -> Config:
    return tiny_config(tiny_models)


def tables(project: Checkout) -> dict[str, bytes]:
    """What must come out the same, whatever happened on the way."""
    return {path: content for path, content in project.files(TABLES).items() if not path.endswith(MEASURED)}


def go_on(project: Checkout, config: Config) -> Run:
    """Start again, with the same command."""
    return Run(project, config)


def stored(project: Checkout) -> int:
    return sum(content.count(b"\n") for content in project.files(STORES).values()) + len(times(project.root))


def strike(run: Run, project: Checkout, way: Callable[[Run], None], records: int) -> bool:
    """Wait for some more stored records, strike, and check what is left; false if the study was finished before."""
    goal = stored(project) + records
    wait_until(lambda: stored(project) >= goal or run.ended())
    if run.ended():
        return False
    before, clips = whole_lines(project.files(STORES)), times(project.root)
    way(run)
    if way is not Run.kill_node:
        assert run.ended()
        # An orphan would write beside the next run.
        assert wait_until(lambda: not run.members(), SECONDS_TO_NOTICE), run.members()
    assert_kept(before, whole_lines(project.files(STORES)))
    assert clips.items() <= times(project.root).items()
    return True


def strike_until_finished(project: Checkout, config: Config, kills: int, records: int, seed: int) -> int:
    """Strike a run ``kills`` times, let the last one finish, and count the strikes."""
    choice = random.Random(seed)
    count, struck = 0, False
    run = go_on(project, config)
    try:
        while True:
            if count == kills:
                run.wait()
            if run.ended():
                if run.wait() == 0:
                    return count
                assert struck, run.log.read_text()
                run, struck = go_on(project, config), False
            elif strike(run, project, WAYS[count % len(WAYS)], choice.randint(1, records)):
                count, struck = count + 1, True
    finally:
        for process in run.members():
            process.kill()


def test_killed_in_every_way(finished: Checkout, project: Checkout, study: Config) -> None:
    count = strike_until_finished(project, study, kills=6, records=12, seed=1)
    # Work that goes on between what is seen and the kill may end before the last kill.
    assert count >= len(WAYS)
    assert_computed_once(project.files(STORES))
    assert tables(project) == tables(finished)
    assert project.files(STORES).keys() == finished.files(STORES).keys()


@pytest.mark.long
def test_killed_twenty_four_times(tmp_path: Path, project: Checkout, study: Config) -> None:
    study["items"]["per_task"] = 32
    unbroken = Checkout(tmp_path / "unbroken")
    done = unbroken.run(study)
    assert done.returncode == 0, done.stdout
    count = strike_until_finished(project, study, kills=24, records=20, seed=2)
    assert count >= 2 * len(WAYS)
    assert_computed_once(project.files(STORES))
    assert tables(project) == tables(unbroken)


def test_what_a_user_sees_and_types_after_a_kill(project: Checkout, study: Config) -> None:
    target = "results/tiny/speech/sst2/us/clean.parquet"
    study["items"]["per_task"] = 32
    run = Run(project, study)
    try:
        assert wait_until(lambda: stored(project) >= 1 or run.ended())
        assert not run.ended(), run.log.read_text()
        # A lock in use stays.
        refused = project.run(study, target)
        assert refused.returncode != 0 and "--unlock" in refused.stdout
        assert project.files(".snakemake/locks/*")
    finally:
        run.kill_all()
    assert project.files(".snakemake/locks/*")
    done = project.run(study, target)
    assert done.returncode == 0 and (project.root / target).is_file(), done.stdout
    assert "Going on after a run that was stopped" in done.stdout
    assert not project.files(".snakemake/locks/*")
