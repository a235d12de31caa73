"""An append-only JSON-lines store: nothing a model has computed is computed or paid for twice.

Each record is one line, keyed by a hash of everything that determines it, and is on disk before the next batch starts.
The line begins with a checksum of the rest, so that a changed letter is not taken for what a model answered.
The store lies outside Snakemake's declared outputs, so it survives a job that fails or is killed.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import naming_full_disk

UNANSWERED = ".unanswered.jsonl"
"""Ends the name of the file beside a store that says which questions got no answer, and why."""

SECONDS_TO_WAIT = 5.0
"""How long to wait for another process to let go of a store."""


def key_of(parts: Mapping[str, Any]) -> str:
    """Hash what determines a record.

    Args:
        parts: JSON-serialisable values: model revision, prompt, audio hash, decoding settings, intervention.

    Returns:
        SHA-256 in hexadecimal of the canonical JSON.
    """
    return hashlib.sha256(_dump(parts)).hexdigest()


_CHECK, _DIGITS = b'{"check":"', 16
_REST = len(_CHECK) + _DIGITS + len(b'",')


def write_line(key: str, value: Any) -> bytes:
    """The line of a record: `{"check":"...","key":"...","value":...}`, the checksum that of the line without it."""
    body = _dump({"key": key, "value": value})
    return _CHECK + _checksum(body) + b'",' + body[1:] + b"\n"


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGITS].encode()


def read_line(line: bytes) -> tuple[str, Any]:
    """Key and value of a line, without its end. Lines of earlier versions have no checksum and are taken as they are.

    Raises:
        ValueError: It is damaged.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or record.keys() - {"check"} != {"key", "value"}:
        raise ValueError("no record")
    if not isinstance(record["key"], str):
        raise ValueError("no key")
    if "check" in record and line != _CHECK + _checksum(b"{" + line[_REST:]) + b'",' + line[_REST:]:
        raise ValueError("another checksum")
    return record["key"], record["value"]


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines of a store that are damaged; a half-written last line is none."""
    damaged = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            read_line(line)
        except (ValueError, RecursionError):
            damaged.append(number)
    return damaged


def _dump(value: object) -> bytes:
    """Canonical JSON on one line; half a surrogate pair, which a damaged text may hold, survives."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="surrogatepass")


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
            self._lock()
            self._records = self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def _lock(self) -> None:
        # A process that was just killed, or has just lost its Snakemake, needs a moment to let go.
        patience = time.monotonic() + SECONDS_TO_WAIT
        try:
            while not self._try_lock():
                if time.monotonic() > patience:
                    raise StudyError(
                        f"{self.path} is in use by another process: wait for it to end, or stop it, then run again"
                    )
                time.sleep(SECONDS_TO_WAIT / 20)
        except OSError as error:
            raise StudyError(
                f"{self.path} cannot be locked ({error.strerror}): put `results` on a file system that has locks"
            ) from error

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> dict[str, Any]:
        """Read all whole lines, then cut off what a killed process left of the last one."""
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        records: dict[str, Any] = {}
        for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
            try:
                key, value = read_line(line)
                records.setdefault(key, value)
            except (ValueError, RecursionError) as error:
                raise StudyError(
                    f"{self.path}, line {number}, is damaged: remove that line to compute its record again"
                ) from error
        if whole < len(content):
            self._file.truncate(whole)
        return records

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming_full_disk(self.path.parent):
            self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __getitem__(self, key: str) -> Any:
        return self._records[key]

    def __len__(self) -> int:
        return len(self._records)

    def items(self) -> list[tuple[str, Any]]:
        """All records, by key."""
        return list(self._records.items())

    def add(self, records: Iterable[tuple[str, Any]]) -> None:
        """Append records and wait until they are on disk; a key that is there already keeps its first value."""
        lines: dict[str, bytes] = {}
        for key, value in records:
            if key not in self._records and key not in lines:
                lines[key] = write_line(key, value)
        # One write for the batch: a kill can tear the last line only.
        with naming_full_disk(self.path.parent):
            self._file.write(b"".join(lines.values()))
            self._file.flush()
            os.fsync(self._file.fileno())
        # What is read now is what will be read from the file: a tuple is a list already.
        self._records |= {key: json.loads(line)["value"] for key, line in lines.items()}
