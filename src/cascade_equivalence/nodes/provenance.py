"""What a study was made with: versions, weights, seeds, commit, machine."""

import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cascade_equivalence import __version__
from cascade_equivalence.config.names import VOICES
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.manifest import Manifest
from cascade_equivalence.provenance.record import Record, read_records
from cascade_equivalence.resources import IS_CHECKOUT, REPOSITORY
from cascade_equivalence.stages.answer import SHARES
from cascade_equivalence.stages.study import Study

PACKAGES = (
    *("snakemake", "torch", "transformers", "peft", "openai-whisper", "ctranslate2"),
    *("audiomentations", "jiwer", "scipy", "statsmodels", "polars"),
)

AUTO = "auto"
COMPUTING = (
    *("answer", "answer_share", "answer_again", "answer_conflict", "answer_erased", "implicit_transcripts"),
    *("patch_states", "attribute_words", "steer_states", "compare_hearing"),
)
"""Rules whose models compute as ``answer.dtype`` says."""


def _packages() -> list[str]:
    """Packages whose versions are named, those of the voices' engines among them."""
    return [*PACKAGES, *(name for voice in VOICES.values() for name in voice.packages)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str:
    if not IS_CHECKOUT:
        return ""
    try:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


def arithmetic(records: Iterable[Record], asked: str) -> str:
    """The number format that language models computed in, of the nodes on record: ``auto`` depends on the processor.

    Args:
        records: Records of a study's nodes.
        asked: The config's word.
    """
    found: Counter[str] = Counter()
    for record in records:
        computing = record.rule.endswith(COMPUTING)  # a module may give its rules a prefix
        # What puts the answers of shares together computes none.
        computing = computing and not any(SHARES in Path(use.path).parts for use in record.inputs)
        if computing and record.device and record.device.fast_bfloat16 is not None:
            fast = "bfloat16" if record.device.fast_bfloat16 else "float32"
            found[f"{fast if asked == AUTO else asked} on {record.device.used}"] += 1
    return "; ".join(f"{how} ({count} nodes)" for how, count in found.most_common()) or "not on record"


def provenance(study: Study, manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Collect what a reader needs to make the study again.

    Args:
        study: The study.
        manifests: Manifests of its models.

    Returns:
        Nested mappings of text.
    """
    config = study.config
    try:
        records = list(read_records(Path(study.results)).values())
    except StudyError:  # what is wrong with a record, ``verify`` tells
        records = []
    commit = _git("rev-parse", "HEAD") or "not a git checkout"
    changed = " with uncommitted changes" if _git("status", "--porcelain") else ""
    return {
        "project": f"cascade-equivalence {__version__}, commit {commit}{changed}",
        "models": {m.name: f"{m.licence}; revision {m.revision[:16]}" for m in manifests},
        "packages": {name: _version(name) for name in _packages()},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "transcription": {key: str(value) for key, value in config.transcribe.model_dump(mode="json").items()},
        "arithmetic": arithmetic(records, config.answer.dtype),
        "answers": {key: str(value) for key, value in config.answer.model_dump(mode="json").items()},
        "seeds": {
            "items": str(config.items.seed),
            "noise": str(config.noise.seed),
            "bootstrap": str(config.statistics.seed),
        },
    }
