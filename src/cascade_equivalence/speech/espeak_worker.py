"""Speaks with the espeak-ng library in a process of its own: requests on stdin, sound on stdout.

Run as ``python espeak_worker.py LIBRARY DATA VOICE``, with the paths of the shared library and of its data folder.
Only the standard library is used. espeak-ng is under the GPL 3.0: it is loaded here and in no other process.

Request: one line of JSON with ``text``, ``rate``, ``pitch``, ``range`` and ``volume``. Reply, and greeting after the
start: a byte that names the kind, four bytes of length (little endian), and as many bytes of

- ``J``: JSON, the greeting: ``version``, ``sampling_rate``, ``voice``;
- ``S``: sound, 16-bit little-endian mono;
- ``U``: JSON, the voice is unknown: ``unknown`` (the part of its name) and ``known`` (what there is instead);
- ``E``: an error message in UTF-8.

How espeak-ng sounds depends on what it said before (phases and noise run on), even after it was initialised again. So
each utterance is spoken in a fork of the process, whose state is that of a fresh start. The breath of some voices is
random, seeded by the time of the start: here the seed is fixed.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound goes to the callback, espeak_Synth returns when all is said
DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
UTF8_WITH_END_PAUSE = 0x1 | 0x1000  # espeakCHARS_UTF8 | espeakENDPAUSE; no SSML, no phoneme codes
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}
SEED = 1
SECONDS_ALLOWED = 120


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_ubyte)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class UnknownVoiceError(Exception):
    """There is no such voice or variant."""


class Espeak:
    """The library, initialised and with a voice set."""

    def __init__(self, library: str, data: str, voice: str) -> None:
        """Load the library, start it and set the voice."""
        self._library = ctypes.CDLL(library)
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._sound: list[bytes] = []
        # The library keeps at most 160 characters of the path: give it a short one.
        os.chdir(Path(data).absolute().parent)
        self.sampling_rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, b".", DO_NOT_EXIT)
        if self.sampling_rate <= 0:
            raise OSError(f"espeak-ng does not start with the data in {data}")
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = callback(self._take)  # kept: the library holds only a pointer
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        self.version = self._library.espeak_Info(None).decode().split()[0]
        self.voice = self._find(voice)
        if self._library.espeak_SetVoiceByName(self.voice.encode()) != 0:
            raise OSError(f"espeak-ng refuses the voice {self.voice}")

    def speak(self, request: dict[str, Any]) -> bytes:
        """Speak with the settings of a request; 16-bit samples."""
        for name, number in PARAMETERS.items():
            if self._library.espeak_SetParameter(number, int(request[name]), 0) != 0:
                raise OSError(f"espeak-ng refuses {name} = {request[name]}")
        text = request["text"].replace("\0", " ").encode() + b"\0"
        self._sound.clear()
        arguments = (text, ctypes.c_size_t(len(text)), 0, 0, 0, UTF8_WITH_END_PAUSE, None, None)
        if self._library.espeak_Synth(*arguments) != 0:
            raise OSError("espeak-ng refuses the text")
        return b"".join(self._sound)

    def _take(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            self._sound.append(ctypes.string_at(samples, 2 * count))
        return 0

    def _find(self, voice: str) -> str:
        """Identifier of a voice: of a language tag, a file such as ``gmw/en-US``, or either with ``+variant``."""
        base, plus, variant = voice.partition("+")
        identifiers: dict[str, tuple[int, str]] = {}
        for found in self._list(None):
            identifier = found.identifier.decode()
            names = [(0, identifier), *_languages(found)]
            for priority, name in names:
                key = name.lower()
                identifiers[key] = min(identifiers.get(key, (priority, identifier)), (priority, identifier))
        if base.lower() not in identifiers:
            raise UnknownVoiceError(base, sorted(identifiers))
        identifier = identifiers[base.lower()][1]
        if not plus:
            return identifier
        variants = {found.identifier.decode().removeprefix("!v/") for found in self._list(b"variant")}
        if variant not in variants:
            raise UnknownVoiceError(f"+{variant}", sorted(f"+{known}" for known in variants))
        return f"{identifier}+{variant}"

    def _list(self, languages: bytes | None) -> list[_Voice]:
        wanted = None
        if languages is not None:
            tags = (ctypes.c_ubyte * (len(languages) + 1))(*languages, 0)
            wanted = ctypes.byref(_Voice(languages=ctypes.cast(tags, ctypes.POINTER(ctypes.c_ubyte))))
        listed = self._library.espeak_ListVoices(wanted)
        voices: list[_Voice] = []
        while listed[len(voices)]:
            voices.append(listed[len(voices)].contents)
        return voices


def _languages(voice: _Voice) -> list[tuple[int, str]]:
    """Language tags of a voice with their priority: stored as (priority, characters, 0) one after the other."""
    tags = []
    position = 0
    while priority := voice.languages[position]:
        tag = bytearray()
        position += 1
        while character := voice.languages[position]:
            tag.append(character)
            position += 1
        tags.append((priority, tag.decode()))
        position += 1
    return tags


def speak_in_fork(engine: Espeak, request: dict[str, Any]) -> tuple[bytes, bytes]:
    """Speak one request in a fork of this process; kind and content of the reply."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS_ALLOWED)
        with os.fdopen(writing, "wb") as pipe:
            try:
                pipe.write(b"S" + engine.speak(request))
            except Exception as error:
                pipe.write(b"E" + str(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        reply = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        return b"E", f"espeak-ng broke down while speaking (exit status {status})".encode()
    return reply[:1], reply[1:]


def send(out: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write one frame."""
    out.write(kind + struct.pack("<I", len(content)) + content)
    out.flush()


def main() -> None:
    """Greet, then answer requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is the parent's to handle
    # Frames go out on a private copy of stdout; whatever the library prints goes to stderr.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    library, data, voice = sys.argv[1:]
    try:
        engine = Espeak(library, data, voice)
    except UnknownVoiceError as error:
        unknown, known = error.args
        send(out, b"U", json.dumps({"unknown": unknown, "known": known}).encode())
        return
    except (OSError, AttributeError) as error:  # AttributeError: the library is too old and lacks a function
        send(out, b"E", str(error).encode())
        return
    greeting = {"version": engine.version, "sampling_rate": engine.sampling_rate, "voice": engine.voice}
    send(out, b"J", json.dumps(greeting).encode())
    for line in sys.stdin.buffer:
        send(out, *speak_in_fork(engine, json.loads(line)))


if __name__ == "__main__":
    main()
