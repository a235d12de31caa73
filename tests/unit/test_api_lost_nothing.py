"""Nothing that was paid for is lost or paid twice: whatever the budget or the kernel does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_asking import (
    PRICES,
    ask,
    budget,
    clip,
    expected,
    ledger,
    spec,
    stored,
    texts,
    wait_until,
)
from api_server import StandIn, Trouble, serving, status

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.keys import OFFLINE
from cascade_equivalence.models.api.records import read_store

BUSY = status(503)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(OFFLINE, raising=False)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as stand_in:
        yield stand_in


# -- budget ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_budget_of_calls_ends_the_job_and_a_higher_one_goes_on(
    server: StandIn, tmp_path: Path, concurrency: int
) -> None:
    asked = spec(server, concurrency=concurrency)
    with pytest.raises(StudyError, match=r"budget of 5 calls is reached: 5 calls so far.*run again"):
        ask(tmp_path, asked, range(9), budget(calls=5))
    assert len(server.heard) == len(stored(tmp_path)) == 5
    with pytest.raises(StudyError, match="budget of 5 calls is reached"):
        ask(tmp_path, asked, range(9), budget(calls=5))
    assert len(server.heard) == 5
    assert texts(ask(tmp_path, asked, range(9), budget(calls=9))) == [expected(number) for number in range(9)]
    assert len(server.heard) == 9


def test_money_is_never_spent_beyond_the_budget(server: StandIn, tmp_path: Path) -> None:
    dear = spec(server, prices={"input_text": 1000, "input_audio": 1000, "output": 1000}, concurrency=3)
    limit = 0.5
    with pytest.raises(StudyError, match=r"budget of 0\.5 USD is reached.*and the next call may cost"):
        ask(tmp_path, dear, range(30), budget(money=limit))
    spent = sum(record["cost"] for record in stored(tmp_path))
    assert 0.5 * limit < spent <= limit
    assert ledger(tmp_path, "USD").used() == (len(stored(tmp_path)), pytest.approx(spent))


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_provider_that_counts_more_than_was_estimated_stays_within_the_budget(
    server: StandIn, tmp_path: Path, provider: str
) -> None:
    server.plan = lambda _: Trouble(times=50)
    prices = {"input_text": 1000, "input_audio": 1000, "output": 1000}
    dear, limit = spec(server, provider, prices=prices, concurrency=16), 50.0
    with pytest.raises(StudyError, match="budget of"):
        ask(tmp_path, dear, range(40), budget(money=limit))
    spent = sum(record["cost"] for record in stored(tmp_path))
    # More than one call, each dearer than it was said to be at most; and as many as the budget has room for.
    dearest = max(record["cost"] for record in stored(tmp_path))
    assert len(stored(tmp_path)) > 2 and limit - 2 * dearest < spent <= limit
    assert ledger(tmp_path, "USD").used() == (len(stored(tmp_path)), pytest.approx(spent))
    # Another job, and another run, know it from the beginning.
    with pytest.raises(StudyError, match="budget of"):
        ask(tmp_path, dear, range(40), budget(money=limit + dearest / 2), node="other")
    assert sum(record["cost"] for node in ("clean", "other") for record in stored(tmp_path, node)) <= limit + dearest


def test_counts_that_rise_overshoot_by_the_calls_under_way_alone(server: StandIn, tmp_path: Path) -> None:
    server.plan = lambda number: Trouble(times=1 if number < 5 else 50)
    prices, limit = {"input_text": 1000, "input_audio": 1000, "output": 1000}, 6.0
    with pytest.raises(StudyError, match="budget of"):
        ask(tmp_path, spec(server, prices=prices, concurrency=16), range(40), budget(money=limit))
    costs = sorted(record["cost"] for record in stored(tmp_path))
    assert sum(costs) - sum(costs[-16:]) <= limit


def test_a_budget_counts_what_may_be_charged_and_not_what_was_refused(server: StandIn, tmp_path: Path) -> None:
    server.first(BUSY, status(429), Trouble(cut=True), None)
    ask(tmp_path, spec(server), [0], budget(calls=2))
    assert ledger(tmp_path).used()[0] == 2


def test_jobs_share_a_budget(server: StandIn, tmp_path: Path) -> None:
    asked = spec(server, concurrency=3)
    raised: list[StudyError] = []

    def job(node: str) -> None:
        try:
            ask(tmp_path, asked, range(10), budget(calls=12), node=node)
        except StudyError as error:
            raised.append(error)

    threads = [threading.Thread(target=job, args=(node,)) for node in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) >= 2 and all("budget of 12 calls" in str(error) for error in raised)
    assert len(server.heard) == 12 == sum(len(stored(tmp_path, node)) for node in ("one", "two", "three"))


# -- kill ------------------------------------------------------------------------------------------------------


# What starts the tests may have it ignored.
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from api_asking import ask
from cascade_equivalence.config.api import ApiSpec
ask(Path(sys.argv[1]), ApiSpec.model_validate_json(sys.argv[2]), range(int(sys.argv[3])))
"""


def start(folder: Path, asked: ApiSpec, count: int) -> subprocess.Popen[bytes]:
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join(map(str, (here, here.parents[1] / "src")))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), asked.model_dump_json(), str(count)],
        env=os.environ | {"PYTHONPATH": paths, "NO_PROXY": "127.0.0.1"},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(("provider", "concurrency", "done"), [("gemini", 1, 7), ("openai", 4, 9)])
def test_a_killed_job_loses_only_what_was_under_way(
    server: StandIn, tmp_path: Path, provider: str, concurrency: int, done: int
) -> None:
    never = threading.Event()
    server.plan = lambda number: Trouble(hold=never) if number >= done else None
    asked = spec(server, provider, concurrency=concurrency, prices=PRICES)
    process = start(tmp_path, asked, 20)
    try:
        # All threads have a request under way that is not answered: what came before is in the store by now.
        wait_until(lambda: len(server.heard) == done + concurrency)
        assert len(stored(tmp_path)) == done
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    never.set()
    before = (tmp_path / "answers" / "clean.jsonl").read_bytes()
    under_way = server.clips()[done:]
    server.plan = lambda _: None
    found = ask(tmp_path, asked, range(20))
    assert texts(found) == [expected(number) for number in range(20)]
    assert (tmp_path / "answers" / "clean.jsonl").read_bytes().startswith(before)
    asked_for = Counter(server.clips())
    assert asked_for == Counter({clip(number): 1 for number in range(20)}) + Counter(under_way)
    # Those requests may be charged, and are counted so.
    calls, money = ledger(tmp_path, "USD").used()
    assert calls == 20 + concurrency and money > sum(record["cost"] for record in stored(tmp_path))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_told_to_end_keeps_what_is_under_way(server: StandIn, tmp_path: Path, sent: int) -> None:
    done, concurrency, go_on = 5, 4, threading.Event()
    server.plan = lambda number: Trouble(hold=go_on) if number >= done else None
    asked = spec(server, concurrency=concurrency, prices=PRICES)
    process = start(tmp_path, asked, 20)
    wait_until(lambda: len(server.heard) == done + concurrency)
    process.send_signal(sent)
    if sent == signal.SIGTERM:  # which a process group gets more than once
        time.sleep(0.3)
        process.send_signal(sent)
    time.sleep(0.3)
    go_on.set()
    assert process.wait(60) != 0
    assert len(server.heard) == len(stored(tmp_path)) == done + concurrency
    spent = sum(record["cost"] for record in stored(tmp_path))
    assert ledger(tmp_path, "USD").used() == (done + concurrency, pytest.approx(spent))
    assert texts(ask(tmp_path, asked, range(20))) == [expected(number) for number in range(20)]
    assert len(server.heard) == 20


def test_a_torn_last_line_is_asked_for_again(server: StandIn, tmp_path: Path) -> None:
    found = ask(tmp_path, spec(server), range(4))
    store = tmp_path / "answers" / "clean.jsonl"
    whole = store.read_bytes()
    store.write_bytes(whole[:-9])
    assert len(read_store(store)) == 3 and store.read_bytes() == whole[:-9]
    assert texts(ask(tmp_path, spec(server), range(4))) == texts(found)
    assert server.clips()[4:] == [clip(3)]


def test_an_answer_is_on_disk_before_the_thread_goes_on(server: StandIn, tmp_path: Path) -> None:
    seen: list[int] = []

    def plan(_: int) -> None:
        seen.append(len(stored(tmp_path)))

    server.plan = plan
    ask(tmp_path, spec(server), range(5))
    assert seen == [0, 1, 2, 3, 4]
