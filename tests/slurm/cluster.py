"""A SLURM of two nodes on this machine: Debian's munged, slurmctld and slurmd, in a folder and on ports of their own.

The nodes are two daemons on one host, each with two fake GPUs: devices that are only counted. Memory is enforced by
SLURM's own sampling, which needs no control groups, so that it works in a container as well.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("node1", "node2")
PATIENCE = 60.0  # seconds
GPUS = 2
# Counted and not reserved.
SIZE = f"CPUs=4 RealMemory=32000 Gres=gpu:{GPUS}"
DEAD = ("down", "drain", "inval", "unk", "*")


def missing() -> str | None:
    """Why no SLURM can be started here, if none can."""
    if os.getuid() != 0:
        return "only root can start a SLURM"
    # Debian has them where a user's path does not lead.
    absent = [name for name in DAEMONS if program(name) is None]
    return f"{', '.join(absent)} not installed: apt-get install slurm-wlm munge" if absent else None


def program(name: str) -> str | None:
    """Path of a daemon."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Cluster:
    """The daemons; use it as a context manager.

    Args:
        folder: A folder that does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this SLURM and to no other."""
        return {"SLURM_CONF": str(self.config), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def __enter__(self) -> Self:
        for name in ("state", "spool", "log", "munge", "bin"):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        self._configure()
        try:
            self._start_munge()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            self.wait_for_nodes()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel_all()
        self._stop()

    # -- daemons ------------------------------------------------------------------------------------------------------

    def start_controller(self) -> None:
        """Start slurmctld, with what it knew when it was stopped."""
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.config))
        self._until("slurmctld answers", lambda: self.run("scontrol", "ping").returncode == 0)

    def stop_controller(self) -> None:
        """Stop slurmctld as an administrator does."""
        self._end("slurmctld")

    def start_node(self, node: str) -> None:
        """Start a node's slurmd."""
        self._start(node, "slurmd", "-D", "-N", node, "-f", str(self.config))

    def wait_for_nodes(self) -> None:
        """Wait until all nodes take jobs."""
        self._until("all nodes are up", self._up)

    def _up(self) -> bool:
        states = self.run("sinfo", "-h", "-N", "-o", "%N %t").stdout.split()[1::2]
        return len(states) >= len(NODES) and not any(word in state for state in states for word in DEAD)

    def _start(self, name: str, daemon: str, *arguments: str) -> None:
        path = program(daemon)
        assert path is not None, daemon
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            # A session of its own: Ctrl-C is for the tests, which then stop it.
            self._daemons[name] = subprocess.Popen(
                [path, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder / file}" for option, file in files.items()]
        self._start("munged", "munged", "--foreground", "--force", *options)
        self._until("munged answers", (folder / "socket").exists)

    def _end(self, name: str) -> None:
        process = self._daemons.pop(name)
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop(self) -> None:
        # Nodes first: they tell the controller; munge last: all need it to talk.
        for name in sorted(self._daemons, key=("munged", "slurmctld").__contains__):
            if name not in ("munged", "slurmctld"):
                self._end(name)
        for name in ("slurmctld", "munged"):
            if name in self._daemons:
                self._end(name)

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in (self.folder / "log").iterdir())
            assert time.monotonic() < end, f"waited {PATIENCE:.0f} s in vain until {what}:\n{logs}"
            time.sleep(0.1)

    def _configure(self) -> None:
        host = socket.gethostname().partition(".")[0]
        controller, *ports = free_ports(1 + len(NODES))
        for number in range(GPUS):
            os.mknod(self.folder / f"gpu{number}", 0o20666, os.makedev(1, 3))  # what /dev/null is
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {SIZE}"
            for node, port in zip(NODES, ports, strict=True)
        ]
        lines = [
            "ClusterName=test",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={controller}",
            "AuthType=auth/munge",
            f"AuthInfo=socket={self.folder / 'munge' / 'socket'}",
            "CredType=cred/munge",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={self.folder / 'state'}",
            f"SlurmdSpoolDir={self.folder / 'spool'}/%n",
            f"SlurmctldPidFile={self.folder / 'slurmctld.pid'}",
            f"SlurmdPidFile={self.folder / 'slurmd.%n.pid'}",
            f"SlurmctldLogFile={self.folder / 'log' / 'slurmctld.log'}",
            f"SlurmdLogFile={self.folder / 'log' / '%n.log'}",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SwitchType=switch/none",
            "MpiDefault=none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "GresTypes=gpu",
            # What is configured counts, whatever the machine has.
            "SlurmdParameters=config_overrides",
            "ReturnToService=2",
            "AccountingStorageType=accounting_storage/none",
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=task=1",
            "JobAcctGatherParams=OverMemoryKill",
            # Faults are to be noticed at once.
            "KillWait=2",
            "OverTimeLimit=0",
            "SlurmctldTimeout=30",
            "SlurmdTimeout=30",
            "MinJobAge=3600",
            "SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0",
            *nodes,
            f"PartitionName=cpu Nodes={','.join(NODES)} Default=YES MaxTime=60 OverSubscribe=FORCE:4",
            f"PartitionName=gpu Nodes={','.join(NODES)} MaxTime=120 OverSubscribe=FORCE:4",
        ]
        self.config.write_text("\n".join(lines) + "\n")
        devices = f"{self.folder}/gpu[0-{GPUS - 1}]"
        gpus = [f"NodeName={node} Name=gpu File={devices}" for node in NODES]
        (self.folder / "gres.conf").write_text("\n".join(gpus) + "\n")
        # A step of the executor keeps no variable of SLURM's, this one neither: on a cluster the file lies in /etc.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.config} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of SLURM's commands."""
        return subprocess.run(
            list(command), env=os.environ | self.environment, capture_output=True, text=True, check=False
        )

    def jobs(self, *states: str) -> dict[str, str]:
        """Number and comment of the jobs in some states, all that are not over by default."""
        chosen = ("-t", ",".join(states)) if states else ()
        lines = self.run("squeue", "-h", "-o", "%i|%k", *chosen).stdout.splitlines()
        return dict(line.split("|", 1) for line in lines)

    def cancel_all(self) -> None:
        """Cancel every job and wait for its end."""
        self.run("scancel", "--user=root")
        end = time.monotonic() + PATIENCE
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.2)


if __name__ == "__main__":
    # To try things on: `python tests/slurm/cluster.py FOLDER`, until Ctrl-C.
    with Cluster(Path(sys.argv[1])) as started:
        print(*(f"export {name}={value}" for name, value in started.environment.items()), sep="\n", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
