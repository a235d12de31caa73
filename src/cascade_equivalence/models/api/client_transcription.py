"""Endpoints that write down a clip as OpenAI's `/audio/transcriptions` does: vLLM's, whisper.cpp's, OpenAI's own.

Spoken without an SDK: where word errors are counted none is installed, and a request is one form with a file.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import Reply, Turn, Unanswered, Usage, usage_of
from cascade_equivalence.models.api.failures import cut_off, describe, failure, no_credit, parse_retry_after

if TYPE_CHECKING:
    import httpx2

DONE = "stop"
"""How a transcript ends: the protocol does not say."""


class TranscriptionClient:
    """Asks a recogniser behind an OpenAI-compatible endpoint.

    Args:
        spec: The model, where it is, and its settings; its extra fields hold the language.
        key: The API key, empty for an endpoint that needs none; it is sent to the spec's endpoint and nowhere else.
    """

    def __init__(self, spec: ApiSpec, key: str) -> None:
        import httpx2

        self._spec, self._key = spec, key
        # A redirect would take the key's header with it.
        self._client = httpx2.Client(timeout=spec.timeout, follow_redirects=False)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, turns: Sequence[Turn], max_output_tokens: int) -> Reply:
        """Send one clip, once; see :class:`~cascade_equivalence.models.api.exchange.Client`.

        Args:
            turns: One, whose only part is the clip.
            max_output_tokens: Not sent: the protocol has no limit.
        """
        import httpx2

        spec = self._spec
        ((wav,),) = (turn.parts for turn in turns)
        assert isinstance(wav, bytes)
        more = {name: _field(value) for name, value in spec.extra_body.items()}
        fields = {"model": spec.model, "response_format": "json", "temperature": "0"} | more
        try:
            response = self._client.post(
                f"{spec.endpoint}/audio/transcriptions",
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                data=fields,
                files={"file": ("clip.wav", wav, "audio/wav")},
            )
        except httpx2.TransportError as error:
            unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
            raise cut_off(error, sent=not isinstance(error, unsent)) from None
        except httpx2.HTTPError as error:
            raise cut_off(error, sent=True) from None
        if not response.is_success:
            raise self._explain(response) from None
        try:
            return _read(json.loads(response.content), spec.audio_rate)
        except (ValueError, RecursionError) as error:
            raise cut_off(error, sent=True) from None

    def _explain(self, response: "httpx2.Response") -> Unanswered | StudyError:
        """The exception for a reply that is no success."""
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = None
        # OpenAI's form, that of older servers of vLLM, and that of servers made with FastAPI.
        inner = body.get("error", body) if isinstance(body, dict) else None
        told = inner if isinstance(inner, dict) else {"message": inner}
        message = describe(told.get("message") or told.get("detail") or "", self._key)
        if told.get("code") == "insufficient_quota":
            return no_credit(self._spec, f"HTTP {response.status_code}: {message}")
        retry_after = parse_retry_after(response.headers.get("retry-after"), time.time())
        return failure(self._spec, response.status_code, message, retry_after)


def _field(value: Any) -> str:
    """A value as a field of a form, which knows texts only."""
    return value if isinstance(value, str) else json.dumps(value)


def _read(found: Any, rate: float) -> Reply:
    """What a transcription says. No word at all is a transcript, too.

    Raises:
        Unanswered: It has no text in it.
    """
    if not isinstance(found, dict) or not isinstance(text := found.get("text"), str):
        raise Unanswered("a reply that is no transcription", perhaps_charged=True)
    version, name = (value if isinstance(value := found.get(key), str) else None for key in ("model", "id"))
    return Reply(text.strip(), DONE, version, name, _usage(found.get("usage"), rate))


def _usage(counts: object, rate: float) -> Usage | None:
    """What the service counted: tokens, or seconds, which are tokens of audio at a rate."""
    if not isinstance(counts, Mapping):
        return None
    if isinstance(seconds := counts.get("seconds"), int | float) and 0 <= seconds < math.inf:
        heard = math.ceil(seconds * rate)
        return usage_of(heard, heard, 0, None)
    details = counts.get("input_token_details")
    audio = details.get("audio_tokens") if isinstance(details, Mapping) else None
    return usage_of(counts.get("input_tokens"), audio, counts.get("output_tokens"), None)
