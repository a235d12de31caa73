"""The stages that show what was found: tables, the comparison with the paper, figures, the page.

Tables and figures are imported where they are asked for: they import polars, whose threads no fork may have.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.conditions import NOISE_KINDS, parse_condition
from cascade_equivalence.config.dial import dials
from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.config.spoken import recorded_voices
from cascade_equivalence.plugins import added_files
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import PAPER_CLAIMS, PAPER_NUMBERS, PAPER_STATISTICS
from cascade_equivalence.stages import (
    attributions,
    conflict,
    curved,
    erasers,
    erasure,
    lens,
    opened_models,
    patching,
    probes,
    similarity,
    steering,
)
from cascade_equivalence.stages.fingerprint import code_fingerprint, code_of
from cascade_equivalence.stages.needs import Need, counting_need
from cascade_equivalence.stages.study import Study

if TYPE_CHECKING:
    from cascade_equivalence.report.naming import Outline
    from cascade_equivalence.report.shown import PlannedStudy


SHOW_PAPER = ("compare_with_paper", "write_report")
"""Scripts that show the paper's numbers."""


EXPERIMENTS = {
    module.__name__.rpartition(".")[2]: module
    for module in (conflict, patching, similarity, curved, attributions, steering)
}
"""Stages whose files a table is made of, by what ``MechanismFiles`` calls them; none of a study that has them off."""


def mechanism_files(study: Study) -> dict[str, list[str]]:
    """Files that tables and figures are made of."""
    files = {name: module.all_files(study) for name, module in EXPERIMENTS.items()}
    files |= {name: [] for name in ("probes", "lens", "erasers", "erasure")}
    if study.config.mechanism is None:
        return files
    speech = opened_models.speech_llms(study)
    files["probes"] = [
        probes.file(study, name, layer)
        for name in opened_models.models(study)
        for layer in opened_models.layers(study, name)
    ]
    files["lens"] = [lens.file(study, model, layer) for model in speech for layer in opened_models.layers(study, model)]
    if study.mechanism.erasure is not None:
        files["erasers"] = [
            erasers.summary(study, name, concept) for name in speech for concept in erasure.concepts(study)[1:]
        ]
        files["erasure"] = [
            erasure.file(study, model, concept, task)
            for model in speech
            for concept in erasure.concepts(study)
            for task in study.erasure.tasks
        ]
    return files


def all_mechanism(study: Study) -> list[str]:
    """Everything that is found inside the opened models."""
    return [path for paths in mechanism_files(study).values() for path in paths]


def comparison(study: Study) -> str:
    """The paper's numbers beside the study's."""
    return f"{study.results}/comparison.csv"


def claims(study: Study) -> str:
    """The paper's claims, judged on the study."""
    return f"{study.results}/claims.csv"


def replication(study: Study) -> str:
    """How many of the paper's numbers and directions the study reproduces."""
    return f"{study.results}/replication.csv"


def paper_folder(study: Study) -> str:
    """The tables in the paper's own layout; which there are depends on what is found."""
    return f"{study.results}/paper"


def tables(study: Study) -> list[str]:
    """Names of the tables' files."""
    from cascade_equivalence.report.table import TABLES

    known = _known(study)
    return [file for table in TABLES.values() if table.planned(known) for file in table.files]


def figures(study: Study) -> list[str]:
    """Names of the figures that this study has something to show in."""
    from cascade_equivalence.report.figures.figure import FIGURES
    from cascade_equivalence.report.table import TABLES

    known = _known(study)
    planned = [figure for figure in FIGURES.values() if figure.planned(known)]
    for figure in planned:
        TABLES.find(figure.table)
    return [figure.name for figure in planned]


def figure_files(study: Study, kind: str) -> list[str]:
    """Files of the figures, ``svg`` or ``png``; those that the paper has as well begin with its number."""
    from cascade_equivalence.report.figures.figure import FIGURES

    return [f"{study.results}/figures/{FIGURES[name].stem}.{kind}" for name in figures(study)]


def targets(study: Study) -> list[str]:
    """What the study ends in."""
    files = [f"{study.results}/tables/{name}.{kind}" for name in tables(study) for kind in ("csv", "md")]
    drawn = [*figure_files(study, "svg"), *figure_files(study, "png")]
    beside = [comparison(study), claims(study), replication(study), paper_folder(study)]
    return [f"{study.results}/report.html", *beside, *files, *drawn]


def sufficient_tasks(study: Study) -> dict[str, bool]:
    """Of each task, whether its words are taken to hold all that the label depends on."""
    from cascade_equivalence.tasks.registry import get_task

    return {task: get_task(task).text_sufficient for task in study.config.tasks}


def sizes(study: Study) -> dict[str, str]:
    """Of each system, how many parameters its models have, as far as the registry says: ``1.55B+7.6B``."""
    found, registry, names = {}, study.config.definitions.models, outline(study)
    for name in study.config.systems:
        parts = names.parts(name)
        models = [str(parts[role]) for role in ("asr", "llm", "model") if parts[role] in registry]
        known = dict.fromkeys(inner for model in models for inner in (model, study.text_model(model)))
        counts = [study.model(model).billions for model in known]
        if counts and None not in counts:
            found[name] = "+".join(parameters(count) for count in counts if count is not None)
    return found


def outline(study: Study) -> "Outline":
    """Names and order for the report."""
    from cascade_equivalence.report.naming import Outline

    systems = {name: study.system(name) for name in study.config.systems}
    return Outline(
        systems=systems,
        pairs=study.config.pairs,
        tasks=study.config.tasks,
        contrasts=study.config.contrasts,
        dials=dials(study.config),
        recorded=recorded_voices(study.config),
        degraded=_degraded(study),
    )


def params(study: Study, script: str) -> dict[str, Any]:
    """What tables, figures and the report depend on, beside the results.

    Args:
        study: The study.
        script: What the rule runs.
    """
    pairs = [pair.model_dump(mode="json") for pair in (*study.config.pairs, *study.config.contrasts)]
    return {
        "pairs": pairs,
        "statistics": study.config.statistics.model_dump(mode="json"),
        "paper": study.config.paper.model_dump(mode="json") if study.config.paper else None,
        "numbers": contents_of([PAPER_NUMBERS, PAPER_STATISTICS, PAPER_CLAIMS]) if script in SHOW_PAPER else None,
        "sizes": sizes(study) if script in SHOW_PAPER else None,
        "figures": _facts_of_figures(study) if script in SHOW_PAPER else None,
        "code": code_fingerprint(script, *_code_of_things(study), *added_files()),
        **_own_tasks(study),
        **_dials(study),
        **({"degraded": [*found]} if (found := _degraded(study)) else {}),
    }


def _own_tasks(study: Study) -> dict[str, Any]:
    """What the config says of tasks of the user's own that is shown, and that no answer depends on."""
    specs = {task: study.task(task) for task in study.config.tasks}
    own = {task: [spec.title, spec.text_sufficient] for task, spec in specs.items() if spec.is_own}
    return {"own_tasks": own} if own else {}


def _dials(study: Study) -> dict[str, Any]:
    """Which systems of the study are one adapter at several scales; nothing of a study without."""
    found = [asdict(dial) for dial in dials(study.config)]
    return {"dials": found} if found else {}


def _degraded(study: Study) -> dict[str, DegradedSource]:
    """Recognisers of the study that are others with errors added."""
    found = {asr: study.transcripts_of(asr) for asr in study.asrs}
    return {asr: source for asr, source in found.items() if isinstance(source, DegradedSource)}


def need(study: Study) -> Need:
    """Of reading everything for tables and report."""
    clips = sum(study.clip_count(node.task, node.condition) for node in study.nodes)
    return counting_need(1500, 600).clips_kept(clips * len(study.config.systems) / 10)


def _known(study: Study) -> "PlannedStudy":
    """What tables and figures ask of a study before they are planned."""
    from cascade_equivalence.report.shown import PlannedStudy

    return PlannedStudy(study.config, mechanism_files(study))


def _facts_of_figures(study: Study) -> dict[str, list[Any]]:
    """What the page and the index of the paper say of the figures, beside the drawings."""
    from cascade_equivalence.report.figures.figure import FIGURES

    known = {name: FIGURES[name] for name in figures(study)}
    return {
        name: [each.stem, each.table, each.section, each.caption, asdict(each.paper) if each.paper else None]
        for name, each in known.items()
    }


def _code_of_things(study: Study) -> list[str | Path]:
    """Modules of the tasks and noises in the study: they say their titles and the like."""
    kinds = {kind for name in study.config.noise.conditions() if (kind := parse_condition(name).kind)}
    return [
        *(module for task in study.config.tasks for module in code_of(task)),
        *(module for kind in sorted(kinds) for module in NOISE_KINDS[kind].modules),
    ]


def parameters(billions: float) -> str:
    """A number of parameters as the paper has it: ``7.6B``, ``244M``."""
    return f"{billions:.3g}B" if billions >= 1 else f"{1000 * billions:.3g}M"
