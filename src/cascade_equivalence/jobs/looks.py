"""Snakemake looks at the waiting jobs again once in a while, and not once for each job that has ended before.

Its scheduler asks to be woken a second later whenever it has looked at what waits, and each job that ends makes it
look once more. While any job waits, no such chain of looks ever ends: after three hundred jobs it looks three hundred
times a second, stats every input and computes every parameter, and takes a processor from the study (Snakemake 9.27;
https://github.com/snakemake/snakemake/issues/2967 tells of it). One look that is due is enough: it asks for the next.
Open this if Snakemake's own process is busy, or to take it away once Snakemake keeps a single timer itself.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

REEVALUATE = "_schedule_reevalutation"
"""The method of Snakemake's scheduler, as it is spelled there; where there is none, nothing is changed."""


def look_once_a_time(scheduler: type[Any]) -> None:
    """Keep a scheduler from asking for a look while one is due no later.

    Args:
        scheduler: ``snakemake.scheduling.job_scheduler.JobScheduler``.
    """
    ask = getattr(scheduler, REEVALUATE, None)
    if ask is None or getattr(ask, "looks_once", False):
        return
    setattr(scheduler, REEVALUATE, _once(ask))


def _once(ask: Callable[[Any, float], None]) -> Callable[[Any, float], None]:
    lock, due = threading.Lock(), [0.0]

    def once(self: Any, delay: float) -> None:
        with lock:
            now = time.monotonic()
            if now < due[0] <= now + delay:
                return
            due[0] = now + delay
        ask(self, delay)

    once.looks_once = True  # type: ignore[attr-defined]
    return once
