"""What probes and the logit lens find, as a reader sees it (paper's Tables 4 and 5)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.report.display import MINUS, NOT_RUN, UNDEFINED, Display, decimal, ends, percent, points_ends
from cascade_equivalence.report.mechanism_names import CTC, PROBE_TITLES
from cascade_equivalence.report.mechanism_schemas import LENS, PROBES
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results

MEASURES = {"energy": "R²", "pitch": "R²", CTC: f"1 {MINUS} CER", "boc": "R²"}
OWN_CONTROLS = {"energy": {"voice_value": "voice"}, "pitch": {"voice_value": "voice"}, CTC: {"prior": "constant"}}
"""Controls of some probes alone, and their heads."""
FEASIBLE = 0.995
"""Shares below this are told: the CTC probe cannot read what has more characters than frames."""


def probes(table: pl.DataFrame, confidence: float) -> Display:
    """Table 4 of the paper: one row a model and layer; beside each probe what its controls reach."""
    trained = table.filter(~pl.col("untrained"))
    twins = trained["untrained_value"].is_not_null().any()
    rows = []
    for (model, layer), part in trained.group_by("model", "layer", maintain_order=True):
        found = {row["probe"]: row for row in part.iter_rows(named=True)}
        cells = [cell for probe in PROBE_TITLES for cell in _probe_cells(probe, found.get(probe), twins)]
        rows.append([str(model), str(layer), *cells])
    heads = []
    for probe, title in PROBE_TITLES.items():
        names = ["shuffled", *OWN_CONTROLS.get(probe, {}).values(), *(["untrained"] if twins else [])]
        heads += [f"{title} {MEASURES[probe]} [{confidence:.0%}]", " / ".join(names), "since the first layer"]
        heads += ["more than untrained"] if twins else []
    return Display(
        name="probes",
        title="What linear probes read, layer by layer",
        columns=["Model", "Layer", *heads],
        rows=rows,
        remarks=[
            "Energy and pitch: ridge regression of an utterance's mean RMS in dB and mean log f0 on its mean state, R² "
            "on held-out items. Both are taken within voices, as differences from the voice's training mean: a "
            "voice has a pitch and a level of its own, and a probe that tells voices apart would predict them without "
            "hearing the utterance. BoC: the same of character frequencies, weighted by their variances. CTC: a linear "
            f"classifier of single frames; 1 {MINUS} CER is the share of characters it recovers, never less than 0. R² "
            f"and 1 {MINUS} CER are different measures and cannot be compared with each other.",
            "R² is against the mean of the training utterances: 0 is what knowing nothing of an utterance gives, less "
            "is worse than that. The paper's, against the mean of the test utterances and across voices, is in "
            "probes.csv (of_test_value).",
            "Beside each value its controls. Shuffled: the same probe trained on other utterances' targets of the same "
            "voice (mean over shuffles). Voice: the R² across voices of the voice's mean alone. Constant: a CTC probe "
            "that sees nothing, which shows what the frequencies of characters give."
            + (" Untrained: the same layer of the model with untrained blocks." if twins else ""),
            "Since the first layer, more than untrained: differences on the same test items, with their own intervals; "
            "that the intervals of two values overlap says nothing about their difference.",
            "The layer is a block, counted from 0; its output is read before the final norm. Intervals count whole "
            "items of the test set (jackknife).",
            *_feasible(trained),
            *_without_training(trained),
            *_missing(trained),
        ],
        text_columns=1,
    )


def _probe_cells(probe: str, row: Mapping[str, Any] | None, twins: bool) -> list[str]:
    compared = ["difference_first", *(["difference_untrained"] if twins else [])]
    if row is None:
        return [NOT_RUN] * (2 + len(compared))
    names = ["shuffled", *OWN_CONTROLS.get(probe, ()), *(["untrained_value"] if twins else [])]
    controls = " / ".join(NOT_RUN if row[name] is None else decimal(row[name]) for name in names)
    differences = [NOT_RUN if row[name] is None else ends(row, name, signed=True) for name in compared]
    return [ends(row, "value"), controls, *differences]


def _without_training(trained: pl.DataFrame) -> list[str]:
    told = trained.drop_nulls("voices_left_out").group_by("model", "voices_left_out", maintain_order=True)
    return [
        f"{model}: utterances of {voices} are left out of energy and pitch, for no utterance of theirs with a value "
        "trains, so there is no mean to take them from."
        for (model, voices), _ in told
    ]


def _feasible(trained: pl.DataFrame) -> list[str]:
    lowest = trained.filter(probe=CTC).group_by("model", maintain_order=True).agg(pl.min("feasible_share"))
    short = [f"{percent(share)} % of {model}" for model, share in lowest.drop_nulls().iter_rows() if share < FEASIBLE]
    if not short:
        return []
    return [
        f"Not all utterances have as many frames as CTC needs for their characters: {', '.join(short)}. The text of "
        "the others cannot be read in full, whatever the states hold."
    ]


def _missing(trained: pl.DataFrame) -> list[str]:
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in trained.filter(pl.col("reason").is_not_null()).iter_rows(named=True):
        found.setdefault((row["model"], row["probe"], row["reason"]), []).append(row["layer"])
    return [
        f"{UNDEFINED}: {model}, {PROBE_TITLES[probe]} at layer {', '.join(map(str, layers))}: {reason}."
        for (model, probe, reason), layers in found.items()
    ]


TUNED = ("tuned lens", "gain, points")
"""Heads of what a tuned lens adds."""


def lens(table: pl.DataFrame, confidence: float) -> Display:
    """Table 5 of the paper: one row a layer, a few columns a model."""
    models = table["model"].unique(maintain_order=True).to_list()
    found = {(row["model"], row["layer"]): row for row in table.iter_rows(named=True)}
    tuned = table["tuned_precision"].is_not_null().any()
    top = table["top"].drop_nulls()
    wide = [f"recall in the {max(top)} likeliest / by chance"] if top.len() else []
    heads = [f"precision [{confidence:.0%}]", "by chance", "recall / by chance", *wide, *(TUNED if tuned else [])]
    rows = [
        [str(layer), *(cell for model in models for cell in _lens_cells(found.get((model, layer)), tuned, bool(wide)))]
        for layer in table["layer"].unique().sort()
    ]
    counts = (f"{model}: {max(table.filter(model=model)['utterances']):,} utterances" for model in models)
    silent = table.filter(pl.col("without_tokens") > 0)
    tested = max(table["tuned_utterances"].drop_nulls(), default=0)
    return Display(
        name="lens",
        title="Words that the logit lens shows, layer by layer",
        columns=["Layer", *(f"{model}: {head}" for model in models for head in heads)],
        rows=rows,
        remarks=[
            "Each state where the sound stands goes through the model's own final norm and unembedding; its likeliest "
            "token counts. Precision: the share of these tokens that occur in what was spoken. Recall: the share of "
            "what was spoken that is among them. Both are means over utterances.",
            *(
                [
                    "In the likeliest: the share of what was spoken that is among the likeliest tokens of any state; a "
                    "word can stand there long before it is the first."
                ]
                if wide
                else []
            ),
            "By chance: the same tokens against the transcripts of other texts, which frequent words match, too; all "
            "readings of a text meet the same others.",
            *(
                [
                    "Tuned lens: precision after an affine map of the states that was trained for each layer on other "
                    f"items, so on {tested:,} test utterances alone; beside it what it gains there on the plain lens."
                ]
                if tuned
                else []
            ),
            *_over_all(table),
            "; ".join(counts) + "; intervals count whole texts, however often one is spoken.",
            *(
                [
                    "Precision leaves out utterances in which no token is left (control tokens, punctuation): at most "
                    f"{max(silent['without_tokens'])} of a layer."
                ]
                if silent.height
                else []
            ),
        ],
        text_columns=0,
    )


def _over_all(table: pl.DataFrame) -> list[str]:
    """What the lens finds over all positions at its last layer, where their states were kept."""
    last = table.drop_nulls("all_precision").sort("layer").unique("model", keep="last", maintain_order=True)
    if not last.height:
        return []
    values = "; ".join(
        f"{row['model']} at layer {row['layer']}: "
        f"{_third(row['all_precision'], row['all_precision_low'], row['all_precision_high'])}"
        for row in last.iter_rows(named=True)
    )
    return [
        "Precision over all positions of the prompt, as the paper reads Qwen2-Audio: the prompt's own words count "
        f"against it. {values}."
    ]


def _lens_cells(row: Mapping[str, Any] | None, tuned: bool, wide: bool) -> list[str]:
    if row is None:
        return [NOT_RUN] * (3 + wide + len(TUNED) * tuned)
    cells = [
        _third(row["precision"], row["precision_low"], row["precision_high"]),
        _third(row["chance_precision"]),
        f"{_third(row['recall'])} / {_third(row['chance_recall'])}",
        *([f"{_third(row['top_recall'])} / {_third(row['chance_top_recall'])}"] if wide else []),
    ]
    gain = points_ends(row, "tuned_gain")
    return [*cells, _third(row["tuned_precision"]), gain] if tuned else cells


def _third(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Three decimals, as in the paper: early layers show one word in a thousand."""
    if value is None:
        return UNDEFINED
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _probes(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.probe_frame import probes_table

    return probes_table(results.mechanism.probes, results.statistics)


def _lens(results: "Results") -> pl.DataFrame:
    from cascade_equivalence.report.mechanism_frames import lens_table

    return lens_table(results.mechanism.lens, results.statistics)


PROBES_TABLE = Table(
    name="probes",
    section="probes",
    schema=PROBES,
    build=_probes,
    display=lambda tables, confidence: probes(tables.probes, confidence),
    planned=lambda study: bool(study.mechanism_files["probes"]),
)
LENS_TABLE = Table(
    name="lens",
    section="lens",
    schema=LENS,
    build=_lens,
    display=lambda tables, confidence: lens(tables.lens, confidence),
    planned=lambda study: bool(study.mechanism_files["lens"]),
)
