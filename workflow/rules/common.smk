# The study behind all rules: a checked config turned into paths, targets and parameters.
import os
import sys

LIBRARY = workflow.basedir + "/src"
sys.path.insert(0, LIBRARY)
# Scripts find the library too, in whatever environment they run.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [LIBRARY, os.environ.get("PYTHONPATH")]))

from cascade_equivalence.config.load import load_study
from cascade_equivalence.dag.study import Study
from cascade_equivalence.errors import StudyError

try:
    STUDY = Study(load_study(config))
except StudyError as problem:
    raise WorkflowError(str(problem)) from None

# Jobs get the definitions as they were read now, whatever happens to the registry files while they wait.
config.update(STUDY.resolved())

RESULTS = STUDY.results
MODELS = STUDY.models


wildcard_constraints:
    **STUDY.wildcards(),
