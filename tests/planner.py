"""Runs Snakemake's command line in this process and writes what it planned, and what that took, to a JSON file.

Usage: ``python planner.py FILE [SNAKEMAKE ARGUMENTS]``, or ``python planner.py --serve``, which has Snakemake imported
and answers each request, a line on its standard input, in a fork of its own. A custom rule message hides a job's name
and wildcards from the printed plan, so the log records behind it are read.
"""

import gc
import json
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Any

from snakemake import cli
from snakemake.logging import logger
from snakemake.workflow import Workflow
from snakemake_interface_logger_plugins.common import LogEvent

jobs: list[dict[str, Any]] = []
workflows: list[Workflow] = []


def record(message: logging.LogRecord) -> bool:
    """Keep what announces a job; let everything through."""
    values = message.__dict__
    if values.get("event") == LogEvent.JOB_INFO:
        wildcards = {name: str(value) for name, value in (values["wildcards"] or {}).items()}
        jobs.append({"rule": values["rule_name"], "wildcards": wildcards, "reason": values["reason"]})
    return True


def remember(workflow: Workflow, *arguments: Any, **settings: Any) -> None:
    """Stands in for ``Workflow.include``."""
    if workflow not in workflows:
        workflows.append(workflow)
    include(workflow, *arguments, **settings)


def named(files: Any) -> int:
    """How many files of a rule have a name."""
    return sum(1 if end is None else end - start for _, (start, end) in files._get_names())


def describe(rule: Any) -> dict[str, Any]:
    """What a rule declares."""
    return {
        "name": rule.name,
        "says": rule.docstring,
        "target": rule.norun,
        "inputs": [len(rule.input), named(rule.input)],
        "outputs": [len(rule.output), named(rule.output)],
        "log": list(map(str, rule.log)),
        "benchmark": str(rule.benchmark or ""),
        "message": rule.message or "",
        "resources": sorted(rule.resources),
        "conda": str(rule.conda_env or ""),
        "script": str(rule.script or ""),
    }


include = Workflow.include
Workflow.include = remember  # type: ignore[method-assign]
# Not a handler: the command line clears those.
logger.addFilter(record)


def run(file: str, arguments: list[str]) -> int:
    """Run the command line, and write what it planned; its exit status."""
    code = 0
    try:
        cli.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "jobs": jobs,
        "rules": [describe(rule) for workflow in workflows for rule in workflow.rules],
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }
    Path(file).write_text(json.dumps(report), encoding="utf-8")
    return code


def in_fork(request: dict[str, Any]) -> int:
    """Become the process that a request asks for, and run."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for ours, theirs in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(ours, theirs)
    os.umask(request["mask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    file, *words = request["arguments"]
    return run(file, words)


def serve() -> None:
    """Answer requests with the exit status of each, one after the other, until there are no more."""
    gc.collect()
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            # As a process of its own ends: what is to be done at its end is done.
            sys.exit(in_fork(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if sys.argv[1:] == ["--serve"]:
    serve()
else:
    sys.exit(run(sys.argv[1], sys.argv[2:]))
