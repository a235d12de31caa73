"""What every engine shares: a conversation as tokens that a text LLM reads, and where its answers begin and end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import own_text_in
from cascade_equivalence.models.checkpoint import opening, read_json
from cascade_equivalence.models.rendering import control_tokens, defuse, render_chat, render_plain

PROCESSORS_TEMPLATE = "chat_template.json"
"""Where older checkpoints of models that hear have the template that their tokenizer lacks."""


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder; one of Mistral's without mistral-common, whether or not that is installed."""
    with opening(folder):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, mistral_format=False)


class PromptWriter:
    """The tokenizer of a text LLM, and how it is spoken to; no weights.

    Args:
        folder: Model folder with a tokenizer.
        chat: Render with the tokenizer's chat template; false writes plain text for a base model.

    Raises:
        StudyError: ``chat`` is asked of a tokenizer without a chat template.
    """

    def __init__(self, folder: Path, chat: bool) -> None:
        self.tokenizer = open_tokenizer(folder)
        own = own_text_in(folder)
        if chat and not self.tokenizer.chat_template and (folder / PROCESSORS_TEMPLATE).is_file():
            self.tokenizer.chat_template = read_json(folder / PROCESSORS_TEMPLATE).get("chat_template")
        if chat and not self.tokenizer.chat_template and own is not None and own.chat_template is not None:
            self.tokenizer.chat_template = own.chat_template()
        if chat and not self.tokenizer.chat_template:
            raise StudyError(f"{folder} has no chat template: set `chat: false` for this model")
        self.chat = chat
        self._control = control_tokens(self.tokenizer)

    def end_tokens(self, generation: Any) -> set[int]:
        """Token ids that end an answer: the tokenizer's, and those that a generation config names."""
        ids = generation.eos_token_id
        named = [self.tokenizer.eos_token_id, *([ids] if isinstance(ids, int) else ids or [])]
        return {token for token in named if token is not None}

    def render(self, messages: Sequence[Mapping[str, str]], answer_prefix: str = "") -> str:
        """Write a conversation as the text the model reads.

        Args:
            messages: Turns with ``role`` and ``content``, the last one the user's. A special token in a content is
                taken apart: what was said cannot end its own turn.
            answer_prefix: Words the answer begins with.

        Returns:
            The text, ending where the model goes on.

        Raises:
            StudyError: The chat template refuses the conversation.
        """
        turns = [{"role": turn["role"], "content": defuse(turn["content"], self._control)} for turn in messages]
        answer_prefix = answer_prefix.rstrip()
        if self.chat:
            return render_chat(self.tokenizer, turns) + answer_prefix
        return f"{render_plain(self.tokenizer, turns)} {answer_prefix}".rstrip()

    def tokenize(self, prompt: str) -> list[int]:
        """Token ids of a rendered prompt; special tokens are already in its text."""
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def continuations(self, row: list[int], answers: Sequence[str]) -> list[list[int]]:
        """Token ids of answers where they follow a prompt."""
        lead = " " if self._ends_in_word(row) else ""
        return [self._continuation(lead, answer) for answer in answers]

    def _ends_in_word(self, row: list[int]) -> bool:
        """Whether a prompt ends in text, so that an answer goes on after a space, and not in a line break or a turn."""
        last = str(self.tokenizer.decode(row[-1:]))
        return last not in self._control and not last[-1:].isspace()

    def _continuation(self, lead: str, text: str) -> list[int]:
        """Tokens of an answer where it stands behind something; at a text's start some tokenizers add a space."""
        anchor = ":" if lead else "\n"
        before, whole = self.tokenize(anchor), self.tokenize(anchor + lead + text)
        return whole[len(before) :] if whole[: len(before)] == before else self.tokenize(lead + text)


def check_lengths(config: Any, rows: Sequence[list[int]], new_tokens: int) -> None:
    """Refuse prompts that a model cannot hold together with their answers.

    Args:
        config: The checkpoint's config.
        rows: Token ids of each prompt.
        new_tokens: Tokens that may follow a prompt.

    Raises:
        StudyError: The longest prompt does not fit.
    """
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    longest = max(len(row) for row in rows)
    if limit is not None and longest + new_tokens > limit:
        raise StudyError(
            f"the longest prompt has {longest} tokens and its answer up to {new_tokens}, but the model holds "
            f"{limit}: shorten the task's prompt or its examples"
        )
