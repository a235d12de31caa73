"""Files about published items without the words of the items: hashes stand in their place.

A hash tells a reviewer who has the same set that the same text was asked, and gives nobody the text. What a model
answered is the study's own and stays, but where it repeats the item.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import polars as pl

from cascade_equivalence.identity import header, names_in
from cascade_equivalence.provenance.cells import hashed

ECHO = 5
"""So many words in a row from an item make an answer a quotation of it; shorter texts are answers that many give."""
TEXTS = ("text", "options", "aliases")
ALTERED: Mapping[str, tuple[str, ...]] = {
    "tasks": TEXTS,
    "transcripts": ("text",),
    "mechanism": ("text",),
    "shared_errors": ("spoken", "heard"),
}
"""Columns that hold items' words, by the folder or the name of the file."""
ECHOING: Mapping[str, tuple[str, ...]] = {"answers": ("raw", "parsed"), "erasure": ("raw", "parsed", "forced")}
"""Columns in which a model may repeat an item."""
GOLD = ("label", "gold")

Words = tuple[str, ...]


class Echoes:
    """Tells which answers quote an item.

    Args:
        texts: Everything the items say: texts, options, and what was heard of them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs: set[Words] = set()
        for text in texts:
            words = _words(text)
            self._runs.update(_runs(words))

    def hides(self, text: str) -> str:
        """A text, or its hash if it quotes an item."""
        return hashed(text) if not self._runs.isdisjoint(_runs(_words(text))) else text


def _words(text: str) -> Words:
    return tuple(re.findall(r"\w+", text.lower()))


def _runs(words: Words) -> set[Words]:
    return {words[start : start + ECHO] for start in range(len(words) - ECHO + 1)}


def item_echoes(folder: Path) -> Echoes:
    """What the items of a results folder say, and what was heard of them."""
    texts: list[str] = []
    for path in sorted(folder.glob("tasks/*/items.parquet")):
        table = pl.read_parquet(path, columns=["text", "options", "aliases"])
        texts += table["text"].to_list()
        for column in ("options", "aliases"):
            texts += table[column].explode().drop_nulls().to_list()
    for path in sorted(folder.glob("transcripts/**/*.parquet")):
        texts += pl.read_parquet(path, columns=["text"])["text"].drop_nulls().to_list()
    return Echoes(texts)


def redacted(path: str, file: Path, echoes: Echoes, open_tasks: Iterable[str]) -> bytes | None:
    """A file of a results folder without items' words.

    Args:
        path: The file, from the results folder.
        file: Where it lies.
        echoes: What tells which answers quote an item.
        open_tasks: Tasks without a closed label set, whose gold labels are words of the set.

    Returns:
        The bytes to share; None where the file holds none of the columns concerned.
    """
    parts = Path(path)
    kind = parts.stem if parts.suffix == ".csv" else parts.parts[0]
    altered, echoing = ALTERED.get(kind, ()), ECHOING.get(kind, ())
    if not altered and not echoing:
        return None
    table = pl.read_csv(file, infer_schema=False) if parts.suffix == ".csv" else pl.read_parquet(file)
    open_tasks = set(open_tasks)
    table = _mapped(table, altered, hashed)
    table = _mapped(table, echoing, echoes.hides)
    gold = [name for name in GOLD if name in table.columns]
    if "task" in table.columns:
        table = table.with_columns(
            pl.when(pl.col("task").is_in(sorted(open_tasks)))
            .then(pl.col(name).map_elements(hashed, return_dtype=pl.String))
            .otherwise(name)
            .alias(name)
            for name in gold
        )
    elif not open_tasks.isdisjoint((*parts.parts, parts.stem)):
        table = _mapped(table, gold, hashed)
    buffer = io.BytesIO()
    if parts.suffix == ".csv":
        table.write_csv(buffer)
    else:
        table.write_parquet(buffer, metadata=header(names_in(file)))
    return buffer.getvalue()


def _mapped(table: pl.DataFrame, columns: Iterable[str], change: Callable[[str], str]) -> pl.DataFrame:
    """Change each text of some columns, also inside lists."""
    new = []
    for name in (name for name in columns if name in table.columns):
        kind = table.schema[name]
        values = table[name].to_list()
        if isinstance(kind, pl.List):
            changed: list[object] = [None if each is None else [change(text) for text in each] for each in values]
        else:
            changed = [None if text is None else change(text) for text in values]
        new.append(pl.Series(name, changed, dtype=kind))
    return table.with_columns(new)
