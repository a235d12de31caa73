"""The Gemini API, through Google's own SDK, which sends each request once; retries and limits are not its business."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import Reply, Turn, Unanswered, answered, usage_of
from cascade_equivalence.models.api.failures import (
    cut_off,
    describe,
    failure,
    key_refused,
    no_credit,
    parse_retry_after,
)

if TYPE_CHECKING:
    from google.genai import errors, types

API_VERSION = "v1beta"
LARGEST_REQUEST = 20_000_000
"""Bytes of a request with its audio inside (ai.google.dev/gemini-api/docs/audio)."""

_BASE64 = 4 / 3
_NO_KEY = "none"  # the SDK insists on one
_BAD_REQUEST = 400
_FILTERS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
_ROLES = {"user": "user", "assistant": "model"}


class GeminiClient:
    """Asks a model of the Gemini API.

    Args:
        spec: The model, where it is, and its settings.
        key: The API key; it is sent as a header to the spec's endpoint and nowhere else.
    """

    def __init__(self, spec: ApiSpec, key: str) -> None:
        from google import genai
        from google.genai import types

        self._spec, self._key = spec, key
        self._client = genai.Client(
            # Said here, so that variables of the environment do not send the key to another place.
            vertexai=False,
            api_key=key or _NO_KEY,
            http_options=types.HttpOptions(
                base_url=spec.endpoint,
                api_version=API_VERSION,
                timeout=round(spec.timeout * 1000),
                # A redirect would take the key's header with it.
                client_args={"follow_redirects": False},
            ),
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, turns: Sequence[Turn], max_output_tokens: int) -> Reply:
        """Send one request, once; see :class:`~cascade_equivalence.models.api.exchange.Client`."""
        import httpx2
        from google.genai import errors

        contents, config = self._request(turns, max_output_tokens)
        try:
            response = self._client.models.generate_content(model=self._spec.model, contents=contents, config=config)
        except errors.APIError as error:
            raise self._explain(error) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise cut_off(error, sent=False) from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise cut_off(error, sent=True) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            # The SDK takes a reply's form for granted.
            raise cut_off(error, sent=True) from None
        return _read(response)

    def _request(
        self, turns: Sequence[Turn], max_output_tokens: int
    ) -> tuple[list["types.Content"], "types.GenerateContentConfig"]:
        from google.genai import types

        spec = self._spec
        size = sum(len(part) * (_BASE64 if isinstance(part, bytes) else 1) for turn in turns for part in turn.parts)
        if size > LARGEST_REQUEST:
            raise StudyError(f"a clip is too long for the Gemini API, which takes {LARGEST_REQUEST} bytes a request")
        contents = [
            types.Content(role=_ROLES[turn.role], parts=[_part(part) for part in turn.parts])
            for turn in turns
            if turn.role != "system"
        ]
        system = [part for turn in turns if turn.role == "system" for part in turn.parts]
        level = types.ThinkingLevel(spec.thinking_level.upper()) if spec.thinking_level else None
        thinking = types.ThinkingConfig(thinking_budget=spec.thinking_budget, thinking_level=level)
        # A model that cannot think refuses even an empty setting.
        asked = spec.thinking_budget is not None or level is not None
        threshold = types.HarmBlockThreshold(spec.safety) if spec.safety else None
        config = types.GenerateContentConfig(
            system_instruction=str(system[0]) if system else None,
            temperature=0,
            seed=spec.seed,
            candidate_count=1,
            max_output_tokens=max_output_tokens,
            thinking_config=thinking if asked else None,
            safety_settings=[
                types.SafetySetting(category=types.HarmCategory(f"HARM_CATEGORY_{name}"), threshold=threshold)
                for name in _FILTERS
            ]
            if threshold
            else None,
            # Each would be a further request that no budget knows of.
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        return contents, config

    def _explain(self, error: "errors.APIError") -> Unanswered | StudyError:
        """The exception for a reply that is no success."""
        details = _details(error.details)
        message = describe(error.message or "", self._key)
        said = f"HTTP {error.code}: {message}"
        if error.code == _BAD_REQUEST and any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
            return key_refused(self._spec, f"HTTP {error.code}: API_KEY_INVALID")
        exhausted = [str(violation.get("quotaId")) for detail in details for violation in detail.get("violations", ())]
        if any("PerDay" in quota for quota in exhausted):
            return no_credit(self._spec, said)
        headers = getattr(error.response, "headers", {})
        waits = [parse_retry_after(headers.get("retry-after"), time.time())]
        waits += [_seconds(detail["retryDelay"]) for detail in details if "retryDelay" in detail]
        return failure(self._spec, error.code, message, max((wait for wait in waits if wait is not None), default=None))


def _part(part: str | bytes) -> "types.Part":
    from google.genai import types

    if isinstance(part, str):
        return types.Part.from_text(text=part)
    return types.Part.from_bytes(data=part, mime_type="audio/wav")


def _details(body: Any) -> list[dict[str, Any]]:
    """The details of an error's body, of which each says its kind in `@type`."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details or () if isinstance(detail, dict)] if isinstance(details, list) else []


def _seconds(duration: object) -> float | None:
    """Seconds of a google.protobuf.Duration in JSON, such as "34.07s"."""
    try:
        return max(0.0, float(str(duration).removesuffix("s")))
    except ValueError:
        return None


def _read(response: "types.GenerateContentResponse") -> Reply:
    """What a response says.

    Raises:
        Unanswered: It says nothing: neither an answer nor a reason for none.
    """
    counts, feedback = response.usage_metadata, response.prompt_feedback
    usage = None
    if counts is not None and counts.prompt_token_count is not None:
        parts = {part.modality: part.token_count or 0 for part in counts.prompt_tokens_details or ()}
        audio = next((count for modality, count in parts.items() if modality and modality.value == "AUDIO"), 0)
        thoughts, shown = counts.thoughts_token_count or 0, counts.candidates_token_count or 0
        # Each for itself: a sum could hide a negative count.
        if usage_of(shown, None, thoughts, None) is not None:
            usage = usage_of(counts.prompt_token_count, audio if parts else None, shown + thoughts, thoughts)
    text, reason = "", "NO_CANDIDATES"
    if response.candidates:
        candidate = response.candidates[0]
        said = candidate.content.parts if candidate.content and candidate.content.parts else []
        text = "".join(part.text for part in said if part.text and not part.thought)
        reason = candidate.finish_reason.value if candidate.finish_reason else "UNKNOWN"
    elif feedback is not None and feedback.block_reason is not None:
        reason = f"BLOCKED_{feedback.block_reason.value}"
    return answered(Reply(text, reason, response.model_version, response.response_id, usage))
