"""Which engine transcribes where `transcribe.engine` is `auto`: the one that was measured fastest on such a processor.

Engines do not write quite the same, so the choice is made before anything is planned: parameters, keys of the store,
records and report name an engine, never `auto`. It is made once a study and kept with its results, so that a study goes
on as it began on another processor, and a cluster's machines do as the one that sent the jobs. Open this when an engine
or a processor was measured anew; `docs/results/speed.md` has the figures.
"""

import json
from collections.abc import Set
from functools import lru_cache
from pathlib import Path

from cascade_equivalence.config.endpoints import EndpointSource
from cascade_equivalence.config.model_files import CTRANSLATE2_WEIGHTS
from cascade_equivalence.config.sources import PathSource, WheelSource
from cascade_equivalence.config.study import StudyConfig, TranscribeConfig, Typed
from cascade_equivalence.config.tasks_run import Tell
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text

AUTO = "auto"
UNMEASURED = "openai-whisper"
"""The engine that opens every Whisper, where nothing was measured."""
KEPT = Path("store", "engine.json")
"""Where a study keeps its choice, in its results."""
GPU = Path("/dev/nvidiactl")
"""Is there where a GPU is."""
AMX = frozenset({"amx_tile", "amx_bf16"})
MEASURED: tuple[tuple[Set[str], str, str], ...] = (
    (AMX, "hybrid", "with bfloat16 matrix units (AMX)"),
    ({"avx512_bf16", "avx512_vnni"}, "faster-whisper", "with bfloat16 and int8 vectors (AVX-512), without AMX"),
)
"""Flags of a processor, as Linux names them, the engine that is fastest in its own arithmetic, and what that processor
is called. The first that fits counts."""
IN_FLOATS = "hybrid"
"""The fastest engine where the arithmetic is set and is not int8."""


@lru_cache(maxsize=1)
def processor_flags() -> frozenset[str]:
    """What this processor can, as Linux names it; nothing where another system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(found.partition(":")[2].split())


def with_engine(study: StudyConfig, tell: Tell) -> StudyConfig:
    """A study whose engine has a name.

    Args:
        study: The study.
        tell: Gets a line on what was chosen and why, where something was.

    Raises:
        StudyError: What the study has kept of its choice cannot be read.
    """
    if study.transcribe.engine != AUTO:
        return study
    engine, reason = _kept(study.results) or fastest(study)
    tell(f"transcribe.engine: {engine}, {reason}")
    chosen = TranscribeConfig.model_validate(study.transcribe.model_dump() | {"engine": engine})
    return study.model_copy(update={"transcribe": chosen})


def keep_engine(study: StudyConfig) -> None:
    """Keep a study's choice beside its results, unless one is kept already: later runs take it, wherever they are."""
    if _kept(study.results) is None:
        content = {"engine": study.transcribe.engine, "reason": "chosen when the study began"}
        write_text(study.results / KEPT, json.dumps(content, indent=2) + "\n")


def _kept(results: Path) -> tuple[str, str] | None:
    path = results / KEPT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        engine = TranscribeConfig.model_validate({"engine": found["engine"]}).engine
        if engine == AUTO:
            raise ValueError(engine)
        return engine, str(found["reason"])
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} does not name an engine: remove it, and one is chosen again") from error


def fastest(study: StudyConfig) -> tuple[str, str]:
    """The engine for this machine, and why.

    Raises:
        StudyError: The arithmetic asks for weights that are not there.
    """
    settings, lacking = study.transcribe, _without_ctranslate2(study)
    if settings.dtype == "int8":
        if lacking:
            raise StudyError(
                f"transcribe.dtype: int8 needs {CTRANSLATE2_WEIGHTS}, and none of {lacking[0]} is known of: take "
                "another arithmetic, or weights for CTranslate2"
            )
        return "faster-whisper", "the fastest in int8"
    if lacking:
        return UNMEASURED, f"since no {CTRANSLATE2_WEIGHTS} of {lacking[0]} is known of, which the faster ones need"
    if settings.device == "cuda" or (settings.device == AUTO and GPU.exists()):
        return UNMEASURED, "since none was measured on a GPU"
    if settings.dtype != AUTO:
        return IN_FLOATS, f"the fastest in {settings.dtype}"
    for flags, engine, title in MEASURED:
        if flags <= processor_flags():
            return engine, f"the fastest on a processor {title}"
    return UNMEASURED, "since none was measured on a processor like this one"


def _without_ctranslate2(study: StudyConfig) -> list[str]:
    """Recognisers of the study of which no weights for CTranslate2 are known of."""
    models, systems = study.definitions.models, map(study.definitions.systems.get, study.systems)
    names = [system.asr for system in systems if isinstance(system, Typed)]
    found = []
    for name in dict.fromkeys(names):
        spec = models.get(name)
        if spec is None or spec.role != "asr" or spec.transcripts is not None:
            continue
        there = (study.models_folder / name / CTRANSLATE2_WEIGHTS).is_file()
        match spec.source:
            case EndpointSource():
                continue
            case WheelSource(files=files):
                there = there or CTRANSLATE2_WEIGHTS in files
            case PathSource(path=path):
                there = there or (path / CTRANSLATE2_WEIGHTS).is_file()
        if not there:
            found.append(name)
    return found
