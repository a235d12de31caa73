"""What runs an LLM: the project's own loop on transformers, or vLLM where that is installed. No heavy imports."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import CONFIG, InVllm, architecture_in
from cascade_equivalence.models.checkpoint import read_json

MISSING = (
    "answer.engine (or answer.speech_engine): vllm is not installed here. Install requirements/vllm.txt into an "
    "environment of its own (vLLM takes neither the torch nor the transformers of requirements/run.txt), or let "
    "Snakemake make it with `--software-deployment-method conda`, or set the engine to transformers"
)


def engine_version(engine: str) -> str:
    """Version of an installed engine, read without importing it.

    Raises:
        StudyError: It is not installed.
    """
    try:
        return version(engine)
    except PackageNotFoundError as error:
        raise StudyError(MISSING if engine == "vllm" else f"{engine} is not installed here") from error


def engine_identity(engine: str) -> dict[str, str]:
    """What of an engine decides an answer: part of a record's key, so that no engine serves another's answers.

    The project's own loop, which was the only one before, adds nothing: what it has answered stays known.

    Raises:
        StudyError: The engine is not installed.
    """
    return {} if engine == "transformers" else {"engine": engine, "engine_version": engine_version(engine)}


def check_engines(engines: Iterable[str], deployed: Iterable[object] = ()) -> None:
    """Refuse a study before its jobs start, where an engine of its answers is missing.

    Args:
        engines: What runs the study's LLMs.
        deployed: Snakemake's ways of deploying software; conda makes the environment that has the engine.

    Raises:
        StudyError: An engine is not installed, and will not be.
    """
    if "conda" not in map(str, deployed):
        for engine in engines:
            engine_identity(engine)


def vllm_hearing(folder: Path) -> InVllm:
    """How vLLM runs a speech LLM's checkpoint.

    Raises:
        StudyError: It cannot, or there is no checkpoint of an architecture that can be opened.
    """
    architecture = architecture_in(folder)
    classes = read_json(folder / CONFIG).get("architectures") or []
    if architecture.vllm is None or not set(architecture.vllm.classes) & set(classes):
        raise StudyError(
            f"vLLM has no model for {folder} ({architecture.title}): set answer.speech_engine to transformers"
        )
    return architecture.vllm
