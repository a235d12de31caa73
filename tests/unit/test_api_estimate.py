"""What is going to be asked and paid is told before: never too little, and not far too much."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_asking import PRICES, TASK, ask, question, spec
from api_server import StandIn, Trouble, serving

from cascade_equivalence.config.api import ApiBudget, ApiPrices, ApiSpec
from cascade_equivalence.models.api.costs import most, output_limit, price
from cascade_equivalence.models.api.estimate import ApiEstimate, Part, expected_part, known_part
from cascade_equivalence.models.api.exchange import Usage
from cascade_equivalence.tasks.prompts import build_messages
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

NAMES = ("ears", "sst2", "clean")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as stand_in:
        yield stand_in


def part(folder: Path, asked: ApiSpec, count: int, names: tuple[str, str, str] = NAMES) -> Part:
    store = folder / "answers" / "clean.jsonl"
    return known_part(names, asked, [question(number) for number in range(count)], TASK.max_new_tokens, store)


def estimate(*parts: Part, used: tuple[int, float] = (0, 0.0), **budget: float) -> ApiEstimate:
    return ApiEstimate(parts, ApiBudget.model_validate(budget), used)


@pytest.mark.parametrize("provider", ["gemini", "openai"])
@pytest.mark.parametrize("text", ["positive", "The sentiment is negative, and it is"])
def test_a_call_costs_no_more_than_it_was_said_to_cost_at_most(
    server: StandIn, tmp_path: Path, provider: str, text: str
) -> None:
    asked = spec(server, provider, prices=PRICES)
    told = part(tmp_path, asked, 6)
    server.plan = lambda _: Trouble(text=text)
    found = ask(tmp_path, asked, range(6))
    paid = sum(price(Usage(a.prompt_tokens, None, a.new_tokens), asked.prices, 1) or 0 for a in found)
    assert told.money is not None and paid <= told.money <= 4 * paid
    assert sum(a.prompt_tokens for a in found) <= told.input_tokens <= 3 * sum(a.prompt_tokens for a in found)
    assert sum(a.new_tokens for a in found) <= told.output_tokens


def test_what_the_store_has_is_not_counted_and_a_question_asked_twice_is_one_call(
    server: StandIn, tmp_path: Path
) -> None:
    asked = spec(server, prices=PRICES)
    whole = part(tmp_path, asked, 6)
    assert (whole.questions, whole.calls) == (6, 6)
    ask(tmp_path, asked, range(4))
    rest = part(tmp_path, asked, 6)
    assert (rest.questions, rest.calls) == (6, 2)
    assert rest.audio_seconds == pytest.approx(sum(question(n).audio.seconds for n in (4, 5)))  # type: ignore[union-attr]
    assert rest.money is not None and whole.money is not None and 0 < rest.money < whole.money
    ask(tmp_path, asked, range(6))
    nothing = part(tmp_path, asked, 6)
    assert (nothing.calls, nothing.input_tokens, nothing.output_tokens, nothing.money) == (0, 0, 0, 0)
    # Answers to other settings are other answers.
    assert part(tmp_path, spec(server, seed=1), 6).calls == 6
    twice = [question(0), question(0), question(9)]
    again = known_part(NAMES, spec(server), twice, TASK.max_new_tokens, tmp_path / "none.jsonl")
    assert (again.questions, again.calls) == (3, 2)


def test_audio_costs_what_the_provider_s_rate_makes_of_its_seconds(server: StandIn) -> None:
    seconds = question(0).audio.seconds  # type: ignore[union-attr]
    for asked, rate in ((spec(server), 32), (spec(server, "openai"), 10), (spec(server, audio_tokens_per_second=7), 7)):
        usage = most(asked, question(0), 9)
        assert usage.audio_tokens is not None and 0 <= usage.audio_tokens - seconds * rate < 1


def test_prices_are_of_a_million_tokens_each_kind_its_own() -> None:
    prices = ApiPrices(input_text=1, input_audio=10, output=100)
    assert price(Usage(1_000_000, 0, 0), prices, 0) == 1
    assert price(Usage(1_000_000, 1_000_000, 0), prices, 0) == 10
    assert price(Usage(0, 0, 1_000_000), prices, 0) == 100
    # Without a count of its own the audio's is estimated; more than the whole it cannot be.
    assert price(Usage(1_000_000, None, 0), prices, 500_000) == 5.5
    assert price(Usage(1_000_000, None, 0), prices, 9_000_000) == 10
    assert price(Usage(5, 5, 5), None, 5) is None


def test_what_is_not_spoken_yet_is_guessed_from_its_words(server: StandIn) -> None:
    asked = spec(server, prices=PRICES)
    messages = build_messages(TASK, "", AUDIO_PLACEHOLDER, ())
    texts = [("a long day at sea", messages), ("no", messages)]
    guessed = expected_part(NAMES, asked, texts, 9, voices=3)
    assert (guessed.questions, guessed.calls, guessed.output_tokens, guessed.measured) == (6, 6, 54, False)
    # A newsreader takes 150 to 180 words a minute.
    assert 3 * 6 / 3 < guessed.audio_seconds <= 3 * 6 / 2
    assert guessed.audio_tokens >= guessed.audio_seconds * 32
    one = expected_part(NAMES, asked, texts, 9, voices=1)
    assert guessed.money == pytest.approx(3 * (one.money or 0))


def test_a_budget_that_will_not_do_is_told_before(server: StandIn, tmp_path: Path) -> None:
    told = part(tmp_path, spec(server, prices=PRICES), 6)
    assert told.money is not None
    assert not estimate(told).problems()
    assert not estimate(told, used=(4, 0.0), calls=10, money=told.money * 1.01).problems()
    (line,) = estimate(told, used=(5, 0.0), calls=10).problems()
    assert line.startswith("api.budget.calls is 10; 5 calls are used and 6 are left")
    (line,) = estimate(told, used=(5, 0.5), money=0.5).problems()
    assert line.startswith("api.budget.money is 0.5; 0.5000 are used")


def test_systems_that_have_all_answers_need_no_key(server: StandIn, tmp_path: Path) -> None:
    asked = spec(server)
    ask(tmp_path, asked, range(3))
    done = part(tmp_path, asked, 3, ("done", "sst2", "clean"))
    open_ = part(tmp_path, asked, 4, ("open", "sst2", "clean"))
    assert estimate(done, open_, open_).asking == ["open"] and estimate(done).asking == []
    assert estimate(done, open_).calls == 1


def test_the_text_is_a_table_with_a_total_and_what_it_means(server: StandIn, tmp_path: Path) -> None:
    asked = spec(server, prices=PRICES)
    ask(tmp_path, asked, range(2))
    guessed = expected_part(("ears", "ag_news", "snr10"), asked, [("a day", [{"content": "x"}])], 9, voices=2)
    text = estimate(part(tmp_path, asked, 5), guessed, calls=3).text()
    table, _, notes = text.partition("\n\n")
    head, first, second, total = table.splitlines()
    assert re.split(r"\s{2,}", first)[:6] == ["ears", "sst2", "clean", "5", "2", "3"]
    assert re.split(r"\s{2,}", second)[:6] == ["ears", "ag_news", "snr10", "2", "0", "2"] and "~" in second
    assert re.split(r"\s{2,}", total)[:4] == ["all", "7", "2", "5"] and total.endswith("USD")
    assert len({len(line) for line in (head, first, second, total)}) == 1
    assert "not spoken yet" in notes and "api.budget.calls is 3" in notes
    free = estimate(part(tmp_path, spec(server, seed=3), 5)).text()
    assert "no price" in free and "not spoken yet" not in free


def test_the_longest_answer_has_room_for_the_prefix_or_is_the_system_s_own(server: StandIn) -> None:
    asked = question(0)
    assert output_limit(spec(server), asked, 6) >= 6 + len(asked.answer_prefix) / 3
    assert output_limit(spec(server, max_output_tokens=3), asked, 6) == 3
