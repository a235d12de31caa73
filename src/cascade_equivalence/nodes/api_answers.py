"""Adds to the answers of a service what they cost, and which version of the model gave them."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.identity import names_in, write_table
from cascade_equivalence.models.api.records import StoredAnswer, question_key, read_store
from cascade_equivalence.models.question import Question

SERVICE: dict[str, type[pl.DataType]] = {
    "cost": pl.Float64,
    "currency": pl.String,
    "model_version": pl.String,
    "answered": pl.String,
}
"""Columns that only the answers of services have: ``cost`` in ``currency`` (null without prices; 0 for a row that
repeats the question of another, which was asked once), what the provider says answered, and when (UTC)."""


def add_service(path: Path, spec: ApiSpec, questions: Sequence[Question], max_new_tokens: int, store: Path) -> None:
    """Add what a service charged to judged answers, or to transcripts, from the store.

    Args:
        path: The Parquet file that was written of them, a row a question; gets the columns of ``SERVICE``.
        spec: The system.
        questions: What was asked, in the order of the rows; every answer is in the store.
        max_new_tokens: The longest answer.
        store: File of the append-only store.

    Raises:
        StudyError: The store is damaged.
    """
    records = read_store(store)
    charged: set[str] = set()
    rows = []
    for key in (question_key(spec, question, max_new_tokens) for question in questions):
        record = StoredAnswer.from_json(records[key])
        cost = 0.0 if record.cost is not None and key in charged else record.cost
        charged.add(key)
        rows.append((cost, record.currency, record.model_version, record.time))
    table = pl.read_parquet(path)
    write_table(table.hstack(pl.DataFrame(rows, schema=SERVICE, orient="row")), path, names_in(path))
