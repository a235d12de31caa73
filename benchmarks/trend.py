"""Checks slopes over settings and Page's test on made-up studies whose truth is known: coverage, level, power.

    python benchmarks/trend.py --simulations 1000

Studies are a system at four scales of one thing (0, 0.25, 0.5, 1) and its reference on the same clips; each text has
several clips, some texts are harder, and scales err on the same clips as often as scales of one model do. Tables:

- coverage: how often the interval of the slope of kappa, and of accuracy, at 95 % holds the truth; that of a study with
  100 times the texts.
- tests: how often Page's test is below 0.05 where the scale changes nothing, and where it does.
"""

import argparse
from typing import Any

import numpy as np
from rows_table import as_markdown

from cascade_equivalence.stats.accuracy import accuracy
from cascade_equivalence.stats.agreement import kappa
from cascade_equivalence.stats.clusters import Clusters
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic, estimate
from cascade_equivalence.stats.trend import page, slope

SCALES = (0.0, 0.25, 0.5, 1.0)
ANSWERS = 4
PLANTED = {
    "flat": (0.7, 0.7, 0.7, 0.7),
    "a little": (0.75, 0.72, 0.7, 0.65),
    "falls": (0.95, 0.85, 0.7, 0.4),
    "from all to none": (1.0, 0.9, 0.5, 0.0),
}
"""Shares of clips that get the reference's answer, at each scale."""
TEXTS = {12: 14, 24: 2, 84: 1, 300: 3}
"""Clips of a text, by number of texts."""


def draw(generator: np.random.Generator, shares: tuple[float, ...], texts: int, clips: int) -> list[Paired]:
    """One study: a system at each scale with its reference."""
    rows = texts * clips
    clusters = Clusters.of([f"{text:06}" for text in range(texts) for _ in range(clips)])
    gold, reference = generator.integers(0, ANSWERS, (2, rows))
    ease = np.repeat(generator.normal(0, 0.15, texts), clips)
    luck = generator.random(rows)
    pairs = []
    for share in shares:
        same = 0.6 * luck + 0.4 * generator.random(rows) < share + ease
        system = np.where(same, reference, generator.integers(0, ANSWERS, rows))
        names = (*map(str, range(ANSWERS)), "invalid")
        pairs.append(Paired(names, system, reference, gold, system == reference, reference == gold, clusters))
    return pairs


def slopes(pairs: list[Paired]) -> dict[str, Statistic]:
    """The slopes of kappa and of accuracy; right is what the reference says, so that accuracies are far from chance."""
    groups = pairs[0].clusters
    values = {
        "kappa": [kappa(pair) for pair in pairs],
        "accuracy": [accuracy(groups, pair.system_correct) for pair in pairs],
    }
    return {name: slope(each, SCALES, groups.count, "") for name, each in values.items()}


def check(name: str, texts: int, simulations: int) -> dict[str, Any]:
    """One row of the table."""
    clips, shares = TEXTS[texts], PLANTED[name]
    generator = np.random.default_rng([texts, *map(ord, name)])
    many = draw(generator, shares, 100 * texts, clips)
    truth = {key: float(each.of(np.ones((1, 100 * texts)))[0]) for key, each in slopes(many).items()}
    inside = dict.fromkeys(truth, 0)
    width = dict.fromkeys(truth, 0.0)
    shown = 0
    for _ in range(simulations):
        pairs = draw(generator, shares, texts, clips)
        for key, found in estimate(slopes(pairs), texts, 0.95).items():
            assert found.low is not None and found.high is not None
            inside[key] += found.low <= truth[key] <= found.high
            width[key] += found.high - found.low
        groups = pairs[0].clusters
        shown += page(np.stack([groups.totals(pair.system_correct) for pair in pairs], axis=1)).p <= 0.05  # noqa: PLR2004
    row: dict[str, Any] = {"planted": name, "texts (clips)": f"{texts} ({texts * clips})"}
    for key, value in truth.items():
        row |= {
            f"slope of {key}": f"{value:+.2f}",
            f"{key} covered %": f"{100 * inside[key] / simulations:.1f}",
            f"{key} width": f"{width[key] / simulations:.2f}",
        }
    return row | {"Page below 0.05 %": f"{100 * shown / simulations:.1f}"}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--texts", type=int, nargs="+", default=list(TEXTS), choices=list(TEXTS))
    arguments = parser.parse_args()
    print(as_markdown([check(name, texts, arguments.simulations) for name in PLANTED for texts in arguments.texts]))


if __name__ == "__main__":
    main()
