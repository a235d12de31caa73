"""The transcription node: clips in, transcripts out, every batch stored as soon as it exists."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cascade_equivalence.config.study import TranscribeConfig
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.models.transcription.engines import Engine, identity, open_engine, recogniser_in
from cascade_equivalence.models.transcription.transcript import Transcript
from cascade_equivalence.progress import progress

TRANSCRIPT_FORMAT = 2
"""Raised when the same weights, sound and settings would give another transcript."""


def transcribe_recordings(
    recordings: Sequence[Recording], folder: Path, revision: str, config: TranscribeConfig, store: Path, label: str
) -> list[Transcript]:
    """Transcribe clips, taking from the store what it has.

    Args:
        recordings: The clips.
        folder: Resolved ASR weights.
        revision: Hash of the weights, from their manifest.
        config: Engine and batch size.
        store: File of the append-only store.
        label: What the progress lines say.

    Returns:
        One transcript a clip, in order.
    """
    settings = {
        "kind": "transcript",
        "format": TRANSCRIPT_FORMAT,
        "revision": revision,
        **asdict(identity(config, recogniser_in(folder))),
    }
    keys = [key_of(settings | {"audio": recording.sha256}) for recording in recordings]
    with Store(store) as records:
        missing = {key: clip for key, clip in zip(keys, recordings, strict=True) if key not in records}
        # Clips of one length decode in the same number of steps.
        queue = sorted(missing.items(), key=lambda pair: (pair[1].seconds, pair[0]))
        with progress(label, len(keys), done=len(keys) - len(queue)) as advance:
            engine: Engine | None = None
            for start in range(0, len(queue), config.batch_size):
                engine = engine or open_engine(folder, config)
                batch = queue[start : start + config.batch_size]
                began = time.perf_counter()
                texts = engine.transcribe([clip.decode() for _, clip in batch])
                seconds = (time.perf_counter() - began) / len(batch)
                heard = [{"text": text, "seconds": seconds} for text in texts]
                records.add(zip([key for key, _ in batch], heard, strict=True))
                advance(len(batch))
        return [_transcript(records[key]) for key in keys]


def _transcript(record: str | dict[str, Any]) -> Transcript:
    """A record of the store; those of earlier versions are the text alone."""
    return Transcript(record) if isinstance(record, str) else Transcript(**record)
