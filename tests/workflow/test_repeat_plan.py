"""A system that is asked again is a node of its own: it adds what is new, and makes nothing else again."""

from itertools import product

from checkout import AGGREGATES, Checkout, Config, Job

END: set[Job] = {("all",), *((rule,) for rule in AGGREGATES)}


def again(*variants: str, tasks: tuple[str, ...] = ("ag_news", "sst2")) -> set[Job]:
    rules, systems = ("answer_again", "agree_again"), ("first", "second")
    return set(product(rules, systems, variants, tasks))


def test_what_is_asked_again_is_planned_and_nothing_else(finished: Checkout, study: Config) -> None:
    study["statistics"]["repeats"] = ["batch", "paraphrase"]
    plan = finished.plan(study)
    assert plan.code == 0, plan.output
    assert plan.jobs == {*again("batch", "paraphrase"), *END}
    study["statistics"] |= {"repeats": ["options"], "repeat_tasks": ["sst2"]}
    assert finished.plan(study).jobs == {*again("options", tasks=("sst2",)), *END}
