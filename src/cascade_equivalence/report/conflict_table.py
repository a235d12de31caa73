"""Which of two texts with different labels an answer follows: the one that is heard, or the one that is typed."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import UNDEFINED, Display, ends, percent
from cascade_equivalence.report.naming import in_order, task_title
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.statistic import Statistic

SIDES = ("system", "reference")
NUMBERS = (*(f"{side}_{name}" for side in SIDES for name in ("dominance", "log_odds")), "difference")
SCHEMA: Schema = {
    **dict.fromkeys(SIDES, pl.String),
    "match": pl.String,
    "task": pl.String,
    "variant": pl.String,
    "prompts": pl.Int64,
    "groups": pl.Int64,
    **{f"{side}_{name}": pl.Float64 for side in SIDES for name in ("typed", "heard")},
    **{key: kind for name in NUMBERS for key, kind in estimate_schema(name).items()},
    "reason": pl.String,
}
"""Speech LLM x cascade x task x wording (``variant``: its place in the config from 1 on, or ``all``). ``typed``,
``heard``: share of prompts answered with the label of the text that is typed, and of the one that is heard;
``dominance``: the first among those answered with either; ``difference``: the speech LLM's minus the cascade's;
``log_odds``: of the typed text's label against the heard one's, in nats, a mean."""
ALL = "all"
NEITHER = "no prompt was answered with the label of either text"


def frame(files: Iterable[Path], pairs: Iterable[tuple[str, str, str]], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a speech LLM, cascade, task and wording, and one over all wordings.

    Args:
        files: What ``nodes.conflict`` wrote, of a system and task each.
        pairs: Speech LLM, cascade, and how their LLMs match.
        statistics: Level of the intervals.
    """
    found = {of: pl.read_parquet(path) for of, path in files_about(files, ["system", "task"]).items()}
    rows: list[dict[str, Any]] = []
    for system, reference, match in pairs:
        for task in in_order({task for name, task in found if name == system and (reference, task) in found}):
            both = {"system": found[system, task], "reference": found[reference, task]}
            wordings = both["system"]["variant"].unique().sort().to_list()
            for variant in (None, *(wordings if len(wordings) > 1 else ())):
                shown = ALL if variant is None else str(variant + 1)
                row = {"system": system, "reference": reference, "match": match, "task": task, "variant": shown}
                part = both if variant is None else {side: each.filter(variant=variant) for side, each in both.items()}
                rows.append(row | _compared(part, statistics.confidence))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _compared(both: Mapping[str, pl.DataFrame], confidence: float) -> dict[str, Any]:
    from cascade_equivalence.report.mechanism_frames import reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.intervals import difference, share
    from cascade_equivalence.stats.mean import mean
    from cascade_equivalence.stats.statistic import estimate

    statistics: dict[str, Statistic] = {}
    row: dict[str, Any] = {"prompts": both["system"].height}
    for side, whole in both.items():
        table = whole.sort("source_id", "target_id", "variant")
        clusters = Clusters.of(table["cluster"].to_list())
        typed, heard = ((table["parsed"] == table[f"{name}_label"]).to_numpy() for name in ("typed", "heard"))
        row |= {"groups": clusters.count, f"{side}_typed": typed.mean(), f"{side}_heard": heard.mean()}
        statistics[f"{side}_dominance"] = share(clusters, typed, NEITHER, typed | heard)
        statistics[f"{side}_log_odds"] = mean(clusters, table["log_odds"].to_numpy(), "there are no prompts")
    one, other = (statistics[f"{side}_dominance"] for side in SIDES)
    statistics["difference"] = difference(one, other, row["groups"], NEITHER)
    found = estimate(statistics, row["groups"], confidence)
    for name, each in found.items():
        row |= estimate_values(name, {"value": each.value, "low": each.low, "high": each.high})
    return row | {"reason": reasons(found)}


def _pairs(results: "Results") -> Iterator[tuple[str, str, str]]:
    """Pairs of a speech LLM and a cascade, the speech LLM first."""
    known = results.outline.systems
    for row in results["agreement"].select(*SIDES, "match").unique(maintain_order=True).iter_rows():
        one, other, match = row
        for system, reference in ((one, other), (other, one)):
            if isinstance(known[system], E2ESpec) and isinstance(known[reference], CascadeSpec):
                yield system, reference, match


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a speech LLM, cascade and task."""
    rows = [
        [
            row["system"],
            row["reference"],
            row["match"],
            task_title(row["task"]),
            row["variant"],
            *(" / ".join(percent(row[f"{side}_{name}"]) for name in ("typed", "heard")) for side in SIDES),
            *(_cell(row, f"{side}_dominance") for side in SIDES),
            _cell(row, "difference", signed=True),
            *(_cell(row, f"{side}_log_odds", signed=True) for side in SIDES),
            f"{row['prompts']:,} ({row['groups']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="conflict",
        title="What is heard against what is typed",
        columns=[
            "Speech LLM",
            "Cascade",
            "Match",
            "Task",
            "Wording",
            "Typed / heard %, speech LLM",
            "Typed / heard %, cascade",
            f"Text dominance, speech LLM [{confidence:.0%}]",
            "Text dominance, cascade",
            "Difference",
            "Log-odds, speech LLM",
            "Log-odds, cascade",
            "Prompts (clusters)",
        ],
        rows=rows,
        remarks=[
            "Two items with different labels in one prompt, each pair both ways round and in every wording of the "
            "config: the speech LLM hears the one, the cascade reads its transcript; the text of the other is typed. "
            "Text dominance: of the prompts answered with the label of either, the share answered with that of the "
            "typed text. Log-odds: of the typed text's label against the heard one's, in nats, a mean over prompts.",
            "A system that gives one answer to everything has 0.5, and over both orders so has one that "
            "follows whichever comes last: the wordings by themselves show it (their places are those of the config).",
        ],
        text_columns=5,
    )


def _cell(row: Mapping[str, Any], name: str, *, signed: bool = False) -> str:
    return UNDEFINED if row[name] is None else ends(row, name, signed=signed)


TABLE = Table(
    name="conflict",
    section="conflict",
    schema=SCHEMA,
    build=lambda results: frame(results.mechanism.conflict, _pairs(results), results.statistics),
    display=lambda tables, confidence: display(tables.conflict, confidence),
    planned=lambda study: bool(study.mechanism_files["conflict"]),
)
