"""A stand-in provider on loopback that speaks the Gemini API and OpenAI's chat and transcripts, and what can go wrong.

No model is behind it: it answers with a word that it makes from the hash of what it hears or reads.
"""

import base64
import email
import hashlib
import json
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import soundfile

KEY = "sk-planted-5f1c9d2e7ab3"
MODEL = "listener-1"
VERSION = "listener-1-2026-01-15"
CHARACTERS_A_TOKEN = 4
AUDIO_RATE = {"gemini": 32, "openai": 10}
GEMINI = re.compile(r"/v1beta/models/([^/:]+):generateContent")
OPENAI = "/v1/chat/completions"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
FINISH = {
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "safety": "SAFETY"},
    "openai": {"safety": "content_filter"},
}
LARGEST = 2**31


@dataclass(frozen=True)
class Heard:
    """One request, taken apart: the same for all protocols.

    Attributes:
        provider: Which protocol.
        turns: Role and text of each turn; the audio is `<audio>`. The system's turn comes first.
        wav: The audio; empty where a text is read.
        body: The whole body, of a form its fields.
        headers: Its headers, in lower case.
    """

    provider: str
    turns: list[tuple[str, str]]
    wav: bytes
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def seconds(self) -> float:
        if not self.wav:
            return 0.0
        audio, rate = soundfile.read(BytesIO(self.wav), dtype="int16")
        assert rate == 16000 and audio.ndim == 1
        return len(audio) / rate


@dataclass
class Trouble:
    """What goes wrong with a request, in place of an answer.

    Attributes:
        status: HTTP status.
        headers: Further headers.
        error: The error object of the body; None makes an answer.
        body: Bytes to send in place of any JSON.
        finish: How an answer ends: `stop`, `length`, or `safety`.
        text: What the answer says; None is the word that was made from the audio.
        block: Gemini's block reason: no candidate at all.
        refusal: OpenAI's refusal in place of content.
        cut: Close the connection half way.
        hold: Wait for this before answering.
        drip: Seconds between the bytes of the reply.
        usage: Whether tokens are counted.
        times: What the counts are multiplied by.
        counts: Counts in place of those, by the protocol's names.
        thoughts: OpenAI's text in a field for reasoning, by the field's name.
        version: What says it answered.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    body: bytes | None = None
    finish: str = "stop"
    text: str | None = None
    block: str | None = None
    refusal: str | None = None
    cut: bool = False
    hold: threading.Event | None = None
    drip: float = 0.0
    usage: bool = True
    times: int = 1
    counts: dict[str, Any] = field(default_factory=dict)
    thoughts: dict[str, str] = field(default_factory=dict)
    version: str | None = None


def status(code: int, message: str = "out of order", **headers: str) -> Trouble:
    """An error reply; keyword names are headers, with `_` for `-`."""
    return Trouble(
        code, {name.replace("_", "-"): value for name, value in headers.items()}, {"code": code, "message": message}
    )


def transcript_of(wav: bytes) -> str:
    """What the stand-in writes down of a clip."""
    return f"clip {hashlib.sha256(wav).hexdigest()[:8]}"


def word_of(wav: bytes) -> str:
    """What the stand-in answers to a clip, or to a text."""
    return ("positive", "negative")[hashlib.sha256(wav).digest()[0] % 2]


class StandIn(ThreadingHTTPServer):
    """The provider.

    Attributes:
        heard: Every request whose key was right, in the order of their arrival.
        refused: Requests with a wrong key.
        plan: Says what goes wrong with a request, by its number from 0; None for nothing.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[Heard] = []
        self.refused = 0
        self.key: str | None = KEY
        self.version = VERSION
        self.plan: Callable[[int], Trouble | None] = lambda _: None
        self.under_way = 0
        self.most_under_way = 0
        self.mutex = threading.Lock()

    def url(self, provider: str) -> str:
        return f"http://127.0.0.1:{self.server_port}" + ("" if provider == "gemini" else "/v1")

    def first(self, *troubles: Trouble | None) -> None:
        """Let the first requests go wrong, in this order, and then none."""
        self.plan = lambda number: troubles[number] if number < len(troubles) else None

    def clips(self) -> list[str]:
        """Hash of the audio of each request."""
        return [hashlib.sha256(request.wav).hexdigest() for request in self.heard]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed, or does not wait, leaves broken pipes; nobody need read of them."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[StandIn]:
    """The stand-in at work."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Refused(Exception):
    """A request that the real provider would not accept."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        gemini = GEMINI.fullmatch(self.path)
        if not gemini and self.path not in (OPENAI, TRANSCRIPTIONS):
            return self.fail(404, "no such path")
        provider = "gemini" if gemini else "openai" if self.path == OPENAI else "transcription"
        headers = {name.lower(): value for name, value in self.headers.items()}
        given = headers.get("x-goog-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if server.key is not None and given != server.key:
            with server.mutex:
                server.refused += 1
            return self.fail(401, f"Incorrect API key provided: {given}.")
        try:
            heard = (
                read_form(body, headers) if provider == "transcription" else read(provider, json.loads(body), headers)
            )
        except Refused as problem:
            return self.fail(400, str(problem))
        with server.mutex:
            number = len(server.heard)
            server.heard.append(heard)
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            if (gemini[1] if gemini else heard.body["model"]) != MODEL:
                return self.fail(404, "no such model")
            return self.act(heard, server.plan(number) or Trouble())
        finally:
            with server.mutex:
                server.under_way -= 1

    def fail(self, code: int, message: str) -> None:
        self.send(code, json.dumps({"error": {"code": code, "message": message}}).encode())

    def act(self, heard: Heard, trouble: Trouble) -> None:
        if trouble.hold is not None:
            trouble.hold.wait(60)
        if trouble.error is not None:
            content: dict[str, Any] = {"error": trouble.error}
        else:
            content = REPLIES[heard.provider](heard, trouble, self.server)
        body = trouble.body if trouble.body is not None else json.dumps(content).encode()
        self.send(trouble.status, body, cut=trouble.cut, drip=trouble.drip, **trouble.headers)

    def send(self, code: int, body: bytes, *, cut: bool = False, drip: float = 0.0, **headers: str) -> None:
        self.send_response(code)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(len(body) if drip else 0):
            time.sleep(drip)
            self.wfile.write(body[start : start + 1])
        if not drip:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut


def read(provider: str, body: dict[str, Any], headers: dict[str, str]) -> Heard:
    """Take a request apart as its provider would.

    Raises:
        Refused: It is not what the provider's documentation asks for.
    """
    sounds: list[bytes] = []
    turns = (gemini_turns if provider == "gemini" else openai_turns)(body, sounds)
    if not sounds and provider == "openai":
        return Heard(provider, turns, b"", body, headers)
    if len(sounds) != 1:
        raise Refused(f"{len(sounds)} clips")
    try:
        soundfile.info(BytesIO(sounds[0]))
    except soundfile.LibsndfileError as error:
        raise Refused("the audio is no WAV file") from error
    return Heard(provider, turns, sounds[0], body, headers)


def read_form(body: bytes, headers: dict[str, str]) -> Heard:
    """Take a request for a transcript apart (platform.openai.com/docs/api-reference/audio/createTranscription).

    Raises:
        Refused: It is not what the documentation asks for.
    """
    parts = email.message_from_bytes(b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
    fields: dict[str, Any] = {}
    for part in parts.get_payload():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        fields[name] = content if name == "file" else content.decode()
    if unknown := set(fields) - {"file", "model", "language", "prompt", "response_format", "temperature"}:
        raise Refused(f"unknown field {sorted(unknown)}")
    if fields["response_format"] != "json" or fields["temperature"] != "0":
        raise Refused("response_format, temperature")
    wav = fields.pop("file")
    try:
        soundfile.info(BytesIO(wav))
    except soundfile.LibsndfileError as error:
        raise Refused("the audio is no WAV file") from error
    return Heard("transcription", [], wav, fields, headers)


def gemini_turns(body: dict[str, Any], sounds: list[bytes]) -> list[tuple[str, str]]:
    """Turns of a generateContent request (ai.google.dev/api/generate-content)."""
    known = {"contents", "systemInstruction", "generationConfig", "safetySettings"}
    if unknown := set(body) - known:
        raise Refused(f"unknown name {sorted(unknown)}")
    turns = []
    if system := body.get("systemInstruction"):
        turns.append(("system", "".join(part["text"] for part in system["parts"])))
    for content in body["contents"]:
        text = ""
        for part in content["parts"]:
            if "text" in part:
                text += part["text"]
            else:
                # As JSON of a protocol buffer, which takes names in both cases and both alphabets of base64.
                data = {name.replace("_", "").lower(): value for name, value in part["inlineData"].items()}
                if data["mimetype"] != "audio/wav":
                    raise Refused("not audio")
                sounds.append(base64.urlsafe_b64decode(data["data"]))
                text += "<audio>"
        if not text.strip():
            raise Refused("an empty part")
        turns.append(({"user": "user", "model": "assistant"}[content["role"]], text))
    if not 1 <= body["generationConfig"]["maxOutputTokens"] < LARGEST:
        raise Refused("maxOutputTokens")
    return turns


def openai_turns(body: dict[str, Any], sounds: list[bytes]) -> list[tuple[str, str]]:
    """Turns of a chat completion request (platform.openai.com/docs/api-reference/chat/create)."""
    turns = []
    for message in body["messages"]:
        if isinstance(message["content"], str):
            turns.append((message["role"], message["content"]))
            continue
        text = ""
        for part in message["content"]:
            if part["type"] == "text":
                text += part["text"]
            elif part["type"] == "input_audio" and part["input_audio"]["format"] == "wav":
                sounds.append(base64.b64decode(part["input_audio"]["data"], validate=True))
                text += "<audio>"
            else:
                raise Refused("unknown part")
        turns.append((message["role"], text))
    return turns


def counted(heard: Heard, text: str) -> tuple[int, int, int]:
    """Tokens of the text, of the audio and of the answer."""
    prompt = sum(len(turn.replace("<audio>", "")) for _, turn in heard.turns)
    audio = math.ceil(heard.seconds * AUDIO_RATE.get(heard.provider, 10))
    return math.ceil(prompt / CHARACTERS_A_TOKEN), audio, math.ceil(len(text) / CHARACTERS_A_TOKEN)


def gemini_reply(heard: Heard, trouble: Trouble, server: StandIn) -> dict[str, Any]:
    """A GenerateContentResponse."""
    text = word_of(heard.wav) if trouble.text is None else trouble.text
    prompt, audio, answer = (trouble.times * count for count in counted(heard, text))
    reply: dict[str, Any] = {"modelVersion": trouble.version or server.version, "responseId": f"r{len(server.heard)}"}
    if trouble.block:
        reply["promptFeedback"] = {"blockReason": trouble.block}
    else:
        candidate: dict[str, Any] = {"finishReason": FINISH["gemini"][trouble.finish], "index": 0}
        if text:
            candidate["content"] = {"role": "model", "parts": [{"text": text}]}
        reply["candidates"] = [candidate]
    if trouble.usage:
        details = [{"modality": "TEXT", "tokenCount": prompt}, {"modality": "AUDIO", "tokenCount": audio}]
        reply["usageMetadata"] = {"promptTokenCount": prompt + audio, "promptTokensDetails": details}
        if not trouble.block:
            reply["usageMetadata"]["candidatesTokenCount"] = answer
        reply["usageMetadata"] |= trouble.counts
    return reply


def openai_reply(heard: Heard, trouble: Trouble, server: StandIn) -> dict[str, Any]:
    """A chat completion."""
    text = word_of(heard.wav or repr(heard.turns).encode()) if trouble.text is None else trouble.text
    prompt, audio, answer = (trouble.times * count for count in counted(heard, text))
    message: dict[str, Any] = {"role": "assistant", "content": text or None, **trouble.thoughts}
    if trouble.refusal:
        message = {"role": "assistant", "content": None, "refusal": trouble.refusal}
    reply: dict[str, Any] = {
        "id": f"r{len(server.heard)}",
        "object": "chat.completion",
        "created": 1,
        "model": trouble.version or server.version,
        "system_fingerprint": "fp_1",
        "choices": [
            {"index": 0, "message": message, "finish_reason": FINISH["openai"].get(trouble.finish, trouble.finish)}
        ],
    }
    if trouble.usage:
        reply["usage"] = {
            "prompt_tokens": prompt + audio,
            "completion_tokens": answer,
            "total_tokens": prompt + audio + answer,
            "prompt_tokens_details": {"audio_tokens": audio, "cached_tokens": 0},
        } | trouble.counts
    return reply


def transcription_reply(heard: Heard, trouble: Trouble, _: StandIn) -> dict[str, Any]:
    """A transcription, with the seconds that are charged."""
    text = transcript_of(heard.wav) if trouble.text is None else trouble.text
    usage = {"type": "duration", "seconds": math.ceil(heard.seconds)} | trouble.counts
    return {"text": text} | ({"usage": usage} if trouble.usage else {})


REPLIES = {"gemini": gemini_reply, "openai": openai_reply, "transcription": transcription_reply}
