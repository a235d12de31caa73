"""What the acoustic surplus finds of what was planted, and how often it finds what is not there.

    python benchmarks/surplus_calibration.py --runs 20

Simulated studies: two labels, three voices a text, 20 text features of which one tells of the label, 39 audio features
of which one tells a planted number of bits beyond the text, the same for all voices of a text but for noise. Prints a
Markdown table: the mean found with all texts and with half, how often the interval holds what was planted or lies below
it, and the verdicts.
"""

import argparse
from collections import Counter

import numpy as np
from rows_table import as_markdown
from scipy import optimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.nested import Sample
from cascade_equivalence.stats.surplus import surplus

VOICES, TEXT, SOUND, TOLD = 3, 20, 39, 1.0


def bits(slope: float) -> float:
    """I(label; heard | said) where the log-odds are TOLD * said + slope * heard, both standard normal."""
    grid, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    odds = TOLD * grid[:, None] + slope * grid
    known = 1 / (1 + np.exp(-odds))

    def entropy(p: Floats) -> Floats:
        p = np.clip(p, 1e-15, 1 - 1e-15)
        found: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
        return found

    return float(weight @ (entropy(known @ weight) - entropy(known) @ weight))


def study(texts: int, slope: float, rng: np.random.Generator) -> Sample:
    """A simulated study."""
    said, heard = rng.normal(size=(texts, TEXT)), rng.normal(size=texts)
    gold = (rng.random(texts) < 1 / (1 + np.exp(-(TOLD * said[:, 0] + slope * heard)))).astype(np.intp)
    items = np.repeat(np.arange(texts), VOICES)
    audio = rng.normal(size=(texts * VOICES, SOUND))
    audio[:, 0] = heard[items]
    rows = said[items]
    return Sample(
        text=lambda train: rows,
        audio=audio,
        gold=gold[items],
        clusters=Clusters.of([f"{item:05}" for item in items]),
        items=items,
        voices=np.tile(np.arange(VOICES), texts),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="simulated studies a cell")
    parser.add_argument("--texts", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--bits", type=float, nargs="+", default=[0.0, 0.25, 0.5])
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    table = []
    for texts in options.texts:
        for planted in options.bits:
            slope = 0.0 if not planted else optimize.brentq(lambda at, aim=planted: bits(at) - aim, 0, 9)
            found = []
            for run in range(options.runs):
                rng = np.random.default_rng([options.seed, texts, int(100 * planted), run])
                with threadpool_limits(1):
                    found.append(surplus(study(texts, slope, rng), permutations=options.permutations, seed=run))
            ends = np.array([(each["surplus"]["low"], each["surplus"]["high"]) for each in found], dtype=float)
            verdicts = Counter(each["verdict"] for each in found)
            table.append(
                {
                    "texts": texts,
                    "planted bits": planted,
                    "runs": len(found),
                    "found": float(np.mean([each["surplus"]["value"] for each in found])),
                    "with half": float(np.mean([each["half"]["value"] for each in found])),
                    "interval holds": int(((ends[:, 0] <= planted) & (planted <= ends[:, 1])).sum()),
                    "interval below": int((ends[:, 1] < planted).sum()),
                    "interval above": int((ends[:, 0] > planted).sum()),
                    **{verdict: verdicts[verdict] for verdict in ("shown", "apparent", "none shown")},
                }
            )
            print(as_markdown(table[-1:]).splitlines()[-1], flush=True)
    print(f"\n{as_markdown(table)}")


if __name__ == "__main__":
    main()
