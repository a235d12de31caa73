"""Made-up files on the inside of opened models, with known truths, for the tests of the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from report_study import IMPLICIT_OUTLINE, LABELS, PLANTED, STATISTICS, Study, answers_of, save, write_comparisons

from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.report.erasure_frame import erasure_tables
from cascade_equivalence.report.finding import Claim, Finding
from cascade_equivalence.report.mechanism_frames import erasers_table, lens_table
from cascade_equivalence.report.mechanism_names import MechanismFiles
from cascade_equivalence.report.naming import Outline
from cascade_equivalence.report.probe_frame import probes_table
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict_mechanism import findings

SPEAKERS, EARS = ("talker-llm", "mumbler-llm"), ("base",)
TASKS = ("ag_news", "sst2", "trivia_qa")
UTTERANCES, ITEMS = 50, 80
RANKS = {"proxy": 40, "ctc": 30, "boc": 28, "acoustic": 2, "permuted": 40}
CONTROLS = ("random", "principal")
MATCHED = tuple(name for name, concept in CONCEPTS.items() if concept.matched and concept.kind != "subspace")
SURVIVAL = {
    ("proxy", "linear", "audio"): 0.05,
    ("proxy", "affine", "audio"): 0.1,
    ("ctc", "linear", "audio"): 0.3,
    ("ctc", "affine", "audio"): 0.99,
    ("boc", "linear", "audio"): 0.2,
    ("boc", "affine", "audio"): 0.5,
    ("boc", "linear", "text"): 0.2,
    ("acoustic", "linear", "audio"): 1.0,
    ("acoustic", "affine", "audio"): 1.0,
    ("permuted", "linear", "audio"): 0.9,
    ("permuted", "affine", "audio"): 0.97,
    **{(concept, "random", "audio"): 0.93 for concept in MATCHED},
    **{(concept, "principal", "audio"): 0.85 for concept in MATCHED},
}
"""Share of items on which a condition leaves the answer as it was; elsewhere all of them."""


@dataclass(frozen=True)
class World:
    """What is true of the made-up models.

    Attributes:
        layers: Layers that are looked at.
        draws: Draws of each control of each concept.
        controls: Which controls are drawn.
        survival: Changes to ``SURVIVAL``.
        probes: R2 or decodability at the first and the last layer, by probe; of untrained blocks as ``untrained``.
        lens: Precision at the first and the last layer, and by chance.
        text_loss: Decodability that acoustic erasure takes from the text at the last layer.
        broken: Share of the lost answers that cannot be parsed.
        forced_follows: Whether the forced choice loses what the free answer loses.
        clips: Items of a task.
    """

    layers: Sequence[int] = (0, 4, 8)
    draws: int = 20
    controls: Sequence[str] = CONTROLS
    survival: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    probes: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "energy": (0.92, 0.85),
            "pitch": (0.6, 0.4),
            "boc": (0.07, 0.15),
            "ctc": (0.05, 0.3),
            "untrained": (0.03, 0.02),
        }
    )
    lens: tuple[float, float, float] = (0.0, 0.35, 0.03)
    text_loss: float = 0.01
    broken: float = 0.4
    forced_follows: bool = True
    clips: int = ITEMS

    def at(self, ends: tuple[float, float], layer: int) -> float:
        """A value between the first and the last layer."""
        first, last = min(self.layers), max(self.layers)
        share = (layer - first) / (last - first) if last > first else 1.0
        return ends[0] + share * (ends[1] - ends[0])


def write_mechanism(
    root: Path, world: World | None = None, tasks: Sequence[str] = TASKS, speakers: Sequence[str] = SPEAKERS
) -> MechanismFiles:
    """Write every file."""
    world = world or World()
    opened = [f"{model}{twin}" for model in (*speakers, *EARS) for twin in ("", "@untrained")]
    return MechanismFiles(
        probes=[write_probes(root, name, layer, world) for name in opened for layer in world.layers],
        lens=[write_lens(root, model, layer, world) for model in speakers for layer in world.layers],
        erasers=[write_summary(root, model, concept, world) for model in speakers for concept in RANKS],
        erasure=[
            write_erasure(root, model, concept, task, world)
            for model in speakers
            for concept in ("none", *RANKS)
            for task in tasks
        ],
    )


def write_behaviour(root: Path, outline: Outline = IMPLICIT_OUTLINE) -> Study:
    """Write answers and comparisons on clean speech, which the implicit cascades are part of."""
    study = Study([], [], [], [], root, outline)
    for task in LABELS:
        frames = {system: answers_of(system, task, "clean") for system in outline.systems}
        for system, frame in frames.items():
            study.answers.append(save(frame, root / "answers" / system / task / "clean.parquet"))
        write_comparisons(study, frames, task, "clean")
    return study


def write_probes(root: Path, opened: str, layer: int, world: World) -> Path:
    """Write what probes find in a layer."""
    untrained = opened.endswith("@untrained")
    found: dict[str, Any] = {
        "of": {"model": opened.removesuffix("@untrained"), "untrained": untrained, "layer": layer},
        "width": 64,
        "utterances": {"train": 200, "test": UTTERANCES},
        "frames": 900,
    }
    for probe in ("energy", "pitch", "boc", "ctc"):
        value = world.at(world.probes["untrained" if untrained else probe], layer)
        if probe == "energy" and untrained:
            value = 0.8
        found[probe] = {"shuffled": [-0.02, 0.0, 0.01], "by_item": by_item(value, [*map(ord, opened + probe), layer])}
        if probe == "ctc":
            found[probe] |= {"decodability": value, "cer": 1 - value, "shuffled": 0.01, "prior": 0.02}
            found[probe] |= {"feasible_share": 0.97, "epochs": 9, "label_entropy": 1.1, "blank_share": 0.8}
            found[probe] |= {"alphabet": " abc", "upsample": 1}
        else:
            found[probe] |= {"r2": value, "r2_uniform": value, "penalty": 10.0, "selectivity": value, "train": 200}
            found[probe] |= {"test": UTTERANCES, "left_out": 0, "reason": None, "voice_value": 0.5}
    return _write_json(root / f"probes/{opened}/layer{layer}.json", found)


def by_item(value: float, seed: Sequence[int]) -> dict[str, Any]:
    """What is missed of each test item where a probe explains so much; the interval reaches about 0.04 to each side."""
    lot = np.random.default_rng(seed).normal(size=UTTERANCES)
    missed = 1 - value + 0.14 * (lot - lot.mean()) / lot.std()
    names = [f"sst2/{place:03}" for place in range(UTTERANCES)]
    return {"items": names, "missed": missed.tolist(), "there": [1.0] * UTTERANCES}


def write_lens(root: Path, model: str, layer: int, world: World) -> Path:
    """Write what the lens shows of a layer."""
    generator = np.random.default_rng([layer, *map(ord, model)])
    centre = world.at(world.lens[:2], layer)
    spread = generator.normal(0, 0.05, (2, UTTERANCES))
    kept = generator.integers(0, 9, UTTERANCES)
    precision = [
        float(np.clip(centre + each, 0, 1)) if count else None for each, count in zip(spread[0], kept, strict=True)
    ]
    table = pl.DataFrame(
        {
            "utterance": np.arange(UTTERANCES),
            "said": np.arange(UTTERANCES),
            "tokens": [["a"] * count for count in kept],
            "text": [PLANTED] * UTTERANCES,
            "precision": precision,
            "recall": np.clip(centre / 2 + spread[1], 0, 1),
            "chance_precision": np.clip(world.lens[2] + spread[1] / 10, 0, 1),
            "chance_recall": np.clip(world.lens[2] + spread[0] / 10, 0, 1),
            "kept": kept,
        }
    )
    return save(table, root / f"lens/{model}/layer{layer}.parquet", {"model": model, "layer": layer})


def write_summary(root: Path, model: str, concept: str, world: World) -> Path:
    """Write the summary of a concept's erasers."""
    layers = {}
    for layer in world.layers:
        loss = world.at((0.0, world.text_loss if concept == "acoustic" else 0.2), layer)
        layers[str(layer)] = {
            "rank": RANKS[concept] - (layer == 0),
            "removed_variance": 0.1,
            "rows": 900,
            "pooling": "frame",
            "probe_before": 0.5,
            "probe_after": 0.0,
            "text_decodability": {"before": 0.3, "after": 0.3 - loss},
        }
        fitted = {"columns": RANKS[concept], "singular_values": [1.0], "largest_dropped": None}
        layers[str(layer)] |= fitted | {"shrinkage": True, "tolerance": 0.01}
        if concept == "ctc":
            layers[str(layer)] |= {"labels": "first", "outputs": 8}
        if CONCEPTS[concept].matched:
            drawn = {"removed_variance": 0.1, "removed_variances": [0.1] * world.draws, "probe_after": 0.4}
            drawn["text_decodability"] = {"before": 0.3, "after": 0.25}
            layers[str(layer)] |= {"controls": dict.fromkeys(world.controls, drawn)}
    path = root / f"erasers/{model}/{concept}/summary.json"
    return _write_json(path, {"of": {"model": model, "concept": concept}, "names": ["<b>"], "layers": layers})


def write_erasure(root: Path, model: str, concept: str, task: str, world: World) -> Path:
    """Write the answers of a model to a task while a concept is erased."""
    variants = ["none"] if concept == "none" else ["linear", "affine"]
    parts = [_erased(model, concept, variant, arm, task, world) for variant in variants for arm in ("audio", "text")]
    if concept != "none" and CONCEPTS[concept].matched:
        drawn = [f"{control}{draw}" for control in world.controls for draw in range(world.draws)]
        parts += [_erased(model, concept, variant, "audio", task, world) for variant in drawn]
    of = {"model": model, "concept": concept, "task": task}
    return save(pl.concat(parts), root / f"erasure/{model}/{concept}/{task}.parquet", of)


def _erased(model: str, concept: str, variant: str, arm: str, task: str, world: World) -> pl.DataFrame:
    """One condition: known answers, of which a share survives."""
    labels = np.array(LABELS[task] or [f"answer {i}" for i in range(9)])
    kind = variant.rstrip("0123456789")
    survival = (SURVIVAL | dict(world.survival)).get((concept, kind, arm), 1.0)
    count, items = world.clips, np.arange(world.clips)
    known = np.random.default_rng([*map(ord, model + task)])
    gold = labels[items % len(labels)]
    answer = np.where(known.random(count) < 0.85, gold, known.choice(labels, count))
    lot = np.random.default_rng([*map(ord, concept + variant + arm)])
    # The last item is never lost, so that something is always right.
    lost = (lot.random(count) >= survival) & (items < count - 1)
    guess = lot.choice(labels, count)
    parsed = np.where(lost, np.where(lot.random(count) < world.broken, "invalid", guess), answer)
    forced = np.where(lost & world.forced_follows, guess, answer)
    open_ended = not LABELS[task]
    same = {"concept": concept, "variant": variant, "positions": "all", "arm": arm, "voice": "heart", "raw": PLANTED}
    return pl.DataFrame(
        {
            "id": [f"{item:03}" for item in items],
            "group": [f"{item:03}" for item in items],
            "label": gold,
            "parsed": parsed,
            "correct": parsed == gold,
            "forced": pl.Series([None] * count if open_ended else forced.tolist(), dtype=pl.String),
            "forced_correct": pl.Series([None] * count if open_ended else (forced == gold).tolist(), dtype=pl.Boolean),
            "loss": np.full(count, 0.5) if concept == "none" else lost + 0.6,
            "kl": np.zeros(count) if concept == "none" else lost * 2 + 0.01,
            "seconds": np.full(count, 0.1),
            "seen": items % 4 == 0,
        }
    ).with_columns(pl.lit(value).alias(name) for name, value in same.items())


def inside(root: Path, world: World, *, erasure: bool = False, concepts: tuple[str, ...] = ("proxy",)) -> Tables:
    """Tables of one model."""
    opened = [f"{SPEAKERS[0]}{twin}" for twin in ("", "@untrained")]
    found = Tables(
        probes=probes_table(
            [write_probes(root, name, layer, world) for name in opened for layer in world.layers], STATISTICS
        ),
        lens=lens_table([write_lens(root, SPEAKERS[0], layer, world) for layer in world.layers], STATISTICS),
        erasers=erasers_table([write_summary(root, SPEAKERS[0], concept, world) for concept in RANKS]),
    )
    if not erasure:
        return found
    files = [write_erasure(root, SPEAKERS[0], concept, TASKS[0], world) for concept in ("none", *concepts)]
    answers, controls = erasure_tables(files, LABELS, STATISTICS)
    return found.changed(erasure=answers, erasure_controls=controls)


def about(tables: Tables, claim: Claim, subject: str | None = None) -> Finding:
    """The one finding of a claim, on a subject if there are several."""
    there = findings(tables, STATISTICS)
    (found,) = [each for each in there if each.claim == claim and subject in (None, each.subject)]
    return found


def _write_json(path: Path, found: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path
