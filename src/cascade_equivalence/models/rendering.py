"""From a conversation to the text a model reads, in which nothing that was said can pass for a turn of its own."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.errors import StudyError

# Some templates write the date; a study's prompts must not change overnight. Llama 3.1 assumes this day itself.
TODAY = datetime(2024, 7, 26, tzinfo=UTC)
_DATE = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
PLAIN_TURNS = {"system": "{}\n\n", "user": "{}\n", "assistant": "Answer: {}\n\n"}


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Texts that the tokenizer would turn into tokens with a meaning of their own, longest first.

    Besides the named special tokens (begin, end and so on) these are the added tokens marked as special, and those that
    the chat template writes.
    """
    template = tokenizer.chat_template or ""
    added = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special or (token.content.strip() and token.content in template)
    }
    return sorted({*tokenizer.all_special_tokens, *added}, key=lambda token: (-len(token), token))


def defuse(text: str, tokens: Sequence[str]) -> str:
    """Put a space into every control token that a text holds, so that it is read as the words it is made of."""
    for token in tokens:
        if len(token) > 1:
            text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text


def render_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> str:
    """Write a conversation with the tokenizer's chat template, up to where the model's turn begins.

    Some templates of models that hear or see take a turn's content as text, some as a list of parts; it is given as one
    part of text where the other way loses it.

    Raises:
        StudyError: The template refuses the conversation.
    """
    template = _DATE.sub(lambda match: repr(TODAY.strftime(match[2])), tokenizer.get_chat_template())
    plain: list[dict[str, Any]] = [dict(turn) for turn in messages]
    parts = [turn | {"content": [{"type": "text", "text": turn["content"]}]} for turn in plain]
    written, refusal = [], None
    for turns in (plain, parts):
        try:
            text = tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError) as error:
            refusal = refusal or error
            continue
        written.append(str(text))
        if messages[-1]["content"].strip() in written[-1]:
            return written[-1]
    if written:
        return written[0]
    roles = ", ".join(dict.fromkeys(turn["role"] for turn in messages))
    raise StudyError(
        f"the model's chat template refuses turns of {roles} ({refusal}): leave answer.system_prompt empty, or set "
        "`chat: false` for this model"
    ) from refusal


def render_plain(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> str:
    """Write a conversation as plain text for a base model, up to "Answer:"."""
    text = "".join(PLAIN_TURNS[turn["role"]].replace("{}", turn["content"]) for turn in messages)
    return f"{tokenizer.bos_token or ''}{text}Answer:"
