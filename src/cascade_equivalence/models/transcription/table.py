"""Makes the transcripts table from clips and what was heard in them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl

from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.transcription.answers import has_loop
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.models.transcription.words import EDITS, word_edits
from cascade_equivalence.speech.clips import Clip, decode


def recordings(clips: Sequence[Clip]) -> list[Recording]:
    """What an ASR needs to know of clips; they are decoded when their turn comes."""
    return [Recording(clip.sha256, clip.seconds, partial(decode, clip)) for clip in clips]


def write_transcripts(clips: Sequence[Clip], transcripts: Sequence[Transcript], path: Path, of: Names) -> None:
    """Write the transcripts of a node, with their word errors against what was spoken.

    Args:
        clips: The clips, of one condition and any voices.
        transcripts: Their transcripts, in the same order.
        path: The Parquet file: id, voice, text, reference_words, word_errors, of these substituted, deleted and
            inserted, looped (whether a phrase was written four times or more in a row), seconds, audio_sha256.
        of: Whose they are: ``asr``, ``task`` and ``condition``.
    """
    texts = [transcript.text for transcript in transcripts]
    counts = word_edits([clip.text for clip in clips], texts)
    table = pl.DataFrame(
        {
            "id": [clip.id for clip in clips],
            "voice": [clip.voice for clip in clips],
            "text": texts,
            "reference_words": [found.words for found in counts],
            "word_errors": [found.errors for found in counts],
            **{kind: [getattr(found, kind) for found in counts] for kind in EDITS},
            "looped": [each.looped or has_loop(each.text) for each in transcripts],
            "seconds": pl.Series([transcript.seconds for transcript in transcripts], dtype=pl.Float64),
            "audio_sha256": [clip.sha256 for clip in clips],
        }
    )
    write_table(table, path, of)
