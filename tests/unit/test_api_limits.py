"""Rate limits, pauses and the ledger hold, whoever asks and whatever is killed."""

import json
import multiprocessing
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from api_asking import FastClock
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.api import ApiBudget, ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.ledger import BudgetReached, Ledger
from cascade_equivalence.models.api.limits import BURST_SECONDS, LONGEST_PAUSE, RateLimit, pause_before

SPEC = ApiSpec(kind="api", provider="gemini", model="listener")


def limit(folder: Path, clock: FastClock, requests: float | None = None, tokens: float | None = None) -> RateLimit:
    limited = SPEC.model_copy(update={"requests_per_minute": requests, "tokens_per_minute": tokens})
    return RateLimit(limited, folder, clock.clock())


# -- rate limits --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 400), st.booleans()), min_size=1, max_size=60),
    requests=st.sampled_from([1.0, 7.5, 60.0, 600.0]),
    tokens=st.sampled_from([None, 900.0, 40_000.0]),
)
def test_no_minute_has_more_than_a_minute_s_worth(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[float, int, bool]],
    requests: float,
    tokens: float | None,
) -> None:
    folder, clock = tmp_path_factory.mktemp("limits"), FastClock()
    jobs = [limit(folder, clock, requests, tokens) for _ in range(2)]
    sent: list[tuple[float, int]] = []
    for passed, size, job in steps:
        clock.sleep(passed)
        sent.append((clock.now() + jobs[job].book(size), size))
    for start, _ in sent:
        window = [(when, size) for when, size in sent if start - 1e-6 <= when < start + 60]
        assert len(window) <= requests * (60 + BURST_SECONDS) / 60 + 1 + 1e-6
        if tokens is not None:
            # The last one may begin when there is room for its first token.
            assert sum(size for _, size in window[:-1]) <= tokens * (60 + BURST_SECONDS) / 60 + 400 + 1e-6


def test_a_limit_is_used_to_the_full_and_none_is_no_limit(tmp_path: Path) -> None:
    clock = FastClock()
    job = limit(tmp_path / "a", clock, requests=60)
    assert [round(job.book(1), 3) for _ in range(4)] == [0, 0, 1, 2]
    clock.sleep(100)
    assert job.book(1) == 0
    free = limit(tmp_path / "b", clock)
    assert not any(free.book(10**9) for _ in range(9))


def test_a_pause_holds_for_all_jobs_and_only_grows(tmp_path: Path) -> None:
    clock = FastClock()
    one, other = limit(tmp_path, clock), limit(tmp_path, clock)
    one.hold(7)
    one.hold(3)
    assert other.held() == other.book(1) == 7
    clock.sleep(5)
    assert round(other.held(), 6) == 2
    clock.sleep(5)
    assert other.held() == other.book(1) == 0


def test_models_have_limits_of_their_own(tmp_path: Path) -> None:
    clock = FastClock()
    limit(tmp_path, clock, requests=1).hold(9)
    other = RateLimit(SPEC.model_copy(update={"model": "other"}), tmp_path, clock.clock())
    assert other.held() == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"held": "soon"}', b'{"held": 1e99}', b'{"held": null}'])
def test_a_damaged_state_or_a_clock_that_was_wrong_holds_nobody(tmp_path: Path, content: bytes) -> None:
    job = limit(tmp_path, FastClock(), requests=60)
    job.book(1)
    job.path.write_bytes(content)
    assert job.held() == 0
    assert job.book(1) == 0


@given(attempt=st.integers(2, 40), seed=st.integers())
def test_pauses_grow_to_an_end_and_differ(attempt: int, seed: int) -> None:
    pause = pause_before(attempt, random.Random(seed))
    whole = min(LONGEST_PAUSE, 2.0 ** (attempt - 2))
    assert whole / 2 <= pause <= whole
    assert pause != pause_before(attempt, random.Random(seed + 1))


@pytest.mark.parametrize("hours", [0.5, 20, 24 * 400])
def test_a_clock_that_is_set_back_changes_no_wait(tmp_path: Path, hours: float) -> None:
    clock = FastClock()
    job = limit(tmp_path, clock, requests=6)
    for _ in range(4):
        job.book(1)
    wait = limit(tmp_path, clock, requests=6).book(1)
    job.hold(300)
    clock.time -= hours * 3600
    assert job.held() == pytest.approx(300)
    assert job.book(1) == pytest.approx(300)
    clock.time += 301
    assert job.held() == 0 and job.book(1) <= wait


# -- the ledger -----------------------------------------------------------------------------------------------


def ledger(folder: Path, currency: str | None = "USD", **budget: float) -> Ledger:
    return Ledger(folder / "ledger.jsonl", ApiBudget.model_validate(budget), currency)


def test_what_is_reserved_counts_until_it_is_known_better(tmp_path: Path) -> None:
    account = ledger(tmp_path, money=1.0)
    tickets = [account.reserve("ears", 0.4) for _ in range(2)]
    with pytest.raises(BudgetReached, match=r"budget of 1\.0 USD is reached: 2 calls, 0\.8000 USD so far.*0\.4000 USD"):
        account.reserve("ears", 0.4)
    account.settle(tickets[0], 0.1)
    assert account.used() == (2, pytest.approx(0.5))
    account.release(tickets[1])
    assert account.used() == (1, pytest.approx(0.1))
    # A ticket is good once.
    account.settle(tickets[0], 9.0)
    account.release(tickets[0])
    assert account.used() == (1, pytest.approx(0.1))
    account.reserve("ears", 0.9)
    assert ledger(tmp_path, money=1.0).used() == (2, pytest.approx(1.0))


def test_calls_are_counted_without_prices(tmp_path: Path) -> None:
    account = ledger(tmp_path, None, calls=2)
    account.settle(account.reserve("ears", 0.0), 0.0)
    account.release(account.reserve("ears", 0.0))
    account.reserve("ears", 0.0)
    with pytest.raises(BudgetReached, match="budget of 2 calls is reached: 2 calls so far"):
        account.reserve("ears", 0.0)


def test_a_budget_is_used_to_its_last_cent(tmp_path: Path) -> None:
    account = ledger(tmp_path, money=1.0)
    for _ in range(10):
        account.settle(account.reserve("ears", 0.1), 0.1)
    with pytest.raises(BudgetReached):
        account.reserve("ears", 0.1)


def spend(path: Path, budget: float, start: object, granted: object) -> None:
    """One process: reserve until the budget is reached."""
    account = Ledger(path, ApiBudget(calls=int(budget)), None)
    start.wait()  # type: ignore[attr-defined]
    count = 0
    try:
        while True:
            ticket = account.reserve("ears", 0.0)
            count += 1
            if count % 3:
                account.settle(ticket, 0.0)
    except BudgetReached:
        granted.put(count)  # type: ignore[attr-defined]


def together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_processes_share_a_budget(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, granted = context.Event(), context.Queue()
    path = tmp_path / "ledger.jsonl"
    processes = [context.Process(target=spend, args=(path, 60, start, granted)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    counts = [granted.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sum(counts) == 60
    assert ledger(tmp_path, None).used() == (60, 0.0)


def test_threads_share_a_budget(tmp_path: Path) -> None:
    account, granted = ledger(tmp_path, money=3.0), []

    def work() -> None:
        try:
            while True:
                account.settle(account.reserve("ears", 0.2), 0.1)
                granted.append(1)
        except BudgetReached:
            return

    together(work, 4)
    # The last reservations do not fit although what was spent would: no call may go beyond the budget.
    assert 3.0 - 4 * 0.2 <= len(granted) * 0.1 <= 3.0
    assert account.used() == (len(granted), pytest.approx(len(granted) * 0.1))


def test_a_line_that_a_killed_job_left_half_is_cut_off(tmp_path: Path) -> None:
    account = ledger(tmp_path)
    account.reserve("ears", 0.25)
    whole = account.path.read_bytes()
    account.path.write_bytes(whole + whole[: len(whole) // 2])
    # The one that was open all along, and a new one.
    assert account.used() == ledger(tmp_path).used() == (1, 0.25)
    assert account.path.read_bytes() == whole
    account.reserve("ears", 0.25)
    assert ledger(tmp_path).used() == (2, 0.5)


@pytest.mark.parametrize(
    "line",
    [
        *("nonsense", "3", "{}", '{"event": "reserved", "ticket": "t"}'),
        *(f'{{"event": "reserved", "ticket": "t", "money": {money}}}' for money in ("-1", "NaN", "1e999", '"x"')),
    ],
)
def test_a_damaged_line_is_told(tmp_path: Path, line: str) -> None:
    account = ledger(tmp_path)
    account.path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(StudyError, match="is damaged at"):
        account.used()


@pytest.mark.parametrize("money", [None, -2000.0, float("nan"), float("inf")])
def test_what_is_no_sum_of_money_charges_what_was_reserved(tmp_path: Path, money: float | None) -> None:
    account = ledger(tmp_path, money=1.0)
    account.settle(account.reserve("ears", 0.75), money)
    assert account.used() == ledger(tmp_path).used() == (1, 0.75) and not account.knows("ears")
    with pytest.raises(BudgetReached):
        account.reserve("ears", 0.75)


def test_what_calls_cost_more_than_estimated_is_reserved_for_the_next(tmp_path: Path) -> None:
    account = ledger(tmp_path, money=10.0)
    account.settle(account.reserve("ears", 0.5), 2.0)
    account.settle(account.reserve("eyes", 0.5), 0.1)
    for again in (account, ledger(tmp_path, money=10.0)):
        before = again.used()[1]
        again.reserve("ears", 0.5)
        assert again.used()[1] == pytest.approx(before + 2.0)
        again.reserve("eyes", 0.5)
        assert again.used()[1] == pytest.approx(before + 2.5)


def test_a_ledger_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    account = ledger(tmp_path, money=1.0)
    old = [
        {"event": "reserved", "ticket": "a", "system": "ears", "money": 0.5, "currency": "USD"},
        {"event": "charged", "ticket": "a", "money": 0.125, "currency": "USD"},
    ]
    account.path.write_text("".join(json.dumps(line) + "\n" for line in old), encoding="utf-8")
    assert account.used() == (1, 0.125)


def test_two_currencies_are_not_added(tmp_path: Path) -> None:
    ledger(tmp_path).reserve("ears", 1.0)
    with pytest.raises(StudyError, match="counts USD, and the prices are now in EUR"):
        ledger(tmp_path, "EUR").used()


def test_every_line_says_who_and_how_much(tmp_path: Path) -> None:
    account = ledger(tmp_path)
    account.settle(account.reserve("ears", 0.5), 0.125)
    reserved, charged = map(json.loads, account.path.read_text(encoding="utf-8").splitlines())
    assert reserved["ticket"] == charged["ticket"]
    assert (reserved["event"], reserved["system"], reserved["money"]) == ("reserved", "ears", 0.5)
    assert (charged["event"], charged["money"], charged["currency"]) == ("charged", 0.125, "USD")
