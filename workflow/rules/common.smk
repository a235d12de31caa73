# The study behind all rules: a checked config turned into paths, targets and parameters.
import sys
from pathlib import Path

LIBRARY = Path(workflow.basedir) / "src"
sys.path.insert(0, str(LIBRARY))

from cascade_equivalence.config.load import load_study
from cascade_equivalence.dag.lock import hold_folder
from cascade_equivalence.dag.processes import prepare_scripts
from cascade_equivalence.dag.slurm import end_left_behind
from cascade_equivalence.dag.study import Study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.engines import check_engines

try:
    STUDY = Study(load_study(config))
    check_engines(STUDY.engines(), workflow.deployment_settings.deployment_method)
except StudyError as problem:
    raise WorkflowError(str(problem)) from None

if workflow.is_main_process:
    hold_folder()
prepare_scripts(LIBRARY)

# Jobs get the definitions as they were read now, whatever happens to the registry files while they wait.
config.update(STUDY.resolved())

RESULTS = STUDY.results
MODELS = STUDY.models
SETS = STUDY.sets


wildcard_constraints:
    **STUDY.wildcards(),


# Before any job: a key that is missing is better known now than when the speech is made, and what a Snakemake that was
# killed has left in SLURM's queue would work beside this one.
onstart:
    try:
        STUDY.check_keys()
        end_left_behind(workflow)
    except StudyError as problem:
        raise WorkflowError(str(problem)) from None
