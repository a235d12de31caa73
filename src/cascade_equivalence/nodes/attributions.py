"""The node of attributions: each spoken word taken out, in the sound and in the text, and what it was to the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cascade_equivalence.config.mechanism import AttributionsConfig
from cascade_equivalence.config.study import AnswerConfig, TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import write_table
from cascade_equivalence.mechanism.words_out import (
    Span,
    log_odds,
    places_in,
    widened,
    without_span,
    without_word,
    word_spans,
)
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.nodes.answers import questions
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.rank import hash_rank
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

if TYPE_CHECKING:
    from cascade_equivalence.models.transcription.alignment import Aligner

WIDER = 0.04
"""Seconds by which a word's bounds are moved out where it is silenced a second time: two frames of Whisper."""
HEARD, HEARD_AGAIN, READ, READ_AGAIN = ARMS = ("heard", "heard_again", "read", "read_again")
"""The speech LLM hears the clip; hears it with wider silences; its own text LLM reads the recogniser's transcript; and
the true text."""
SCHEMA = {
    "id": pl.String,
    "group": pl.String,
    "label": pl.String,
    "place": pl.Int64,
    "start": pl.Float64,
    "end": pl.Float64,
    **dict.fromkeys(ARMS, pl.Float64),
    "heard_whole": pl.Float64,
    "read_whole": pl.Float64,
    "heard_answer": pl.String,
    "read_answer": pl.String,
}
"""A row a word, by its place in the item's text: with the words themselves a shared file would be the text. Of a clip
whose words are not found one row, without a place. By arm: by how much the log-odds of the right label fall without the
word, in nats; null where the transcript has no such word. ``whole``: those log-odds with all words; ``answer``: the
likeliest label then."""


@dataclass(frozen=True)
class TimedClip:
    """A clip whose words are known.

    Attributes:
        item: The item.
        recording: The clip.
        text: What is said.
        spans: When each of its words is, in seconds.
        transcript: What the recogniser heard.
    """

    item: Item
    recording: Recording
    text: str
    spans: list[Span]
    transcript: str


def word_finder(folder: Path, name: str) -> "Aligner":
    """The Whisper that finds words.

    Args:
        folder: Its resolved folder.
        name: Its name in the study.

    Raises:
        StudyError: It is no Whisper.
    """
    from cascade_equivalence.models.transcription.alignment import Aligner

    try:
        return Aligner(folder)
    except (StudyError, OSError) as error:
        raise StudyError(
            f"mechanism.attributions.timing: {name!r} finds no words, which takes Whisper's cross-attention ({error}); "
            "name a Whisper there, such as whisper-base; `asr` may stay as it is"
        ) from error


def spoken_items(
    task: str,
    items: Sequence[Item],
    clips: Sequence[Clip],
    transcripts: pl.DataFrame,
    aligner: "Aligner",
    config: AttributionsConfig,
) -> tuple[list[TimedClip], list[Item]]:
    """The clips that are asked about, with their words' times; and the items of clips whose words are not found.

    Args:
        task: The task.
        items: Its items.
        clips: Its clips in one voice.
        transcripts: What the recogniser heard: id, voice, text.
        aligner: Finds the words.
        config: How many items, and the seed.
    """
    known = {item.id: item for item in items}
    read = {(row["id"], row["voice"]): row["text"] for row in transcripts.iter_rows(named=True)}
    chosen = [clip for clip in clips if clip.id in known and (clip.id, clip.voice) in read]
    chosen = sorted(chosen, key=lambda clip: hash_rank(config.seed, "attributions", task, clip.id))[: config.per_task]
    found, missed = [], []
    with progress(f"words of {task}", len(chosen), 0) as advance:
        for clip, recording in zip(chosen, recordings(chosen), strict=True):
            spans = word_spans(aligner, recording, clip.text)
            if spans is not None:
                found.append(TimedClip(known[clip.id], recording, clip.text, spans, read[clip.id, clip.voice]))
            else:
                missed.append(known[clip.id])
            advance()
    return found, missed


def _asked(
    task: str, spec: TaskSpec, system_prompt: str, one: TimedClip, variants: Sequence[tuple[str, Recording | None]]
) -> list[Question]:
    """An item asked with other words, or another sound, each time."""
    rows = [{"id": one.item.id, "voice": str(number), "text": text} for number, (text, _) in enumerate(variants)]
    sounds = [sound for _, sound in variants if sound is not None]
    return questions(task, spec, system_prompt, [one.item], pl.DataFrame(rows), sounds or None)


def build_questions(
    task: str, spec: TaskSpec, system_prompt: str, spoken: Sequence[TimedClip]
) -> dict[str, list[list[Question | None]]]:
    """By arm and clip: the question with all words, then that without each; None where the arm has no such word."""
    arms: dict[str, list[list[Question | None]]] = {arm: [] for arm in ARMS}
    for one in spoken:
        whole = one.recording
        for arm, more in ((HEARD, 0.0), (HEARD_AGAIN, WIDER)):
            cut = [without_span(whole, widened(span, more, whole.seconds)) for span in one.spans]
            asked = _asked(task, spec, system_prompt, one, [(AUDIO_PLACEHOLDER, sound) for sound in (whole, *cut)])
            arms[arm].append([*asked])
        for arm, text in ((READ, one.transcript), (READ_AGAIN, one.text)):
            places = places_in(one.text, text)
            texts = [text, *(without_word(text, place) for place in places if place is not None)]
            waiting = iter(_asked(task, spec, system_prompt, one, [(each, None) for each in texts]))
            arms[arm].append([next(waiting), *(None if place is None else next(waiting) for place in places)])
    return arms


def attributions(
    arms: Mapping[str, Sequence[Sequence[Question | None]]],
    heard: ModelFiles,
    read: ModelFiles,
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> dict[str, list[list[Answer | None]]]:
    """Ask all of it by forced choice.

    Args:
        arms: From :func:`build_questions`.
        heard: The speech LLM.
        read: Its own text LLM.
        config: Arithmetic and batch size.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what is heard of whole clips is kept; a clip with a word out is heard once.

    Returns:
        The answers in the places of the questions.
    """
    config = config.model_copy(update={"mode": "forced_choice", "engine": "transformers"})
    found: dict[str, list[list[Answer | None]]] = {}
    for arm, clips in arms.items():
        hears = arm in (HEARD, HEARD_AGAIN)
        files = heard if hears else read
        parts = [([each[0] for each in clips], kept), ([asked for each in clips for asked in each[1:]], None)]
        answered: list[Iterator[Answer]] = []
        for part, keeping in parts:
            some = [asked for asked in part if asked is not None]
            said = f"{label}, {arm.replace('_', ' ')}"
            answers = answer_questions(some, files, config, 1, store, said, kept=keeping) if some else []
            answered.append(iter(answers))
        found[arm] = [
            [None if asked is None else next(answered[bool(place)]) for place, asked in enumerate(each)]
            for each in clips
        ]
    return found


def write_attributions(
    model: str,
    task: str,
    spoken: Sequence[TimedClip],
    found: Mapping[str, Sequence[Sequence[Answer | None]]],
    missed: Sequence[Item],
    path: Path,
) -> None:
    """Write what each word was to the answer, and which clips have no words; see ``SCHEMA``."""
    rows: list[dict[str, Any]] = [{"id": item.id, "group": item.group, "label": item.label} for item in missed]
    for number, one in enumerate(spoken):
        odds = {
            arm: [None if each is None else log_odds(each.scores, one.item.label) for each in clips[number]]
            for arm, clips in found.items()
        }
        whole = {arm: own[0] for arm, own in odds.items()}
        first = {arm: clips[number][0] for arm, clips in found.items()}
        told: dict[str, Any] = {f"{arm}_whole": whole[arm] for arm in (HEARD, READ)}
        told |= {f"{arm}_answer": answer.text for arm in (HEARD, READ) if (answer := first[arm]) is not None}
        for place, (start, end) in enumerate(one.spans):
            row: dict[str, Any] = {"id": one.item.id, "group": one.item.group, "label": one.item.label}
            row |= {"place": place, "start": start, "end": end}
            for arm, own in odds.items():
                before, after = own[0], own[place + 1]
                row[arm] = None if before is None or after is None else before - after
            rows.append(row | told)
    write_table(pl.DataFrame(rows, schema=SCHEMA), path, {"model": model, "task": task})
