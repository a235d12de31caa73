"""Marks, remarks and echoes times tasks: what is denied is not read, what is said of something else changes nothing."""

import itertools
import string
import time
from pathlib import Path

import pytest
import yaml

from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.vocabulary import INVALID

ASKED = yaml.safe_load((Path(__file__).parents[2] / "config" / "tasks.yaml").read_text(encoding="utf-8"))["tasks"]
OPTIONS = ("bank", "river bank", "a forest", "school", "market")
PREFIXES = ("", "This one sounds", "Verdict:", "**I hear**")
CLOSED = [
    (task, Item(label, "x", label, label, options=OPTIONS if task.has_options else ()))
    for task in TASKS.values()
    for label in task.labels
]
FREE = [(TASKS["trivia_qa"], Item(gold, "x", gold, gold, aliases=(gold,))) for gold in ("Paris", "The Beatles", "1984")]
CASES = CLOSED + FREE


def forms_of(task: Task, item: Item) -> list[str]:
    """The answer as a model gives it: a label, its word in the prompt, a letter with and without the option's text."""
    if item.options:
        own = item.options[string.ascii_uppercase.index(item.label)]
        return [item.label, own, f"{item.label}) {own}", f"{item.label}. {own}", f"{own} ({item.label})"]
    return list(dict.fromkeys((item.label, words_of(task).get(item.label, item.label), f"**{item.label}**")))


def words_of(task: Task) -> dict[str, str]:
    return ASKED[task.name].get("label_words", {})


def is_read(task: Task, item: Item, raw: str, prefix: str = "") -> bool:
    """Whether the item's answer is read; what is not read must be invalid, never another answer."""
    parsed = task.parse(raw, item.options, words_of(task), prefix)
    assert parsed == INVALID or task.score(parsed, item) or not task.labels, (task.name, raw, parsed)
    return task.score(parsed, item)


def others_of(item: Item) -> list[Item]:
    return [other for task, other in CLOSED if other.label != item.label and item.label in task.labels]


NO_MARKS = ["\u274c", "\u2717", "\u2718", "\u2716\ufe0f", "\u2610", "\u2612", "\u25a1", "[ ]", "( )", "\U0001f6ab"]
YES_MARKS = ["\u2705", "\u2713", "\u2714\ufe0f", "\u2611", "[x]", "[X]", "(x)", "[\u2713]"]
BESIDE = [
    "{1} {0}",
    "{0} {1}",
    "- {1} {0}",
    "Answer: {1} {0}",
    "Answer: {0} {1}",
    "{0}. {1}",
    "**{0}** {1}",
    "| {0} | {1} |",
]


@pytest.mark.parametrize("beside", BESIDE)
def test_a_cross_or_an_empty_box_denies_and_a_tick_affirms(beside: str) -> None:
    for task, item in CASES:
        for form in forms_of(task, item):
            for mark in NO_MARKS:
                raw = beside.format(form, mark)
                assert task.parse(raw, item.options, words_of(task)) == INVALID, (task.name, raw)
            for mark in YES_MARKS if beside != "| {0} | {1} |" else ():
                if mark in ("[X]", "(x)") and beside.index("{0}") < beside.index("{1}"):
                    continue  # It may be part of the answer.
                assert is_read(task, item, beside.format(form, mark)), (task.name, beside.format(form, mark))


@pytest.mark.parametrize("lines", ["{1} {0}\n{3} {2}", "{1} {0} {3} {2}", "{0} {1}\n{2} {3}", "{0} {1} {2} {3}"])
def test_of_a_ticked_and_a_crossed_answer_the_ticked_one_is_read(lines: str) -> None:
    for task, item in CLOSED:
        for other, (yes, no) in itertools.product(
            others_of(item), [("\u2705", "\u274c"), ("\u2611", "\u2610"), ("[x]", "[ ]"), ("\u2714", "\u2718")]
        ):
            assert is_read(task, item, lines.format(item.label, yes, other.label, no))
            assert is_read(task, item, lines.format(other.label, no, item.label, yes))
            assert not is_read(task, item, lines.format(item.label, no, other.label, no))
            assert not is_read(task, item, lines.format(item.label, yes, other.label, yes))


@pytest.mark.parametrize("raw", ["\u2605", "\u2605 \u2606", "\u274c", "\u2705", "\u2610", "[ ]", "\u2665\ufe0f", "***"])
def test_nothing_but_a_picture_is_no_answer(raw: str) -> None:
    for task in TASKS.values():
        assert task.parse(raw, OPTIONS if task.has_options else (), {}) == INVALID


DENIALS = ["{0} is wrong", "{0} is incorrect", "{0} is not right", "{0} isn't the answer", "not {0}", "It is not {0}."]
DENIALS += ["{0}, or not", "{0} (not {0})", "{0}. It is not {0}.", "{0}\nNot {0}."]
DENYING = ["No", "no, wait", "Nope", "not", "not really", "Not at all!", "never", "that is wrong", "This is incorrect"]
DENYING += [
    "It isn't",
    "false",
    "untrue",
    "unlikely",
    "0%",
    "0.0",
    "That is not the correct answer",
    "\u274c",
    "cannot be",
]
JOINED = ["{0}. {1}.", "{0}\n{1}", "{0}\n\n{1}.", "{0}: {1}", "{0}? {1}", "{0} - {1}", "{0} ({1})", "{0} \u2014 {1}"]
JOINED += ["{0}\uff0c{1}", "{0}\u3002{1}\u3002"]


@pytest.mark.parametrize("joined", JOINED)
def test_a_remark_that_denies_the_answer_takes_it_back(joined: str) -> None:
    for task, item in CLOSED:
        for form in forms_of(task, item):
            for denying in DENYING:
                assert not is_read(task, item, joined.format(form, denying)), (task.name, joined.format(form, denying))


@pytest.mark.parametrize("denial", DENIALS)
def test_a_denied_answer_is_invalid(denial: str) -> None:
    for task, item in CASES:
        for form in forms_of(task, item):
            assert not is_read(task, item, denial.format(form)), (task.name, denial.format(form))


@pytest.mark.parametrize("line", ["No.", "Wrong.", "Wait, that is not right.", "\u274c"])
def test_a_later_line_takes_a_free_answer_back(line: str) -> None:
    for task, item in FREE:
        assert task.parse(f"{item.label}\n{line}", (), {}) == INVALID
        assert is_read(task, item, f"{item.label}\nNot everybody knows that.")


HARMLESS = [
    "Not bad!",
    "never dull",
    "No complaints",
    "nothing to dislike",
    "No doubt",
    "not a dull moment",
    "no spoilers",
]
HARMLESS += [
    "No question about it",
    "It could not be clearer",
    "False notes are few",
    "This is not hard",
    "I am certain",
]
HARMLESS += [
    "without a doubt",
    "That is correct",
    "No. 1 this year",
    "100%",
    "0.9",
    "because it is not boring",
    "It's true",
]


@pytest.mark.parametrize("joined", JOINED)
def test_a_negation_that_is_about_something_else_changes_nothing(joined: str) -> None:
    for task, item in CLOSED:
        for form in forms_of(task, item):
            for remark in HARMLESS:
                assert is_read(task, item, joined.format(form, remark)), (task.name, joined.format(form, remark))


@pytest.mark.parametrize("joined", ["{0}, not {1}", "{0} (not {1})", "{0}. It is not {1}.", "{0}, definitely not {1}"])
def test_an_answer_stands_beside_another_that_is_denied_or_in_its_reason(joined: str) -> None:
    for task, item in CLOSED:
        for other in others_of(item):
            for form, wrong in zip(forms_of(task, item), forms_of(task, other), strict=False):
                assert is_read(task, item, joined.format(form, wrong)), (task.name, joined.format(form, wrong))
                assert ". " in wrong or is_read(task, item, f"{form}, because the {wrong} is near.")
                assert not is_read(task, item, f"{form}, because it is near. {wrong}.")
                assert not is_read(task, item, f"{form} not only, but {wrong}")


@pytest.mark.parametrize(
    "echo",
    ["{1} {0}", "{1} {0}.", "**{1}** {0}", "{1}: {0}", "{1}\n{0}", "{1}\n\n**{0}**", "Answer: {1} {0}", '{1} "{0}"'],
)
def test_an_echo_of_the_prompts_own_prefix_is_read(echo: str) -> None:
    for task, item in CASES:
        for prefix in (ASKED[task.name]["answer_prefix"], *PREFIXES):
            for said in {prefix, prefix.lower(), prefix.upper(), prefix.strip("*:")}:
                for form in forms_of(task, item):
                    raw = echo.format(form, said.rstrip(":") if "{1}:" in echo else said) if said else form
                    assert is_read(task, item, raw, prefix), (task.name, prefix, raw)
                    assert not task.labels or not is_read(task, item, f"{said} not {form}", prefix)


@pytest.mark.parametrize(
    "form",
    [
        "It is {}.",
        "It's {}",
        "This is {}",
        "{0} {0}",
        "{0}, {0}",
        "{0}/{0}",
        "{0} | {0}",
        '["{}"]',
        "['{}']",
        "1. {}",
        "2) {}",
        "Output: {}",
    ],
)
def test_a_closed_answer_may_be_repeated_listed_and_pointed_at(form: str) -> None:
    for task, item in CLOSED:
        assert is_read(task, item, form.format(item.label)), (task.name, form.format(item.label))
        for other in others_of(item):
            assert not is_read(task, item, f"{form.format(item.label)} {other.label}")


@pytest.mark.parametrize("name", ["it's fun", "it is fun", "1. fun", "2 funs", "not fun", "no"])
def test_an_option_may_begin_as_what_comes_off_does(name: str) -> None:
    options = (name, "other")
    for form in ("{}", "{}.", "A) {}", "The answer is {}", "{} (A)"):
        assert TASKS["commonsense_qa"].parse(form.format(name), options, {}) == "A"


def test_the_subject_may_stand_around_the_answer() -> None:
    for task, item in CLOSED:
        for subject in task.subjects:
            assert is_read(task, item, f"The {subject} of this text is {item.label}.")
            assert is_read(task, item, f"Overall {subject}: {item.label}")
            assert not is_read(task, item, f"The {subject} of this text is not {item.label}.")
            assert task.has_options or is_read(task, item, f"{item.label.capitalize()} {subject}.")


@pytest.mark.parametrize(("sarcastic", "sincere"), [("yes", "no"), ("sarcastic", "not sarcastic"), ("no", "yes")])
def test_a_label_may_be_a_negation(sarcastic: str, sincere: str) -> None:
    words = {"sarcastic": sarcastic, "sincere": sincere}
    task = TASKS["mustard"]
    for label, word in words.items():
        other = next(each for each in words.values() if each != word)
        for raw in (
            word,
            f"{word}.",
            f"{word} {word}",
            f"{word}\n{word}",
            f"Tone: {word}",
            f"It is {word}",
            f"{word} \u2705",
        ):
            assert task.parse(raw, (), words) == label, raw
        for raw in (f"{word} or {other}", f"{word}\n{other}", f"{word}. {other}!", f"{word} \u274c", f"{word} answer"):
            assert task.parse(raw, (), words) == INVALID, raw


@pytest.mark.parametrize("stop", "\u3002\uff0c\u3001\uff1a\uff01\uff1f\u060c\u061f\u0964\u06d4\uff1b")
def test_stops_of_other_scripts_end_an_answer(stop: str) -> None:
    for task, item in CLOSED:
        for form in forms_of(task, item):
            assert is_read(task, item, f"{form}{stop}")
            assert is_read(task, item, f"{form}{stop}\u3068\u3066\u3082\u3088\u3044")
            assert is_read(task, item, f"\u00a1{form}!")
            assert is_read(task, item, f"\u3010{form}\u3011")


RUNS = (
    "\u274c",
    "[ ] ",
    " ",
    "(",
    "not ",
    "because ",
    "because.",
    "1. ",
    "A ",
    "\u2705 a ",
    "a \u2705 ",
    "<del>",
    '["',
)


@pytest.mark.parametrize("run", RUNS)
def test_the_time_an_answer_takes_grows_with_its_length_and_no_faster(run: str) -> None:
    seconds = []
    for times in (500, 4000):
        start = time.process_time()
        for task in TASKS.values():
            task.parse(run * times, OPTIONS if task.has_options else (), {})
        seconds.append(time.process_time() - start)
    assert seconds[1] < 16 * seconds[0] + 1
