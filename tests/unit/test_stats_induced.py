"""The split of shared errors by the transcript, against a plain loop."""

import json
import random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.stats.induced import NO_CONTRAST, NONE_SHARED, NOTHING_READ, induced
from cascade_equivalence.stats.paired import Paired

LABELS = ["a", "b", "c"]
ANSWER = st.sampled_from([*LABELS, "invalid"])
ROWS = st.lists(
    st.tuples(st.sampled_from(LABELS), ANSWER, ANSWER, st.sampled_from([0, 0, 1, 4])), min_size=1, max_size=40
)


def tables(rows: list[tuple[str, str, str, int]], voices: int = 2) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Joined answers and transcripts from (gold, system's answer, reference's answer, word errors)."""
    joined = pl.DataFrame(
        {
            "id": [f"{i // voices:03}" for i in range(len(rows))],
            "voice": [str(i % voices) for i in range(len(rows))],
            "group": [f"{i // voices:03}" for i in range(len(rows))],
            "label": [row[0] for row in rows],
            "system_parsed": [row[1] for row in rows],
            "system_correct": [row[0] == row[1] for row in rows],
            "reference_parsed": [row[2] for row in rows],
            "reference_correct": [row[0] == row[2] for row in rows],
        }
    )
    heard = joined.select("id", "voice", word_errors=pl.Series([row[3] for row in rows]), reference_words=pl.lit(9))
    return joined, heard


def split(rows: list[tuple[str, str, str, int]], **options: Any) -> dict[str, Any]:
    """The split of made-up rows."""
    joined, heard = tables(rows)
    return induced(joined, Paired.of(joined, LABELS), heard, **options)


@given(rows=ROWS)
@settings(deadline=None)
def test_counts_shares_and_risk_ratio_are_those_of_a_loop(rows: list[tuple[str, str, str, int]]) -> None:
    found = split(rows)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    counts = {name: [0, 0] for name in ("same_wrong", "both_wrong", "all")}
    for gold, system, reference, errors in rows:
        degraded = int(errors > 0)
        counts["all"][degraded] += 1
        if gold not in (system, reference):
            counts["both_wrong"][degraded] += 1
            if system == reference != "invalid":
                counts["same_wrong"][degraded] += 1
    for name, (correct, degraded) in counts.items():
        part = found[name]
        assert (part["rows"], part["correct"], part["degraded"]) == (correct + degraded, correct, degraded)
        if correct + degraded:
            assert part["share"]["value"] == pytest.approx(correct / (correct + degraded))
        else:
            assert part["share"]["value"] is None and part["share"]["reason"]
    shared, everything = counts["same_wrong"], counts["all"]
    if everything[1] and shared[0]:
        ratio = (shared[1] / everything[1]) / (shared[0] / everything[0])
        assert found["risk_ratio"]["value"] == pytest.approx(ratio)
    else:
        assert found["risk_ratio"]["value"] is None and found["risk_ratio"]["reason"] == NO_CONTRAST


@given(rows=ROWS, order=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_transcripts_are_joined_by_clip_and_may_hold_others(
    rows: list[tuple[str, str, str, int]], order: random.Random
) -> None:
    joined, heard = tables(rows)
    more = pl.concat([heard, heard.with_columns(voice=pl.lit("another"), word_errors=pl.lit(7, pl.Int64))[:1]])
    shuffled = more[order.sample(range(more.height), more.height)]
    assert induced(joined, Paired.of(joined, LABELS), shuffled) == split(rows)


def test_errors_that_have_nothing_to_do_with_the_transcript_have_a_risk_ratio_of_one() -> None:
    rng = np.random.default_rng(0)
    rows = [
        ("a", "b" if wrong else "a", "b" if wrong else "a", int(errors))
        for wrong, errors in rng.random((3000, 2)) < [0.3, 0.4]
    ]
    found = split(rows)
    ratio = found["risk_ratio"]
    assert ratio["low"] < 1 < ratio["high"] and ratio["value"] == pytest.approx(1, abs=0.15)
    assert found["same_wrong"]["share"]["value"] == pytest.approx(found["all"]["share"]["value"], abs=0.05)
    harmful = [(gold, "b" if errors else s, "b" if errors else r, errors) for gold, s, r, errors in rows]
    assert split(harmful)["risk_ratio"]["low"] > 2


def test_true_text_has_no_degraded_transcript_to_compare_with() -> None:
    found = split([("a", "b", "b", 0), ("a", "a", "a", 0), ("b", "c", "c", 0)])
    assert found["same_wrong"]["share"]["value"] == found["all"]["share"]["value"] == 1
    assert found["risk_ratio"]["value"] is None and found["risk_ratio"]["reason"] == NO_CONTRAST


def test_no_shared_error_has_no_share() -> None:
    found = split([("a", "b", "c", 1), ("a", "a", "b", 0)])
    assert found["same_wrong"]["share"]["reason"] == NONE_SHARED and found["both_wrong"]["share"]["value"] == 0


def test_without_transcripts_there_is_a_reason() -> None:
    joined, _ = tables([("a", "b", "b", 0)])
    assert induced(joined, Paired.of(joined, LABELS), None) == {"reason": NOTHING_READ}


def test_every_clip_needs_one_transcript() -> None:
    joined, heard = tables([("a", "b", "b", 0), ("b", "b", "b", 1), ("c", "b", "b", 1)])
    pair = Paired.of(joined, LABELS)
    with pytest.raises(StudyError, match="no transcript of 001 in voice 0"):
        induced(joined, pair, heard[:2])
    with pytest.raises(StudyError, match="more than one row for 000 in voice 1"):
        induced(joined, pair, pl.concat([heard, heard[1:2]]))
