"""The README shows the workflow as it is."""

from picture import BLOCK, README, drawn, picture, reduced


def test_the_readme_has_the_picture_that_the_workflow_gives() -> None:
    (shown,) = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert shown == drawn(), "draw it anew: python tests/picture.py"
    edges = {
        (first, second)
        for firsts, second in (line.strip().split(" --> ") for line in shown.splitlines() if " --> " in line)
        for first in firsts.split(" & ")
    }
    assert ("prepare_items", "synthesize_speech") in edges and "write_report" in {second for _, second in edges}
    assert picture(edges) == shown


def test_an_arrow_that_others_stand_for_is_left_out() -> None:
    assert reduced({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == {("a", "b"), ("b", "c"), ("d", "c")}
