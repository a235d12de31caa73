"""How often a provider may be asked: a token bucket that all jobs of a study share, and pauses it asks for itself."""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.locked import locked
from cascade_equivalence.models.store import key_of

BURST_SECONDS = 1.0
"""What a bucket holds: as much as flows in during this time, so that no minute has much more than a minute's worth."""

STALE_SECONDS = 86_400.0
"""Times further ahead than this are damaged."""

SKEW_SECONDS = 60.0
"""Clocks of two machines differ by less; a state from further ahead was written by a clock that was set back since."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


@dataclass(frozen=True)
class Clock:
    """Time, so that tests need not wait for it.

    Attributes:
        now: Seconds since 1970. Jobs on several machines share them.
        sleep: Waits some seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def pause_before(attempt: int, chance: random.Random) -> float:
    """Seconds to wait before an attempt after the first: exponential with jitter, 1 to 60 seconds at most.

    Args:
        attempt: The attempt that comes next, from 2.
        chance: Where the jitter comes from: jobs that failed together must not come back together.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 2))
    return longest * chance.uniform(0.5, 1.0)


class RateLimit:
    """Says how long to wait before a request.

    The state is in one small file, in which a bucket is the time at which it is full again (the generic cell rate
    algorithm, ITU-T I.371): what flows in is the clock's business, and a job that is killed leaves nothing behind. A
    file that is damaged counts as a full bucket.

    Args:
        spec: The limits: requests and input tokens a minute.
        folder: Where the file is; its name is the endpoint's and the model's hash.
        clock: Time.
    """

    def __init__(self, spec: ApiSpec, folder: Path, clock: Clock) -> None:
        self._rates = {"requests": spec.requests_per_minute, "tokens": spec.tokens_per_minute}
        self._clock = clock
        self.path = folder / f"rate-{key_of({'endpoint': spec.endpoint, 'model': spec.model})[:16]}.json"

    def book(self, tokens: int) -> float:
        """Book one request with some input tokens; returns the seconds to wait before it may be sent."""
        amounts = {"requests": 1, "tokens": tokens}
        with locked(self.path) as file:
            now = self._clock.now()
            state = _read(file, now)
            free = state.get("held", now)
            for name, rate in self._rates.items():
                if rate is not None:
                    full = max(state.get(name, now), now)
                    free = max(free, full - BURST_SECONDS)
                    state[name] = full + amounts[name] * 60.0 / rate
            _write(file, state, now)
        return max(0.0, free - now)

    def hold(self, seconds: float) -> None:
        """Let no job send a request before some seconds have passed: the provider asked for it."""
        with locked(self.path) as file:
            now = self._clock.now()
            state = _read(file, now)
            state["held"] = max(state.get("held", now), now + seconds)
            _write(file, state, now)

    def held(self) -> float:
        """Seconds until the provider may be asked again, if it wanted to be left alone."""
        with locked(self.path) as file:
            now = self._clock.now()
            return max(0.0, _read(file, now).get("held", now) - now)


def _read(file: BinaryIO, now: float) -> dict[str, float]:
    """The times of a state, by the clock as it goes now."""
    try:
        state = json.loads(file.read() or b"{}")
        written = float(state.get("written", now))
        times = {name: float(state[name]) for name in ("requests", "tokens", "held") if name in state}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
    if not all(map(math.isfinite, (written, *times.values()))):
        return {}
    back = written - now if written - now > SKEW_SECONDS else 0.0
    return {name: moment - back for name, moment in times.items() if moment - back - now < STALE_SECONDS}


def _write(file: BinaryIO, state: dict[str, float], now: float) -> None:
    file.truncate(0)
    file.write(json.dumps(state | {"written": now}).encode())
    file.flush()
