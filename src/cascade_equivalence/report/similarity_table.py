"""How alike states are of the same words heard and read, as tidy columns and as a reader sees it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema, estimate_values
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, decimal, ends, one_line
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

VIEWS = {
    "as_they_are": "Words as they are",
    "centred": "means taken away",
    "matched": "mean and spread matched",
}
"""As ``mechanism.similarity`` names them."""
PARTS = ("", "_chance", "_difference")
ESTIMATES = ("cka", *(f"{name}{part}" for name in (*VIEWS, "nearest") for part in PARTS))
EMBEDDED = -1
SCHEMA: Schema = {
    "model": pl.String,
    "layer": pl.Int64,
    "utterances": pl.Int64,
    "words": pl.Int64,
    **{column: kind for name in ESTIMATES for column, kind in estimate_schema(name).items()},
    "cka_shuffled": pl.Float64,
    "examples": pl.String,
    "reason": pl.String,
}
"""Model x layer; layer -1 is what the text LLM is given: the connector's vectors, and the embeddings of tokens.
``cka``: of the mean states of texts heard and read; ``cka_shuffled``: of other pairs of texts. Of each view
(``as_they_are``, ``centred``, ``matched``) the mean cosine of words, the same with words of other texts
(``chance``), and the difference. ``nearest``: share of vectors whose nearest token was spoken."""


def frame(files: Iterable[Path]) -> pl.DataFrame:
    """One row a model and layer.

    Args:
        files: What ``nodes.similarity`` wrote, of a model each.

    Raises:
        StudyError: A file is damaged.
    """
    from cascade_equivalence.report.mechanism_frames import by_model, read_json

    rows: list[dict[str, Any]] = []
    nothing = {"value": None, "low": None, "high": None}
    for (model,), path in files_about(files, ["model"]).items():
        found = read_json(path)
        try:
            for layer, each in found["layers"].items():
                row = {"model": model, "layer": int(layer), "utterances": found["utterances"], "words": found["words"]}
                for name in ESTIMATES:
                    row |= estimate_values(name, each.get(name, nothing))
                row["cka_shuffled"] = each.get("cka_shuffled", nothing)["value"]
                told = dict.fromkeys(one["reason"] for one in each.values() if one["reason"])
                row["reason"] = "; ".join(told) or None
                if row["layer"] == EMBEDDED:
                    shown = (f"{one['text']} > {one['nearest']}" for one in found["examples"])
                    row["examples"] = one_line(" | ".join(shown))
                rows.append(row)
        except (KeyError, TypeError) as error:
            raise StudyError(f"{path} lacks {error}: another version of this project made it; run again") from error
    return by_model(pl.DataFrame(rows, schema=SCHEMA, orient="row"), "layer")


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model and layer."""
    rows = [
        [
            row["model"],
            "the LLM's input" if row["layer"] == EMBEDDED else str(row["layer"]),
            ends(row, "cka") if row["cka"] is not None else UNDEFINED,
            UNDEFINED if row["cka_shuffled"] is None else decimal(row["cka_shuffled"], signed=True),
            *(cell for view in VIEWS for cell in _cells(row, view)),
            *(_cells(row, "nearest") if row["nearest"] is not None else [NOT_RUN] * 2),
            f"{row['words']:,} ({row['utterances']:,})",
        ]
        for row in table.iter_rows(named=True)
    ]
    heads = [head for title in (*VIEWS.values(), "Nearest token") for head in (f"{title} / by chance", "more")]
    return Display(
        name="similarity",
        title="How alike states are of the same words heard and read",
        columns=["Model", "Layer", f"CKA [{confidence:.0%}]", "other pairs", *heads, "Words (utterances)"],
        rows=rows,
        remarks=[
            "The same utterance is heard, and its true text is read, in the same prompt. CKA: linear, of the mean "
            "states of texts, by the unbiased estimator: 1 where one set of states is the other turned and "
            "scaled, about 0 where they have nothing in common. Other pairs: the same where texts are exchanged.",
            "Words: cosine of the mean state of a word's tokens and the mean of the vectors that are aligned with it. "
            "Alignment: the path from left to right along which the layer's own states are most alike (dynamic time "
            "warping); the words of another text, by chance, are aligned in the same way. As they are: of heard "
            "and read states together the mean is taken away; then of each its own mean; then every direction of the "
            "heard states has the spread of the read ones, too.",
            "Nearest token: the share of the connector's vectors whose nearest embedding (cosine, means taken away) "
            "is a token of what was said; by chance, of what was said in other texts.",
            "More: own minus by chance; intervals count whole texts, however often one is said (jackknife).",
            *_at_chance(table),
            *(f"{row['model']}: {row['examples']}." for row in table.drop_nulls("examples").iter_rows(named=True)),
            *dict.fromkeys(
                f"{row['model']} at layer {row['layer']}: {row['reason']}."
                for row in table.drop_nulls("reason").iter_rows(named=True)
            ),
        ],
        text_columns=2,
    )


def _cells(row: dict[str, Any], name: str) -> list[str]:
    own, chance = (UNDEFINED if row[f"{name}{part}"] is None else decimal(row[f"{name}{part}"]) for part in PARTS[:2])
    more = ends(row, f"{name}_difference", signed=True) if row[f"{name}_difference"] is not None else UNDEFINED
    return [f"{own} / {chance}", more]


def _at_chance(table: pl.DataFrame) -> list[str]:
    """What is not shown to be more alike than by chance."""
    found = []
    for name, title in (*VIEWS.items(), ("nearest", "nearest token")):
        low = pl.col(f"{name}_difference_low")
        for (model,), part in table.filter(low <= 0).group_by("model", maintain_order=True):
            found.append(f"{model}, {title.lower()}: layer {', '.join(map(str, part['layer'].to_list()))}")
    return [f"At chance: {'; '.join(found)}."] if found else []


def _build(results: "Results") -> pl.DataFrame:
    return frame(results.mechanism.similarity)


TABLE = Table(
    name="similarity",
    section="similarity",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.similarity, confidence),
    planned=lambda study: bool(study.mechanism_files["similarity"]),
)
