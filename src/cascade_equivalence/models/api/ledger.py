"""The ledger: what the API systems of a study have used, and may still use; all jobs of all runs share it.

Before a call its highest price is reserved, after it the real one takes that place. Where a system's calls cost more
than they were estimated at, that ratio is reserved for the next ones. A job that is killed in between leaves its
reservation standing, for the provider may charge the call: the ledger is never below what was spent.
"""

import json
import math
import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cascade_equivalence.config.api import ApiBudget
from cascade_equivalence.errors import StudyError
from cascade_equivalence.locked import locked

ROUNDING = 1e-9  # of a budget


class BudgetReached(StudyError):
    """The next call would go beyond the budget."""


@dataclass
class _Account:
    """What the lines of a ledger come to.

    Attributes:
        reserved: Highest price of each call that is under way or was cut off, by its ticket.
        estimates: The system and the estimate of each of them.
        ratios: The highest ratio of real to estimated price, of each system with a call that was counted; at least 1.
        calls: Calls that were charged, or may have been.
        money: What they cost.
        read: Bytes of the ledger that are counted.
    """

    reserved: dict[str, float] = field(default_factory=dict)
    estimates: dict[str, tuple[str, float]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    calls: int = 0
    money: float = 0.0
    read: int = 0


class Ledger:
    """The account of a study; threads and processes may share it.

    Args:
        path: The file, append-only, one line an event; made where it is missing.
        budget: The most that may be used.
        currency: Of all prices; None if nothing has one.
    """

    def __init__(self, path: Path, budget: ApiBudget, currency: str | None) -> None:
        self.path, self._budget, self._currency = path, budget, currency
        self._account = _Account()
        self._mutex = threading.Lock()

    def reserve(self, system: str, money: float) -> str:
        """Set money aside for one call.

        Args:
            system: Who asks.
            money: What the call is estimated to cost at most; more is set aside where earlier ones cost more.

        Returns:
            The ticket to settle or release it with.

        Raises:
            BudgetReached: It would go beyond the budget; says what was used and how to go on.
        """
        with self._mutex, locked(self.path) as file:
            self._catch_up(file)
            most = money * self._account.ratios.get(system, 1.0)
            self._check(most)
            ticket = uuid.uuid4().hex
            line = {"event": "reserved", "ticket": ticket, "system": system, "money": most, "estimate": money}
            self._append(file, line)
        return ticket

    def settle(self, ticket: str, money: float | None) -> None:
        """Put what a call did cost in the place of what was reserved for it.

        Args:
            ticket: The call's.
            money: By the provider's counts; None, or what is no sum of money, charges what was reserved.
        """
        counted = money is not None and 0 <= money < math.inf
        self._close(ticket, {"event": "charged", "money": money, "counted": True} if counted else {"event": "charged"})

    @property
    def limits_money(self) -> bool:
        """Whether there is a limit of money."""
        return self._budget.money is not None

    def knows(self, system: str) -> bool:
        """Whether a call of a system was counted, so that the next ones are reserved by it."""
        with self._mutex, locked(self.path) as file:
            self._catch_up(file)
            return system in self._account.ratios

    def release(self, ticket: str) -> None:
        """Take back a reservation: the call was refused and is not charged."""
        self._close(ticket, {"event": "released"})

    def used(self) -> tuple[int, float]:
        """Calls and money so far, reservations included."""
        with self._mutex, locked(self.path) as file:
            self._catch_up(file)
            return self._totals()

    def say(self) -> str:
        """Calls and money so far, in words."""
        calls, money = self.used()
        return self._words(calls, money)

    def _words(self, calls: int, money: float) -> str:
        return f"{calls} calls" + (f", {money:.4f} {self._currency}" if self._currency else "")

    def _totals(self) -> tuple[int, float]:
        account = self._account
        return account.calls + len(account.reserved), account.money + sum(account.reserved.values())

    def _check(self, money: float) -> None:
        calls, spent = self._totals()
        budget = self._budget
        reached = []
        if budget.calls is not None and calls + 1 > budget.calls:
            reached.append(f"{budget.calls} calls")
        if budget.money is not None and spent + money > budget.money * (1 + ROUNDING):
            reached.append(f"{budget.money} {self._currency}")
        if reached:
            next_call = f", and the next call may cost {money:.4f} {self._currency}" if self._currency else ""
            raise BudgetReached(
                f"the budget of {' and '.join(reached)} is reached: {self._words(calls, spent)} so far, counted in "
                f"{self.path}{next_call}"
            )

    def _close(self, ticket: str, line: dict[str, Any]) -> None:
        with self._mutex, locked(self.path) as file:
            self._catch_up(file)
            reserved = self._account.reserved.get(ticket)
            if reserved is not None:
                paid = {"money": reserved} if line["event"] == "charged" else {}
                self._append(file, {**paid, **line, "ticket": ticket})

    def _append(self, file: BinaryIO, line: dict[str, Any]) -> None:
        if self._currency is not None:
            line["currency"] = self._currency
        written = json.dumps(line, sort_keys=True).encode() + b"\n"
        file.write(written)
        file.flush()
        os.fsync(file.fileno())
        self._count(line)
        self._account.read += len(written)

    def _catch_up(self, file: BinaryIO) -> None:
        """Count what other jobs have written, and cut off what a killed one left of a line."""
        file.seek(self._account.read)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            # Whoever holds the lock is the only writer: the end of this line will not come.
            file.truncate(self._account.read + whole)
        for text in content[:whole].splitlines():
            try:
                line = json.loads(text)
                self._count(line)
            except (ValueError, KeyError, TypeError) as error:
                raise StudyError(
                    f"{self.path} is damaged at `{text[:80].decode(errors='replace')}`: take that line out; what it "
                    "counted is no longer part of the budget"
                ) from error
        self._account.read += whole

    def _count(self, line: dict[str, Any]) -> None:
        account, ticket = self._account, line["ticket"]
        currency = line.get("currency")
        if currency is not None and self._currency is not None and currency != self._currency:
            raise StudyError(
                f"{self.path} counts {currency}, and the prices are now in {self._currency}: keep one currency in a "
                "study, or give it another `results` folder"
            )
        money = float(line.get("money", 0.0))
        if not 0 <= money < math.inf:
            raise ValueError("no sum of money")
        if line["event"] == "reserved":
            account.reserved[ticket] = float(line["money"])
            account.estimates[ticket] = str(line.get("system", "")), float(line.get("estimate", money))
            return
        system, estimate = account.estimates.pop(ticket, ("", 0.0))
        if account.reserved.pop(ticket, None) is not None and line["event"] == "charged":
            account.calls += 1
            account.money += float(line["money"])
            if line.get("counted"):
                ratio = money / estimate if estimate > 0 else 1.0
                account.ratios[system] = max(1.0, ratio, account.ratios.get(system, 1.0))
