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

from cascade_equivalence.atomic import write_text
from cascade_equivalence.config.mechanism import ConceptName, ErasureConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import concepts
from cascade_equivalence.mechanism.characters import Alphabet, character_errors
from cascade_equivalence.mechanism.controls import matching_window, principal_eraser, random_eraser
from cascade_equivalence.mechanism.ctc import CtcProbe, read_ctc_probe
from cascade_equivalence.mechanism.eraser_files import read_erasers, write_erasers
from cascade_equivalence.mechanism.leace import Eraser, Spectrum, Whitening, fit, linear_r2, removed_variance
from cascade_equivalence.mechanism.moments import Cross, LayerMoments, class_moments, cross_moments, read_moments
from cascade_equivalence.mechanism.states import States, frame_owner, read_index
from cascade_equivalence.mechanism.utterances import TEST
from cascade_equivalence.progress import progress

LINEAR, AFFINE = "linear", "affine"
CONTROLS = ("random", "principal")
"""Concepts without labels: their erasers are draws, and their probes read the proxy."""
TESTED = 3
"""Draws of a control that probes and text decodability are averaged over."""


@dataclass(frozen=True)
class LayerFiles:
    """What a layer's erasers are made of.

    Attributes:
        states: Its states.
        moments: Its moments.
        ctc: Its CTC probe.
        proxy: Its erasers of the proxy, whose rank and removed variance controls have; None for other concepts.
    """

    states: Path
    moments: Path
    ctc: Path
    proxy: Path | None = None


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


@dataclass(frozen=True)
class _Labelled:
    """A concept's cross-moments, and what the summary says of it."""

    cross: Cross
    names: Sequence[str]
    about: dict[str, Any]


def fit_concept(
    concept: ConceptName,
    layers: Mapping[int, LayerFiles],
    utterances_path: Path,
    index_path: Path,
    config: ErasureConfig,
    folder: Path,
) -> None:
    """Fit a concept's erasers at each layer; write ``layer{layer}.safetensors`` and ``summary.json``.

    The summary says of each layer: ``rank`` and ``columns`` of the concept, ``singular_values`` kept and the
    ``largest_dropped``, ``rows`` fitted on, ``pooling``, ``shrinkage``, ``tolerance``, ``removed_variance`` (share of
    the total variance), ``probe_before`` and ``probe_after`` (R2 of a least-squares probe for the concept fitted anew
    on these rows, see ``leace.linear_r2``), ``text_decodability`` of the layer's CTC probe on the test utterances
    before and after the map without a bias, and a ``reason`` where there is nothing to erase. A control's probes read
    the proxy; its removed variance is the mean over draws, its probes and decodability that over the first three.
    ``names`` are those of the concept's columns.

    Args:
        concept: What to erase.
        layers: Files by layer.
        utterances_path: The utterances table.
        index_path: The states' index.
        config: The settings.
        folder: Where the files go.

    Raises:
        StudyError: A file is missing, damaged, or does not fit the others.
    """
    utterances = pl.read_parquet(utterances_path)
    found: dict[str, dict[str, Any]] = {}
    names: Sequence[str] = ()
    with progress(f"erasers of {concept}", len(layers)) as advance:
        for number, files in sorted(layers.items()):
            layer = _open(number, files, concept, utterances, index_path, config)
            labelled = _labelled("proxy" if concept in CONTROLS else concept, layer)
            erasers, tested, about = _controls(concept, layer) if concept in CONTROLS else _fitted(layer, labelled)
            write_erasers(folder / f"layer{number}.safetensors", erasers, {"concept": concept, "layer": str(number)})
            found[str(number)] = about | labelled.about | _checks(layer, labelled.cross, tested)
            names = labelled.names
            advance()
    write_text(
        folder / "summary.json",
        json.dumps({"concept": concept, "names": list(names), "layers": found}, indent=2, ensure_ascii=False) + "\n",
    )


def _open(
    number: int,
    files: LayerFiles,
    concept: str,
    utterances: pl.DataFrame,
    index_path: Path,
    config: ErasureConfig,
) -> _Layer:
    states, moments = States(files.states), read_moments(files.moments)
    index = read_index(index_path, states)
    if states.width != moments.means.shape[1] or moments.rows.max() >= utterances.height:
        raise StudyError(f"{files.moments} is not of {files.states}: remove it and run again")
    if config.pooling == "utterance" and concept != "ctc":
        pooled = moments.utterance
        spectrum = Spectrum.of(pooled.covariance, pooled.count)
        rows = _Rows(moments.means, torch.ones_like(moments.frames), pooled.mean, spectrum)
    else:
        sums = moments.means * moments.frames[:, None]
        rows = _Rows(sums, moments.frames, moments.frame.mean, moments.spectrum)
    return _Layer(number, files, config, index, utterances, states, moments, read_ctc_probe(files.ctc), rows)


def _labelled(concept: ConceptName, layer: _Layer) -> _Labelled:
    """Cross-moments of the train split's states with a concept."""
    if concept == "ctc":
        return _frame_labels(layer)
    counts = layer.rows.counts
    table = layer.utterances[layer.moments.rows]
    columns = concepts.utterance_columns(concept, table, layer.config, layer.probe.alphabet, counts.double().numpy())
    about: dict[str, Any] = {"columns": len(columns.names)}
    if concept in ("proxy", "permuted"):
        about["classes"] = len(columns.names)
    if columns.reason:
        about["reason"] = columns.reason
    cross = cross_moments(layer.rows.sums, counts, torch.from_numpy(columns.values))
    return _Labelled(cross, columns.names, about)


def _frame_labels(layer: _Layer) -> _Labelled:
    """Cross-moments with what the CTC probe reads at each frame; each of a frame's outputs has its own columns."""
    probe = layer.probe
    kept = np.isin(layer.index["utterance"].to_numpy(), layer.moments.rows)[frame_owner(layer.index)]
    names = [*probe.alphabet, "<blank>"]
    cross = class_moments(
        layer.states, kept, lambda _, part: probe.logits(part).argmax(1).reshape(len(part), -1), len(names)
    )
    shares = (cross.counts.reshape(-1, len(names)).sum(0) / cross.counts.sum()).numpy()
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    columns = len(cross.variance)
    about: dict[str, Any] = {"columns": columns, "label_entropy": abs(entropy)}
    if (shares > 0).sum() == 1:
        about["reason"] = "the CTC probe reads the same at every frame"
    return _Labelled(cross, names * (columns // len(names)), about)


def _fitted(layer: _Layer, labelled: _Labelled) -> tuple[dict[str, Eraser], list[Eraser], dict[str, Any]]:
    """The concept's LEACE erasers, those to test, and what the summary says of them."""
    config = layer.config
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
    if not linear.rank:
        about["reason"] = "no direction of the states goes with the concept by more than the tolerance"
    return variants, [linear], about


def _controls(concept: str, layer: _Layer) -> tuple[dict[str, Eraser], list[Eraser], dict[str, Any]]:
    """Random erasers of the proxy eraser's rank, those to test, and what the summary says of them."""
    if layer.files.proxy is None:
        raise StudyError(f"{concept} erases as much as the proxy's eraser: put proxy among the concepts, too")
    model = next(iter(read_erasers(layer.files.proxy).values()))
    spectrum, width, seed = layer.rows.spectrum, layer.states.width, layer.config.seed
    about: dict[str, Any] = {"rank": model.rank}
    draws = range(layer.config.seeds)
    if concept == "random":
        made = [random_eraser(width, model.rank, seed, layer.number, draw) for draw in draws]
    else:
        target = removed_variance(spectrum, model)
        window = matching_window(spectrum, model.rank, target)
        made = [principal_eraser(spectrum, window, model.rank, seed, layer.number, draw) for draw in draws]
        about |= {"target": target, "expected": window.expected, "components": [window.first, window.last]}
    removed = [removed_variance(spectrum, eraser) for eraser in made]
    about |= {"removed_variance": fmean(removed), "removed_variances": removed}
    if not model.rank:
        about["reason"] = "the proxy's eraser, whose rank it has, removes nothing"
    return {f"seed{draw}": eraser for draw, eraser in enumerate(made)}, made[:TESTED], about


def _checks(layer: _Layer, cross: Cross, erasers: Sequence[Eraser]) -> dict[str, Any]:
    """Guardedness and what is left of the text, averaged over some erasers."""
    sample = Whitening.of_spectrum(layer.rows.spectrum, shrinkage=False)
    before, *after = (linear_r2(sample, cross.covariance, cross.variance, eraser) for eraser in (None, *erasers))
    return {
        "rows": layer.rows.spectrum.count,
        "pooling": "frame" if layer.rows.spectrum is layer.moments.spectrum else "utterance",
        "probe_before": before,
        "probe_after": None if before is None else fmean(value for value in after if value is not None),
        "text_decodability": _text_decodability(layer, erasers),
    }


def _text_decodability(layer: _Layer, erasers: Sequence[Eraser]) -> dict[str, float | None]:
    """How well the layer's CTC probe, as it was trained, spells the test utterances: max(0, 1 - corpus-level CER).

    Not a probe trained anew: it shows whether what is erased overlaps with what this probe reads.
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
    if not characters:
        return {"before": None, "after": None}
    before, *after = (max(0.0, 1 - count / characters) for count in errors)
    return {"before": before, "after": fmean(after)}
