"""What went wrong with a call: whether to ask again, and what to tell the user, without anything secret."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cascade_equivalence.config.api import ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import Unanswered

LONGEST_MESSAGE = 300
_TIMEOUT, _RATE_LIMIT, _NOT_IMPLEMENTED, _SERVER = 408, 429, 501, 500
_BAD_REQUEST, _UNAUTHORISED, _PAYMENT, _FORBIDDEN, _NOT_FOUND, _TOO_LARGE = 400, 401, 402, 403, 404, 413
_ADVICE = {
    _BAD_REQUEST: "check max_output_tokens, thinking_budget, thinking_level, safety, seed and extra_body",
    _NOT_FOUND: "there is no such model, or not for this key; providers switch old models off. Check `model` and "
    "`base_url`",
    _TOO_LARGE: "the question is too large; leave out longer clips",
}
# Some providers show a key with its middle starred out.
_STARRED = re.compile(r"\S*\*{3,}\S*")


def describe(message: object, key: str) -> str:
    """A provider's message on one line, with the key and anything like a starred key taken out."""
    text = " ".join(str(message).split())
    if key:
        text = text.replace(key, "(the key)")
    text = _STARRED.sub("(a key)", text)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."


def failure(spec: ApiSpec, status: int, message: str, retry_after: float | None = None) -> Unanswered | StudyError:
    """The exception for a reply with an HTTP status that is no success.

    Args:
        spec: Who was asked.
        status: The HTTP status.
        message: What the provider says, from :func:`describe`.
        retry_after: Seconds the provider wants to be left alone, if it says so.

    Returns:
        To raise: :class:`Unanswered` where asking again may help (time-out, rate limit, trouble of the server), else
        an error that names what to put right.
    """
    said = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    if status in (_TIMEOUT, _RATE_LIMIT) or (status >= _SERVER and status != _NOT_IMPLEMENTED):
        return Unanswered(said, retry_after)
    if status in (_UNAUTHORISED, _FORBIDDEN):
        # A provider that does not know a key may quote it.
        return key_refused(spec, said if status == _FORBIDDEN else f"HTTP {status}")
    if status == _PAYMENT:
        return no_credit(spec, said)
    advice = _ADVICE.get(status, "check `model` and `base_url`")
    return StudyError(f"{spec.model} at {spec.endpoint} cannot be asked ({said}): {advice}")


def key_refused(spec: ApiSpec, said: str) -> StudyError:
    """The provider does not accept the key."""
    if not spec.key_variable:
        return StudyError(
            f"{spec.endpoint} wants a key ({said}): name the environment variable that holds it in `key_env`"
        )
    return StudyError(
        f"{spec.endpoint} refuses the key in {spec.key_variable} for {spec.model} ({said}): put a valid key with "
        "access to this model in that environment variable"
    )


def no_credit(spec: ApiSpec, said: str) -> StudyError:
    """The account cannot pay, or has used up what it may use; waiting a minute does not help."""
    return StudyError(
        f"{spec.endpoint}: the account behind {spec.key_variable or 'no key'} has used up its quota or credit "
        f"({said}): raise it, or wait until it is renewed, then run again; what was answered is kept"
    )


def cut_off(error: BaseException, *, sent: bool) -> Unanswered:
    """No whole reply arrived; ``sent`` says whether the request may have reached the provider."""
    return Unanswered(f"no whole reply ({type(error).__name__})", perhaps_charged=sent, unreached=not sent)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a Retry-After header: a number, or a date (RFC 9110, 10.2.3); None for anything else."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        # An HTTP date is in GMT, whether it says so or not.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if seconds < float("inf") else None


def utc(now: float) -> str:
    """A time as text, to the second."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
