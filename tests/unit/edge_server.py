"""A stand-in on loopback for the read-aloud service: its websocket protocol, its list of voices, what can go wrong.

Nobody speaks behind it: a text is bursts of noise, one a word, as long as a reader would take, in the service's own
format (MP3, 24 kHz, mono, 48 kbit/s).
"""

import asyncio
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from io import BytesIO
from typing import Any, Literal
from xml.etree import ElementTree

import edge_tts.communicate
import edge_tts.voices
import numpy as np
import soundfile
from aiohttp import WSMsgType, web
from edge_tts.constants import TRUSTED_CLIENT_TOKEN, VOICE_LIST, WSS_URL
from edge_tts.drm import generate_sec_ms_gec_v2

REAL = "speech.platform.bing.com"
SSML = "{http://www.w3.org/2001/10/synthesis}"
NAME = re.compile(r"Microsoft Server Speech Text to Speech Voice \(([\w-]+), (\w+)\)")
VOICES = [f"en-US-{name}Neural" for name in ("Aria", "Christopher", "Guy", "Jenny")] + ["en-GB-SoniaNeural"]
RATE, FRAME = 24_000, 144  # bytes of an MP3 frame
LETTERS_A_SECOND, LEAD, TRAIL = 14.0, 0.1, 0.875
TICKS = 10_000_000
TOKEN_SECONDS = 300


@dataclass(frozen=True)
class Asked:
    """A request that the service took."""

    text: str
    voice: str
    prosody: dict[str, str]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with a connection.

    Attributes:
        kind: `refuse` it with an HTTP status; `drop` it in the middle of the sound; `leave` in good form there; `cut`
            the sound off there but end the turn; `lose` some of the sound's middle; `damage` it; send no `sound` but
            end the turn, send `silence`, send `junk`, `stall` in the middle, send a `riddle`, or speak in `haste`,
            so that the sound is whole but far too short.
        status: HTTP status of a refusal.
        headers: Further headers of a refusal.
    """

    kind: Literal[
        "refuse", "drop", "leave", "cut", "lose", "damage", "sound", "silence", "junk", "stall", "riddle", "haste"
    ]
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)


def words_of(text: str) -> list[tuple[str, float, float]]:
    """Words of a text with the seconds at which each begins and ends."""
    placed, now = [], LEAD
    for word in text.split():
        end = now + max(1, sum(map(str.isalnum, word))) / LETTERS_A_SECOND
        placed.append((word, now, end))
        now = end
    return placed


@cache
def sound_of(text: str, voice: str, level: float = 0.1) -> bytes:
    """The MP3 of a text."""
    placed = words_of(text)
    audio = np.zeros(int((placed[-1][2] + TRAIL) * RATE), dtype=np.float32)
    noise = np.random.default_rng(list(hashlib.sha256(f"{voice}: {text}".encode()).digest()))
    for _, start, end in placed:
        burst = slice(int(start * RATE), int(end * RATE))
        audio[burst] = level * noise.uniform(0.3, 1) * noise.standard_normal(burst.stop - burst.start)
    return encode_mp3(audio)


def encode_mp3(audio: np.ndarray) -> bytes:
    """MP3 at 24 kHz with 48 kbit/s in every frame, without the header that encoders put before."""
    file = BytesIO()
    # Of 0 to 1, what gives 48 kbit/s.
    soundfile.write(file, audio, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.74)
    mp3 = file.getvalue()
    assert mp3[2] >> 4 == 6 and len(mp3) % FRAME == 0
    return mp3


class StandIn:
    """The service.

    Attributes:
        asked: Every request that it took, in the order of their arrival.
        connections: Handshakes, also those that were refused.
        lists: How often the voices were listed.
        most: Connections at once.
        plan: Says what goes wrong with a connection, by its number from 0; None for nothing.
        ahead: Seconds that the service's clock is ahead of this one's.
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections = self.lists = self.most = self.now = 0
        self.plan: Callable[[int], Trouble | None] = lambda number: None
        self.ahead = 0.0
        self.slow = 0.0
        self.port = 0

    @property
    def texts(self) -> list[str]:
        return [asked.text for asked in self.asked]

    def application(self) -> web.Application:
        app = web.Application()
        path = "/consumer/speech/synthesize/readaloud"
        app.add_routes([web.get(f"{path}/edge/v1", self.speak), web.get(f"{path}/voices/list", self.list_voices)])
        return app

    def let_in(self, request: web.Request) -> bool:
        """Whether the token is right by the service's clock: it holds for five minutes."""
        known = request.query.get("TrustedClientToken", request.query.get("trustedclienttoken"))
        now = time.time() + self.ahead
        tokens = [generate_sec_ms_gec_v2(now + shift) for shift in (-TOKEN_SECONDS, 0, TOKEN_SECONDS)]
        return known == TRUSTED_CLIENT_TOKEN and request.query.get("Sec-MS-GEC") in tokens

    def refuse(self, status: int, headers: dict[str, str] | None = None) -> web.Response:
        return web.Response(
            status=status, headers={"Date": formatdate(time.time() + self.ahead, usegmt=True)} | (headers or {})
        )

    async def list_voices(self, request: web.Request) -> web.Response:
        self.lists += 1
        if not self.let_in(request):
            return self.refuse(403)
        return web.json_response([{"ShortName": name, "Locale": name[:5], "Gender": "Female"} for name in VOICES])

    async def speak(self, request: web.Request) -> web.StreamResponse:
        number = self.connections
        self.connections += 1
        trouble = self.plan(number)
        if not self.let_in(request):
            return self.refuse(403)
        if trouble is not None and trouble.kind == "refuse":
            return self.refuse(trouble.status, trouble.headers)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self.serve(request, trouble.kind if trouble else "nothing")
        finally:
            self.now -= 1

    async def serve(self, request: web.Request, trouble: str) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        head, settings = await take(socket)
        assert head["Path"] == "speech.config"
        audio = json.loads(settings)["context"]["synthesis"]["audio"]
        assert audio["outputFormat"] == "audio-24khz-48kbitrate-mono-mp3"
        head, ssml = await take(socket)
        assert head["Path"] == "ssml" and head["Content-Type"] == "application/ssml+xml"
        asked = read_ssml(ssml)
        self.asked.append(asked)
        turn = Turn(socket, head["X-RequestId"])
        await turn.say("turn.start", {"context": {"serviceTag": "stand-in"}})
        await turn.say("response", {"context": {"serviceTag": "stand-in"}, "audio": {"type": "inline"}})
        await asyncio.sleep(self.slow)
        if asked.voice in VOICES and asked.text.strip():
            words = audio["metadataoptions"]["wordBoundaryEnabled"] == "true"
            await self.send(turn, asked, words, trouble)
        if not socket.closed:
            await turn.say("turn.end", {})
            # The client closes.
            await socket.receive()
        return socket

    async def send(self, turn: "Turn", asked: Asked, words: bool, trouble: str) -> None:
        """Send the sound, and where each word lies in it."""
        if trouble == "sound":
            return
        if trouble == "riddle":
            return await turn.say("riddle", {})
        mp3 = sound_of(asked.text, asked.voice, 0.0 if trouble == "silence" else 0.1)
        placed = words_of(asked.text)
        half = len(mp3) // FRAME // 2 * FRAME
        if trouble == "haste":
            placed = placed[: len(placed) // 5]
            mp3 = encode_mp3(np.full(RATE, 0.1, dtype=np.float32))
        elif trouble == "junk":
            mp3 = b"<html>" * 1000
        elif trouble == "damage":
            mp3 = mp3[:half] + bytes(6 * FRAME) + mp3[half + 6 * FRAME :]
        elif trouble == "lose":
            mp3 = mp3[: half - half // 2 // FRAME * FRAME] + mp3[half + half // 2 // FRAME * FRAME :]
        elif trouble in ("cut", "drop", "leave", "stall"):
            mp3 = mp3[:half]
        for start in range(0, len(mp3), 5 * FRAME):
            await turn.sound(mp3[start : start + 5 * FRAME])
        if trouble == "drop":
            turn.socket._req.transport.abort()
            return await asyncio.sleep(0.05)
        if trouble == "leave":
            await turn.socket.close()
            return
        if trouble == "stall":
            await turn.socket.receive()
            return
        for word, start, end in placed if words else []:
            data = {
                "Offset": int(start * TICKS),
                "Duration": int((end - start) * TICKS),
                "text": {"Text": word, "Length": len(word), "BoundaryType": "WordBoundary"},
            }
            await turn.say("audio.metadata", {"Metadata": [{"Type": "WordBoundary", "Data": data}]})
        await turn.sound(b"")


@dataclass
class Turn:
    """One text's messages."""

    socket: web.WebSocketResponse
    request: str

    async def say(self, path: str, content: dict[str, Any]) -> None:
        head = f"X-RequestId:{self.request}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}\r\n\r\n"
        await self.socket.send_str(head + json.dumps(content))

    async def sound(self, mp3: bytes) -> None:
        kind = "Content-Type:audio/mpeg\r\n" if mp3 else ""
        head = f"X-RequestId:{self.request}\r\n{kind}X-StreamId:0\r\nPath:audio\r\n".encode()
        await self.socket.send_bytes(len(head).to_bytes(2, "big") + head + mp3)


async def take(socket: web.WebSocketResponse) -> tuple[dict[str, str], str]:
    """One message: its head and its body."""
    message = await socket.receive()
    assert message.type == WSMsgType.TEXT
    head, _, body = message.data.partition("\r\n\r\n")
    return dict(line.split(":", 1) for line in head.split("\r\n")), body


def read_ssml(ssml: str) -> Asked:
    """Take a request apart; raises where it is no XML."""
    speak = ElementTree.fromstring(ssml)
    voice = speak.find(f"{SSML}voice")
    prosody = voice.find(f"{SSML}prosody")
    assert speak.tag == f"{SSML}speak" and len(speak) == len(voice) == 1 and len(prosody) == 0
    return Asked(prosody.text or "", "-".join(NAME.fullmatch(voice.get("name")).groups()), dict(prosody.attrib))


def redirect(port: int) -> None:
    """Make the library ask the stand-in. In the process that runs the tests, use :func:`serving`."""
    edge_tts.communicate.WSS_URL = WSS_URL.replace(f"wss://{REAL}", f"ws://127.0.0.1:{port}")
    edge_tts.voices.VOICE_LIST = VOICE_LIST.replace(f"https://{REAL}", f"http://127.0.0.1:{port}")


@contextmanager
def serving() -> Iterator[StandIn]:
    """The stand-in at work, and the library asking it; all is as it was afterwards."""
    server = StandIn()
    loop = asyncio.new_event_loop()
    ready: Future[int] = Future()
    over = asyncio.Event()

    async def run() -> None:
        runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            ready.set_result(runner.addresses[0][1])
            await over.wait()
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    server.port = ready.result(10)
    skew = edge_tts.communicate.DRM.clock_skew_seconds
    redirect(server.port)
    try:
        yield server
    finally:
        edge_tts.communicate.WSS_URL, edge_tts.voices.VOICE_LIST = WSS_URL, VOICE_LIST
        edge_tts.communicate.DRM.clock_skew_seconds = skew
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
