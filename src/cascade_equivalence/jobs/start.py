"""The start of a run of the workflow: reads the study for the Snakefile, and tidies up what earlier runs have left."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cascade_equivalence import stages
from cascade_equivalence.config.engine_choice import AUTO, keep_engine
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.read import refuse_ambiguous
from cascade_equivalence.config.tasks_run import with_tasks_given
from cascade_equivalence.errors import StudyError
from cascade_equivalence.jobs.lock import hold_folder, release_stale
from cascade_equivalence.jobs.looks import look_once_a_time
from cascade_equivalence.jobs.metadata import carry_metadata
from cascade_equivalence.jobs.one_process import begin_above_steps
from cascade_equivalence.jobs.screen import show_stages
from cascade_equivalence.models.engines import check_engines
from cascade_equivalence.provenance.made import bases
from cascade_equivalence.provenance.settle import settle
from cascade_equivalence.resources import REPOSITORY, SHIPPED
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stages.vllm_speech import check_vllm_speech


def begin(workflow: Any, config: Mapping[str, Any]) -> Study:
    """Read the study that a workflow was given, and look after what earlier runs have left in its folder.

    Args:
        workflow: Snakemake's workflow.
        config: Its config, merged.

    Returns:
        The study.

    Raises:
        StudyError: The config is not valid, or an engine, a folder or a file that it asks for is not there.
    """
    files = [Path(file) for file in workflow.overwrite_configfiles or workflow.configfiles]
    if workflow.is_main_process:
        refuse_ambiguous(files)
    told: list[str] = []
    config = with_tasks_given(config, workflow.config_settings.config, files)
    study = Study(load_study(config, places=registry_places(files), tell=told.append))
    check_vllm_speech(study)
    check_engines(study.engines(), workflow.deployment_settings.deployment_method)
    if workflow.is_main_process:
        for line in told:
            print(f"The study's config: {line}.", file=sys.stderr)
        check_places(study)
        # Before this process holds the folder itself.
        if release_stale({folder.as_posix() for folder in bases(study.config).values()}):
            print("Going on after a run that was stopped.", file=sys.stderr)
        hold_folder()
        carry_metadata(study.config)
        if (config.get("transcribe") or {}).get("engine") == AUTO and not workflow.output_settings.dryrun:
            keep_engine(study.config)
        settle(study.config)
        look_less_often()
        show_stages(workflow, bases(study.config).values())
    begin_above_steps(workflow)
    return study


def look_less_often() -> None:
    """Keep Snakemake from taking a processor to look at what waits; see ``jobs.looks``."""
    with suppress(ImportError):
        from snakemake.scheduling.job_scheduler import JobScheduler

        look_once_a_time(JobScheduler)


def registry_places(files: Sequence[Path]) -> list[Path]:
    """Where registry files are looked for after the working folder: beside the configs, above them, and as shipped."""
    return [*(place for file in files for place in (file.parent, file.parent.parent)), SHIPPED]


def check_places(study: Study) -> None:
    """Look for the folders that a study names and the files of its items: the plan itself reads them.

    Raises:
        StudyError: Some are missing, or are not to be written to.
    """
    from cascade_equivalence.config.check_folders import place_problems
    from cascade_equivalence.config.explain import block
    from cascade_equivalence.models.sources.folder import location

    lines = [*place_problems(study.config, REPOSITORY, location), *stages.transcribe.problems(study)]
    if lines:
        raise StudyError(block("The study cannot run here:", lines))
    for task in study.config.tasks:
        stages.items.sources(study, task)
