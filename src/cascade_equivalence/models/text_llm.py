"""A Hugging Face text LLM: batched greedy answers and label log-likelihoods over a shared prompt prefix.

Greedy decoding is written out rather than left to ``generate``: the checkpoint's own sampling defaults cannot leak in,
the key-value cache of the prefix that all prompts share (system prompt and worked examples) is computed once, and a
near tie between tokens in reduced precision is decided in float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedTokenizerBase

from cascade_equivalence.errors import StudyError

TIE_CANDIDATES = 8
SHORTEST_PREFIX = 16


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes:
        text: The new text, up to the first line break, without special tokens.
        prompt_tokens: Length of the prompt.
        new_tokens: Tokens generated, the end token included.
    """

    text: str
    prompt_tokens: int
    new_tokens: int


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest prefix that all rows share, short of any row's last token."""
    shortest, longest = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    count = 0
    while count < limit and shortest[count] == longest[count]:
        count += 1
    return count


class TextLLM:
    """A causal language model with its tokenizer.

    Args:
        folder: Model folder with safetensors weights and a tokenizer.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic of the weights.
        chat: Render with the tokenizer's chat template; false writes plain text for a base model.

    Raises:
        StudyError: ``chat`` is asked of a tokenizer without a chat template.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, chat: bool) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        if chat and not self.tokenizer.chat_template:
            raise StudyError(f"{folder} has no chat template: set `chat: false` for this model")
        self.chat = chat
        self.device = device
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
        self.model.to(device).eval()
        ids = self.model.generation_config.eos_token_id
        ends = {ids} if isinstance(ids, int) else set(ids or ())
        self._ends = torch.tensor(sorted(ends | {self.tokenizer.eos_token_id}), device=device)
        # How the vocabularies in use write a line break: byte-level, byte fallback, or as it is.
        marks = ("\u010a", "<0x0A>", "\n")
        pieces = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        likely = [token for token, piece in enumerate(pieces) if piece and any(mark in piece for mark in marks)]
        breaks = [token for token in likely if "\n" in self.tokenizer.decode([token])]
        self._breaks = torch.tensor(breaks, device=device)
        pad = self.tokenizer.pad_token_id
        self._pad = pad if pad is not None else self.tokenizer.eos_token_id

    def render(self, messages: Sequence[Mapping[str, str]], answer_prefix: str = "") -> str:
        """Write a conversation as the text the model reads.

        Args:
            messages: Turns with ``role`` and ``content``, the last one the user's.
            answer_prefix: Words the answer begins with.

        Returns:
            The text, ending where the model goes on.
        """
        messages = [{"role": turn["role"], "content": self._defused(turn["content"])} for turn in messages]
        if self.chat:
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return str(text) + answer_prefix
        turns = {"system": "{}\n\n", "user": "{}\n", "assistant": "Answer: {}\n\n"}
        text = "".join(turns[message["role"]].replace("{}", message["content"]) for message in messages)
        return (self.tokenizer.bos_token or "") + text + f"Answer: {answer_prefix}".rstrip()

    def _defused(self, content: str) -> str:
        """Text in which no special token is left: what was said cannot end its own turn."""
        for token in self.tokenizer.all_special_tokens:
            content = content.replace(token, f"{token[:1]} {token[1:]}")
        return content

    def tokenize(self, prompt: str) -> list[int]:
        """Token ids of a rendered prompt; special tokens are already in its text."""
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def usable_prefix(self, rows: Sequence[Sequence[int]]) -> int:
        """Tokens at the start of all rows that are worth computing once."""
        shared = common_prefix(rows)
        window = getattr(self.model.config, "sliding_window", None)
        # Padding stands between the prefix and a row's own text, which a sliding window would count as distance.
        too_long = window is not None and max(len(row) for row in rows) >= window
        return 0 if shared < SHORTEST_PREFIX or too_long else shared

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Hidden states (rows, columns, width) after the final norm for the newest columns."""
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self.model.base_model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        return output.last_hidden_state

    def prefix_cache(self, tokens: Sequence[int]) -> DynamicCache:
        """Key-value cache of a shared prefix, for one row."""
        cache = DynamicCache(config=self.model.config)
        if tokens:
            ids = torch.tensor([list(tokens)], device=self.device)
            with torch.inference_mode():
                self._forward(ids, torch.ones_like(ids), cache)
        return cache

    def _start(
        self, rows: list[list[int]], prefix: int, shared: DynamicCache
    ) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:
        """Run a batch of prompts behind the shared prefix; rows are padded between the prefix and their own text."""
        cache = DynamicCache(config=self.model.config)
        for layer, (keys, values) in enumerate(_layers(shared)):
            shape = (len(rows), -1, -1, -1)
            cache.update(keys.expand(shape), values.expand(shape), layer)
        longest = max(len(row) for row in rows) - prefix
        ids = torch.full((len(rows), longest), self._pad)
        mask = torch.zeros((len(rows), prefix + longest), dtype=torch.long)
        mask[:, :prefix] = 1
        for index, row in enumerate(rows):
            own = len(row) - prefix
            ids[index, longest - own :] = torch.tensor(row[prefix:])
            mask[index, prefix + longest - own :] = 1
        mask = mask.to(self.device)
        return self._forward(ids.to(self.device), mask, cache), mask, cache

    def _pick(self, hidden: torch.Tensor) -> torch.Tensor:
        """Greedy token (rows,) for hidden states (rows, width); the best few are compared in float32."""
        head = self.model.get_output_embeddings()
        candidates = head(hidden).topk(TIE_CANDIDATES, dim=-1).indices.sort(dim=-1).values
        logits = torch.einsum("rcw,rw->rc", head.weight[candidates].float(), hidden.float())
        if getattr(head, "bias", None) is not None:
            logits = logits + head.bias[candidates].float()
        return candidates.gather(1, logits.argmax(-1, keepdim=True))[:, 0]

    @torch.inference_mode()
    def generate(
        self, rows: list[list[int]], max_new_tokens: int, prefix: int = 0, shared: DynamicCache | None = None
    ) -> list[Generation]:
        """Answer a batch of tokenized prompts greedily.

        Args:
            rows: Token ids of each prompt.
            max_new_tokens: Longest answer.
            prefix: Tokens at the start that all rows share.
            shared: Their key-value cache, from :meth:`prefix_cache`.

        Returns:
            One answer a row, in order. An answer ends at an end token or at its first line break after some text.
        """
        hidden, mask, cache = self._start(rows, prefix, shared or self.prefix_cache(rows[0][:prefix]))
        answers = torch.full((len(rows), max_new_tokens), self._pad, device=self.device)
        done = torch.zeros(len(rows), dtype=torch.bool, device=self.device)
        started = torch.zeros_like(done)
        lengths = torch.zeros(len(rows), dtype=torch.long, device=self.device)
        for step in range(max_new_tokens):
            token = self._pick(hidden[:, -1])
            answers[:, step] = torch.where(done, self._pad, token)
            lengths += ~done
            is_break = torch.isin(token, self._breaks)
            done |= torch.isin(token, self._ends) | (is_break & started)
            started |= ~is_break
            if bool(done.all()) or step == max_new_tokens - 1:
                break
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            hidden = self._forward(token[:, None], mask, cache)
        texts = [
            self.tokenizer.decode(answer[:length], skip_special_tokens=True)
            for answer, length in zip(answers.tolist(), lengths.tolist(), strict=True)
        ]
        return [
            Generation(text.lstrip("\n").split("\n")[0], len(row), length)
            for text, row, length in zip(texts, rows, lengths.tolist(), strict=True)
        ]

    def choose(
        self, row: list[int], candidates: Mapping[str, str], prefix: int = 0, shared: DynamicCache | None = None
    ) -> dict[str, float]:
        """Log-likelihood of each label's answer text after one prompt; see :meth:`log_likelihoods`."""
        lead = "" if self.chat and not row_ends_in_text(self.tokenizer, row) else " "
        tokens = [self.tokenize(lead + text) for text in candidates.values()]
        return dict(zip(candidates, self.log_likelihoods(row, tokens, prefix, shared), strict=True))

    @torch.inference_mode()
    def log_likelihoods(
        self, row: list[int], candidates: list[list[int]], prefix: int = 0, shared: DynamicCache | None = None
    ) -> list[float]:
        """Log-likelihood of each candidate answer after one prompt, which is read only once.

        Args:
            row: Token ids of the prompt.
            candidates: Token ids of each answer.
            prefix: Tokens at the start of ``row`` covered by ``shared``.
            shared: Key-value cache of those tokens.

        Returns:
            Sum of the token log-probabilities (natural logarithm) of each candidate, in float32.
        """
        hidden, mask, cache = self._start([row], prefix, shared or self.prefix_cache(row[:prefix]))
        cache.batch_repeat_interleave(len(candidates))
        longest = max(len(candidate) for candidate in candidates)
        ids = torch.full((len(candidates), longest), self._pad)
        own = torch.zeros_like(ids)
        for index, candidate in enumerate(candidates):
            ids[index, : len(candidate)] = torch.tensor(candidate)
            own[index, : len(candidate)] = 1
        ids, own = ids.to(self.device), own.to(self.device)
        states = hidden[:, -1:].expand(len(candidates), -1, -1)
        if longest > 1:
            mask = torch.cat([mask.expand(len(candidates), -1), own[:, :-1]], dim=1)
            states = torch.cat([states, self._forward(ids[:, :-1], mask, cache)], dim=1)
        logits = self.model.get_output_embeddings()(states).float()
        chosen = logits.log_softmax(-1).gather(2, ids[:, :, None])[:, :, 0]
        return (chosen * own).sum(-1).tolist()


def row_ends_in_text(tokenizer: PreTrainedTokenizerBase, row: Sequence[int]) -> bool:
    """Whether a prompt ends in a word, so that an answer goes on after a space."""
    return not tokenizer.decode(row[-1:])[-1:].isspace()


def _layers(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values (rows, heads, columns, width) of each layer that holds any."""
    return [(layer.keys, layer.values) for layer in cache.layers if layer.is_initialized]
