"""Transcripts with word errors added, until they have as many as those of another recogniser of the same clips."""

import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.models.transcription.words import EDITS, word_edits

SUBSTITUTED, DELETED, INSERTED = EDITS
ROUNDS = 400
"""Rounds without a new error after which no more are sought."""
_MARKS = ".,;:!?\"'()[]"


def degraded_transcripts(
    name: str, source: DegradedSource, said: Sequence[str], transcripts: Path, reference: Path, place: str
) -> list[Transcript]:
    """A recogniser's transcripts with the errors added that it lacks to its reference.

    Args:
        name: The entry's name, for messages.
        source: Its source.
        said: What was spoken, a text a row of both tables.
        transcripts: Transcripts of the recogniser that is degraded, of one task and condition.
        reference: Those of the reference, of the same clips in the same order.
        place: Task and condition: each has places and words of its own.

    Raises:
        StudyError: Both are not of the same clips, or the reference's rate is not reached.
    """
    key = ["id", "voice"]
    own, other = pl.read_parquet(transcripts), pl.read_parquet(reference)
    if not own.select(key).equals(other.select(key)) or own.height != len(said):
        raise StudyError(f"{transcripts} and {reference} are not of the same clips: run both again")
    kinds = {kind: int(other[kind].sum()) for kind in EDITS}
    words, wanted = int(own["reference_words"].sum()), int(other["word_errors"].sum())
    draw = random.Random(f"{source.seed}/{place}")  # noqa: S311 - a reproducible draw, no secret
    texts = with_errors(said, own["text"].to_list(), wanted, kinds, draw)
    found = sum(each.errors for each in word_edits(said, texts))
    # One that errs more already is left as it is.
    if found < wanted - source.tolerance * words:
        raise StudyError(
            f"models.{name}.source: with all errors that could be added to {place}, {found} of {words} words are wrong "
            f"or added, and {source.reference} has {wanted}; name another recogniser in `asr`"
        )
    return [Transcript(text, seconds) for text, seconds in zip(texts, own["seconds"], strict=True)]


def with_errors(
    said: Sequence[str], texts: Sequence[str], wanted: int, kinds: dict[str, int], draw: random.Random
) -> list[str]:
    """Add errors one by one, each at a place drawn from all clips, and keep those that count as exactly one more.

    Args:
        said: What was spoken.
        texts: Transcripts, in the same order.
        wanted: Word errors that all of them together are to have.
        kinds: How many of each of ``EDITS`` to take for a pattern.
        draw: Draws kinds, clips, places and words; what is written is drawn from the transcripts as they are.

    Returns:
        The transcripts; as they are where they have as many errors or more.
    """
    rows = [text.split() for text in texts]
    counts = [each.errors for each in word_edits(said, texts)]
    lacking = wanted - sum(counts)
    known = [bare for row in rows for word in row if (bare := word.strip(_MARKS).lower())]
    left = _quota(kinds, lacking)
    idle = 0
    while lacking > 0 and known and idle < ROUNDS:
        # Of many clips one error each is tried at a time: to count them is what takes time.
        places = draw.sample(range(len(rows)), min(lacking, len(rows)))
        tried = []
        for place in places:
            kind = draw.choices(EDITS, [left[each] for each in EDITS])[0] if any(left.values()) else INSERTED
            if (row := _edited(rows[place], kind, known, draw)) is not None:
                tried.append((place, kind, row))
        found = word_edits([said[place] for place, _, _ in tried], [" ".join(row) for _, _, row in tried])
        idle += 1
        for (place, kind, row), edits in zip(tried, found, strict=True):
            if edits.errors == counts[place] + 1 and lacking > 0 and left[kind] > 0:
                rows[place], counts[place] = row, edits.errors
                left[kind] -= 1
                lacking -= 1
                idle = 0
        if idle == ROUNDS // 2:
            # What cannot be left out any more is added instead.
            left = {SUBSTITUTED: 0, DELETED: 0, INSERTED: lacking}
    return [" ".join(row) if row != text.split() else text for row, text in zip(rows, texts, strict=True)]


def _quota(kinds: dict[str, int], count: int) -> dict[str, int]:
    """So many errors in the proportions of a pattern, by largest remainders."""
    total = sum(kinds.values())
    if count <= 0 or not total:
        return dict.fromkeys(EDITS, 0)
    exact = {kind: count * kinds[kind] / total for kind in EDITS}
    found = {kind: int(share) for kind, share in exact.items()}
    for kind in sorted(EDITS, key=lambda each: found[each] - exact[each])[: count - sum(found.values())]:
        found[kind] += 1
    return found


def _edited(row: Sequence[str], kind: str, known: Sequence[str], draw: random.Random) -> list[str] | None:
    """A transcript's words with one more error; None where there is no word to change."""
    changed = list(row)
    if kind == INSERTED:
        changed.insert(draw.randint(0, len(row)), draw.choice(known))
    elif not row:
        return None
    elif kind == DELETED:
        del changed[draw.randrange(len(row))]
    else:
        changed[draw.randrange(len(row))] = draw.choice(known)
    return changed
