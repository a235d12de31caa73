"""A Hugging Face text LLM: batched greedy answers and label log-likelihoods over a shared prompt prefix.

Greedy decoding is written out rather than left to ``generate``: the checkpoint's own sampling defaults cannot leak in,
the key-value cache of the prefix that all prompts share (system prompt and worked examples) is computed once, and a
near tie between tokens in reduced precision is decided in float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.causal_lm import cached_layers, holds_columns, load_causal_lm
from cascade_equivalence.models.packing import pack_linears
from cascade_equivalence.models.prompting import PromptWriter, check_lengths
from cascade_equivalence.models.reading import ReadPrompts
from cascade_equivalence.models.rows import (
    AUDIO,
    PADDING,
    common_prefix,
    left_padded,
    moved_right,
    write_audio,
)
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.stopping import Stopping

TIE_CANDIDATES = 8
Heard = Sequence[torch.Tensor] | None
SHORTEST_PREFIX = 16
LEFT_TOGETHER = 0.25
"""Share of a batch's answers that must be over before their rows leave it, which takes a copy of the others' cache."""


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes:
        text: The new text from its first word to the end of that line, without special tokens.
        prompt_tokens: Length of the prompt.
        new_tokens: Tokens generated, the end token included.
    """

    text: str
    prompt_tokens: int
    new_tokens: int


class TextLLM(PromptWriter):
    """A causal language model with its tokenizer.

    Args:
        folder: Model folder with safetensors weights and a tokenizer.
        device: ``cpu`` or ``cuda``.
        dtype: Arithmetic of the weights.
        chat: Render with the tokenizer's chat template; false writes plain text for a base model.

    Raises:
        StudyError: ``chat`` is asked of a tokenizer without a chat template, or the folder lacks weights.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, chat: bool) -> None:
        super().__init__(folder, chat)
        self.device = device
        # Which of the newest columns (rows, columns) are sound, for those who look into a running model.
        self.at_audio: torch.Tensor | None = None
        self.model: Any = load_causal_lm(folder, dtype)
        self.model.to(device).eval()
        pack_linears(self.model)
        self._slides = getattr(self.model.config.get_text_config(), "sliding_window", None) is not None
        ends = self.end_tokens(self.model.generation_config)
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        self._stopping = Stopping(self.tokenizer, ends, vocabulary, device)

    def check_lengths(self, rows: Sequence[list[int]], new_tokens: int) -> None:
        """Refuse prompts that the model cannot hold together with their answers.

        Raises:
            StudyError: The longest prompt does not fit.
        """
        check_lengths(self.model.config, rows, new_tokens)

    def usable_prefix(self, rows: Sequence[list[int]], new_tokens: int = 0) -> int:
        """Tokens at the start of all rows that are worth computing once.

        Args:
            rows: Token ids of each prompt.
            new_tokens: Tokens that may follow a prompt.
        """
        shared = common_prefix(rows)
        # Padding moves the columns of a row, and with them where its chunks begin.
        chunk = getattr(self.model.config.get_text_config(), "attention_chunk_size", None)
        too_long = chunk is not None and max(len(row) for row in rows) + new_tokens > chunk
        unshared = shared < SHORTEST_PREFIX or too_long or not holds_columns(self._empty_cache())
        return 0 if unshared else shared

    def _empty_cache(self) -> DynamicCache:
        """Where keys and values go: of a model whose attention slides, those behind its window, too."""
        cache = DynamicCache(config=self.model.config)
        return DynamicCache() if self._slides and holds_columns(cache) else cache

    def _run(
        self,
        network: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        cache: DynamicCache,
        heard: Heard = None,
        **more: int,
    ) -> Any:
        """Run the newest columns; positions count what is not masked."""
        at = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        newest: dict[str, torch.Tensor] = {"input_ids": ids}
        self.at_audio = None if heard is None else ids == AUDIO
        if heard is not None:
            words = self.model.get_input_embeddings()(ids.where(ids != AUDIO, PADDING))
            newest = {"inputs_embeds": write_audio(words, ids, heard)}
            # Some networks' blocks read ids beside the vectors.
            if (beside := getattr(self.model, "beside_sound", None)) is not None:
                newest |= beside(ids)
        return network(**newest, attention_mask=mask, position_ids=at, past_key_values=cache, use_cache=True, **more)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache, heard: Heard = None) -> torch.Tensor:
        """Hidden states (rows, columns, width) after the final norm for the newest columns."""
        states: torch.Tensor = self._run(self.model.base_model, ids, mask, cache, heard).last_hidden_state
        return states

    def logits(
        self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache, keep: int, heard: Heard = None
    ) -> torch.Tensor:
        """Logits (rows, keep, vocabulary) of the last columns, with the cap or scale a model has behind its head."""
        return self._checked(self._run(self.model, ids, mask, cache, heard, logits_to_keep=keep).logits.float())

    def _checked(self, values: torch.Tensor) -> torch.Tensor:
        if bool(values.isnan().any()):
            arithmetic = str(self.model.dtype).removeprefix("torch.")
            raise StudyError(f"the model's numbers overflow in {arithmetic}: set answer.dtype to bfloat16 or float32")
        return values

    def prefix_cache(self, tokens: Sequence[int]) -> DynamicCache:
        """Key-value cache of a shared prefix, for one row."""
        cache = self._empty_cache()
        if tokens:
            ids = torch.tensor([list(tokens)], device=self.device)
            with torch.inference_mode():
                self.forward(ids, torch.ones_like(ids), cache)
        return cache

    def start(
        self, rows: list[list[int]], prefix: int, shared: DynamicCache
    ) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:
        """Tokens, mask and cache of prompts behind a shared prefix; the shorter rows read its last tokens again."""
        cache = self._empty_cache()
        ids, mask, kept = left_padded(rows, prefix)
        for layer, keys, values in cached_layers(shared):
            cache.update(moved_right(keys, kept), moved_right(values, kept), layer)
        return ids.to(self.device), mask.to(self.device), cache

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
        self,
        rows: list[list[int]],
        max_new_tokens: int,
        prefix: int = 0,
        shared: DynamicCache | None = None,
        heard: Heard = None,
        read: ReadPrompts | None = None,
    ) -> list[Generation]:
        """Answer a batch of tokenized prompts greedily.

        Args:
            rows: Token ids of each prompt.
            max_new_tokens: Longest answer.
            prefix: Tokens at the start that all rows share.
            shared: Their key-value cache, from :meth:`prefix_cache`.
            heard: For prompts with sound: the vectors (n, width) that stand for each row's n ``AUDIO``.
            read: The same rows as they were read already; it is used up.

        Returns:
            One answer a row, in order. An answer ends at an end token or at the first line break behind a word.

        Raises:
            StudyError: The arithmetic overflows.
        """
        if read is None:
            start = self.prefix_cache(rows[0][:prefix]) if shared is None else shared
            ids, mask, cache = self.start(rows, prefix, start)
            last = self._checked(self.forward(ids, mask, cache, heard)[:, -1])
        else:
            last, mask, cache = read.last, read.mask, read.cache
        answers: list[list[int]] = [[] for _ in rows]
        open_rows = list(range(len(rows)))
        leaving = holds_columns(cache)
        done = torch.zeros(len(rows), dtype=torch.bool, device=self.device)
        started = torch.zeros_like(done)
        for step in range(max_new_tokens):
            token = self._pick(last)
            for row, over, index in zip(open_rows, done.tolist(), token.tolist(), strict=True):
                if not over:
                    answers[row].append(index)
            done |= self._stopping.over(token, started)
            started |= self._stopping.speaks(token)
            if bool(done.all()) or step == max_new_tokens - 1:
                break
            if leaving and int(done.sum()) > LEFT_TOGETHER * len(done):
                stay = (~done).nonzero()[:, 0]
                open_rows = [open_rows[place] for place in stay.tolist()]
                cache.batch_select_indices(stay)
                token, mask, done, started = token[stay], mask[stay], done[stay], started[stay]
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            last = self.forward(token[:, None], mask, cache)[:, -1]
        return [
            Generation(self._stopping.text(answer), len(row), len(answer))
            for answer, row in zip(answers, rows, strict=True)
        ]

    def choose(
        self,
        row: list[int],
        candidates: Mapping[str, str],
        prefix: int = 0,
        shared: DynamicCache | None = None,
        heard: Heard = None,
    ) -> dict[str, float]:
        """Log-likelihood of each label's answer text after one prompt; see :meth:`log_likelihoods`."""
        tokens = self.continuations(row, list(candidates.values()))
        return dict(zip(candidates, self.log_likelihoods(row, tokens, prefix, shared, heard), strict=True))

    def log_likelihoods(
        self,
        row: list[int],
        candidates: list[list[int]],
        prefix: int = 0,
        shared: DynamicCache | None = None,
        heard: Heard = None,
    ) -> list[float]:
        """Log-likelihood of each candidate answer after one prompt, which is read only once.

        Args:
            row: Token ids of the prompt.
            candidates: Token ids of each answer.
            prefix: Tokens at the start of ``row`` covered by ``shared``.
            shared: Key-value cache of those tokens.
            heard: For a prompt with sound: its vectors, as for :meth:`generate`.

        Returns:
            Sum of the token log-probabilities (natural logarithm) of each candidate, summed in float32.

        Raises:
            StudyError: The arithmetic overflows.
        """
        return score(self, [row], [candidates], prefix, shared, heard).sums[0]
