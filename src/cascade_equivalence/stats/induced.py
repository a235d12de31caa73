"""Where shared errors come from: from the text LLM, or from what it was given to read (paper section 4.2).

An error both systems make on a clip whose transcript is correct is "LLM-induced": both had the words. With a degraded
transcript it is "ASR-induced" in the paper's words. A transcript is correct if it has no word error after Whisper's
English normaliser. Most transcripts are correct anyway, so the share of shared errors with a correct one says little
without the share among all clips; their comparison is the risk ratio.
"""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.answers import KEY, some_keys
from cascade_equivalence.stats.clusters import Clusters, Floats
from cascade_equivalence.stats.intervals import share
from cascade_equivalence.stats.jackknife import smooth
from cascade_equivalence.stats.overlap import NONE_WRONG, both_wrong, same_wrong
from cascade_equivalence.stats.paired import Paired
from cascade_equivalence.stats.statistic import Statistic, estimate

NOTHING_READ = "neither system reads a transcript"
NONE_SHARED = "no item got the same wrong answer from both systems"
NO_CONTRAST = "transcripts are all correct or all degraded, or no clip with a correct one has a shared error"


def induced(
    joined: pl.DataFrame,
    paired: Paired,
    heard: pl.DataFrame | None,
    *,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Split shared errors by whether the transcript is correct.

    Args:
        joined: What ``join_pair`` gives.
        paired: The same rows as arrays.
        heard: Transcripts that the cascade of the pair reads, of at least these clips: id, voice, word_errors,
            reference_words; None where neither system reads any. Of two cascades, those of one of them.
        confidence: Level of the intervals.

    Returns:
        An estimate is ``{value, low, high, reason}``.

        - ``reason``: why there is no split; then nothing else
        - ``same_wrong`` (rows with the same wrong answer), ``both_wrong`` (rows both got wrong), ``all`` (all rows):
          {rows, correct: rows with a correct transcript, degraded: the others, share: correct by rows, an estimate}
        - ``risk_ratio``: how many times more often a clip has a shared error if its transcript is degraded, an estimate

    Raises:
        StudyError: A clip has no transcript, or more than one.
    """
    if heard is None:
        return {"reason": NOTHING_READ}
    correct = _correct(joined, heard)
    clusters = paired.clusters
    parts = {
        "same_wrong": (same_wrong(paired), NONE_SHARED),
        "both_wrong": (both_wrong(paired), NONE_WRONG),
        "all": (np.ones(len(correct), dtype=np.bool_), "there are no rows"),
    }
    shares = {name: share(clusters, correct, why, rows) for name, (rows, why) in parts.items()}
    found = estimate(
        {**shares, "risk_ratio": risk_ratio(clusters, parts["same_wrong"][0], ~correct)},
        clusters.count,
        confidence,
    )
    return {
        "reason": None,
        **{
            name: {
                "rows": int(rows.sum()),
                "correct": int((rows & correct).sum()),
                "degraded": int((rows & ~correct).sum()),
                "share": asdict(found[name]),
            }
            for name, (rows, _) in parts.items()
        },
        "risk_ratio": asdict(found["risk_ratio"]),
    }


def risk_ratio(clusters: Clusters, event: NDArray[np.bool_], exposed: NDArray[np.bool_]) -> Statistic:
    """Risk of an event among exposed rows by its risk among the others; it rests on the fewer groups of the two.

    Args:
        clusters: The group of each row.
        event: Whether it happened, (rows,).
        exposed: Whether the row is exposed, (rows,).
    """
    parts = event & exposed, exposed, event & ~exposed, ~exposed

    totals = np.stack([clusters.totals(part) for part in parts], axis=1)

    def of(weights: Floats) -> Floats:
        hit, those, other_hit, others = (weights @ totals).T
        return np.divide(hit * others, those * other_hit, out=np.full(len(hit), np.nan), where=those * other_hit != 0)

    rests_on = min(clusters.among(part).count for part in (exposed, ~exposed))
    return smooth(of, clusters.count, NO_CONTRAST, rests_on=rests_on, scale=np.log, back=math.exp)


def _correct(joined: pl.DataFrame, heard: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether the transcript of each row is correct, in the order of the rows."""
    errors = heard.select(*KEY, "word_errors")
    if (twice := errors.filter(pl.struct(KEY).is_duplicated())).height:
        raise StudyError(f"the transcripts have more than one row for {some_keys(twice.unique(KEY))}")
    found = joined.select(KEY).join(errors, on=KEY, how="left", maintain_order="left")
    if (missing := found.filter(pl.col("word_errors").is_null())).height:
        raise StudyError(f"there is no transcript of {some_keys(missing)}, which the cascade has answered")
    return (found["word_errors"] == 0).to_numpy()
