"""Tables, figures and the report as a graph: what a study ends in.

Tables and figures are imported where they are asked for: they import polars, whose threads no fork may have.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cascade_equivalence.conditions import NOISE_KINDS, parse_condition
from cascade_equivalence.dag.fingerprint import code_fingerprint, code_of
from cascade_equivalence.dag.surplus_nodes import SurplusNodes
from cascade_equivalence.plugins import added_files
from cascade_equivalence.provenance.hashes import contents_of
from cascade_equivalence.resources import PAPER_CLAIMS, PAPER_NUMBERS

if TYPE_CHECKING:
    from cascade_equivalence.report.naming import Outline

SHOW_PAPER = ("paper", "page")
"""Stages that show the paper's numbers."""


class ReportNodes(SurplusNodes):
    """Nodes that show what was found."""

    def comparison(self) -> str:
        """The paper's numbers beside the study's."""
        return f"{self.results}/comparison.csv"

    def claims(self) -> str:
        """The paper's claims, judged on the study."""
        return f"{self.results}/claims.csv"

    def replication(self) -> str:
        """How many of the paper's numbers and directions the study reproduces."""
        return f"{self.results}/replication.csv"

    def paper_folder(self) -> str:
        """The tables in the paper's own layout; which there are depends on what is found."""
        return f"{self.results}/paper"

    def tables(self) -> list[str]:
        """Names of the tables' files."""
        from cascade_equivalence.report.table import TABLES

        return [file for table in TABLES.values() if table.planned(self) for file in table.files]

    def figures(self) -> list[str]:
        """Names of the figures that this study has something to show in."""
        from cascade_equivalence.report.figures.figure import FIGURES
        from cascade_equivalence.report.table import TABLES

        planned = [figure for figure in FIGURES.values() if figure.planned(self)]
        for figure in planned:
            TABLES.find(figure.table)
        return [figure.name for figure in planned]

    def figure_files(self, kind: str) -> list[str]:
        """Files of the figures, ``svg`` or ``png``; those that the paper has as well begin with its number."""
        from cascade_equivalence.report.figures.figure import FIGURES

        return [f"{self.results}/figures/{FIGURES[name].stem}.{kind}" for name in self.figures()]

    def targets(self) -> list[str]:
        """What the study ends in."""
        tables = [f"{self.results}/tables/{name}.{kind}" for name in self.tables() for kind in ("csv", "md")]
        figures = [*self.figure_files("svg"), *self.figure_files("png")]
        beside = [self.comparison(), self.claims(), self.replication(), self.paper_folder()]
        return [f"{self.results}/report.html", *beside, *tables, *figures]

    def sufficient_tasks(self) -> dict[str, bool]:
        """Of each task, whether its words are taken to hold all that the label depends on."""
        from cascade_equivalence.tasks.registry import get_task

        return {task: get_task(task).text_sufficient for task in self.config.tasks}

    def sizes(self) -> dict[str, str]:
        """Of each system, how many parameters its models have, as far as the registry says: ``1.55B+7.6B``."""
        found, registry, outline = {}, self.config.definitions.models, self.outline()
        for name in self.config.systems:
            parts = outline.parts(name)
            models = [str(parts[role]) for role in ("asr", "llm", "model") if parts[role] in registry]
            known = dict.fromkeys(inner for model in models for inner in (model, self.text_model(model)))
            counts = [self.model(model).billions for model in known]
            if counts and None not in counts:
                found[name] = "+".join(parameters(count) for count in counts if count is not None)
        return found

    def all_items(self) -> list[str]:
        """Items of every task."""
        return [self.items(task) for task in self.config.tasks]

    def outline(self) -> "Outline":
        """Names and order for the report."""
        from cascade_equivalence.report.naming import Outline

        systems = {name: self.system(name) for name in self.config.systems}
        return Outline(
            systems=systems, pairs=self.config.pairs, tasks=self.config.tasks, contrasts=self.config.contrasts
        )

    def report_params(self, stage: str) -> dict[str, Any]:
        """What tables, figures and the report depend on, beside the results.

        Args:
            stage: ``tables``, ``paper``, ``figures`` or ``page``.
        """
        pairs = [pair.model_dump(mode="json") for pair in (*self.config.pairs, *self.config.contrasts)]
        return {
            "pairs": pairs,
            "statistics": self.config.statistics.model_dump(mode="json"),
            "paper": self.config.paper.model_dump(mode="json") if self.config.paper else None,
            "numbers": contents_of([PAPER_NUMBERS, PAPER_CLAIMS]) if stage in SHOW_PAPER else None,
            "sizes": self.sizes() if stage in SHOW_PAPER else None,
            "figures": self._facts_of_figures() if stage in SHOW_PAPER else None,
            "code": code_fingerprint(stage, *self._code_of_things(), *added_files()),
        }

    def _facts_of_figures(self) -> dict[str, list[Any]]:
        """What the page and the index of the paper say of the figures, beside the drawings."""
        from cascade_equivalence.report.figures.figure import FIGURES

        known = {name: FIGURES[name] for name in self.figures()}
        return {
            name: [each.stem, each.table, each.section, each.caption, asdict(each.paper) if each.paper else None]
            for name, each in known.items()
        }

    def _code_of_things(self) -> list[str]:
        """Modules of the package's tasks, noises and concepts in the study: they say their titles and the like."""
        kinds = {kind for name in self.config.noise.conditions() if (kind := parse_condition(name).kind)}
        own = [
            *(module for task in self.config.tasks for module in code_of(task)),
            *(module for kind in sorted(kinds) for module in NOISE_KINDS[kind].modules),
            *(["mechanism/concepts.py"] if self.config.mechanism else []),
        ]
        return [module for module in own if isinstance(module, str)]


def parameters(billions: float) -> str:
    """A number of parameters as the paper has it: ``7.6B``, ``244M``."""
    return f"{billions:.3g}B" if billions >= 1 else f"{1000 * billions:.3g}M"
