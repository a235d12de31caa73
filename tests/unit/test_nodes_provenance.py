"""What the page says a study was made with: the arithmetic that was used, not the word of the config."""

from types import SimpleNamespace
from typing import Any

import pytest

from cascade_equivalence.nodes.provenance import arithmetic
from cascade_equivalence.stages.report import parameters


def record(rule: str, *, fast: bool | None, used: str = "cpu", inputs: tuple[str, ...] = ()) -> Any:
    """A node on record, as far as it is read."""
    read = [SimpleNamespace(path=path) for path in inputs]
    return SimpleNamespace(rule=rule, device=SimpleNamespace(fast_bfloat16=fast, used=used), inputs=read)


@pytest.mark.parametrize(("fast", "said"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_what_the_processor_made_of_it(fast: bool, said: str) -> None:
    told = arithmetic([record("answer", fast=fast), record("other_answer", fast=fast)], "auto")
    assert said in told and "auto" not in told and "2" in told
    assert arithmetic([record("answer", fast=fast)], "float16").startswith("float16")


def test_nodes_of_several_machines_are_all_named() -> None:
    told = arithmetic([record("answer", fast=True, used="cuda"), record("answer", fast=False)], "auto")
    assert {"bfloat16 on cuda", "float32 on cpu"} <= {part.rsplit(" (", 1)[0] for part in told.split("; ")}


def test_answers_in_shares_are_those_of_the_machines_that_answered() -> None:
    share = record("answer_share", fast=True, used="cuda")
    whole = record("answer", fast=False, inputs=("shares/mini/sst2/clean/1-of-2.parquet",))
    assert arithmetic([share, whole], "auto").startswith("bfloat16 on cuda (1 ")


def test_other_nodes_say_nothing_of_it() -> None:
    nodes = [record("transcribe", fast=True), record("answer", fast=None), SimpleNamespace(rule="agree", device=None)]
    assert "float" not in arithmetic(nodes, "auto")


@pytest.mark.parametrize(
    ("billions", "shown"), [(1.55, "1.55B"), (7.0, "7B"), (0.244, "244M"), (0.04, "40M"), (12.3, "12.3B")]
)
def test_parameters_are_written_as_in_the_paper(billions: float, shown: str) -> None:
    assert parameters(billions) == shown
