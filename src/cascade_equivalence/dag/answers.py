"""Between a task and a model: questions out of items and transcripts, judged answers out of raw ones."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.atomic import replacing
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import Answer, Question
from cascade_equivalence.tasks.base import Item
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.registry import get_task


def _by_row(items: Sequence[Item], transcripts: pl.DataFrame) -> list[tuple[Item, str, str]]:
    """Item, voice and transcript of each row.

    Raises:
        StudyError: A transcript belongs to no item, or a voice does not cover all items.
    """
    known = {item.id: item for item in items}
    rows = [(row["id"], row["voice"], row["text"]) for row in transcripts.iter_rows(named=True)]
    strange = sorted({name for name, _, _ in rows} - set(known))
    missing = {voice: set(known) - {name for name, v, _ in rows if v == voice} for _, voice, _ in rows}
    short = {voice: sorted(names) for voice, names in missing.items() if names}
    if strange or short:
        raise StudyError(
            f"transcripts and items do not fit together: no item for {strange[:5]}, no transcript for {short}; "
            "remove both files and run again"
        )
    return [(known[name], voice, text) for name, voice, text in rows]


def questions(
    task: str, spec: TaskSpec, system_prompt: str, items: Sequence[Item], transcripts: pl.DataFrame
) -> list[Question]:
    """Render one question a transcript, in its order."""
    return [
        Question(
            messages=tuple(build_messages(spec, system_prompt, text, item.options)),
            answer_prefix=spec.answer_prefix,
            candidates=candidate_answers(get_task(task), spec, item.options),
        )
        for item, _, text in _by_row(items, transcripts)
    ]


def judge(
    task: str,
    spec: TaskSpec,
    mode: str,
    items: Sequence[Item],
    transcripts: pl.DataFrame,
    answers: Sequence[Answer],
    path: Path,
) -> None:
    """Parse and score raw answers, and write them.

    Args:
        task: The task.
        spec: How it was asked.
        mode: ``generate`` (the text is parsed) or ``forced_choice`` (the text is the label).
        items: Items of the task.
        transcripts: What was asked, in the order of the answers.
        answers: One answer a transcript.
        path: The Parquet file: id, voice, group, label, raw, parsed, correct, prompt_sha256, prompt_tokens, new_tokens,
            seconds.
    """
    asked = get_task(task)
    rows = []
    for (item, voice, _), answer in zip(_by_row(items, transcripts), answers, strict=True):
        parsed = answer.text if mode == "forced_choice" else asked.parse(answer.text, item.options, spec.label_words)
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
    with replacing(path) as temporary:
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(temporary)
