"""A finished study that lies elsewhere, or whose files only look newer, is finished: nothing is made again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import PARTS, Plan
from reruns import END, NODES, RESULTS, Study

Change = Callable[[Path], None]


@contextmanager
def project_in(study: Study, folder: Path) -> Iterator[None]:
    """Have the study's commands run in another folder."""
    before = study.checkout.root, study.checkout.cache
    # A plan keeps parsed code in the cache, which a command must not make anew where the study was.
    study.checkout.root, study.checkout.cache = folder, folder / "cache"
    try:
        yield
    finally:
        study.checkout.root, study.checkout.cache = before


def jobs_in(study: Study, folder: Path) -> Plan:
    with project_in(study, folder):
        return study.checkout.plan(study.config())


def copied(source: Path, target: Path) -> None:
    """A copy with the times of copying, inputs after outputs: the worst order."""
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted(target.rglob("*"), key=lambda path: -path.stat().st_mtime_ns)):
        if path.is_file():
            os.utime(path, ns=(number * 10**9, number * 10**9))


def test_a_moved_study_is_finished(micro: Study, tmp_path: Path) -> None:
    moved = tmp_path / "a name with spaces" / "moved"
    shutil.copytree(micro.root, moved, symlinks=True)
    config = micro.config()
    hidden = micro.root.rename(micro.root.with_name("gone"))
    try:
        with project_in(micro, moved):
            plan = micro.checkout.plan(config)
    finally:
        hidden.rename(micro.root)
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_a_copy_without_its_times_is_finished(micro: Study, tmp_path: Path) -> None:
    copied(micro.root, tmp_path / "copy")
    plan = jobs_in(micro, tmp_path / "copy")
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_a_copy_in_which_a_file_differs_makes_what_depends_on_it(micro: Study, tmp_path: Path) -> None:
    copied(micro.root, tmp_path / "copy")
    table = tmp_path / "copy" / RESULTS / "tables" / "accuracy.csv"
    table.write_bytes(table.read_bytes() + b"\n")
    plan = jobs_in(micro, tmp_path / "copy")
    assert plan.jobs and plan.jobs <= END


@pytest.fixture
def clone(micro: Study, tmp_path: Path) -> Path:
    """A new copy of the project, its files newer than the results that are copied in; nothing of Snakemake's memory."""
    root = tmp_path / "clone"
    for part in (*PARTS, micro.models.name):
        shutil.copytree(micro.root / part, root / part, copy_function=shutil.copyfile)
    shutil.copytree(micro.root / "results", root / "results", symlinks=True)
    return root


def test_results_in_another_clone_are_finished(micro: Study, clone: Path) -> None:
    plan = jobs_in(micro, clone)
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_results_in_another_clone_are_made_again_where_the_study_changes(micro: Study, clone: Path) -> None:
    changed = micro.config()
    changed["statistics"]["draws"] = 60
    with project_in(micro, clone):
        plan = micro.checkout.plan(changed)
    assert plan.jobs == {*(("agree", "heard", "first", *node) for node in NODES), *END}


def touch_sources(root: Path) -> None:
    for part in ("workflow", "src", "config", "profiles"):
        for path in (root / part).rglob("*"):
            path.touch()


def comment_everywhere(root: Path) -> None:
    for path in (*root.glob("workflow/scripts/*.py"), *root.glob("src/**/*.py")):
        path.write_text(f"# A remark.\n{path.read_text(encoding='utf-8')}\n# Another.\n", encoding="utf-8")


def comment_rules(root: Path) -> None:
    for path in (root / "workflow/Snakefile", *root.glob("workflow/rules/*.smk")):
        path.write_text(f"{path.read_text(encoding='utf-8')}\n# A remark.\n", encoding="utf-8")


def touch_large_inputs(root: Path) -> None:
    for path in root.glob("results/**/*"):
        if path.suffix in {".parquet", ".safetensors"}:
            path.touch()


@pytest.mark.parametrize("change", [touch_sources, comment_everywhere, comment_rules, touch_large_inputs])
def test_what_only_looks_newer_is_left_alone(micro: Study, change: Change) -> None:
    change(micro.root)
    plan = jobs_in(micro, micro.root)
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_another_commit_and_back_is_left_alone(micro: Study) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=micro.root, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--force", "workflow", "src", "config", "profiles")
    git("commit", "--quiet", "--message", "first")
    for path in micro.root.glob("workflow/scripts/*.py"):
        path.write_text("raise SystemExit\n", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message", "second")
    assert jobs_in(micro, micro.root).jobs
    git("checkout", "--quiet", "HEAD~1")
    plan = jobs_in(micro, micro.root)
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_another_user_s_surroundings_are_left_alone(
    micro: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    mask = os.umask(0o077)
    try:
        plan = jobs_in(micro, micro.root)
    finally:
        os.umask(mask)
    assert plan.code == 0 and plan.jobs == set(), plan.output


def test_changed_code_of_a_script_runs_its_rule_and_what_follows(micro: Study) -> None:
    with micro.checkout.edited("workflow/scripts/agree.py", "\nfrom ", "\nMORE = 1\nfrom ", first=True):
        assert jobs_in(micro, micro.root).jobs == {*(("agree", "heard", "first", *node) for node in NODES), *END}
