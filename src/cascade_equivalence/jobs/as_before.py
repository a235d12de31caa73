"""What a node changes of its process is put back for the next one: see :mod:`.one_process`.

Modules stay imported, since that is what nodes share a process for, and models stay open; those are looked after in
:mod:`.last_opened`. Open it when a library is taken up that keeps settings of its own.
"""

import logging
import os
import random
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from ctypes import CDLL
from functools import partial
from typing import Any

from cascade_equivalence import progress


@contextmanager
def as_before() -> Iterator[None]:
    """Put back what the block changes of this process, however it ends; its standard streams lead nowhere then."""
    with ExitStack() as back:
        back.enter_context(warnings.catch_warnings())
        for saved in (_process, _streams, _signals, _logging, _drawn, _torch):
            back.callback(saved())
        yield


def _process() -> Callable[[], None]:
    folder, environment = os.getcwd(), dict(os.environ)  # noqa: PTH109 - a string, as it is given back
    argv, path, mask = [*sys.argv], [*sys.path], os.umask(0o077)
    os.umask(mask)

    def back() -> None:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[:], sys.path[:] = argv, path
        os.umask(mask)
        # Found anew from the environment.
        tempfile.tempdir = None

    return back


def _streams() -> Callable[[], None]:
    objects, terminal = (sys.stdin, sys.stdout, sys.stderr), progress.terminal

    def back() -> None:
        # Whatever a script has put in their place: what is held back would go to the next node.
        for stream in (sys.stdout, sys.stderr, *objects[1:]):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        CDLL(None).fflush(None)
        sys.stdin, sys.stdout, sys.stderr = objects
        progress.terminal = terminal
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        os.close(nowhere)

    return back


def _signals() -> Callable[[], None]:
    # Of a handler that is not Python's nothing is known; it stays.
    handlers = {each: handler for each in signal.valid_signals() if (handler := signal.getsignal(each)) is not None}

    def back() -> None:
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return back


def _logging() -> Callable[[], None]:
    named = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [
        (each, each.level, each.propagate, each.disabled, [*each.handlers], [*each.filters])
        for each in (logging.root, *named)
    ]
    least = logging.root.manager.disable

    def back() -> None:
        for each, level, propagate, disabled, handlers, filters in before:
            each.setLevel(level)
            each.propagate, each.disabled = propagate, disabled
            each.handlers[:], each.filters[:] = handlers, filters
        logging.disable(least)

    return back


def _drawn() -> Callable[[], None]:
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    numbers = None if numpy is None else numpy.random.get_state()

    def back() -> None:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numbers)

    return back


def _torch() -> Callable[[], None]:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return lambda: None
    random_numbers = torch.get_rng_state()
    settings: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (torch.get_num_threads, torch.set_num_threads),
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    ]
    flags, cudnn = ("enabled", "benchmark", "deterministic", "allow_tf32"), torch.backends.cudnn
    settings += [(partial(getattr, cudnn, flag), partial(setattr, cudnn, flag)) for flag in flags]
    before = [(read, write, read()) for read, write in settings]

    def back() -> None:
        for read, write, value in before:
            if read() != value:
                write(value)
        torch.set_rng_state(random_numbers)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(torch.initial_seed())

    return back
