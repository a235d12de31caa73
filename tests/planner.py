"""Runs Snakemake's command line in this process and writes what it planned, and what that took, to a JSON file.

Usage: ``python planner.py FILE [SNAKEMAKE ARGUMENTS]``. A custom rule message hides a job's name and wildcards from the
printed plan, so the log records behind it are read.
"""

import json
import logging
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

code = 0
try:
    cli.main(sys.argv[2:])
except SystemExit as end:
    code = int(end.code or 0)
usage = resource.getrusage(resource.RUSAGE_SELF)
report = {
    "jobs": jobs,
    "rules": [describe(rule) for workflow in workflows for rule in workflow.rules],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
}
Path(sys.argv[1]).write_text(json.dumps(report), encoding="utf-8")
sys.exit(code)
