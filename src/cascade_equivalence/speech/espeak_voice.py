"""Formant voices of espeak-ng, which runs in a process of its own (``espeak_worker.py``)."""

import json
import struct
import subprocess
import sys
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.prosody import Prosody, apply_prosody, find_style
from cascade_equivalence.speech.waveform import STEPS, Waveform, resample

WORKER = Path(__file__).with_name("espeak_worker.py")
SECONDS_TO_STOP = 5.0


class WorkerDiedError(Exception):
    """The worker ended without a reply."""


class EspeakProvider:
    """An espeak-ng voice: one worker process, started again if it dies."""

    name = "espeak"

    def __init__(self, spec: EspeakVoice) -> None:
        """Start the worker.

        Raises:
            StudyError: If espeak-ng is not installed or there is no such voice.
        """
        try:
            import espeakng_loader
        except ImportError as error:
            raise StudyError("The voice engine espeak-ng is not installed: pip install espeakng-loader.") from error
        self._spec = spec
        # The library is only named here; the worker loads it.
        self._paths = (espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
        self._process: subprocess.Popen[bytes] | None = None
        greeting = self._start()
        self._identity = (
            f"espeak-ng {greeting['version']}, voice {greeting['voice']}, espeakng-loader {version('espeakng-loader')}"
        )

    def identity(self) -> str:
        """Version of espeak-ng, and its own name for the voice."""
        return self._identity

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text; see ``Provider.speak``.

        Raises:
            StudyError: If the style is unknown, or the worker dies twice over the text.
        """
        return self.speak_as(text, None if style is None else find_style(style))

    def speak_as(self, text: str, change: Prosody | None) -> Waveform:
        """Speak a text with any changes to the voice's own settings; None speaks it as it is.

        Raises:
            StudyError: If the worker dies twice over the text.
        """
        settings = apply_prosody(self._spec, change).model_dump(include={"rate", "pitch", "range", "volume"})
        request = json.dumps({"text": text, **settings}).encode() + b"\n"
        try:
            sound = self._ask(request)
        except WorkerDiedError:
            self.close()
            self._start()
            try:
                sound = self._ask(request)
            except WorkerDiedError as error:
                raise StudyError(f"espeak-ng dies over the text {_start_of(text)!r}.") from error
        return resample(np.frombuffer(sound, dtype="<i2").astype(np.float32) / STEPS, self._rate)

    def close(self) -> None:
        """Stop the worker."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # it may be dead already
            process.stdin.close()
        try:
            process.wait(timeout=SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _start(self) -> dict[str, Any]:
        # -I and -S: nothing but the standard library, and nothing from the environment.
        command = [sys.executable, "-I", "-S", str(WORKER), *self._paths, self._spec.name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            kind, content = self._receive()
        except WorkerDiedError as error:
            self.close()
            raise StudyError("espeak-ng does not start: its process ended at once (see the lines above).") from error
        if kind != b"J":
            self.close()
            raise StudyError(_explain(self._spec.name, kind, content))
        greeting: dict[str, Any] = json.loads(content)
        self._rate = int(greeting["sampling_rate"])
        return greeting

    def _ask(self, request: bytes) -> bytes:
        if self._process is None or self._process.stdin is None:
            raise WorkerDiedError
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerDiedError from error
        kind, content = self._receive()
        if kind != b"S":
            text = json.loads(request)["text"]
            raise StudyError(f"espeak-ng could not speak {_start_of(text)!r}: {content.decode()}.")
        return content

    def _receive(self) -> tuple[bytes, bytes]:
        assert self._process is not None and self._process.stdout is not None
        head = self._process.stdout.read(5)
        if len(head) < 5:  # noqa: PLR2004
            raise WorkerDiedError
        (length,) = struct.unpack("<I", head[1:])
        content = self._process.stdout.read(length)
        if len(content) < length:
            raise WorkerDiedError
        return head[:1], content


def _explain(name: str, kind: bytes, content: bytes) -> str:
    if kind != b"U":
        return f"espeak-ng does not start: {content.decode()}."
    answer = json.loads(content)
    unknown, known = answer["unknown"], answer["known"]
    near = get_close_matches(unknown.lower(), known, n=5, cutoff=0.4)
    if not near:  # then those of the same language, or simply the first
        near = [other for other in known if other.startswith(unknown[:2])][:5] or known[:5]
    what = "variant" if unknown.startswith("+") else "voice"
    return f"espeak-ng has no {what} {unknown!r} (asked for {name!r}); near it are {', '.join(near)}."


def _start_of(text: str) -> str:
    limit = 60
    return text if len(text) <= limit else text[:limit] + "..."
