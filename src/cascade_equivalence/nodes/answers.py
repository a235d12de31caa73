"""Makes the questions of an answer node from items and transcripts, and scores the answers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.config.study import ByItself, TaskSpec
from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.models.question import Answer, ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.nodes.read_texts import read_texts
from cascade_equivalence.speech.clips import Clip, read_clips
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.items import read_items
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


def heard_items(items: Sequence[Item], rows: pl.DataFrame, most: int | None) -> list[Item]:
    """Items that a node asks about: all, or, of a condition in which only some are heard, those.

    Args:
        items: Items of the task.
        rows: Transcripts or clips, with their ids.
        most: How many are heard at most; None if all.

    Raises:
        StudyError: Fewer or more are heard.
    """
    if most is None or most >= len(items):
        return list(items)
    there = set(rows["id"])
    heard = [item for item in items if item.id in there]
    if len(heard) != most:
        raise StudyError(
            f"transcripts and items do not fit together: {len(heard)} items are heard, not {most}. "
            "Remove both files and run again"
        )
    return heard


def _by_row(items: Sequence[Item], transcripts: pl.DataFrame) -> list[tuple[Item, str, str]]:
    """Item, voice and transcript of each row.

    Raises:
        StudyError: Transcripts and items do not join one to one: an item twice, a transcript of no item or twice in a
            voice, or an item that a voice does not speak.
    """
    known = {item.id: item for item in items}
    rows = [(row["id"], row["voice"], row["text"]) for row in transcripts.iter_rows(named=True)]
    spoken: dict[str, list[str]] = {}
    for name, voice, _ in rows:
        spoken.setdefault(voice, []).append(name)
    problems = _some("no item for", {name for name, _, _ in rows} - set(known))
    problems += _some("several items called", (name for name, n in Counter(item.id for item in items).items() if n > 1))
    for voice, names in spoken.items():
        problems += _some(f"no transcript in voice {voice} for", set(known) - set(names))
        problems += _some(
            f"several transcripts in voice {voice} for", (name for name, n in Counter(names).items() if n > 1)
        )
    if not rows:
        problems.append("there is no transcript at all")
    if problems:
        raise StudyError(
            f"transcripts and items do not fit together: {'; '.join(problems)}. Remove both files and run again"
        )
    return [(known[name], voice, text) for name, voice, text in rows]


def _some(problem: str, names: Iterable[str]) -> list[str]:
    """A problem with the first of the names it concerns, if it concerns any."""
    found = sorted(names)
    return [f"{problem} {some_of(found)}"] if found else []


def spoken_rows(clips: Sequence[Clip]) -> pl.DataFrame:
    """What a speech LLM is asked about, in the place of transcripts: the audio placeholder for each clip."""
    return pl.DataFrame(
        {
            "id": [clip.id for clip in clips],
            "voice": [clip.voice for clip in clips],
            "text": [AUDIO_PLACEHOLDER] * len(clips),
        }
    )


def heard_rows(
    study: Study, system: str, task: str, heard: Sequence[Path | str]
) -> tuple[pl.DataFrame, Sequence[Recording] | None]:
    """What a system is asked about, id, voice and text of each row; and the sound of each where it hears by itself.

    Args:
        study: The study.
        system: The system.
        task: The task.
        heard: Clips of a system that hears by itself, else what its text LLM reads.
    """
    if isinstance(study.system(system), ByItself):
        clips = [clip for path in heard for clip in read_clips(Path(path))]
        return spoken_rows(clips), recordings(clips)
    return read_texts(study.system(system), study.task(task).label_words, heard), None


def questions(
    task: str,
    spec: TaskSpec,
    system_prompt: str,
    items: Sequence[Item],
    transcripts: pl.DataFrame,
    audio: Sequence[Recording] | None = None,
) -> list[Question]:
    """Render one question a transcript or a clip, in its order.

    Args:
        task: The task.
        spec: How it is asked.
        system_prompt: System turn; none is sent if it is empty.
        items: Items of the task.
        transcripts: id, voice and text, each item once in each voice; for a speech LLM from :func:`spoken_rows`.
        audio: For a speech LLM the clip of each row.

    Raises:
        StudyError: Transcripts and items do not join one to one.
    """
    rows = _by_row(items, transcripts)
    sounds: Sequence[Recording | None] = audio or [None] * len(rows)
    return [
        Question(
            messages=tuple(build_messages(spec, system_prompt, text, item.options)),
            answer_prefix=spec.answer_prefix,
            candidates=candidate_answers(get_task(task), spec, item.options),
            audio=sound,
        )
        for (item, _, text), sound in zip(rows, sounds, strict=True)
    ]


def model_files(manifests: Sequence[Path], chat: bool) -> ModelFiles:
    """What answers, from its manifests: the text LLM's, then of a speech LLM its own and its audio tower's."""
    read = [(path.parent, read_manifest(path).revision) for path in manifests]
    (folder, revision), ears = read[0], read[1:]
    if not ears:
        return ModelFiles(folder, revision, chat)
    audio_folder, audio_revision = ears[1] if len(ears) > 1 else (None, None)
    return ModelFiles(folder, revision, chat, SpeechFiles(*ears[0], audio_folder, audio_revision))


@dataclass(frozen=True)
class AnswerNode:
    """What a system is asked in a condition of a task.

    Attributes:
        items: The items that are heard.
        rows: id, voice and text of each question.
        questions: One a row.
        model: What answers.
    """

    items: list[Item]
    rows: pl.DataFrame
    questions: list[Question]
    model: ModelFiles


def asked(
    study: Study, of: Mapping[str, str], item_table: Path, heard: Sequence[Path], manifests: Sequence[Path]
) -> AnswerNode:
    """What a node asks.

    Args:
        study: The study.
        of: Its ``system``, ``task`` and ``condition``.
        item_table: The task's items.
        heard: Clips of a speech LLM, transcripts of a cascade.
        manifests: Of what answers; see :func:`model_files`.

    Raises:
        StudyError: Items and what is heard do not fit together.
    """
    system, task, condition = of["system"], of["task"], of["condition"]
    rows, audio = heard_rows(study, system, task, heard)
    items = heard_items(read_items(item_table), rows, study.most_items(condition))
    prompts = questions(task, study.task(task), study.config.answer.system_prompt, items, rows, audio)
    return AnswerNode(items, rows, prompts, model_files(manifests, study.model(study.backbone(system)).chat))


def score_answers(
    task: str,
    spec: TaskSpec,
    mode: str,
    items: Sequence[Item],
    transcripts: pl.DataFrame,
    answers: Sequence[Answer],
    path: Path,
    of: Names,
) -> None:
    """Parse and score raw answers, and write them to a Parquet file of a system, task and condition.

    See :func:`scored_answers`.
    """
    write_table(scored_answers(task, spec, mode, items, transcripts, answers), path, of)


def scored_answers(
    task: str,
    spec: TaskSpec,
    mode: str,
    items: Sequence[Item],
    transcripts: pl.DataFrame,
    answers: Sequence[Answer],
) -> pl.DataFrame:
    """Parse and score raw answers.

    Args:
        task: The task.
        spec: How it was asked.
        mode: ``generate`` (the text is parsed) or ``forced_choice`` (the text is the label).
        items: Items of the task.
        transcripts: What was asked, in the order of the answers.
        answers: One answer a transcript.

    Returns:
        id, voice, group, label, raw, parsed, correct, prompt_sha256, prompt_tokens, new_tokens, seconds.

    Raises:
        StudyError: Transcripts and items do not join one to one.
    """
    asked = get_task(task)
    rows = []
    for (item, voice, _), answer in zip(_by_row(items, transcripts), answers, strict=True):
        parsed = answer.text
        if mode != "forced_choice":
            parsed = asked.parse(parsed, item.options, spec.label_words, spec.answer_prefix)
        rows.append(
            {
                "id": item.id,
                "voice": voice,
                "group": item.group,
                "label": item.label,
                "raw": answer.text,
                "parsed": parsed,
                "correct": asked.score(parsed, item),
                "prompt_sha256": answer.prompt_sha256,
                "prompt_tokens": answer.prompt_tokens,
                "new_tokens": answer.new_tokens,
                "seconds": answer.seconds,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)
