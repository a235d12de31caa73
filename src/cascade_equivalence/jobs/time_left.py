"""How long a run will still take, from what its jobs took so far and what such jobs took before."""

from collections import Counter
from collections.abc import Callable, Mapping

MINUTE, HOUR = 60, 3600


class TimeLeft:
    """Counts the jobs of a run and the seconds that they take.

    Args:
        planned: How many jobs of each rule there are.
        usual: The usual seconds of a job of a rule, as far as they are known.
        clock: Seconds since any moment.

    Attributes:
        planned: How many jobs of each rule there are.
        done: How many of them have ended well.
    """

    def __init__(self, planned: Mapping[str, int], usual: Mapping[str, float], clock: Callable[[], float]) -> None:
        self.planned, self.done = Counter(dict(planned)), Counter[str]()
        self._usual, self._clock = usual, clock
        self._began = clock()
        self._spent: dict[str, list[float]] = {}
        self._running: dict[int, tuple[str, float]] = {}

    def begin(self, number: int, rule: str) -> None:
        """A job began."""
        self._running[number] = (rule, self._clock())

    def end(self, number: int, done: bool) -> str | None:
        """A job ended, well or not; its rule, None if it had not begun."""
        rule, since = self._running.pop(number, (None, 0.0))
        if rule is not None and done:
            self.done[rule] += 1
            self._spent.setdefault(rule, []).append(self._clock() - since)
        return rule

    def left(self) -> float | None:
        """Seconds until all is done; None as long as most of the jobs to come are of rules of which nothing is known.

        Jobs that are to come take what those of their rule took: in this run, or else before, or else all of this
        run. As many of them run at a time as did so far.
        """
        now = self._clock()
        mean = {rule: sum(each) / len(each) for rule, each in self._spent.items()}
        known = dict(self._usual) | mean
        ended = [seconds for each in self._spent.values() for seconds in each]
        to_do = self.planned - self.done
        if 2 * sum(count for rule, count in to_do.items() if rule in known) < to_do.total():
            return None
        other = sum(ended or known.values()) / max(1, len(ended or known))
        running = [(rule, now - since) for rule, since in self._running.values()]
        to_come = sum(count * known.get(rule, other) for rule, count in to_do.items())
        to_come -= sum(min(worked, known.get(rule, other)) for rule, worked in running)
        worked, passed = sum(ended) + sum(worked for _, worked in running), now - self._began
        side_by_side = worked / passed if passed > 0 and worked > passed else 1.0
        return max(to_come, 0.0) / side_by_side


def in_words(seconds: float) -> str:
    """A length of time as exactly as an estimate is: `40 s`, `12 min`, `3.5 h`."""
    if seconds < MINUTE:
        return f"{max(round(seconds, -1), 10):.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"
