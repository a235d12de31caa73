"""An append-only JSON-lines store: nothing a model has computed is computed or paid for twice.

Each record is one line, keyed by a hash of everything that determines it, and is on disk before the next batch starts.
The store lies outside Snakemake's declared outputs, so it survives a job that fails or is killed.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cascade_equivalence.errors import StudyError


def key_of(parts: Mapping[str, Any]) -> str:
    """Hash what determines a record.

    Args:
        parts: JSON-serialisable values: model revision, prompt, audio hash, decoding settings, intervention.

    Returns:
        SHA-256 in hexadecimal of the canonical JSON.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """Records by key, in one append-only file that one process at a time may open.

    Use it as a context manager. A torn last line (the process was killed while writing it) is cut off on opening.

    Args:
        path: The file; its folder is made where it is missing.

    Raises:
        StudyError: Another process has the store open, or a line in the middle is not what the store writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise StudyError(
                f"{self.path} is in use by another process: wait for it to end, or stop it, then run again"
            ) from error
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                record = json.loads(line)
                self._records[record["key"]] = record["value"]
            except (ValueError, KeyError, TypeError) as error:
                self._file.close()
                raise StudyError(
                    f"{self.path}, line {number}, is damaged: remove that line to compute its record again"
                ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __getitem__(self, key: str) -> Any:
        return self._records[key]

    def __len__(self) -> int:
        return len(self._records)

    def add(self, records: Iterable[tuple[str, Any]]) -> None:
        """Append records and wait until they are on disk; a key that is there already keeps its first value."""
        fresh = {key: value for key, value in records if key not in self._records}
        lines = [json.dumps({"key": key, "value": value}, ensure_ascii=False) + "\n" for key, value in fresh.items()]
        # One write for the batch: a kill can tear the last line only.
        self._file.write("".join(lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records |= fresh
