"""Another version of the package: nodes whose code is the same are left alone, those whose code changed run again."""

from contextlib import ExitStack

from reruns import END, NODES, Study

PACKAGE = "src/cascade_equivalence"
MORE = ("\nfrom ", "\nMORE = 1\nfrom ")


def test_a_new_version_with_the_same_code_runs_nothing(micro: Study) -> None:
    edits = (
        ("__init__.py", "__version__ = ", '__version__ = "99.0" or '),
        ("models/text_llm.py", '"""', '# A remark.\n"""More words. '),
        ("mechanism/probes.py", '"""', '"""Other words. '),
        ("__main__.py", '"""', '"""Other words. '),
        # Code that no stage runs: the command line.
        ("__main__.py", *MORE),
    )
    with ExitStack() as stack:
        for path, old, new in edits:
            stack.enter_context(micro.checkout.edited(f"{PACKAGE}/{path}", old, new, first=True))
        made = micro.run(micro.config())
    assert made.code == 0 and made.jobs == set() and made.written == set(), made.output


def test_changed_code_of_one_stage_runs_that_stage_and_what_follows(micro: Study) -> None:
    stored = micro.stored()
    with micro.checkout.edited(f"{PACKAGE}/nodes/erasure.py", *MORE, first=True):
        answered = {("answer_erased", "speech-a", concept, "sst2") for concept in ("none", "proxy")}
        assert micro.ran(micro.config()) == answered | END
    assert micro.stored() == stored


def test_changed_code_of_a_statistic_runs_no_model(micro: Study) -> None:
    with micro.checkout.edited(f"{PACKAGE}/stats/tango.py", *MORE, first=True):
        assert micro.ran(micro.config()) == {*(("agree", "heard", "first", *node) for node in NODES), *END}


def test_changed_code_of_a_figure_draws_again(micro: Study) -> None:
    with micro.checkout.edited(f"{PACKAGE}/report/figures/costs.py", *MORE, first=True):
        assert micro.ran(micro.config()) == {("all",), ("draw_figures",), ("write_report",)}
