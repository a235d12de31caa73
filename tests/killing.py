"""A run of Snakemake in a session of its own, and the ways in which it can end too early."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from checkout import REAL_RUN, Checkout, Config

PATIENCE = 1200.0  # seconds, for a machine with much else to do
STORES = "results/*/store/**/*.jsonl"
CLIPS = "results/*/store/**/*.flac"


class Run:
    """Snakemake at work on a study.

    Args:
        checkout: The copy of the project to run in.
        config: The study.
    """

    def __init__(self, checkout: Checkout, config: Config) -> None:
        self.log = checkout.root / "run.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *checkout.command(config, *REAL_RUN)],
                cwd=checkout.root,
                env=checkout.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> bool:
        """Whether Snakemake is gone."""
        return self.process.poll() is not None

    def wait(self) -> int:
        """Wait for Snakemake's own end; its exit status."""
        return self.process.wait(PATIENCE)

    def members(self) -> list[psutil.Process]:
        """What is left of Snakemake and all it started, dead processes aside."""
        found = []
        for process in psutil.process_iter():
            try:
                # Nodes are forks of a server in a session of its own.
                ours = os.getsid(process.pid) == self.process.pid or self._serves(process)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def _serves(self, process: psutil.Process) -> bool:
        words = process.cmdline()
        return "cascade_equivalence.jobs.warm" in words and str(self.process.pid) in words

    def scripts(self) -> list[psutil.Process]:
        """The nodes' scripts that run now."""
        found = []
        for process in self.members():
            try:
                if any(".snakemake/scripts" in word for word in process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def kill_all(self) -> None:
        """SIGKILL to Snakemake and its nodes at once, as the kernel or a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def kill_snakemake(self) -> None:
        """SIGKILL to Snakemake alone; its nodes must notice."""
        self.process.kill()
        self.wait()

    def kill_node(self) -> None:
        """SIGKILL to one node; Snakemake goes on."""
        for script in self.scripts()[:1]:
            script.kill()

    def interrupt(self) -> None:
        """What Ctrl-C sends: SIGINT to every process of the terminal's foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.wait()


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for a condition; whether it came."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def whole_lines(stores: dict[str, bytes]) -> dict[str, bytes]:
    """Stores without torn last lines."""
    return {path: content[: content.rfind(b"\n") + 1] for path, content in stores.items()}


def keys(content: bytes) -> list[str]:
    """Keys of a store's records, in order."""
    return [json.loads(line)["key"] for line in content.splitlines()]


def times(root: Path) -> dict[str, int]:
    """When each stored clip was written, in nanoseconds."""
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in root.glob(CLIPS)}


def assert_kept(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Nothing that was stored before is gone, changed or moved."""
    for path, content in before.items():
        assert after[path].startswith(content), f"{path} lost records"


def assert_computed_once(stores: dict[str, bytes]) -> None:
    """No record occurs twice."""
    for path, content in stores.items():
        found = keys(content)
        assert found and len(found) == len(set(found)), f"{path} holds a key twice"
