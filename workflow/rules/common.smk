# The study behind all rules: a checked config turned into paths, targets and parameters.
import importlib.util
import sys
from functools import partial

# The library is found first: where this workflow is a module of another, no package need be installed.
# A plain string: Snakemake's own kind would be the module's file name, which Python cannot write into its bytecode.
finder = importlib.util.spec_from_file_location("library", str(workflow.source_path("../library.py")))
library = importlib.util.module_from_spec(finder)
finder.loader.exec_module(library)
PROJECT = library.project_folder(workflow.current_basedir, workflow.sourcecache.cache_path)
sys.path.insert(0, str(PROJECT / "src"))

from cascade_equivalence.stages.fingerprint import made_by
from cascade_equivalence import stages
from cascade_equivalence.jobs.metadata import carry_metadata
from cascade_equivalence.jobs.processes import prepare_scripts
from cascade_equivalence.jobs.slurm import end_left_behind
from cascade_equivalence.jobs.start import begin
from cascade_equivalence.errors import StudyError

try:
    STUDY = begin(workflow, config)
except StudyError as problem:
    raise WorkflowError(str(problem)) from None

prepare_scripts(PROJECT / "src")

# Jobs get the definitions as they were read now, whatever happens to the registry files while they wait.
config.update(STUDY.resolved())

RESULTS = STUDY.results
MODELS = STUDY.models
SETS = STUDY.sets
MADE_BY = partial(made_by, PROJECT / "workflow", workflow.deployment_settings.deployment_method)


wildcard_constraints:
    **stages.wildcards.constraints(STUDY),


# Before any job: a key that is missing is better known now than when the speech is made, and what a Snakemake that was
# killed has left in SLURM's queue would work beside this one.
onstart:
    try:
        stages.api.check_keys(STUDY)
        end_left_behind(workflow)
    except StudyError as problem:
        raise WorkflowError(str(problem)) from None


onsuccess:
    carry_metadata(STUDY.config)


onerror:
    carry_metadata(STUDY.config)
