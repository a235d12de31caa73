"""What text LLMs read in the place of speech: transcripts, and beside them the words for the voice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.augmented import LABEL, TAGS, AugmentedSpec
from cascade_equivalence.config.study import SystemSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.tasks.rank import hash_rank

KEY = ("id", "voice")


def read_texts(system: SystemSpec, label_words: Mapping[str, str], heard: Sequence[Path | str]) -> pl.DataFrame:
    """What a system reads: id, voice, text.

    Args:
        system: Its entry.
        label_words: Words for the task's labels, where they differ.
        heard: Files: of a cascade the transcripts; of an augmented one also the tags.

    Raises:
        StudyError: Transcripts and tags are not of the same clips.
    """
    if not isinstance(system, AugmentedSpec):
        return pl.read_parquet([str(path) for path in heard])
    transcripts, tags = map(pl.read_parquet, heard)
    return with_voice(transcripts.select(*KEY, "text"), tags, system, label_words)


def with_voice(
    transcripts: pl.DataFrame, tags: pl.DataFrame, system: AugmentedSpec, label_words: Mapping[str, str]
) -> pl.DataFrame:
    """Put words for the voice beside transcripts; a clip of which nothing is told keeps its transcript as it is.

    Args:
        transcripts: id, voice, text.
        tags: id, voice and a column a tag, null where nothing is told.
        system: Which tags, in which wording, and whether shuffled.
        label_words: Words for labels, where they differ.

    Raises:
        StudyError: Both are not of the same clips.
    """
    told = {
        (row["id"], row["voice"]): ", ".join(
            # A label may be called low, too.
            TAGS[tag].format(label_words.get(row[tag], row[tag]) if tag == LABEL else row[tag])
            for tag in system.tags
            if row[tag] is not None
        )
        for row in tags.iter_rows(named=True)
    }
    if missing := set(transcripts.select(KEY).rows()) ^ told.keys():
        name, voice = min(missing)
        raise StudyError(f"transcripts and tags are not of the same clips: see item {name} in voice {voice}")
    if system.shuffled:
        told = exchanged(told)
    texts = [
        system.wording.replace("{tags}", told[name, voice]).replace("{speech}", text) if told[name, voice] else text
        for name, voice, text in transcripts.select(*KEY, "text").iter_rows()
    ]
    return transcripts.with_columns(pl.Series("text", texts, pl.String))


def exchanged(told: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """What is told of each clip, given to another one of its voice; the order is drawn from the items' names alone."""
    found = {}
    for voice in {voice for _, voice in told}:
        own = [name for name, whose in told if whose == voice]
        # In each voice another order: one order in all of them would be one draw, whose luck every voice repeats.
        own.sort(key=lambda name: hash_rank(0, "shuffled", voice, name))
        for name, other in zip(own, [*own[1:], *own[:1]], strict=True):
            found[name, voice] = told[other, voice]
    return found
