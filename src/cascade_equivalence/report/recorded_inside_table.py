"""Recorded against synthetic speech of the same words inside the models: what the lens shows, and what probes read."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.spoken import clean_voices, recorded_voices
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import files_about
from cascade_equivalence.report.columns import Schema, estimate_schema
from cascade_equivalence.report.display import MINUS, UNDEFINED, Display, ends
from cascade_equivalence.report.mechanism_names import CTC, PROBE_TITLES, Layer, ranks
from cascade_equivalence.report.table import Table

if TYPE_CHECKING:
    from cascade_equivalence.report.results import Results
    from cascade_equivalence.report.shown import PlannedStudy
    from cascade_equivalence.stats.clusters import Clusters
    from cascade_equivalence.stats.statistic import Statistic

LENS = "lens"
MEASURES = {LENS: "Lens, precision above chance"} | {
    name: f"{title}, {f'1 {MINUS} CER' if name == CTC else 'R²'}" for name, title in PROBE_TITLES.items()
}
PARTS = ("value", "other_value", "difference")
SCHEMA: Schema = {
    "model": pl.String,
    "layer": pl.Int64,
    "measure": pl.String,
    "voice": pl.String,
    "other_voice": pl.String,
    "recorded": pl.Boolean,
    "texts": pl.Int64,
    **{name: dtype for each in PARTS for name, dtype in estimate_schema(each).items()},
    "reason": pl.String,
}
"""Model x layer x measure x two voices, on the texts that both speak. ``lens``: precision minus that of pairings with
other texts; of probes what they explain of their test utterances. ``recorded``: whether ``voice`` is recorded; where
it is not, both are synthetic, and the difference is what voices alone make. ``difference``: ``voice`` minus
``other_voice``, with an interval on the same texts."""
NOTHING = "there is nothing to tell in these texts"
NO_WORD = "of no text is a word shown in both voices"


def frame(lens: Iterable[Path], probes: Iterable[Path], recorded: Iterable[str], confidence: float) -> pl.DataFrame:
    """One row a model, layer, measure and two voices, of which the first is recorded or both are synthetic.

    Args:
        lens: What ``mechanism.lens_node`` wrote, of a model and layer each.
        probes: What ``mechanism.probes`` wrote, of a model and layer each; untrained ones are left out.
        recorded: Voices whose clips are recordings.
        confidence: Level of the intervals, which count whole texts.

    Raises:
        StudyError: A file is damaged, or lacks what single utterances gave.
    """
    from cascade_equivalence.report.mechanism_frames import by_model

    known = list(recorded)
    rows = []
    for place, measure, told in (*_lens(lens), *_probes(probes)):
        about = {"model": place.model, "layer": place.layer, "measure": measure}
        rows += [about | row for row in _compared(measure, told, known, confidence)]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    places = pl.col("measure").replace_strict(ranks(MEASURES), return_dtype=pl.Int64)
    return by_model(table, "layer", places, ~pl.col("recorded"), "voice", "other_voice")


def _lens(files: Iterable[Path]) -> Iterator[tuple[Layer, str, pl.DataFrame]]:
    """Of each utterance the precision above chance (``top``; null where no word is shown), and 1 (``bottom``)."""
    for of, path in files_about(files, ("model", "layer")).items():
        shown = pl.read_parquet(path)
        if missing := {"said", "voice"} - {*shown.columns}:
            raise _older(path, min(missing))
        above = (pl.col("precision") - pl.col("chance_precision")).alias("top")
        yield Layer(*of), LENS, shown.select("said", "voice", above, bottom=pl.lit(1.0))


def _probes(files: Iterable[Path]) -> Iterator[tuple[Layer, str, pl.DataFrame]]:
    """Of each test utterance what is missed (``top``) of what there is (``bottom``), of probes that found something."""
    from cascade_equivalence.report.mechanism_frames import read_json

    for of, path in files_about(files, Layer._fields).items():
        place, found = Layer(*of), read_json(path)
        for name in () if place.untrained else PROBE_TITLES:
            try:
                told = found[name]["by_utterance"]
            except KeyError as error:
                raise _older(path, str(error)) from error
            if told is not None:
                yield place, name, pl.DataFrame(told).rename({"missed": "top", "there": "bottom"})


def _older(path: Path, missing: str) -> StudyError:
    return StudyError(f"{path} lacks {missing}: another version of this project made it; run again")


def _compared(measure: str, told: pl.DataFrame, recorded: list[str], confidence: float) -> Iterator[dict[str, Any]]:
    """One row two voices that speak the same texts, recorded ones first."""
    from cascade_equivalence.report.mechanism_frames import estimate_values, reasons
    from cascade_equivalence.stats.statistic import estimate

    spoken = sorted(told["voice"].unique(), key=lambda voice: (voice not in recorded, voice))
    for voice, other in combinations(spoken, 2):
        if other in recorded:
            continue
        sides = [told.filter(voice=name) for name in (voice, other)]
        if not _shared(sides):
            continue
        row: dict[str, Any] = {"voice": voice, "other_voice": other, "recorded": voice in recorded}
        sides = [side.drop_nulls("top") for side in sides]
        if not (both := _shared(sides)):
            yield row | {"texts": 0, "reason": NO_WORD}
            continue
        sides = [side.filter(pl.col("said").is_in(list(both))) for side in sides]
        statistics = dict(zip(PARTS, _statistics(measure, sides, len(both)), strict=True))
        found = estimate(statistics, len(both), confidence)
        row |= {"texts": len(both), "reason": reasons(found)}
        for name, each in found.items():
            row |= estimate_values(name, each)
        yield row


def _shared(sides: "list[pl.DataFrame]") -> set[int]:
    """The texts that both voices speak."""
    return set(sides[0]["said"]) & set(sides[1]["said"])


def _statistics(measure: str, sides: "list[pl.DataFrame]", texts: int) -> "tuple[Statistic, Statistic, Statistic]":
    """What each of two voices gives, and the one minus the other; both speak the same texts."""
    from cascade_equivalence.stats.explained import Explained
    from cascade_equivalence.stats.jackknife import smooth
    from cascade_equivalence.stats.mean import numbers, ratio

    parts = [(_texts(side), numbers(side["top"]), numbers(side["bottom"])) for side in sides]
    if measure == LENS:
        one, two = (ratio(*part, NOTHING) for part in parts)
        return one, two, smooth(lambda weights: one.of(weights) - two.of(weights), texts, NOTHING, rests_on=texts)
    names = [[f"{number:09}" for number in side["said"]] for side in sides]
    first, second = (
        Explained.of_rows(own, *part[1:], floored=measure == CTC) for own, part in zip(names, parts, strict=True)
    )
    return first.statistic(NOTHING), second.statistic(NOTHING), first.minus(second, NOTHING)


def _texts(side: pl.DataFrame) -> "Clusters":
    from cascade_equivalence.stats.clusters import Clusters

    return Clusters.of([f"{number:09}" for number in side["said"]])


def display(table: pl.DataFrame, confidence: float) -> Display:
    """One row a model, layer, measure and two voices."""
    rows = [
        [
            row["model"],
            str(row["layer"]),
            MEASURES[row["measure"]],
            f"{row['voice']} / {row['other_voice']}",
            "recorded / synthetic" if row["recorded"] else "both synthetic",
            *(UNDEFINED if row[name] is None else ends(row, name) for name in PARTS[:2]),
            UNDEFINED if row["difference"] is None else ends(row, "difference", signed=True),
            f"{row['texts']:,}",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Display(
        name="recorded_inside",
        title="Recorded and synthetic speech of the same words, inside the models",
        columns=[
            *("Model", "Layer", "Measure", "Voices", "Which are", f"First [{confidence:.0%}]", "Second"),
            *("First minus second", "Texts"),
        ],
        rows=rows,
        remarks=[
            "Two voices on the texts that both speak. Lens: the share of tokens shown that were spoken, minus the same "
            "against other texts, which are the same others for both voices; texts of which it shows no word at all "
            "in one of the two are left out. Probes are taught by utterances of all voices together, of other texts, "
            "and judged on each voice alone.",
            "What is said is one for both voices, and so is what BoC and CTC could tell. Energy and pitch are each "
            "voice's own, taken from its mean: a voice that hardly varies leaves little to explain, so that R² of "
            "two voices differ for that alone.",
            "Both synthetic: how far voices differ that no person spoke. A recorded one that differs no more from them "
            "is one voice among others. The differences count whole texts (jackknife), and are not adjusted for how "
            "many there are.",
            *_reasons(table),
        ],
        text_columns=5,
    )


def _reasons(table: pl.DataFrame) -> list[str]:
    """Why numbers are missing, each reason once."""
    found: dict[str, list[str]] = {}
    for row in table.drop_nulls("reason").iter_rows(named=True):
        place = (
            f"{row['model']}, {MEASURES[row['measure']]}, layer {row['layer']} ({row['voice']}, {row['other_voice']})"
        )
        found.setdefault(row["reason"], []).append(place)
    return [f"{'; '.join(places)}: {reason}." for reason, places in found.items()]


def _build(results: "Results") -> pl.DataFrame:
    recorded, inside = results.outline.recorded, results.mechanism
    if not recorded:
        return pl.DataFrame(schema=SCHEMA)
    return frame(inside.lens, inside.probes, recorded, results.statistics.confidence)


def _planned(study: "PlannedStudy") -> bool:
    """Where opened models hear the same texts in voices of both kinds."""
    opened = study.config.mechanism
    if opened is None or not opened.states.every_voice:
        return False
    recorded = set(recorded_voices(study.config))
    heard = [set(opened.states.voices or clean_voices(study.config, task)) for task in opened.states.tasks]
    return any(voices & recorded and voices - recorded for voices in heard)


TABLE = Table(
    name="recorded_inside",
    section="natural",
    schema=SCHEMA,
    build=_build,
    display=lambda tables, confidence: display(tables.recorded_inside, confidence),
    planned=_planned,
)
