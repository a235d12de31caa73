"""Endpoints that speak OpenAI's chat completions, through OpenAI's own SDK, which sends each request once."""

import base64
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import (
    CUT_SHORT,
    Reply,
    Turn,
    Unanswered,
    Usage,
    answered,
    usage_of,
)
from cascade_equivalence.models.api.failures import cut_off, describe, failure, no_credit, parse_retry_after

if TYPE_CHECKING:
    import openai

_NO_KEY = "none"  # the SDK insists on one; a server without keys does not look at it
_FILTERED = ("content_filter", "content_policy_violation")
_BAD_REQUEST = 400


class OpenAIClient:
    """Asks a model behind an OpenAI-compatible endpoint.

    Args:
        spec: The model, where it is, and its settings.
        key: The API key, empty for an endpoint that needs none; it is sent to the spec's endpoint and nowhere else.
    """

    def __init__(self, spec: ApiSpec, key: str) -> None:
        import openai

        self._spec, self._key = spec, key
        self._client = openai.OpenAI(
            api_key=key or _NO_KEY,
            base_url=spec.endpoint,
            timeout=spec.timeout,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, turns: Sequence[Turn], max_output_tokens: int) -> Reply:
        """Send one request, once; see :class:`~cascade_equivalence.models.api.exchange.Client`."""
        import httpx2
        import openai

        spec = self._spec
        fields: dict[str, Any] = {spec.max_output_field: max_output_tokens, "temperature": 0, **spec.extra_body}
        if spec.seed is not None:
            fields["seed"] = spec.seed
        try:
            # The body is written here, and not from the SDK's types, which know of OpenAI's own models only.
            completion = self._client.chat.completions.create(
                model=spec.model, messages=[_message(turn) for turn in turns], extra_body=fields
            )
        except openai.APIStatusError as error:
            if (reply := self._filtered(error)) is not None:
                return reply
            raise self._explain(error) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
            raise cut_off(cause, sent=not isinstance(cause, unsent)) from None
        except (openai.APIError, ValueError, RecursionError) as error:
            raise cut_off(error, sent=True) from None
        return _read(completion)

    def _filtered(self, error: "openai.APIStatusError") -> Reply | None:
        """The answer that a provider's own filter gives in place of the model."""
        if error.status_code != _BAD_REQUEST or error.code not in _FILTERED:
            return None
        return Reply("", str(error.code), None, error.request_id, Usage(0, 0, 0))

    def _explain(self, error: "openai.APIStatusError") -> Unanswered | StudyError:
        """The exception for a reply that is no success."""
        body = error.body if isinstance(error.body, dict) else {}
        message = describe(body.get("message") or "", self._key)
        if error.code == "insufficient_quota":
            return no_credit(self._spec, f"HTTP {error.status_code}: {message}")
        retry_after = parse_retry_after(error.response.headers.get("retry-after"), time.time())
        return failure(self._spec, error.status_code, message, retry_after)


def _message(turn: Turn) -> Any:
    """One message; turns of text alone are plain strings, as every endpoint takes them."""
    if len(turn.parts) == 1 and isinstance(turn.parts[0], str):
        return {"role": turn.role, "content": turn.parts[0]}
    content: list[dict[str, object]] = []
    for part in turn.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            audio = {"data": base64.b64encode(part).decode("ascii"), "format": "wav"}
            content.append({"type": "input_audio", "input_audio": audio})
    return {"role": turn.role, "content": content}


def _read(completion: Any) -> Reply:
    """What a completion says; the SDK does not check its form.

    Raises:
        Unanswered: It has no answer in it.
    """
    try:
        choice = completion.choices[0]
        message = choice.message
        text, thoughts = _text(message.content), _thoughts(message)
        refused = not text and getattr(message, "refusal", None) is not None
        reason = "refusal" if refused else str(choice.finish_reason or "unknown")
        if not text.strip() and not refused and reason not in CUT_SHORT:
            # Some servers put a whole answer there if a model that may think did not; thoughts cut short are none.
            text = thoughts
        counts = completion.usage
        usage = None
        if counts is not None:
            given, made = counts.prompt_tokens_details, counts.completion_tokens_details
            usage = usage_of(
                counts.prompt_tokens,
                getattr(given, "audio_tokens", None),
                counts.completion_tokens,
                getattr(made, "reasoning_tokens", None),
            )
        version = "/".join(filter(None, (completion.model, completion.system_fingerprint))) or None
        reply = Reply(text, reason, version, completion.id, usage)
    except (AttributeError, IndexError, TypeError, ValueError, RecursionError):
        raise Unanswered("a reply that is no chat completion", perhaps_charged=True) from None
    return answered(reply)


def _text(content: Any) -> str:
    """Text of a message's content: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    if content is not None and not isinstance(content, str):
        raise TypeError
    return content or ""


def _thoughts(message: Any) -> str:
    found = [getattr(message, name, None) for name in ("reasoning_content", "reasoning")]
    return next((each for each in found if isinstance(each, str) and each.strip()), "")
