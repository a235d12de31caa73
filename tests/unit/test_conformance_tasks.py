"""What holds for every task, the example of docs/plugins among them."""

import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import polars as pl
import pytest
import yaml
from checkout import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registries import names

from cascade_equivalence.config.check_prompts import prompt_problems
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.study import ItemsConfig, TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.naming import short_title, task_title
from cascade_equivalence.tasks.base import Item, Task
from cascade_equivalence.tasks.cleaning import clean_text
from cascade_equivalence.tasks.items import check_items, read_items, write_items
from cascade_equivalence.tasks.planned import assumed_items
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.sampling import sample
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER, INVALID

pytestmark = pytest.mark.usefixtures("examples")

SEED, LONGEST = 0, 60
# Names that are no label's and no word of one.
WORDS = ("alpha", "bravo", "charlie two", "delta", "echo", "foxtrot", "golf")
OPTIONS = ("bank", "new york", "a big shop", "mall", "department store")
DRESSES = ["{}", " {}\n", "{}.", "**{}**", '"{}"', "`{}`.", "- {}", "\u201c{}.\u201d", "Answer: {}"]
DRESSES += ["The answer is {}."]
REMARKS = ["{}\nbut why", "{}, clearly.", "{}: it is so", "{} - it is so", "{} (I think)", "**Answer:** {}!"]
REMARKS += ["{0}\n\n{0}"]
LETTERED = ["{0}", "({0})", "{0}.", "{0})", " **{0}** ", "{0}) {1}", "{0}. {1}.", "({0}) {1}", "{0}: {1}"]
LETTERED += ["Option: {0}"]
PREFIX = "What is meant by the speaker here is"
NOTHING = ["", " ", "\n", "...", "**", "<think>hm</think>"]
GARBAGE = ["?!", "I cannot answer that.", "xyzzy", "Sure! Here it comes:", "The audio is empty.", "None of them"]
SPEECH = st.text() | st.sampled_from(["{options}", "{speech}", "{0}", "{", "}}", "\\1", "\\g<0>", "%s", "$speech"])
ANYTHING = st.text() | st.lists(
    st.sampled_from([*"ABCDE.,:)(\n *-", *OPTIONS, "World", "joy", "yes", "even", "is", "not", "the"])
).map("".join)


@dataclass(frozen=True)
class Known:
    """A task and what it asks.

    Attributes:
        task: The task.
        items: Its own items, to be reported.
        others: Those that only choose prompts, if it has any.
        spec: How it is asked: as in the project's registry; by a plain prompt where that does not have it.
    """

    task: Task
    items: Sequence[Item]
    others: Sequence[Item]
    spec: TaskSpec

    @property
    def words(self) -> Iterator[Mapping[str, str]]:
        """What the labels can be called in a prompt: by their names, as the registry says, and in words made up."""
        yield {}
        if self.task.labels and not self.task.has_options:
            yield self.spec.label_words
            yield dict(zip(self.task.labels, WORDS, strict=False))
            if len(self.task.labels) == 2:
                yield dict(zip(self.task.labels, ("yes", "no"), strict=True))

    @property
    def options(self) -> Sequence[str]:
        return OPTIONS if self.task.has_options else ()

    def parse(self, raw: str, words: Mapping[str, str] | None = None, prefix: str = "") -> str:
        return self.task.parse(raw, self.options, words or {}, prefix)

    def answers(self, words: Mapping[str, str] | None = None) -> Iterator[tuple[str, set[str]]]:
        """Each label with the texts that mean it; none of a task with free answers."""
        for label, word in self.task.answers(self.options, words or {}).items():
            yield label, {label, word}


@pytest.fixture(scope="module", params=names(TASKS))
def known(request: pytest.FixtureRequest, examples: None) -> Known:
    del examples
    task = TASKS[request.param]
    registered = yaml.safe_load((REPOSITORY / "config" / "tasks.yaml").read_text(encoding="utf-8"))["tasks"]
    plain = {"prompt": "What is it?\n{speech}" + "\n{options}" * task.has_options, "answer_prefix": PREFIX}
    spec = TaskSpec.model_validate(registered.get(task.name, plain))
    folder = task.resources / "items"
    rows = (folder / f"{task.name}.jsonl").read_text(encoding="utf-8")
    return Known(task, task.load_demo(folder), task.load_demo(folder, "dev") if '"dev"' in rows else [], spec)


# -- items -------------------------------------------------------------------------------------------------------------


def test_items_are_sound_and_the_same_on_every_reading(known: Known, tmp_path: Path) -> None:
    task, folder = known.task, known.task.resources / "items"
    assert task.load_demo(folder) == known.items
    for items in (known.items, known.others):
        check_items(items, task.labels, task.name)
        assert all(clean_text(item.text) == item.text for item in items)
        assert {item.label for item in items} == set(task.labels) or not (task.labels and items)
        assert all(bool(item.options) == task.has_options for item in items)
    assert {item.style for item in known.items} == (set(task.styles) or {None})
    if task.styles:
        spoken = Counter((item.group, item.text) for item in known.items)
        assert set(spoken.values()) == {len(task.styles)} and all(item.style == item.label for item in known.items)
    write_items(known.items, tmp_path / "deep" / "items.parquet", task.name, task.labels)
    assert read_items(tmp_path / "deep" / "items.parquet") == known.items
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["items.parquet"]


def test_what_chooses_prompts_is_not_reported(known: Known) -> None:
    for key in ("id", "text"):
        assert {getattr(item, key) for item in known.others}.isdisjoint(getattr(item, key) for item in known.items)


def test_every_gold_answer_scores_as_itself(known: Known) -> None:
    for item in (*known.items, *known.others):
        golds = (item.label, *item.aliases)
        assert any(known.task.score(known.task.parse(gold, item.options, {}), item) for gold in golds), item.id
        if known.task.labels:
            assert item.label in known.task.answers(item.options, {})
        assert not known.task.score(INVALID, Item("i", "x", label=INVALID, group="g", aliases=(INVALID,)))


def test_a_missing_set_and_a_foreign_file_are_told_with_what_is_looked_for(known: Known, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=re.escape(known.task.obtain)):
        known.task.load_published(tmp_path)
    path = tmp_path / known.task.name / known.task.patterns[-1].replace("*", "")
    path.parent.mkdir()
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(StudyError, match=re.escape(str(path))):
        known.task.load_published(tmp_path)


# -- samples -----------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(shuffle=st.randoms(), count=st.integers(7, 30))
def test_samples_do_not_depend_on_order_and_larger_ones_begin_with_smaller(
    known: Known, shuffle: Random, count: int
) -> None:
    drawn = sample(known.items, count, SEED, LONGEST, balanced=known.task.balanced)
    turned = list(known.items)
    shuffle.shuffle(turned)
    assert sample(turned, count, SEED, LONGEST, balanced=known.task.balanced) == drawn
    assert 0 < len(drawn) <= count and len({item.id for item in drawn}) == len(drawn)
    more = sample(known.items, count + 7, SEED, LONGEST, balanced=known.task.balanced)
    assert more[: len(drawn)] == drawn


def test_the_seed_decides_what_is_drawn(known: Known) -> None:
    few = min(len(known.items) // 2, 28)
    draws = {tuple(item.id for item in sample(known.items, few, seed, LONGEST)) for seed in range(5)}
    assert len(draws) == 5


def test_a_prepared_sample_is_balanced_over_labels_and_styles(known: Known) -> None:
    task = known.task
    config = ItemsConfig.model_validate({"source": "demo", "per_task": {task.name: 28}})
    items, _ = prepare_items(task.name, config, task.resources, task.resources)
    assert 0 < len(items) <= 28 and set(items) <= set(known.items)
    counts = Counter(item.label for item in items)
    if task.styles:
        assert all(item.style == item.label for item in items)
        assert set(Counter(item.text for item in items).values()) == {len(task.styles)}
    if task.labels and not task.has_options:
        assert set(counts) == set(task.labels) and max(counts.values()) - min(counts.values()) <= 1


# -- answers -----------------------------------------------------------------------------------------------------------


def test_every_answer_means_itself_in_any_dress(known: Known) -> None:
    # A letter has forms of its own: a small one may be an article.
    forms = DRESSES if known.task.has_options else DRESSES + REMARKS
    changes = [str, str.upper] if known.task.has_options else [str, str.upper, str.lower, str.capitalize]
    for words in known.words:
        for label, texts in known.answers(words):
            for said in texts:
                for form in forms:
                    found = {known.parse(form.format(change(said)), words) for change in changes}
                    assert found == {label}, form.format(said)
    if not known.task.labels:
        for item in known.items:
            assert all(known.task.score(known.parse(form.format(item.label)), item) for form in DRESSES), item.id


def test_what_leads_to_an_answer_may_be_said_again(known: Known) -> None:
    for words in known.words:
        for label, texts in known.answers(words):
            for said in texts:
                for prefix in (PREFIX, known.spec.answer_prefix):
                    assert known.parse(f"{prefix} {said}.", words, prefix) == label
                for subject in known.task.subjects:
                    assert known.parse(f"{subject.capitalize()}: {said}", words) == label
                    assert known.parse(f"The {subject} is {said}.", words) == label
    if not known.task.labels:
        for gold in {item.label for item in known.items}:
            assert known.parse(f"{PREFIX} {gold}.", prefix=PREFIX) == known.parse(gold)


def test_letters_and_texts_of_options_mean_the_option(known: Known) -> None:
    for letter, option in zip(string.ascii_uppercase, known.options, strict=False):
        for lead in ("", "The answer is ", "Answer: ", "The correct answer is: "):
            for form in LETTERED:
                raw = lead + form.format(letter, option)
                assert known.parse(raw) == known.parse(raw.lower()) == letter, raw
        for dress in ("{}", "{}.", '"{}"', "The answer is {}."):
            assert known.parse(dress.format(option)) == known.parse(dress.format(option.upper())) == letter, option


def test_nothing_and_garbage_are_invalid(known: Known) -> None:
    for raw in NOTHING + GARBAGE:
        parsed = known.parse(raw)
        if known.task.labels or raw in NOTHING:
            assert parsed == INVALID, raw
        assert not any(known.task.score(parsed, item) for item in known.items), raw


def test_two_answers_and_half_answers_are_invalid(known: Known) -> None:
    for words in known.words:
        answers = list(known.answers(words))
        for place, (_, texts) in enumerate(answers):
            others = answers[(place + 1) % len(answers)][1]
            for one in texts:
                for other in others:
                    for raw in (f"{one} or {other}", f"{one}, but {other}", f"{one}/{other}", f"{one}. {other}?"):
                        assert known.parse(raw, words) == INVALID, raw
                for raw in (f"not {one}", f"I think {one}", f"{one}ish", f"un{one}", f"{one} thing", f"{one}'s"):
                    assert known.parse(raw, words) == INVALID, raw
                assert known.parse(one[:-1], words) == INVALID


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(raw=ANYTHING)
def test_any_text_is_a_label_or_invalid_and_to_parse_again_changes_nothing(known: Known, raw: str) -> None:
    for words in known.words:
        parsed = known.parse(raw, words)
        if labels := known.task.answers(known.options, words):
            assert parsed in (*labels, INVALID)
        assert parsed and (parsed == INVALID or known.parse(parsed, words) == parsed)


# -- prompts -----------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(speech=SPEECH, system=st.sampled_from(["", "Be brief."]))
def test_arms_differ_at_the_placeholder_only(known: Known, speech: str, system: str) -> None:
    item = known.items[0]
    heard = build_messages(known.spec, system, AUDIO_PLACEHOLDER, item.options)
    read = build_messages(known.spec, system, speech, item.options)
    assert [turn["role"] for turn in heard] == ["system"] * bool(system) + ["user", "assistant"] * len(
        known.spec.shots
    ) + ["user"]
    assert read[:-1] == heard[:-1]
    assert sum(turn["content"].count(AUDIO_PLACEHOLDER) for turn in heard) == 1
    assert read[-1]["content"] == heard[-1]["content"].replace(AUDIO_PLACEHOLDER, speech.strip())
    assert all(option in heard[-1]["content"] for option in item.options)


def test_how_it_is_asked_has_no_problems_and_its_candidates_are_understood(known: Known) -> None:
    assert not prompt_problems(known.task.name, known.spec)
    for item in known.items:
        candidates = candidate_answers(known.task, known.spec, item.options)
        assert set(candidates) == set(known.task.answers(item.options, {}))
        for label, answer in candidates.items():
            assert known.task.parse(answer, item.options, known.spec.label_words) == label


# -- what is shown and planned -----------------------------------------------------------------------------------------


def test_titles_are_its_own(known: Known) -> None:
    name = known.task.name
    for title in (task_title, short_title):
        assert title(name) and [other for other in TASKS if title(other) == title(name)] == [name]
    assert len(short_title(name)) <= len(task_title(name)) and INVALID not in known.task.labels


def test_assumed_items_have_the_planned_length(known: Known) -> None:
    planned = known.task.planned
    assert planned.words > 0 and planned.letters > planned.words
    assert planned.recorded_seconds is None or planned.recorded_seconds > 0
    items = assumed_items(known.task.name, 3)
    assert len({item.id for item in items}) == 3
    for item in items:
        assert len(item.text.split()) == max(1, round(planned.words))
        assert abs(len(item.text) - planned.letters) <= planned.words
    assert bool(planned.options) == known.task.has_options
