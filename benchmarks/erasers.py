"""Times the erasers of one layer's concepts on a shared covariance against one ``LeaceFitter`` for each concept.

    python benchmarks/erasers.py --width 576 --frames 150000
    python benchmarks/erasers.py --width 4096 --frames 150000 --concepts proxy ctc

Five concepts, as a study has them: first words (159 one-hot columns), the same with shuffled labels, CTC labels of
frames (49 one-hot columns), characters (48) and acoustics (2). Both arms read the same file of synthetic states in the
same parts, each part once a pass. Baselines: the library's fitters side by side in one pass over the file,
``constrain_cov_trace=False`` (its faster setting), in float64 as ours are, and in float32, its default. Ours: a pass
for the moments, a pass for the CTC labels, five fits. With ``--concepts`` all fit only some of them; the fewer, the
less there is to share.
"""

import argparse
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch
from concept_erasure import LeaceFitter
from goal import Goal, write_goals
from rows_table import in_turn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from cascade_equivalence.mechanism.leace import Eraser, Whitening, fit
from cascade_equivalence.mechanism.moments import ROWS_AT_ONCE, class_moments, cross_moments, measure
from cascade_equivalence.mechanism.states import INDEX, States, StatesWriter

CONCEPTS = ["proxy", "permuted", "boc", "acoustic", "ctc"]
WORDS, CHARACTERS, LABELS = 159, 48, 49
FRAMES_AN_UTTERANCE = 150
BLANK_SHARE = 0.5
TOLERANCE = 0.01


def synthetic(path: Path, width: int, frames: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Write states in which each concept moves the mean; give the concepts of utterances, and labels of frames.

    Their spectrum falls with a power of the component, as those of transformers do.
    """
    generator = torch.Generator().manual_seed(seed)
    utterances = frames // FRAMES_AN_UTTERANCE
    words = torch.arange(utterances) % WORDS
    characters = torch.randn(utterances, CHARACTERS, generator=generator, dtype=torch.float64)
    concepts = {
        "proxy": torch.nn.functional.one_hot(words, WORDS).double(),
        "permuted": torch.nn.functional.one_hot(words[torch.randperm(utterances, generator=generator)], WORDS).double(),
        "boc": (characters - characters.mean(0)) / characters.std(0),
        "acoustic": torch.randn(utterances, 2, generator=generator, dtype=torch.float64),
    }
    labels = torch.randint(0, LABELS, (utterances * FRAMES_AN_UTTERANCE,), generator=generator)
    labels[torch.rand(len(labels), generator=generator) < BLANK_SHARE] = LABELS - 1
    columns = WORDS + CHARACTERS + 2 + LABELS
    seen = torch.randn(columns, width, generator=generator) * 0.3
    # A product of two random reflections mixes the components at a cost of rows x width.
    mirrors = torch.nn.functional.normalize(torch.randn(2, width, generator=generator), dim=1)
    scale = torch.arange(1, width + 1) ** -0.6
    own = torch.cat([concepts["proxy"], concepts["boc"], concepts["acoustic"]], 1).float() @ seen[: columns - LABELS]
    with StatesWriter(path, width, torch.float32, {}) as writer:
        for start in range(0, len(labels), ROWS_AT_ONCE):
            rows = torch.arange(start, min(start + ROWS_AT_ONCE, len(labels)))
            some = torch.randn(len(rows), width, generator=generator) + own[rows // FRAMES_AN_UTTERANCE]
            some = (some + seen[columns - LABELS :][labels[rows]]) * scale
            for mirror in mirrors:
                some -= 2 * (some @ mirror)[:, None] * mirror
            writer.add(some + 0.5)
    return concepts, labels


def ours(
    path: Path, rows: int, concepts: Mapping[str, Tensor], labels: Tensor | None
) -> tuple[dict[str, Eraser], dict[str, float]]:
    """Fit by our path; also the seconds of its parts."""
    began = time.perf_counter()
    states = States(path)
    count = rows // FRAMES_AN_UTTERANCE
    frames = np.full(count, FRAMES_AN_UTTERANCE)
    index = pl.DataFrame({"utterance": np.arange(count), "frames": frames, "start": np.cumsum(frames) - frames})
    index = index.cast({name: INDEX[name] for name in index.columns})
    moments = measure(states, index, pl.DataFrame({"split": ["train"] * count}))
    measured = time.perf_counter()
    whitening = Whitening.of_spectrum(moments.spectrum, shrinkage=True)
    sums = moments.means * moments.frames[:, None]
    found = {}
    for name, values in concepts.items():
        cross = cross_moments(sums, moments.frames, values)
        found[name] = fit(whitening, cross.covariance, TOLERANCE).eraser
    utterances = time.perf_counter()

    if labels is not None:
        said = labels[:, None]
        kept = np.ones(rows, dtype=bool)
        cross = class_moments(states, kept, lambda start, part: said[start : start + len(part)], LABELS)
        found["ctc"] = fit(whitening, cross.covariance, TOLERANCE).eraser
    ended = time.perf_counter()
    return found, {
        "moments": measured - began,
        "utterances": utterances - measured,
        "frames": ended - utterances,
        "all": ended - began,
    }


def theirs(
    path: Path, rows: int, concepts: Mapping[str, Tensor], labels: Tensor | None, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Eraser], dict[str, float]]:
    """Fit by the library, a fitter a concept; also the seconds of its parts."""
    began = time.perf_counter()
    states = States(path)
    widths = {name: values.shape[1] for name, values in concepts.items()}
    if labels is not None:
        widths["ctc"] = LABELS
    fitters = {
        name: LeaceFitter(states.width, columns, dtype=dtype, constrain_cov_trace=False, svd_tol=TOLERANCE)
        for name, columns in widths.items()
    }
    for start, chunk in states.chunks(ROWS_AT_ONCE):
        part = chunk.to(dtype)
        places = torch.arange(start, start + len(part))
        for name, values in concepts.items():
            fitters[name].update(part, values[places // FRAMES_AN_UTTERANCE].to(dtype))
        if labels is not None:
            fitters["ctc"].update(part, torch.nn.functional.one_hot(labels[places], LABELS).to(dtype))
    measured = time.perf_counter()
    found = {}
    for name in list(fitters):
        # A fitter holds two square matrices and its eraser; it is not needed after that.
        eraser = fitters.pop(name).eraser
        found[name] = Eraser(eraser.proj_left, eraser.proj_right, eraser.bias)
    ended = time.perf_counter()
    return found, {"updates": measured - began, "fits": ended - measured, "all": ended - began}


def difference(one: Eraser, other: Eraser) -> float:
    """Relative difference of what two erasers take away, in the Frobenius norm."""
    reference = other.left @ other.right
    return float(torch.linalg.norm(one.left @ one.right - reference) / torch.linalg.norm(reference))


def main() -> None:
    """Measure, print, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--frames", type=int, default=150_000)
    parser.add_argument("--concepts", nargs="+", choices=CONCEPTS, default=CONCEPTS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    threadpool_limits(arguments.threads)  # SciPy has a BLAS of its own
    report: dict[str, object] = {key: value for key, value in vars(arguments).items() if key not in ("json", "goals")}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "states.safetensors"
        concepts, labels = synthetic(path, arguments.width, arguments.frames, arguments.seed)
        concepts = {name: concepts[name] for name in arguments.concepts if name in concepts}
        said = labels if "ctc" in arguments.concepts else None
        arms = {"ours": ours, "library": theirs, "library, float32": partial(theirs, dtype=torch.float32)}
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        fitted: dict[str, dict[str, Eraser]] = {}
        for repeat in range(arguments.repeats):
            # Another arm begins each time, so that none always finds the file in memory.
            for name in in_turn(list(arms), repeat):
                fitted[name], took = arms[name](path, len(labels), concepts, said)
                seconds[name].append(took["all"])
                report[f"{name} seconds"] = took
                print(f"{name}: " + ", ".join(f"{part} {value:.2f} s" for part, value in took.items()))
    goals = []
    for name, aim in (("library", 5), ("library, float32", 3)):
        ratios = [slow / quick for slow, quick in zip(seconds[name], seconds["ours"], strict=True)]
        apart = {each: difference(eraser, fitted["library"][each]) for each, eraser in fitted["ours"].items()}
        if name != "library":
            apart = {each: difference(fitted[name][each], fitted["library"][each]) for each in apart}
        whose = "ours" if name == "library" else "the library's float32"
        worst = f"{whose} off its float64 by at most {max(apart.values()):.1e}"
        report |= {f"{name} ratios": ratios, f"{name} differences": apart}
        what = f"erasers of {len(apart)} concepts, {arguments.width} wide, {len(labels):,} frames"
        goals.append(Goal(what, f"a `LeaceFitter` each ({name})", aim, ratios, equal=worst))
    for goal in goals:
        print(
            f"{goal.against}: {' / '.join(f'{ratio:.2f}' for ratio in sorted(goal.found))} times as long; {goal.equal}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_goals(arguments.goals, goals)


if __name__ == "__main__":
    main()
