"""Transcripts with word errors added, until they have as many as those of another recogniser of the same clips.

Errors are added on the clips on which the other one errs more, so that they lie as close together as its own do.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.sources import DegradedSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.models.transcription.words import EDITS, word_edits

SUBSTITUTED, DELETED, INSERTED = EDITS
ROUNDS = 60
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
        StudyError: Both are not of the same clips, or the reference's rate is not reached where something was said:
            over silence there is no rate.
    """
    key = ["id", "voice"]
    own, other = pl.read_parquet(transcripts), pl.read_parquet(reference)
    if not own.select(key).equals(other.select(key)) or own.height != len(said):
        raise StudyError(f"{transcripts} and {reference} are not of the same clips: run both again")
    kinds = {kind: int(other[kind].sum()) for kind in EDITS}
    words, errors = int(own["reference_words"].sum()), other["word_errors"].to_list()
    draw = random.Random(f"{source.seed}/{place}")  # noqa: S311 - a reproducible draw, no secret
    texts = with_errors(said, own["text"].to_list(), errors, kinds, draw, other["text"].to_list())
    found = sum(each.errors for each in word_edits(said, texts))
    # One that errs more already is left as it is.
    wanted = max(sum(errors), int(own["word_errors"].sum()))
    if words and abs(found - wanted) > source.tolerance * words:
        raise StudyError(
            f"models.{name}.source: with all errors that could be added to {place}, {found} of {words} words are wrong "
            f"or added, and {wanted} are wanted, as {source.reference} has; name another recogniser in `asr`"
        )
    return [Transcript(text, seconds) for text, seconds in zip(texts, own["seconds"], strict=True)]


def with_errors(
    said: Sequence[str],
    texts: Sequence[str],
    errors: Sequence[int],
    kinds: dict[str, int],
    draw: random.Random,
    others: Sequence[str] = (),
) -> list[str]:
    """Add errors one by one, on the clips on which the reference errs more, and keep those that count as one more.

    Args:
        said: What was spoken.
        texts: Transcripts, in the same order.
        errors: Word errors of the reference on each clip: so many are there in the end, over all clips.
        kinds: How many of each of ``EDITS`` to take for a pattern.
        draw: Draws kinds, clips, places and words; what is written is drawn from the transcripts as they are.
        others: Texts whose words are drawn where the transcripts have none, as over silence.

    Returns:
        The transcripts; as they are where they have as many errors or more.
    """
    rows = [text.split() for text in texts]
    counts = [each.errors for each in word_edits(said, texts)]
    lacking = sum(errors) - sum(counts)
    known = _words(rows) or _words([text.split() for text in others])
    left = _quota(kinds, lacking)
    # Where the reference errs less on some clips, not all that it errs more on others is wanted.
    clips = [row for row, (theirs, own) in enumerate(zip(errors, counts, strict=True)) for _ in range(theirs - own)]
    draw.shuffle(clips)
    del clips[max(0, lacking) :]
    idle, elsewhere = 0, False
    while clips and known and idle < ROUNDS:
        # Of each clip one error is tried at a time: to count them is what takes time.
        tried = []
        for place in dict.fromkeys(clips):
            kind = draw.choices(EDITS, [left[each] for each in EDITS])[0]
            if (row := _edited(rows[place], kind, known, draw)) is not None:
                tried.append((place, kind, row))
        found = word_edits([said[place] for place, _, _ in tried], [" ".join(row) for _, _, row in tried])
        idle += 1
        for (place, kind, row), edits in zip(tried, found, strict=True):
            if edits.errors == counts[place] + 1 and left[kind] > 0:
                rows[place], counts[place] = row, edits.errors
                left[kind] -= 1
                clips.remove(place)
                idle = 0
        if idle == ROUNDS // 2 or elsewhere:
            # What cannot be wrong there any more is added somewhere else.
            elsewhere, left = True, {SUBSTITUTED: 0, DELETED: 0, INSERTED: len(clips)}
            clips = draw.choices(range(len(rows)), k=len(clips))
    return [" ".join(row) if row != text.split() else text for row, text in zip(rows, texts, strict=True)]


def _words(rows: Sequence[Sequence[str]]) -> list[str]:
    """All words of some texts, bare."""
    return [bare for row in rows for word in row if (bare := word.strip(_MARKS).lower())]


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
