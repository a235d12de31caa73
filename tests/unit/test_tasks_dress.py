"""Dresses times tasks: whatever one answer is dressed in, it is read; of two, none is."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.parsing import parse_free
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.vocabulary import INVALID

REAL = Path(__file__).parents[3] / "shared" / "data"
CSQA = REAL / "commonsense_qa" / "validation.jsonl"

DRESSES = {
    "plain": "{}",
    "bold": "**{}**",
    "bold stop": "**{}.**",
    "italics": "*{}*",
    "underscores": "__{}__",
    "code": "`{}`",
    "heading": "# {}",
    "small heading": "#### **{}**",
    "quote": "> {}",
    "fence": "```\n{}\n```",
    "fence with a name": "```text\n{}\n```",
    "rule": "---\n{}\n---",
    "stars": "***\n\n{}",
    "bullet": "- {}",
    "star bullet": "* {}",
    "round bullet": "\u2022 {}",
    "bullet in a quote": "> - **{}**",
    "link": "[{}](https://example.org/a)",
    "dollars": "${}$",
    "two dollars": "$${}$$",
    "boxed": "\\boxed{{{}}}",
    "boxed text": "$\\boxed{{\\text{{{}}}}}$",
    "bold maths": "$\\mathbf{{{}}}$",
    "round maths": "\\({}\\)",
    "square maths": "\\[ \\boxed{{{}}} \\]",
    "thought": "<think>Perhaps not. World, or joy? A or B?</think>{}",
    "empty thought": "<think>\n\n</think>\n\n{}",
    "end of a thought": "Let me see: A, B or positive.\n</think>\n\n{}",
    "two thoughts": "<think>A</think><think>B</think>{}",
    "tag": "<answer>{}</answer>",
    "html": "<p><b>{}</b></p>",
    "template": "{}<|im_end|>",
    "end": "{}</s>",
    "zero width": "\u200b{}\u200b",
    "byte order mark": "\ufeff{}",
    "direction mark": "{}\u200e",
    "no-break space": "\u00a0{}\u00a0",
    "double quotes": "\u201c{}\u201d",
    "low quotes": "\u201e{}\u201c",
    "single quotes": "\u2018{}\u2019",
    "guillemets": "\u00ab{}\u00bb",
    "quoted stop": "\u201c{}.\u201d",
    "ellipsis": "{}\u2026",
    "dots": "{}...",
    "stop": "{}.",
    "exclamation": "{}!",
    "emoji": "{} \U0001f60a",
    "emoji and stop": "{}. \u2705",
    "emoji before": "\u2705 {}",
    "pointer": "\U0001f449\U0001f3fd {} \u2b50\ufe0f",
    "arrow": "\u2192 {}",
    "typed arrow": "-> {}",
    "answer": "Answer: {}",
    "bold answer": "**Answer:** {}",
    "answer in bold": "**Answer**: **{}**",
    "the answer is": "The answer is {}.",
    "the answer is:": "**The answer is:** {}",
    "the final answer": "The final answer is: $\\boxed{{{}}}$.",
    "so": "So, the correct answer is {}",
    "my": "My answer is **{}**",
    "dash": "Answer - {}",
    "line before": "Answer:\n{}",
    "heading before": "### Answer\n{}",
    "heading and gap": "## Final Answer\n\n**{}**",
    "is before": "The answer is:\n\n{}",
    "json": '{{"answer": "{}"}}',
    "json lines": '```json\n{{\n  "answer": "{}"\n}}\n```',
    "again": "{}\n\n{}",
    "reason": "{}, because it is so.",
    "reason in bold": "**{}**, because it is so.",
    "line after": "{}\nThis is what it says.",
}
CLOSED_ONLY = {
    "reason without a mark": "{} because it is so.",
    "explained": "{}: it is so",
    "apart": "{} \u2014 it is so",
    "in brackets": "{} (I think)",
    "confirmed": "{} is the correct answer.",
    "no doubt": "{}, no doubt.",
}
TWO = (
    "{} or {}",
    "{} and {}",
    "{}/{}",
    "{}, {}",
    "{}\n{}",
    "{}.\n\nFinal answer: **{}**",
    "**{}** or **{}**",
    "\\boxed{{{}}} or \\boxed{{{}}}",
    "- {}\n- {}",
    "Answer: {}\nAnswer: {}",
    "{} (or {})",
    "{}? {}!",
    "<{}> or <{}>",
    "[{}]\n[{}]",
)
DENIALS = (
    "not {}",
    "Not **{}**.",
    "The answer is not {}",
    "The answer isn't {}.",
    "{} is wrong.",
    "{} is not the answer",
    "{}? No.",
    "{} - no, wait",
    "{}: wrong",
    "{}. Not quite, is it?",
    "<think>{}",
    "<think>The answer is {}.",
    "neither {}",
    "I do not know if {}",
    "~~{}~~",
)
OPTIONS = ("store", "grocery store", "a big shop", "new york", "vitamin c")
ITEMS: dict[str, list[Item]] = {
    name: [Item(label, "x", label, label, options=OPTIONS if task.has_options else ()) for label in task.labels]
    for name, task in TASKS.items()
    if task.labels
}
GOLDS = ("Paris", "Jupiter", "Leonardo da Vinci", "1984", "J. R. R. Tolkien", "M*A*S*H", "AC/DC", "$5", "The Beatles")
ITEMS["trivia_qa"] = [Item(gold, "x", gold, gold, aliases=(gold,)) for gold in GOLDS]
CASES = [(TASKS[name], item) for name, items in ITEMS.items() for item in items]
CLOSED = [(task, item) for task, item in CASES if task.labels]


def parse(task: Task, raw: str, item: Item) -> str:
    return task.parse(raw, item.options, {})


def forms_of(item: Item) -> list[str]:
    """An item's answer in the words that models give it in."""
    if not item.options:
        return [item.label]
    own = item.options[string.ascii_uppercase.index(item.label)]
    marked = [form.format(item.label) + own for form in ("{}) ", "{}. ", "({}) ", "{}: ", "{} - ")]
    return [item.label, f"({item.label})", f"{item.label})", own, f"{item.label} ({own})", *marked]


def fill(dress: str, answer: str) -> str:
    return dress.format(*[answer] * 2)


@pytest.mark.parametrize("dress", (DRESSES | CLOSED_ONLY).values(), ids=DRESSES | CLOSED_ONLY)
def test_one_answer_is_read_in_any_dress(dress: str) -> None:
    for task, item in CASES if dress in DRESSES.values() else CLOSED:
        for answer in forms_of(item):
            raw = fill(dress, answer)
            if "$" in answer and "$" in dress:
                continue  # An amount in mathematics signs is written with a backslash.
            parsed = parse(task, raw, item)
            assert task.score(parsed, item), (task.name, raw, parsed)
            assert parse(task, parsed, item) == parsed


@pytest.mark.parametrize("brackets", ["({})", "[{}]", "<{}>", "({}).", "**[{}]**", "Answer: <{}>", "({})\n[{}]"])
def test_brackets_may_surround_an_answer(brackets: str) -> None:
    for task, item in CLOSED:
        for answer in (item.label, item.label.lower(), *forms_of(item)[3:4]):
            assert parse(task, fill(brackets, answer), item) == item.label


OUTER = ("bold", "heading", "quote", "fence", "bullet", "thought", "tag", "end", "byte order mark", "bold answer")
OUTER += ("the answer is", "heading before", "emoji", "reason")
INNER = ("bold", "code", "dollars", "boxed", "boxed text", "round maths", "double quotes", "zero width", "stop", "link")


@pytest.mark.parametrize("outer", OUTER)
def test_dresses_may_be_worn_over_each_other(outer: str) -> None:
    for task, item in CASES:
        for inner in INNER:
            if "$" not in item.label or "$" not in DRESSES[inner]:
                raw = fill(DRESSES[outer], fill(DRESSES[inner], item.label))
                assert task.score(parse(task, raw, item), item), (task.name, raw)


@pytest.mark.parametrize("dress", TWO)
def test_of_two_answers_none_is_read(dress: str) -> None:
    for task, item in CLOSED:
        other = next(one for one in ITEMS[task.name] if one.label != item.label)
        for answer, wrong in zip(forms_of(item), forms_of(other), strict=True):
            raw = dress.format(answer, wrong)
            assert parse(task, raw, item) == INVALID, (task.name, raw)


def test_of_two_free_answers_none_is_right() -> None:
    task, item = CASES[-1]
    for dress in ("{} or {}", "{}/{}", "**{}** or **{}**", "{}, not {}"):
        assert not task.score(parse(task, dress.format("The Beatles", "Abba"), item), item)


@pytest.mark.parametrize("denial", DENIALS)
def test_a_denied_answer_is_none(denial: str) -> None:
    for task, item in CASES:
        for answer in forms_of(item):
            parsed = parse(task, denial.format(answer), item)
            assert not task.score(parsed, item), (task.name, denial.format(answer), parsed)


@pytest.mark.parametrize(
    "raw", ["<think>", "<think>\n", "<think>positive", "A <think> B", "", "\ufeff", "---", "```\n```"]
)
def test_nothing_but_dress_or_unfinished_thinking_is_no_answer(raw: str) -> None:
    for task in TASKS.values():
        assert task.parse(raw, OPTIONS if task.has_options else (), {}) == INVALID


PIECES = [*DRESSES.values(), *CLOSED_ONLY.values(), *TWO, *DENIALS]


@given(
    st.text()
    | st.tuples(st.sampled_from(PIECES), st.text(max_size=8), st.text(max_size=8)).map(lambda p: p[0].format(*p[1:]))
    | st.lists(st.sampled_from([*"ABE $*`<>{}\\\n.:", "Answer", "is", "the", "because", "think", "boxed"])).map("".join)
)
def test_to_parse_what_was_parsed_changes_nothing(raw: str) -> None:
    for task in TASKS.values():
        options = OPTIONS if task.has_options else ()
        parsed = task.parse(raw, options, {})
        assert task.parse(parsed, options, {}) == parsed


@given(st.text(min_size=1))
def test_a_free_gold_answer_scores_itself_or_nothing_can(gold: str) -> None:
    task = TASKS["trivia_qa"]
    parsed = parse_free(gold)
    assert parsed == INVALID or task.score(parsed, Item("1", "x", gold, "1", aliases=(gold,)))


@pytest.mark.parametrize("gold", ["A", "The The", "?", "An", "the", "A&E", "Answer", "The Answer", "Think", "+"])
def test_a_gold_answer_of_which_normalising_leaves_nothing_is_reached(gold: str) -> None:
    task = TASKS["trivia_qa"]
    item = Item("1", "x", gold, "1", aliases=(gold,))
    for dress in ("{}", "**{}**", "Answer: {}", "\u201c{}\u201d"):
        assert task.score(parse(task, dress.format(gold), item), item)
    assert not task.score(parse(task, "another", item), item)


@pytest.mark.parametrize(
    ("raw", "letter"),
    [
        ("C. A pretty big one", "C"),
        ("The correct answer is (B).", "B"),
        ("(A) A", "A"),
        ("None of the above", INVALID),
        ("Don't know", INVALID),
        ("Answer seems to be A", INVALID),
        ("A small bank", INVALID),
        ("A (small) bank", INVALID),
        ("A store", INVALID),
        ("B) grocery store, because", "B"),
        ("A) grocery store", INVALID),
        ("A) store", "A"),
        ("B) store", INVALID),
        ("grocery store", "B"),
        ("grocery store, since it is near.", "B"),
        ("store, not the grocery store", "A"),
        ("B) grocery store, not A", "B"),
        ("E. Vitamin C", "E"),
        ("E. Vitamin C, because it is sour", "E"),
        ("\uff22\uff0e", "B"),
        ("\u24b7", "B"),
        ("\U0001d401", "B"),
        ("Option B", "B"),
        ("The answer is option (B).", "B"),
    ],
)
def test_letters_are_not_picked_out_of_words(raw: str, letter: str) -> None:
    assert TASKS["commonsense_qa"].parse(raw, OPTIONS, {}) == letter


@pytest.mark.skipif(not CSQA.is_file(), reason=f"the published set is not at {CSQA}")
def test_every_option_of_the_published_set_is_read_with_its_text_and_a_reason() -> None:
    task = TASKS["commonsense_qa"]
    wrong = []
    for line in CSQA.read_text(encoding="utf-8").splitlines():
        texts = json.loads(line)["choices"]["text"]
        for letter, text in zip(string.ascii_uppercase, texts, strict=False):
            for form in ("{0}) {1}, because it is the best.", "{0}. {1}", "**{0}: {1}**", "{0}) {1}.", "{0} ({1})"):
                raw = form.format(letter, text)
                if task.parse(raw, texts, {}) != letter:
                    wrong.append((raw, texts))
    assert not wrong
