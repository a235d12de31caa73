"""One question to an API: within limits and budget, asked again where that may help."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from cascade_equivalence.config.api import ApiSpec, is_loopback
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.costs import price
from cascade_equivalence.models.api.exchange import Client, Reply, Turn, Unanswered, Usage
from cascade_equivalence.models.api.failures import cut_off
from cascade_equivalence.models.api.ledger import Ledger
from cascade_equivalence.models.api.limits import Clock, RateLimit, pause_before

LONGEST_HOLD = 900.0
"""Seconds a job waits for a provider that wants to be left alone; beyond that it ends."""

KNOCKS = 3
"""Requests that reach nobody on this machine after which no server is there: one that starts anew takes seconds."""

GRACE = 1.0
"""Seconds beyond the time-out, which the network library counts anew with every byte that arrives."""

_STEP = 1.0  # seconds between looks at whether to stop
_LOOK = 0.02  # seconds between looks at whether the first call has come back
_JITTER = 0.1


class Stopped(Exception):
    """Another thread met something that ends the job."""


@dataclass(frozen=True)
class Call:
    """An answer that is to be kept, and then settled.

    Attributes:
        reply: What the provider said.
        ticket: Of the ledger.
        cost: Money; None without prices.
        counted: Whether the cost is by the provider's own counts.
        seconds: From the request to the reply, the last attempt alone.
        attempts: Requests it took.
    """

    reply: Reply
    ticket: str
    cost: float | None
    counted: bool
    seconds: float
    attempts: int


class ApiCaller:
    """Asks for one system; threads share it.

    Args:
        name: The system.
        spec: Its definition.
        client: Speaks to the provider.
        limit: How often it may be asked.
        ledger: What may be spent.
        clock: Time.
        stop: Set when nothing more is to be asked.
        takes_empty: Whether a reply without a word, that comes twice, is what the model answers.
    """

    def __init__(
        self,
        name: str,
        spec: ApiSpec,
        client: Client,
        limit: RateLimit,
        ledger: Ledger,
        clock: Clock,
        stop: threading.Event,
        *,
        takes_empty: bool = False,
    ) -> None:
        self._takes_empty = takes_empty
        self._name, self._spec, self._client = name, spec, client
        self._limit, self._ledger, self._clock, self._stop = limit, ledger, clock, stop
        self._chance = random.Random()  # noqa: S311 - jitter
        self._first, self._leader = threading.Lock(), 0

    def ask(self, turns: Sequence[Turn], most: Usage) -> Call:
        """Ask until there is an answer, as often as the spec allows.

        Args:
            turns: The conversation.
            most: The tokens that a call takes at most.

        Raises:
            Unanswered: The attempts are used up; its reason is the last one's.
            BudgetReached: Another call would go beyond the budget.
            StudyError: Asking again would not help.
            Stopped: The job ends.
        """
        self._wait_for_experience()
        try:
            return self._ask(turns, most)
        except BaseException:
            self._let_others_ask()
            raise

    def _ask(self, turns: Sequence[Turn], most: Usage) -> Call:
        audio = most.audio_tokens or 0
        highest = price(most, self._spec.prices, audio) or 0.0
        empty = 0
        for attempt in range(1, self._spec.attempts + 1):
            if attempt > 1:
                self._wait(pause_before(attempt, self._chance))
            self._wait_for_turn(most.input_tokens)
            ticket = self._ledger.reserve(self._name, highest)
            began = self._clock.now()
            try:
                reply = self._in_time(turns, most.output_tokens)
            except StudyError:
                self._ledger.release(ticket)
                raise
            except Unanswered as error:
                empty += error.empty is not None
                if self._takes_empty and error.empty is not None and empty > 1:
                    return self._call(error.empty, ticket, most, began, attempt)
                if error.perhaps_charged:
                    counted = None if error.usage is None else price(error.usage, self._spec.prices, audio)
                    self._ledger.settle(ticket, counted)
                else:
                    self._ledger.release(ticket)
                self._obey(error)
                if error.unreached and attempt == KNOCKS and is_loopback(self._spec.endpoint):
                    raise StudyError(
                        f"nothing answers at {self._spec.endpoint} ({error.reason}): start the server that runs "
                        f"{self._spec.model}, or correct base_url"
                    ) from None
                last, last.attempts = error, attempt
                if error.lasting:
                    break
                continue
            return self._call(reply, ticket, most, began, attempt)
        raise last

    def _call(self, reply: Reply, ticket: str, most: Usage, began: float, attempt: int) -> Call:
        # A clock may be set back meanwhile.
        seconds = max(0.0, self._clock.now() - began)
        cost = price(reply.usage or most, self._spec.prices, most.audio_tokens or 0)
        return Call(reply, ticket, cost, reply.usage is not None, seconds, attempt)

    def _in_time(self, turns: Sequence[Turn], max_output_tokens: int) -> Reply:
        """Send a request, and wait no longer than the spec allows, however slowly a reply drips in.

        A reply that comes later is lost, like any that comes after a time-out: it may be charged.
        """
        arrives: Future[Reply] = Future()

        def send() -> None:
            try:
                arrives.set_result(self._client.ask(turns, max_output_tokens))
            except BaseException as error:
                arrives.set_exception(error)

        threading.Thread(target=send, name="request", daemon=True).start()
        if not wait([arrives], self._spec.timeout + GRACE).done:
            raise cut_off(TimeoutError(), sent=True)
        return arrives.result()

    def _wait_for_experience(self) -> None:
        """Where money is limited, let one call alone tell how far the provider's counts are from the estimates."""
        while self._ledger.limits_money and not self._ledger.knows(self._name):
            if self._stop.is_set():
                raise Stopped
            if self._first.acquire(blocking=False):
                self._leader = threading.get_ident()
                return
            self._stop.wait(_LOOK)

    def _let_others_ask(self) -> None:
        if self._leader == threading.get_ident():
            self._leader = 0
            self._first.release()

    def settle(self, call: Call) -> None:
        """Count what a call did cost; its answer is kept by now."""
        self._ledger.settle(call.ticket, (call.cost or 0.0) if call.counted else None)
        self._let_others_ask()

    def _obey(self, error: Unanswered) -> None:
        """Leave the provider alone as long as it wants, in all jobs."""
        if error.retry_after is None:
            return
        if error.retry_after > LONGEST_HOLD:
            raise StudyError(
                f"{self._spec.endpoint} wants to be left alone for {error.retry_after:.0f} s ({error.reason}): run "
                "again then; what was answered is kept"
            )
        self._limit.hold(error.retry_after)

    def _wait_for_turn(self, tokens: int) -> None:
        self._wait(self._limit.book(tokens))
        while (held := self._limit.held()) > 0:
            self._wait(held * self._chance.uniform(1, 1 + _JITTER))

    def _wait(self, seconds: float) -> None:
        """Wait, but not while there is nothing left to wait for."""
        while True:
            if self._stop.is_set():
                raise Stopped
            if seconds <= 0:
                return
            self._clock.sleep(min(seconds, _STEP))
            seconds -= _STEP
