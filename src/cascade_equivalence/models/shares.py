"""One share of an answer node's questions, for a job and a GPU of its own, and all shares put together again.

Batches are those of the whole node, and a share has every so manieth block of them: where batches divide ``BLOCK``,
what is put together is, to the last bit, what one job would have answered. A share writes a store of its own beside the
node's, which takes over its records at the end, so that a stopped share goes on and the number of shares may change.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import Names, write_table
from cascade_equivalence.models.answering import answer_missing, by_length, by_stretch, keys_of
from cascade_equivalence.models.prompting import PromptWriter
from cascade_equivalence.models.question import Answer, ModelFiles, Question
from cascade_equivalence.models.store import Store, read_line

BLOCK = 64
"""Questions of a text LLM that stay together: batches of 64 and its halves are those of the whole node."""
SCHEMA = pl.Schema({"row": pl.Int64, "key": pl.String, "answer": pl.String})


@dataclass(frozen=True)
class JobShare:
    """Which share of how many.

    Attributes:
        number: Counted from 1.
        of: How many there are.
    """

    number: int
    of: int


def answer_share(
    questions: Sequence[Question],
    model: ModelFiles,
    config: AnswerConfig,
    max_new_tokens: int,
    store: Path,
    share: JobShare,
    label: str,
    kept: Path | None = None,
) -> list[tuple[int, str, Answer]]:
    """Answer one share of a node's questions, taking what the node's store or that of any share has.

    Args:
        questions: All questions of the node.
        model: Resolved weights.
        config: Mode, arithmetic and batch size.
        max_new_tokens: Longest answer.
        store: The node's store; the share's own lies beside it.
        share: Which.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept.

    Returns:
        Row, key and answer of each question of the share.

    Raises:
        StudyError: As :func:`.answering.answer_questions`.
    """
    keys = keys_of(questions, model, config, max_new_tokens)
    asked = dict(zip(keys, questions, strict=True))
    own = assigned(asked, model, share)
    with Store(share_store(store, share)) as records:
        known = {key: value for key, value in _stored(store) if key in own and key not in records}
        records.add(known.items())
        rows = [(row, key) for row, key in enumerate(keys) if key in own]
        wanted = {key for key in own if key not in records}
        answer_missing(asked, wanted, [key for _, key in rows], records, model, config, max_new_tokens, label, kept)
        return [(row, key, Answer(**records[key])) for row, key in rows]


def assigned(questions: Mapping[str, Question], model: ModelFiles, share: JobShare) -> set[str]:
    """Keys of a share's questions: blocks as they are batched, dealt out in turn, so that shares take equally long."""
    blocks: list[list[str]]
    if any(question.audio is not None for question in questions.values()):
        blocks = by_stretch(questions)
    else:
        writer = PromptWriter(model.folder, model.chat)
        rows = {
            key: writer.tokenize(writer.render(question.messages, question.answer_prefix))
            for key, question in questions.items()
        }
        queue = by_length(rows)
        blocks = [queue[start : start + BLOCK] for start in range(0, len(queue), BLOCK)]
    return {key for block in blocks[share.number - 1 :: share.of] for key in block}


def write_share(answers: Sequence[tuple[int, str, Answer]], path: Path, of: Names) -> None:
    """Write what :func:`answer_share` gives, for :func:`gathered`."""
    rows = [{"row": row, "key": key, "answer": json.dumps(asdict(answer))} for row, key, answer in answers]
    write_table(pl.DataFrame(rows, schema=SCHEMA), path, of)


def gathered(paths: Sequence[Path], store: Path, questions: int) -> list[Answer]:
    """All shares of a node, in the order of its questions; the node's store has them from now on.

    Args:
        paths: Files of all shares.
        store: The node's store.
        questions: How many questions the node has.

    Raises:
        StudyError: A question is in no share, or in two.
    """
    table = pl.concat([pl.read_parquet(path, schema=SCHEMA) for path in paths]).sort("row")
    if table["row"].to_list() != list(range(questions)):
        raise StudyError(
            f"the shares {', '.join(map(str, paths))} are not those of {questions} questions: remove them and run again"
        )
    answers = [json.loads(text) for text in table["answer"]]
    with Store(store) as records:
        records.add(zip(table["key"], answers, strict=True))
    take_over(store)
    return [Answer(**answer) for answer in answers]


def take_over(store: Path) -> None:
    """Put what shares have answered into the node's store, also of shares that were stopped and are split no more.

    Raises:
        StudyError: A share is being answered, or its store is damaged.
    """
    if beside := _beside(store):
        with Store(store) as records:
            for path in beside:
                with Store(path) as share:
                    records.add(share.items())
                path.unlink()


def share_store(store: Path, share: JobShare) -> Path:
    """The store of a share, beside the node's."""
    return store.with_name(f"{store.stem}.share-{share.number}-of-{share.of}{store.suffix}")


def _beside(store: Path) -> list[Path]:
    """Stores of all shares that there are, whatever their number."""
    return sorted(store.parent.glob(f"{store.stem}.share-*-of-*{store.suffix}"))


def _stored(store: Path) -> Iterator[tuple[str, object]]:
    """Records of the node's store and of all shares', which other jobs may be writing: whole lines only."""
    for path in (store, *_beside(store)):
        for line in path.read_bytes().split(b"\n")[:-1] if path.is_file() else ():
            try:
                yield read_line(line)
            except ValueError:
                continue
