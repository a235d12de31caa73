"""One self-contained page with everything a reader of the study needs; no script, no network."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cascade_equivalence.atomic import write_text
from cascade_equivalence.report.contents import displays, inside_displays
from cascade_equivalence.report.display import MINUS, Display, percent
from cascade_equivalence.report.examples import Example
from cascade_equivalence.report.naming import Outline, task_title
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict import verdict
from cascade_equivalence.report.verdict_mechanism import findings, four_levels, stories

TEMPLATES = Path(__file__).parent / "templates"
CAPTIONS = {
    "agreement": "Cohen's κ of each pair on each task, clean speech, with its interval. Pairs with a "
    "speech LLM first, then by falling mean κ; “match” says whether the two text LLMs are the same. "
    "‡ at least one of the two is not above chance. n/a: κ is undefined; blank: not run.",
    "noise": "Accuracy against signal-to-noise ratio of the babble, on the voices that are heard in noise. Upright "
    "lines are intervals; systems stand side by side at each ratio. The dotted line is chance.",
}
INSIDE_CAPTIONS = {
    "probes": "What linear probes read from each layer of each opened model, on held-out items: energy and pitch, and "
    f"the frequencies of characters, as R²; characters in their order as 1 {MINUS} CER, which is another measure and "
    "has an axis of its own. Grey lines are controls: the same blocks untrained (dashes, with the marker of the "
    "probe), shuffled targets (dots), a CTC probe that hears nothing. Upright lines are intervals.",
    "lens": "Of the tokens that the logit lens shows at each layer, the share that occurs in what was spoken "
    "(precision); of what was spoken, the share that it shows (recall). The grey band is the precision against the "
    "transcripts of other utterances. Upright lines are intervals.",
    "erasure": "Accuracy while a concept is erased from all watched layers. Filled dots: linear erasure, as in the "
    "paper; open dots: affine erasure, which keeps the mean; triangles: the same eraser while the model reads the true "
    "text. The grey band spans the draws of random directions. Level lines are intervals or, of random controls, the "
    "span of the draws.",
}


def write_report(
    path: Path,
    *,
    title: str,
    tables: Tables,
    figures: Sequence[Path],
    outline: Outline,
    confidence: float,
    examples: Sequence[Example] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report.

    Args:
        path: The HTML file.
        title: Title of the study.
        tables: The tidy tables.
        figures: SVG files, named as in ``CAPTIONS`` and ``INSIDE_CAPTIONS``; other suffixes are passed over.
        outline: Names, and what the systems are made of.
        confidence: Level of the intervals.
        examples: Items to show with both answers.
        provenance: What the study was made with: text, or nested mappings and lists of text.

    Returns:
        The path.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        verdict=verdict(tables, outline),
        counts=_counts(tables),
        figures=_drawings(figures, CAPTIONS),
        tables=displays(tables, confidence),
        inside=_inside(tables, figures, outline, confidence),
        examples=[
            {"task": task, "title": task_title(task), "items": list(items)}
            for task, items in groupby(examples, key=lambda example: example.task)
        ],
        provenance=_flat(provenance or {}),
    )
    return write_text(path, page)


def _drawings(figures: Sequence[Path], captions: Mapping[str, str]) -> list[dict[str, Any]]:
    """The figures that have one of some captions, in the order of the captions."""
    found = {figure.stem: figure for figure in figures if figure.suffix == ".svg"}
    return [
        {"svg": _inline(found[name], caption), "name": name, "caption": caption}
        for name, caption in captions.items()
        if name in found
    ]


def _inside(tables: Tables, figures: Sequence[Path], outline: Outline, confidence: float) -> dict[str, Any] | None:
    """The section on opened models; None where there are none."""
    found = findings(tables)
    if not found:
        return None
    return {
        "levels": four_levels(found),
        "stories": stories(found, outline),
        "figures": _drawings(figures, INSIDE_CAPTIONS),
        "tables": inside_displays(tables, confidence),
    }


def _inline(figure: Path, caption: str) -> Markup:
    """The ``<svg>`` element of a figure that this package drew, named for screen readers.

    The only text in the page that is not escaped: matplotlib has escaped what came from the config, and draws letters
    as outlines.
    """
    svg = figure.read_text()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    return Markup(svg.replace("<svg", Markup('<svg role="img" aria-label="{}"').format(caption), 1))  # noqa: S704 - our own drawing


def _counts(tables: Tables) -> Display:
    heard = pl.concat([tables.accuracy, tables.noise.select(tables.accuracy.columns)]).unique(
        ["system", "task", "condition"], keep="first", maintain_order=True
    )
    rows = []
    for task in heard["task"].unique(maintain_order=True):
        part = heard.filter(pl.col("task") == task)
        clean = part.filter(pl.col("snr_db").is_null())
        noisy = part.filter(pl.col("snr_db").is_not_null()).unique("condition")
        answers, parsed = sum(part["rows"]), sum(part["parsed"])
        rows.append(
            [
                task_title(task),
                *(f"{max(clean[name]):,}" for name in ("groups", "voices", "rows")),
                f"{sum(noisy['rows']):,}",
                f"{answers:,}",
                percent(1 - parsed / answers),
            ]
        )
    return Display(
        name="counts",
        title="What was asked",
        columns=["Task", "Texts", "Voices", "Clean clips", "Noisy clips", "Answers", "Not parsed %"],
        rows=rows,
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
