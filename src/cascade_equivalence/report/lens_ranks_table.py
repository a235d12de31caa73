"""Where spoken words stand among all tokens of the lens, layer by layer, as tidy columns and as a reader sees it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, percent, points_ends
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.stats.statistic import Statistic

LENSES = {"plain": "", "tuned": "tuned_"}
TOPS = (1, 10, 100)
SCHEMA: Schema = {
    "model": pl.String,
    "layer": pl.Int64,
    "lens": pl.String,
    "utterances": pl.Int64,
    "tokens": pl.Int64,
    "median": pl.Float64,
    "chance_median": pl.Float64,
    **{
        column: kind
        for top in TOPS
        for name in (f"top{top}", f"chance_top{top}", f"top{top}_difference")
        for column, kind in estimate_schema(name).items()
    },
    "reason": pl.String,
}
"""Model x layer x lens (``plain``, ``tuned``). ``median``: of the best rank that each token of a transcript has at any
state of its clip; ``top``: share of these within the first so many; ``chance``: the same of other transcripts'
tokens; ``difference``: own minus chance, utterance by utterance."""
NO_TOKENS = "no utterance has a token that counts"


def frame(files: Iterable[Path], statistics: StatisticsConfig) -> pl.DataFrame:
    """One row a model, layer and lens; none of what was not ranked.

    Args:
        files: What ``mechanism.lens_node`` wrote, of a model and layer each.
        statistics: Level of the intervals, which count whole texts.
    """
    from cascade_equivalence.report.mechanism_frames import by_model

    rows = []
    for (model, layer), path in files_about(files, ("model", "layer")).items():
        shown = pl.read_parquet(path).sort("utterance")
        for lens, prefix in LENSES.items():
            own, others = f"{prefix}ranks", f"chance_{prefix}ranks"
            if own in shown.columns:
                part = shown.filter(pl.col(own).list.len() > 0, pl.col(others).list.len() > 0)
                place = {"model": model, "layer": layer, "lens": lens}
                rows.append(place | _row(part[own], part[others], part["said"], statistics.confidence))
    return by_model(pl.DataFrame(rows, schema=SCHEMA, orient="row"), "layer", "lens")


def _row(own: pl.Series, others: pl.Series, said: pl.Series, confidence: float) -> dict[str, Any]:
    import numpy as np

    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.mean import ratio
    from cascade_equivalence.stats.statistic import estimate

    clusters = Clusters.of([f"{number:09}" for number in said.to_list()])
    counts = own.list.len().to_numpy().astype(float)
    there: dict[str, Statistic] = {}
    for top in TOPS:
        share, chance = (
            np.array([np.mean(np.asarray(ranks) <= top) for ranks in side.to_list()]) * counts for side in (own, others)
        )
        parts = {f"top{top}": share, f"chance_top{top}": chance, f"top{top}_difference": share - chance}
        there |= {name: ratio(clusters, each, counts, NO_TOKENS) for name, each in parts.items()}
    found = estimate(there, clusters.count, confidence) if len(own) else {}
    return {
        "utterances": len(own),
        "tokens": int(counts.sum()),
        "median": own.explode().median(),
        "chance_median": others.explode().median(),
        **{key: value for name, each in found.items() for key, value in estimate_values(name, each).items()},
        "reason": reasons(found) if found else NO_TOKENS,
    }


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model, layer and lens."""
    heads = [head for top in TOPS for head in (f"First {top} / by chance, %", f"more, points [{confidence:.0%}]")]
    rows = [
        [
            row["model"],
            str(row["layer"]),
            row["lens"],
            f"{_rank(row['median'])} / {_rank(row['chance_median'])}",
            *(
                cell
                for top in TOPS
                for cell in (
                    f"{percent(row[f'top{top}'])} / {percent(row[f'chance_top{top}'])}",
                    NOT_RUN if row[f"top{top}"] is None else points_ends(row, f"top{top}_difference"),
                )
            ),
            f"{row['tokens']:,} ({row['utterances']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="lens_ranks",
        title="Where spoken words stand among all tokens of the lens",
        columns=["Model", "Layer", "Lens", "Median rank / by chance", *heads, "Tokens (utterances)"],
        rows=rows,
        remarks=[
            "Of each token of what was spoken, the best rank that the lens gives it at any state where the sound "
            "stands, 1 for the likeliest of the vocabulary. First 1, 10, 100: the share of tokens that rank so high.",
            "By chance: the same states, asked for the tokens of other transcripts, which have frequent words in "
            "common; the longer a clip, the higher anything ranks somewhere. A tuned lens is asked on the test items "
            "alone. Intervals count whole texts (jackknife).",
            *_at_chance(table),
            *dict.fromkeys(
                f"{row['model']}: {row['reason']}." for row in table.drop_nulls("reason").iter_rows(named=True)
            ),
        ],
        text_columns=3,
    )


def _rank(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:,.0f}"


def _at_chance(table: pl.DataFrame) -> list[str]:
    """Layers whose words do not stand higher than others' words, by the first 100."""
    told = []
    last = f"top{TOPS[-1]}_difference"
    known = table.drop_nulls(f"{last}_low")
    for (model, lens), part in known.group_by("model", "lens", maintain_order=True):
        layers = part.filter(pl.col(f"{last}_low") <= 0)["layer"].to_list()
        if layers:
            told.append(f"{model}, {lens} lens: {', '.join(map(str, layers))}")
    return [f"At chance in the first {TOPS[-1]} at layers: {'; '.join(told)}."] if told else []


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.lens, results.statistics)


TABLE = Table(
    name="lens_ranks",
    section="lens",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.lens_ranks, confidence),
    planned=lambda study: (
        bool(study.mechanism_files["lens"]) and study.config.mechanism is not None and study.config.mechanism.lens.ranks
    ),
)
