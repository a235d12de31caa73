"""Tasks that the command line names: the demo plans their jobs only, and what is left out stands in the log."""

import pytest
import yaml
from checkout import REPOSITORY, Checkout

TASKS = yaml.safe_load((REPOSITORY / "config" / "demo.yaml").read_text(encoding="utf-8"))["tasks"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("tasks") / "project")


@pytest.mark.parametrize("task", TASKS)
def test_the_demo_plans_one_task(project: Checkout, task: str) -> None:
    # As a shell gives it: a name, or a list of one.
    given = task if task == TASKS[0] else f"[{task}]"
    plan = project.plan("config/demo.yaml", "--profile", "profiles/demo", "--config", f"tasks={given}")
    assert plan.code == 0, plan.output
    assert ("prepare_items", task) in plan.jobs and ("write_report",) in plan.jobs
    named = {name for job in plan.jobs for name in job if name in TASKS}
    assert named == {task}
    assert sum("`tasks` does not name" in line for line in plan.output.splitlines()) == 1


def test_a_name_that_is_no_task_is_refused_before_any_job(project: Checkout) -> None:
    plan = project.plan("config/demo.yaml", "--config", "tasks=[sst3]")
    assert plan.code != 0 and not plan.jobs
    assert "'sst3'" in plan.output and "did you mean 'sst2'" in plan.output and "Traceback" not in plan.output


def test_the_first_look_is_one_task(project: Checkout) -> None:
    plan = project.plan("config/first.yaml", "--profile", "profiles/demo")
    assert plan.code == 0, plan.output
    answers = {job[1:] for job in plan.jobs if job[0] == "answer"}
    assert len({task for _, task, _ in answers}) == 1
    assert {condition for *_, condition in answers} == {"clean"}
    assert not any(job[0].startswith("capture") for job in plan.jobs)
