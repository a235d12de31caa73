"""Transcripts out of what a speech LLM answers when it is asked for one."""

import re

CLOSING = {'"': '"', "'": "'", "\u201c": "\u201d"}
_QUOTED = re.compile(r"""^\s*["'\u201c]?(.*?)["\u201d]?\s*$""", re.DOTALL)
# A greedy decoder that has lost its thread says the same words again until it is stopped.
_LOOP = re.compile(r"\b(\w[^.!?]{0,80}?)(?:[\s,;.!?-]+\1\b){3,}", re.IGNORECASE)


def transcript_of(answer: str, answer_prefix: str) -> str:
    """What a speech LLM has heard, according to its answer.

    Args:
        answer: The answer, without its prefix.
        answer_prefix: Words that the answer was made to begin with. If they open a quotation, the transcript ends with
            it: what follows is talk.

    Returns:
        The transcript without quotation marks around it; words said four times or more in a row are kept once.
    """
    opened = answer_prefix.rstrip()[-1:]
    text = answer.split(CLOSING[opened], maxsplit=1)[0] if opened in CLOSING and opened != "'" else answer
    match = _QUOTED.match(text)
    return without_loops(match[1].strip() if match else text.strip())


def has_loop(text: str) -> bool:
    """Whether a phrase is said four times or more in a row: a decoder that has lost its thread."""
    return _LOOP.search(text) is not None


def without_loops(text: str) -> str:
    """A text in which a phrase that is said four times or more in a row stands once."""
    return _LOOP.sub(r"\1", text)
