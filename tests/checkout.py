"""A copy of the project with a study on tiny random models in it, and Snakemake run there as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PLANNER = Path(__file__).with_name("planner.py")
PARTS = ("workflow", "src", "config", "profiles", "requirements")
# One thread a job: two jobs that want two cores each only wait for each other, and a node of one thread is a fork of a
# process that has its libraries imported.
REAL_RUN = ("--cores", "2", "--max-threads", "1")
# Python keeps its bytecode in the copy, as it does for a user: without it each of the nodes compiles the library anew.
NOT_OF_A_USER = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")

Config = dict[str, Any]
Study = Mapping[str, Any] | str  # a config, or the name of its file in the copy
Job = tuple[str, ...]


def tiny_config(models: Path) -> Config:
    """A study of two tasks, two systems and one noise level on the models of ``tiny_models``."""
    roles = {"whisper": "asr", "llama": "llm", "speech": "speech-llm"}
    specs: dict[str, Any] = {
        path.name: {
            "role": roles[path.name.partition("-")[0]],
            "licence": "none: random numbers",
            "source": {"kind": "path", "path": str(path)},
        }
        for path in sorted(models.iterdir())
    }
    asked = {"prompt": "Say it: {speech}", "max_new_tokens": 4}
    specs["speech-a"] |= {"text_model": "llama-a", "transcription": asked}
    systems = {
        name: {"kind": "cascade", "asr": f"whisper-{asr}", "llm": f"llama-{llm}"}
        for name, asr, llm in (("first", "a", "a"), ("second", "b", "a"), ("third", "a", "b"))
    }
    # Named here, but only in the studies of the tests that add them.
    systems |= {
        "heard": {"kind": "e2e", "model": "speech-a"},
        "own": {"kind": "cascade", "asr": "speech-a", "llm": "speech-a"},
        "true": {"kind": "cascade", "asr": "oracle", "llm": "speech-a"},
        "implicit": {"kind": "implicit", "model": "speech-a"},
        "told": {"kind": "augmented", "asr": "whisper-a", "llm": "llama-a"},
    }
    return {
        "registry": ["config/voices.yaml", "config/tasks.yaml"],
        "results": "results/tiny",
        "models_folder": "results/models",
        "tasks": ["ag_news", "sst2"],
        "items": {"source": "demo", "per_task": 8},
        "speech": {"voices": ["us", "gb"]},
        "noise": {"snr_db": [10], "voices": ["us"], "tasks": ["sst2"], "babble_voices": ["gb"], "talkers": 2},
        "systems": ["first", "second"],
        "pairs": [{"system": "second", "reference": "first", "label": "same LLM, two recognisers"}],
        # One at a time, so that a run that was stopped does not put others side by side when it goes on.
        "transcribe": {"device": "cpu", "dtype": "float32", "batch_size": 1, "max_new_tokens": 5},
        "answer": {"device": "cpu", "dtype": "float32", "batch_size": 1},
        "statistics": {"draws": 200},
        "definitions": {"models": specs, "systems": systems},
    }


def opened_config(models: Path) -> Config:
    """The same study, with a speech LLM and a Whisper opened, results in a folder of their own."""
    own = {"results": "results/opened", "models_folder": "results/opened/models"}
    study: Config = tiny_config(models) | own
    del study["noise"]
    study["systems"] = ["heard", "implicit", "first", "told"]
    study["conflict"] = {"tasks": ["sst2"], "per_task": 4}
    study["pairs"] = [
        {"system": "heard", "reference": "implicit", "label": "its last layer"},
        {"system": "heard", "reference": "first", "label": "matched"},
    ]
    study["contrasts"] = [{"system": "heard", "first": "implicit", "second": "first", "label": "sufficiency"}]
    study["mechanism"] = {
        "models": ["speech-a", "whisper-a"],
        "layers": {"speech-a": [0, 1], "whisper-a": [0]},
        "states": {"tasks": ["ag_news", "sst2"], "device": "cpu"},
        "probes": {"shuffles": 2, "folds": 2, "ctc": {"epochs": 3}},
        "lens": {"ranks": True},
        "erasure": {"tasks": ["sst2"], "per_task": 4, "concepts": ["proxy", "ctc"], "seeds": 2},
        "patching": {"tasks": ["ag_news"], "per_task": 4},
        "similarity": {},
        "attributions": {"tasks": ["sst2"], "per_task": 2, "asr": "whisper-a"},
        "curved": {"epochs": 5, "shuffles": 1},
        "steering": {
            **{"tasks": ["sst2"], "per_task": 2, "fit": 2, "strengths": [1], "draws": 1},
            **{"concepts": ["proxy"], "ranks": [0, 1]},
        },
    }
    return study


@dataclass(frozen=True)
class Plan:
    """What a dry run said.

    Attributes:
        code: Exit status.
        output: Standard output and error.
        jobs: Each planned job, as its rule and the values of its wildcards in the order of their names in ``ORDER``.
        rules: What each rule declares; see ``planner.describe``.
        modules: Top-level modules that were imported.
        cpu_seconds: Processor time, user and system.
    """

    code: int
    output: str
    jobs: set[Job]
    rules: list[dict[str, Any]]
    modules: set[str]
    cpu_seconds: float


AGGREGATES = ("collect_tables", "compare_with_paper", "draw_figures", "write_report")
ORDER = (
    "connector",
    "shard",
    "model",
    "opened",
    "part",
    "concept",
    "layer",
    "asr",
    "lens",
    "system",
    "variant",
    "reference",
    "first",
    "second",
    "task",
    "voice",
    "condition",
    "number",
    "of",
    "noise",
)


class Planner:
    """A process that has Snakemake imported: what it is asked to run is a fork of it, and starts at once.

    Importing Snakemake takes longer than planning a small study.
    """

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_OF_A_USER}
        command = [sys.executable, str(PLANNER), "--serve"]
        pipe = subprocess.PIPE
        # It ends with its standard input, that is, with this process.
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def run(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        """Exit status, and standard output and error, of a run of ``planner.py`` in a folder."""
        os.umask(mask := os.umask(0))
        with tempfile.NamedTemporaryFile("r", prefix="plan-", encoding="utf-8", errors="replace") as said:
            request = {"arguments": arguments, "folder": str(folder), "environment": dict(environment), "mask": mask}
            assert self._process.stdin and self._process.stdout
            self._process.stdin.write(json.dumps(request | {"said": said.name}) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline()), said.read()


planner = cache(Planner)
"""The one of this process."""


class Checkout:
    """A copy of the project in a folder of its own; Snakemake runs there.

    Args:
        root: The folder to make.
        cache: Folder of downloads; one of the copy's own by default.
        like: Folder of a copy to take everything from, results included; the project by default.
    """

    def __init__(self, root: Path, cache: Path | None = None, like: Path | None = None) -> None:
        self.root = root
        self.cache = cache or root / "cache"
        self.warm = True
        if like is not None:
            shutil.copytree(like, root, symlinks=True)
            return
        root.mkdir(parents=True)
        for part in PARTS:
            source = REPOSITORY / part
            if source.is_dir():
                # Times of change are kept: Snakemake compares them, and Python those of the bytecode beside them.
                shutil.copytree(source, root / part)
            else:
                shutil.copy2(source, root / part)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run: no library but the copy's own, and no network."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OF_A_USER}
        warm = {"CASCADE_EQUIVALENCE_WARM": "1"} if self.warm else {}
        return kept | warm | {"CASCADE_EQUIVALENCE_CACHE": str(self.cache), "HF_HUB_OFFLINE": "1"}

    def command(self, config: Study, *arguments: str) -> list[str]:
        """Snakemake's arguments for a study, whose config is written beside the copy's own or lies there already."""
        name = config if isinstance(config, str) else "study.yaml"
        if not isinstance(config, str):
            (self.root / name).write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
        # At the end, where an option that takes several values swallows no target.
        return [*arguments, "--configfile", name]

    def python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy; standard output and error come together."""
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=self.root,
            env=self.environment | variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def snakemake(self, config: Study, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on a study, to its end."""
        return self.python("-m", "snakemake", *self.command(config, *arguments))

    def run(self, config: Study, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Make what a study asks for."""
        return self.snakemake(config, *arguments, *REAL_RUN)

    def plan(self, config: Study, *arguments: str) -> Plan:
        """What a run would do."""
        return self.recorded(config, "--dry-run", *arguments)

    def recorded(self, config: Study, *arguments: str, fresh: bool = False) -> Plan:
        """Run Snakemake, and record what it did.

        Args:
            config: The study.
            arguments: Snakemake's arguments.
            fresh: Whether it starts in a process of its own, as for a user.
        """
        report = self.root / "plan.json"
        report.unlink(missing_ok=True)
        words = [report.name, *self.command(config, *arguments)]
        if fresh:
            done = self.python(str(PLANNER), *words)
            code, said = done.returncode, done.stdout
        else:
            code, said = planner().run(words, self.root, self.environment)
        assert report.is_file(), said
        found = json.loads(report.read_text(encoding="utf-8"))
        return Plan(
            code,
            said,
            jobs_of(found["jobs"]),
            found["rules"],
            set(found["modules"]),
            found["cpu_seconds"],
        )

    @contextmanager
    def edited(self, path: str, old: str, new: str, first: bool = False) -> Iterator[None]:
        """Change a file of the copy for the length of a block: text that occurs once, or its first occurrence."""
        file = self.root / path
        text, stat = file.read_text(encoding="utf-8"), file.stat()
        assert text.count(old) == 1 or (first and old in text), f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def files(self, pattern: str) -> dict[str, bytes]:
        """Contents of the files that match a pattern, by path."""
        found = sorted(path for path in self.root.glob(pattern) if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in found}


def jobs_of(found: Iterable[Mapping[str, Any]]) -> set[Job]:
    """Jobs that ``planner.py`` wrote down."""
    return {_job(job) for job in found}


def _job(job: Mapping[str, Any]) -> Job:
    wildcards = dict(job["wildcards"])
    values = tuple(wildcards.pop(name) for name in ORDER if name in wildcards)
    assert not wildcards, f"unknown wildcards {wildcards}"
    return (job["rule"], *values)
