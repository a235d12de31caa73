"""One self-contained page with everything a reader of the study needs; no network, and readable without its scripts."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cascade_equivalence.conditions import CLEAN
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.files import write_text
from cascade_equivalence.report import costs_table
from cascade_equivalence.report.browser import Items
from cascade_equivalence.report.card import card
from cascade_equivalence.report.display import Display, percent
from cascade_equivalence.report.figures.figure import FIGURES, figure_name
from cascade_equivalence.report.grid import verdict_grid
from cascade_equivalence.report.naming import Outline, task_title
from cascade_equivalence.report.shown import PARTS, SECTIONS, TEMPLATES
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables, displays
from cascade_equivalence.report.verdict import expense, verdict
from cascade_equivalence.report.verdict_mechanism import findings, four_levels, stories
from cascade_equivalence.report.wording import counted

STYLES = ("page.css", "card.css", "tables.css", "items.css", "print.css")
SCRIPTS = ("page.js", "tables.js", "words.js", "items.js")
MARKS = ("‡", "§", "†", "*", costs_table.FRONT)
"""How remarks begin that explain a mark in the cells: they always show, the others unfold."""


@dataclass
class Section:
    """A stretch of the page: a heading, what it is about, drawings and tables."""

    name: str
    title: str
    about: str
    words: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    tables: list[Display] = field(default_factory=list)

    @property
    def holds(self) -> str:
        """What unfolds: so many figures and tables."""
        counts = {"figure": len(self.figures), "table": len(self.tables)}
        return ", ".join(counted(number, name) for name, number in counts.items() if number)


def write_report(
    path: Path,
    *,
    title: str,
    tables: Tables,
    figures: Sequence[Path],
    outline: Outline,
    statistics: StatisticsConfig,
    items: Items | None = None,
    extra_tables: Sequence[tuple[str, Display]] = (),
    extra_figures: Sequence[tuple[str, Path, str]] = (),
    words: Mapping[str, Sequence[str]] = MappingProxyType({}),
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report.

    Args:
        path: The HTML file.
        title: Title of the study.
        tables: The tidy tables.
        figures: SVG files of figures in ``FIGURES``, named by ``Figure.stem``; other suffixes are passed over.
        outline: Names, and what the systems are made of.
        statistics: Level of the intervals, false discovery rate of the claims on the inside of models.
        items: Items to look at and listen to.
        extra_tables: Further tables, each with the name of its section in ``SECTIONS``.
        extra_figures: Further SVG files, each with the name of its section and a caption.
        words: Sentences at the head of a section, by its name.
        provenance: What the study was made with: text, or nested mappings and lists of text.

    Returns:
        The path.

    Raises:
        KeyError: A table or figure is for a section that the page does not have.
        ValueError: Two tables have one name, or one has that of a part.
    """
    confidence, asked = statistics.confidence, _counted(tables)
    own = [(TABLES[table.name].section, table) for table in displays(tables, confidence)]
    own += [("counts", _counts(asked)), ("costs", costs_table.totals(tables.costs))]
    sections = _sections([*own, *extra_tables], figures, extra_figures)
    for name, sentences in words.items():
        sections[name].words += sentences
    found = findings(tables, statistics)
    there = items if items and items.entries else None
    scripts = [Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in SCRIPTS]  # noqa: S704 - our own
    page = (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            policy=_policy(scripts),
            styles=[Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in STYLES],  # noqa: S704 - our own
            scripts=scripts,
            card=card(tables, outline, statistics, asked, there),
            verdict=verdict(tables, outline),
            grid=verdict_grid(tables),
            confidence=f"{confidence:.0%}",
            named={table.name for section in sections.values() for table in section.tables},
            parts=_parts(sections, inside=bool(found)),
            lead=sections["verdict"],
            levels=four_levels(found) if found else None,
            stories=stories(found, outline),
            expense=expense(tables.costs, tables.agreement, outline),
            items=there,
            provenance=_flat(provenance or {}),
        )
    )
    return write_text(path, page)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["a_mark"] = lambda remark: remark.startswith(MARKS)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _policy(scripts: Sequence[str]) -> str:
    """What the page may load and run: its own scripts, known by their hashes, and nothing from anywhere else."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; media-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sections(
    tables: Iterable[tuple[str, Display]],
    figures: Iterable[Path],
    extra_figures: Iterable[tuple[str, Path, str]],
) -> dict[str, Section]:
    """All sections with what hangs in them."""
    sections = {name: Section(name, plan.get("title", ""), plan.get("about", "")) for name, plan in SECTIONS.items()}
    drawings = {figure_name(figure.stem): figure for figure in figures if figure.suffix == ".svg"}
    planned = []
    for name, figure in FIGURES.items():
        if name in drawings:
            place = f" Figure {figure.paper.number} of the paper." if figure.paper else ""
            planned.append((figure.section, drawings[name], f"{figure.caption}{place}"))
    for section, file, caption in (*planned, *extra_figures):
        drawn = figure_name(file.stem)
        sections[section].figures.append({"svg": _inline(file, drawn), "name": drawn, "caption": caption})
    names = Counter(["answer", "verdict", "in-words", *PARTS, "provenance", "items"])
    for section, table in tables:
        if table.rows:
            sections[section].tables.append(table)
            names[table.name] += 1
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"two tables or parts of the page are called {', '.join(twice)}")
    return sections


def _parts(sections: Mapping[str, Section], *, inside: bool) -> list[dict[str, Any]]:
    """The parts that have something to show, each with its sections that have."""
    parts = []
    for name, title in PARTS.items():
        mine = [
            each for key, each in sections.items() if SECTIONS[key]["part"] == name and (each.tables or each.figures)
        ]
        if mine or (name == "inside" and inside):
            parts.append({"name": name, "title": title, "sections": mine})
    return parts


def _inline(file: Path, name: str) -> Markup:
    """The ``<svg>`` element of a figure that this package drew, named by its caption for screen readers.

    The only text of a study in the page that is not escaped: matplotlib has escaped what came from the config, and
    draws letters as outlines.
    """
    svg = file.read_text()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    # Two drawings name their parts alike; in one page each name may stand once.
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    named = svg.replace("<svg", f'<svg role="img" aria-labelledby="caption-{name}"', 1)
    return Markup(named)  # noqa: S704 - our own drawing


def _counted(tables: Tables) -> list[dict[str, Any]]:
    """What was asked: texts, voices, clips and answers of each task."""
    heard = pl.concat([tables.accuracy, tables.noise.select(tables.accuracy.columns)]).unique(
        ["system", "task", "condition"], keep="first", maintain_order=True
    )
    rows = []
    for (task,), part in heard.group_by("task", maintain_order=True):
        clean = part.filter(pl.col("condition") == CLEAN)
        noisy = part.filter(pl.col("condition") != CLEAN).unique("condition")
        most = {name: max(clean[name]) for name in ("groups", "voices", "rows")}
        sums = {"noisy": sum(noisy["rows"]), "answers": sum(part["rows"]), "parsed": sum(part["parsed"])}
        rows.append({"task": str(task)} | most | sums)
    return rows


def _counts(asked: Sequence[Mapping[str, Any]]) -> Display:
    numbers = ("groups", "voices", "rows", "noisy", "answers")
    return Display(
        name="counted",
        title="Texts, clips and answers",
        columns=["Task", "Texts", "Voices", "Clean clips", "Noisy clips", "Answers", "Not parsed %"],
        rows=[
            [
                task_title(row["task"]),
                *(f"{row[name]:,}" for name in numbers),
                percent(1 - row["parsed"] / row["answers"]),
            ]
            for row in asked
        ],
        remarks=["Texts are what is drawn in the intervals: all voices of one text, or all clips of one dialogue."],
    )


def _flat(provenance: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in provenance.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{name} / ")
        elif isinstance(value, list | tuple):
            found.append((name, ", ".join(map(str, value))))
        else:
            found.append((name, str(value)))
    return found
