"""Files about published items without the words of the items: hashes stand in their place.

A hash tells a reviewer who has the same set that the same text was asked, and gives nobody the text. What a model
answered is the study's own and stays, but where it repeats the item.
"""

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cascade_equivalence.identity import header, names_in
from cascade_equivalence.provenance.cells import hashed

ECHO = 5
"""So many words in a row from an item make an answer a quotation of it; shorter texts are answers that many give."""
LONG_ECHO = 8
"""So many make any other text a quotation: in prose of the project's own, fewer happen to be an item's, too."""
WHOLE = 4
"""Words of an item that is a quotation where it stands alone; shorter ones are labels and answers that many give."""
TEXTS = ("text", "options", "aliases")
ALTERED: Mapping[str, tuple[str, ...]] = {
    "tasks": TEXTS,
    "transcripts": ("text",),
    "mechanism": ("text",),
    "shared_errors": ("spoken", "heard"),
    "similarity": ("text", "nearest", "examples"),
}
"""Columns, and keys of JSON, that hold items' words, by the folder or the name of the file."""
ECHOING: Mapping[str, tuple[str, ...]] = {
    "answers": ("raw", "parsed"),
    "erasure": ("raw", "parsed", "forced"),
    "conflict": ("raw", "parsed"),
}
"""Columns in which a model may repeat an item."""
GOLD = ("label", "gold")
PROSE = frozenset({".md", ".tex", ".txt", ".svg", ".html"})

Words = tuple[str, ...]


class Echoes:
    """Tells which answers quote an item.

    Args:
        texts: Everything the items say: texts, options, and what was heard of them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs: set[Words] = set()
        self._long: set[Words] = set()
        for text in texts:
            words = _words(text)
            self._runs.update(_runs(words))
            self._long.update(_runs(words, LONG_ECHO))
            if WHOLE <= len(words) < LONG_ECHO:
                self._long.add(words)

    def hides(self, text: str) -> str:
        """A text, or its hash if it quotes an item."""
        return hashed(text) if not self._runs.isdisjoint(_runs(_words(text))) else text

    def quoted(self, text: str) -> bool:
        """Whether a text that need not be an answer is, or holds much of, what an item says."""
        words = _words(text)
        return words in self._long or not self._long.isdisjoint(_runs(words, LONG_ECHO))

    def hides_quotation(self, text: str) -> str:
        """A text, or its hash if it is a quotation."""
        return hashed(text) if self.quoted(text) else text


def _words(text: str) -> Words:
    return tuple(re.findall(r"\w+", text.lower()))


def _runs(words: Words, length: int = ECHO) -> set[Words]:
    return {words[start : start + length] for start in range(len(words) - length + 1)}


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

    Beside the columns that are known to hold them, every text of a table or of JSON is looked at.

    Args:
        path: The file, from the results folder.
        file: Where it lies.
        echoes: What tells which answers quote an item.
        open_tasks: Tasks without a closed label set, whose gold labels are words of the set.

    Returns:
        The bytes to share; None where nothing is to be changed.
    """
    parts = Path(path)
    kind = parts.stem if parts.suffix == ".csv" else parts.parts[0]
    altered, echoing = ALTERED.get(kind, ()), ECHOING.get(kind, ())
    if parts.suffix == ".json":
        read = json.loads(file.read_bytes())
        hidden = _hidden(read, altered, echoes)
        return None if hidden == read else (json.dumps(hidden, indent=2, ensure_ascii=False) + "\n").encode()
    if parts.suffix not in {".csv", ".parquet"}:
        return None
    before = pl.read_csv(file, infer_schema=False) if parts.suffix == ".csv" else pl.read_parquet(file)
    open_tasks = set(open_tasks)
    table = _mapped(before, altered, hashed)
    table = _mapped(table, echoing, echoes.hides)
    table = _mapped(
        table,
        [name for name, each in table.schema.items() if each in (pl.String, pl.List(pl.String))],
        echoes.hides_quotation,
    )
    if altered or echoing:
        table = _without_open_gold(table, parts, open_tasks)
    if table.equals(before):
        return None
    buffer = io.BytesIO()
    if parts.suffix == ".csv":
        table.write_csv(buffer)
    else:
        table.write_parquet(buffer, metadata=header(names_in(file)))
    return buffer.getvalue()


def quotes(path: str, file: Path, echoes: Echoes) -> bool:
    """Whether a file that is no table, and no JSON, has a line that quotes an item."""
    return Path(path).suffix in PROSE and any(
        echoes.quoted(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
    )


def _without_open_gold(table: pl.DataFrame, parts: Path, open_tasks: set[str]) -> pl.DataFrame:
    gold = [name for name in GOLD if name in table.columns]
    if "task" in table.columns:
        return table.with_columns(
            pl.when(pl.col("task").is_in(sorted(open_tasks)))
            .then(pl.col(name).map_elements(hashed, return_dtype=pl.String))
            .otherwise(name)
            .alias(name)
            for name in gold
        )
    return table if open_tasks.isdisjoint((*parts.parts, parts.stem)) else _mapped(table, gold, hashed)


def _hidden(value: Any, altered: Iterable[str], echoes: Echoes, key: str = "") -> Any:
    """JSON without items' words: texts of some keys are hashed, others where they quote an item."""
    if isinstance(value, dict):
        return {echoes.hides_quotation(name): _hidden(each, altered, echoes, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each, altered, echoes, key) for each in value]
    if isinstance(value, str):
        return hashed(value) if key in altered else echoes.hides_quotation(value)
    return value


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
