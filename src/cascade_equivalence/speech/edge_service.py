"""Requests to Microsoft Edge's read-aloud service through the library edge-tts, and their errors.

The service tells little: who asks too much, who names a voice that it lacks and who sends it nothing to read all get an
empty reply, and a connection may end in the middle of a word. The library takes such an end for the end of the speech;
here a reply counts as whole only if the service said so after every part of the text.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from cascade_equivalence.config.speech import EdgeVoice
from cascade_equivalence.errors import StudyError

try:
    import edge_tts
    from aiohttp import ClientConnectionError, ClientError, WSServerHandshakeError
    from edge_tts.constants import TICKS_PER_SECOND
    from edge_tts.exceptions import EdgeTTSException, NoAudioReceived
except ImportError as missing:
    raise StudyError("The voice engine edge-tts is not installed: pip install edge-tts.") from missing

SECONDS_FOR_LIST = 30.0

T = TypeVar("T")


@dataclass(frozen=True)
class EdgeSpeech:
    """What the service sent for a text.

    Attributes:
        mp3: The speech.
        spoken: Seconds until the end of the last word, as the service says; 0 if it does not.
    """

    mp3: bytes
    spoken: float


class UnspokenError(Exception):
    """A request that gave no speech; asking again may help.

    Args:
        reason: What went wrong, for the user.
        advice: What to do if it stays so.
        retry_after: Seconds the service wants to be left alone, if it says so.
        empty: Whether the service ended the speech without any.
    """

    def __init__(self, reason: str, advice: str = "", retry_after: float | None = None, *, empty: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.advice, self.retry_after, self.empty = reason, advice, retry_after, empty


_LEAVE_ALONE = "The service may be throttling: wait some minutes, or lower the voice's `connections`."
_LET_IN = "Check this machine's clock and whether it may use the service, or whether there is a newer edge-tts."
_REACH = "Check the network, and HTTPS_PROXY if there is a proxy."


def request_speech(spec: EdgeVoice, text: str) -> EdgeSpeech:
    """Ask once for a text.

    Args:
        spec: The voice.
        text: What to say. One of more than 4,096 bytes is asked for in parts, which are joined.

    Raises:
        UnspokenError: If the speech is not there to its end.
    """
    return _run(_request(spec, text), spec.timeout)


def list_voices() -> list[str]:
    """Names of the service's voices.

    Raises:
        UnspokenError: If they cannot be had.
    """
    return [voice["ShortName"] for voice in _run(edge_tts.list_voices(), SECONDS_FOR_LIST)]


async def _request(spec: EdgeVoice, text: str) -> EdgeSpeech:
    talk = edge_tts.Communicate(
        text, spec.name, rate=spec.rate, volume=spec.volume, pitch=spec.pitch, boundary="WordBoundary"
    )
    mp3, spoken = bytearray(), 0.0
    async for chunk in talk.stream():
        if chunk["type"] == "audio":
            mp3 += chunk["data"]
        else:
            spoken = max(spoken, (chunk["offset"] + chunk["duration"]) / TICKS_PER_SECOND)
    # The library counts the sound of a part when the service has said that it is over, and only then.
    if talk.state["cumulative_audio_bytes"] != len(mp3):
        raise UnspokenError("the connection ended before the speech did", _LEAVE_ALONE)
    return EdgeSpeech(bytes(mp3), spoken)


def _run(work: Awaitable[T], seconds: float) -> T:
    """Run a coroutine in a loop of its own, whichever thread this is; the library's failures become one."""

    async def in_time() -> T:
        # The library sets no limit to a pause in the middle of the speech.
        async with asyncio.timeout(seconds):
            return await work

    try:
        return asyncio.run(in_time())
    except NoAudioReceived as error:
        raise UnspokenError("the service sent no sound", _LEAVE_ALONE, empty=True) from error
    except WSServerHandshakeError as error:
        raise _refused(error) from error
    except ClientConnectionError as error:
        # Of a failure to connect only what the system says; the rest names the library's own objects.
        cause = getattr(error, "os_error", error)
        raise UnspokenError(f"no connection ({cause or type(cause).__name__})", _REACH) from error
    except TimeoutError as error:
        raise UnspokenError(f"nothing more came within {seconds:g} s", _LEAVE_ALONE) from error
    # The library reads replies without looking first whether they are what it expects.
    except (EdgeTTSException, ClientError, OSError, ValueError, LookupError, TypeError) as error:
        raise UnspokenError(f"a reply that makes no sense ({type(error).__name__}: {error})", _LET_IN) from error


def _refused(error: WSServerHandshakeError) -> UnspokenError:
    asked = error.headers.get("Retry-After", "") if error.headers else ""
    advice = _LET_IN if error.status == HTTPStatus.FORBIDDEN else _LEAVE_ALONE
    # It may also be a date; our own pauses grow anyhow.
    return UnspokenError(
        f"the service refuses with HTTP {error.status}", advice, float(asked) if asked.isdecimal() else None
    )
