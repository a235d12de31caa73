"""The stage that compares two systems item by item, and the contrasts of two comparisons."""

from typing import Any

from cascade_equivalence.config.study import GIVEN, ORACLE
from cascade_equivalence.stages import transcribe
from cascade_equivalence.stages.fingerprint import code_fingerprint
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.pair_statistic import PAIR_STATISTICS

DRAWING = 4e-7
"""Seconds for a row in a permutation of errors and in a draw of rows: together up to 8e-8 were measured."""
STARTING = 1.0
"""Minutes before a comparison begins."""


def file(study: Study, pair: str, task: str, condition: str) -> str:
    """Agreement of a pair on a task in one condition."""
    return f"{study.results}/agreement/{pair}/{task}/{condition}.csv"


def contrast(study: Study, system: str, first: str, second: str, task: str, condition: str) -> str:
    """Difference of a system's agreements with two references."""
    return f"{study.results}/contrasts/{system}~{first}~{second}/{task}/{condition}.csv"


def all_files(study: Study) -> list[str]:
    """Every agreement file."""
    return [
        file(study, study.pair_name(index), n.task, n.condition)
        for index, pair in enumerate(study.config.pairs)
        for n in study.nodes_of(pair.system, pair.reference)
    ]


def all_contrasts(study: Study) -> list[str]:
    """Every contrast file."""
    asked = [(each.system, each.first, each.second) for each in study.config.contrasts]
    return [contrast(study, *names, n.task, n.condition) for names in asked for n in study.nodes_of(*names)]


def transcripts_of_pair(study: Study, system: str, reference: str, task: str, condition: str) -> list[str]:
    """Transcripts of the recogniser that a pair's cascade reads, the reference's first; none if neither has one."""
    asrs = [getattr(study.system(name), "asr", ORACLE) for name in (reference, system)]
    return [
        transcribe.file(study, asr, task, condition) for asr in asrs if asr not in GIVEN and not study.is_lens(asr)
    ][:1]


def params(study: Study) -> dict[str, Any]:
    """What an agreement file depends on, beside the answers."""
    of_tables = {"fdr", "family", "family_excludes", "family_apart"}
    statistics = study.config.statistics
    settings = statistics.model_dump(mode="json", exclude=of_tables | statistics.asked_again())
    return settings | {"code": code_fingerprint("agree", *PAIR_STATISTICS.all_files())}


def contrast_params(study: Study) -> dict[str, Any]:
    """What a contrast depends on, beside the answers."""
    settings = study.config.statistics.model_dump(mode="json", include={"draws", "confidence", "seed"})
    return settings | {"code": code_fingerprint("contrast")}


def need(study: Study) -> Need:
    """Of a comparison: the same for all of a study, many of which share a job."""
    rows = max(study.clip_count(node.task, node.condition) for node in study.nodes)
    # Of those that share a job only the first reads libraries from a cold disk.
    return counting_need(1000, DRAWING * rows * study.config.statistics.draws, start=STARTING)
