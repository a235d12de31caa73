"""Erasers of one concept at every watched layer, each fitted on the unchanged model's states (paper section 3.4)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from cascade_equivalence.config.mechanism import AFFINE, LINEAR, ControlName, ErasureConfig
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.identity import OF
from cascade_equivalence.mechanism.characters import Alphabet, character_errors
from cascade_equivalence.mechanism.concept import Concept, Pooled
from cascade_equivalence.mechanism.controls import Drawn, draw_control
from cascade_equivalence.mechanism.ctc import CtcProbe, read_ctc_probe
from cascade_equivalence.mechanism.eraser_files import write_erasers
from cascade_equivalence.mechanism.frame_labels import ProbedFrames
from cascade_equivalence.mechanism.held_out import held_out_r2
from cascade_equivalence.mechanism.leace import Eraser, Spectrum, Whitening, fit, linear_r2, removed_variance, spanning
from cascade_equivalence.mechanism.mean_files import read_means
from cascade_equivalence.mechanism.moments import Cross, LayerMoments, cross_moments, read_moments
from cascade_equivalence.mechanism.states import States, read_index
from cascade_equivalence.mechanism.utterances import TEST
from cascade_equivalence.progress import progress

TESTED = 3
"""Draws of a control that probes and text decodability are averaged over."""


@dataclass(frozen=True)
class LayerFiles:
    """What a layer's erasers are made of.

    Attributes:
        states: Its states.
        moments: Its moments.
        ctc: Its CTC probe.
    """

    states: Path
    moments: Path
    ctc: Path


@dataclass(frozen=True)
class _Rows:
    """The rows that erasers are fitted on, grouped by utterance: sums (utterances, d), counts, mean and spectrum."""

    sums: Tensor
    counts: Tensor
    mean: Tensor
    spectrum: Spectrum


@dataclass(frozen=True)
class _Layer:
    """One layer, opened."""

    number: int
    files: LayerFiles
    config: ErasureConfig
    index: pl.DataFrame
    utterances: pl.DataFrame
    states: States
    moments: LayerMoments
    probe: CtcProbe
    rows: _Rows
    read: np.ndarray | None


@dataclass(frozen=True)
class _Labelled:
    """A concept's cross-moments, and what the summary says of it."""

    cross: Cross
    names: Sequence[str]
    values: np.ndarray  # of the concept, of labels of frames their shares, (utterances, columns)
    about: dict[str, Any]


def fit_concept(
    model: str,
    concept: str,
    layers: Mapping[int, LayerFiles],
    utterances_path: Path,
    index_path: Path,
    config: ErasureConfig,
    folder: Path,
    read: Path | None = None,
) -> None:
    """Fit a concept's erasers at each layer and draw its controls.

    Written are ``layer{layer}.safetensors`` and ``summary.json``. The former holds ``linear`` and ``affine`` and, of a
    concept that has controls, draws of its rank: ``random0`` and so on, ``principal0`` and so on.

    The summary says of each layer: ``rank`` and ``columns`` of the concept, ``singular_values`` kept and the
    ``largest_dropped``, ``rows`` fitted on, ``pooling``, ``shrinkage``, ``tolerance``, ``removed_variance`` (share of
    the total variance), ``probe_before`` and ``probe_after`` (R2 of a least-squares probe for the concept fitted anew
    on these rows and judged on them, see ``leace.linear_r2``: 0 after erasing is what LEACE promises, but before it is
    high for any labels), ``held_out_before`` and ``held_out_after`` (R2 of a ridge probe of mean states, of utterances
    that it was not fitted on, see ``held_out``), ``text_decodability`` of the layer's CTC probe on the test utterances
    before and after the map without a bias, a ``reason`` where there is nothing to erase, of labels of frames what they
    are, and ``controls``: of each its ``removed_variance`` (mean over draws; ``removed_variances``: each draw's),
    ``probe_after`` and ``text_decodability`` (means over the first three), of ``principal`` also the ``target`` and
    what was ``expected`` of its ``components``. ``names`` are those of the concept's columns.

    Args:
        model: The model.
        concept: What to erase.
        layers: Files by layer.
        utterances_path: The utterances table.
        index_path: The states' index.
        config: The settings.
        folder: Where the files go.
        read: Mean states of the utterances where they are read, for a concept that takes them.

    Raises:
        StudyError: There is no such concept, its columns do not fit the utterances, or a file is missing, damaged, or
            does not fit the others.
    """
    erased = CONCEPTS.find(concept)
    utterances = pl.read_parquet(utterances_path)
    found: dict[str, dict[str, Any]] = {}
    names: Sequence[str] = ()
    with progress(f"erasers of {concept}", len(layers)) as advance:
        for number, files in sorted(layers.items()):
            layer = _open(number, files, erased, utterances, index_path, config, read)
            labelled = _labelled(erased, layer)
            linear, erasers, about = _fitted(layer, labelled, erased)
            kinds = config.controls if erased.matched else []
            drawn = {
                kind: draw_control(kind, linear, layer.rows.spectrum, erased.draws(config), config.seed, number)
                for kind in kinds
            }
            erasers |= {
                f"{kind}{place}": eraser for kind, each in drawn.items() for place, eraser in enumerate(each.erasers)
            }
            write_erasers(folder / f"layer{number}.safetensors", erasers, {"concept": concept, "layer": str(number)})
            found[str(number)] = about | labelled.about | _checks(layer, labelled.cross, linear, drawn)
            found[str(number)] |= _held_out(layer, labelled.values, linear)
            names = labelled.names
            advance()
    summary = {OF: {"model": model, "concept": concept}, "names": list(names), "layers": found}
    write_text(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def _open(
    number: int,
    files: LayerFiles,
    concept: Concept,
    utterances: pl.DataFrame,
    index_path: Path,
    config: ErasureConfig,
    read: Path | None,
) -> _Layer:
    states, moments = States(files.states), read_moments(files.moments)
    index = read_index(index_path, states)
    if states.width != moments.means.shape[1] or moments.rows.max() >= utterances.height:
        raise StudyError(f"{files.moments} is not of {files.states}: remove it and run again")
    if config.pooling == "utterance" and concept.labels is None:
        pooled = moments.utterance
        spectrum = Spectrum.of(pooled.covariance, pooled.count)
        rows = _Rows(moments.means, torch.ones_like(moments.frames), pooled.mean, spectrum)
    else:
        sums = moments.means * moments.frames[:, None]
        rows = _Rows(sums, moments.frames, moments.frame.mean, moments.spectrum)
    means = None if read is None else read_means(read, number)[moments.rows]
    return _Layer(number, files, config, index, utterances, states, moments, read_ctc_probe(files.ctc), rows, means)


def _labelled(concept: Concept, layer: _Layer) -> _Labelled:
    """Cross-moments of the train split's states with a concept."""
    if concept.labels is not None:
        found = concept.labels(ProbedFrames(layer.states, layer.index, layer.moments.rows, layer.probe), layer.config)
        return _Labelled(found.cross, found.names, found.values, _about(found.names, found.about, found.reason))
    assert concept.columns is not None
    counts = layer.rows.counts
    table = layer.utterances[layer.moments.rows]
    columns = concept.columns(table, layer.config, layer.probe.alphabet, counts.double().numpy())
    if columns.values.shape != (table.height, len(columns.names)) or not np.isfinite(columns.values).all():
        raise StudyError(
            f"The concept {concept.name!r} must give a finite number for each of {table.height} utterances and each of "
            f"its {len(columns.names)} names; it gave an array of the shape {columns.values.shape}"
        )
    cross = cross_moments(layer.rows.sums, counts, torch.from_numpy(columns.values))
    classes = {"classes": len(columns.names)} if columns.classes else {}
    return _Labelled(cross, columns.names, columns.values, _about(columns.names, classes, columns.reason))


def _about(names: Sequence[str], more: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    return {"columns": len(names)} | dict(more) | ({"reason": reason} if reason else {})


def _held_out(layer: _Layer, values: np.ndarray, linear: Eraser) -> dict[str, float | None]:
    """What a probe reads of utterances that it was not fitted on, before and after erasing."""
    table = layer.utterances[layer.moments.rows]
    items = [f"{task}/{name}" for task, name in table.select("task", "id").iter_rows()]
    means = layer.moments.means
    states = {"before": means, "after": linear(means)}
    return {
        f"held_out_{when}": held_out_r2(each.double().numpy(), values, items, layer.config.seed)
        for when, each in states.items()
    }


def _fitted(layer: _Layer, labelled: _Labelled, concept: Concept) -> tuple[Eraser, dict[str, Eraser], dict[str, Any]]:
    """The concept's eraser without a bias, its variants, and what the summary says of them."""
    config = layer.config
    if concept.deviations is not None:
        heard = layer.moments.means.double()
        apart = concept.deviations(
            Pooled(heard.numpy(), layer.rows.counts.double().numpy(), layer.read), labelled.values
        )
        found = spanning(torch.from_numpy(np.ascontiguousarray(apart, dtype=np.float64)), config.variance_share)
    else:
        whitening = Whitening.of_spectrum(layer.rows.spectrum, config.shrinkage)
        found = fit(whitening, labelled.cross.covariance, config.tolerance)
    linear, singular = found.eraser, found.singular.tolist()
    variants = {
        (AFFINE if affine else LINEAR): Eraser(linear.left, linear.right, layer.rows.mean if affine else None)
        for affine in config.affine
    }
    about = {
        "rank": linear.rank,
        "singular_values": singular[: linear.rank],
        "largest_dropped": max(singular[linear.rank :], default=None),
        "shrinkage": config.shrinkage,
        "tolerance": config.tolerance,
        "removed_variance": removed_variance(layer.rows.spectrum, linear),
    }
    if concept.deviations is not None:
        about |= {"shrinkage": None, "tolerance": None}
    if not linear.rank:
        tolerated = "no direction of the states goes with the concept by more than the tolerance"
        about["reason"] = tolerated if concept.deviations is None else "there is no variance that is the concept's"
    return linear, variants, about


def _checks(layer: _Layer, cross: Cross, linear: Eraser, drawn: Mapping[ControlName, Drawn]) -> dict[str, Any]:
    """Guardedness and what is left of the text, under the concept's eraser and under its controls."""
    sample = Whitening.of_spectrum(layer.rows.spectrum, shrinkage=False)
    tested = {kind: each.erasers[:TESTED] for kind, each in drawn.items()}
    maps = [linear, *(eraser for each in tested.values() for eraser in each)]
    before, *after = (linear_r2(sample, cross.covariance, cross.variance, eraser) for eraser in (None, *maps))
    text_before, *text_after = _text_decodability(layer, maps)
    left, texts = iter(after), iter(text_after)
    found: dict[str, Any] = {
        "rows": layer.rows.spectrum.count,
        "pooling": "frame" if layer.rows.spectrum is layer.moments.spectrum else "utterance",
        "probe_before": before,
        "probe_after": next(left),
        "text_decodability": {"before": text_before, "after": next(texts)},
    }
    controls: dict[str, dict[str, Any]] = {}
    for kind, each in drawn.items():
        controls[kind] = {"removed_variance": fmean(each.removed), "removed_variances": each.removed}
        if each.window:
            components = [each.window.first, each.window.last]
            controls[kind] |= {"target": each.target, "expected": each.window.expected, "components": components}
        controls[kind] |= {
            "probe_after": _mean([next(left) for _ in tested[kind]]),
            "text_decodability": {"before": text_before, "after": _mean([next(texts) for _ in tested[kind]])},
        }
    return found | ({"controls": controls} if controls else {})


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _text_decodability(layer: _Layer, erasers: Sequence[Eraser]) -> list[float | None]:
    """How well the layer's CTC probe, as it was trained, spells the test utterances: max(0, 1 - corpus-level CER).

    Not a probe trained anew: it shows whether what is erased overlaps with what this probe reads.

    Returns:
        With nothing erased, then under each eraser; None where there is no character to spell.
    """
    alphabet = Alphabet(layer.probe.alphabet)
    maps = [None, *(eraser.to("cpu") for eraser in erasers)]
    characters, errors = 0, [0] * len(maps)
    for utterance, start, frames in layer.index.select("utterance", "start", "frames").iter_rows():
        if layer.utterances["split"][utterance] != TEST:
            continue
        said = alphabet.clean(layer.utterances["text"][utterance])
        states = layer.states.part(start, start + frames).float()
        characters += len(said)
        for place, eraser in enumerate(maps):
            read = layer.probe.decode(eraser(states) if eraser else states)
            errors[place] += character_errors(said, read)[1]
    return [max(0.0, 1 - count / characters) if characters else None for count in errors]
