"""Answers of an LLM by vLLM: offline batches, greedy, prefixes cached, the same tokens and rules of ending.

The prompts are given as token ids, so that both engines read the same. Parameters and outputs are those of vLLM 0.32
(``vllm.LLM``, ``EngineArgs``, ``SamplingParams``, ``RequestOutput``). Near ties between tokens, which the project's own
loop decides in float32, are decided in the arithmetic of the weights here.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from transformers import AutoConfig, GenerationConfig

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.engines import MISSING
from cascade_equivalence.models.prompting import PromptWriter, check_lengths
from cascade_equivalence.models.stopping import Stopping
from cascade_equivalence.models.text_llm import Generation

# In this process: a worker of its own would run the node's script a second time, and the order of work would vary.
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1"}
# Every default is named, whatever a checkpoint or a later version asks for.
GREEDY = {
    "n": 1,
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "min_tokens": 0,
    "seed": 0,
    "detokenize": False,
}


SAMPLE_RATE = 16000
"""Samples a second of every clip."""
AS_FITS = -1
"""As ``max_model_len``: the most that the model takes and memory holds. How many vectors a sound is, vLLM finds out."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as ``max_lora_rank``."""


class VllmEngine:
    """An LLM in vLLM.

    Args:
        folder: Model folder with safetensors weights and a tokenizer.
        dtype: Arithmetic of the weights: ``float32``, ``bfloat16`` or ``float16``.
        writer: Its tokenizer.
        longest: Most tokens that any prompt and its answer have together; ``AS_FITS`` leaves that to vLLM.
        more: Further arguments of ``vllm.LLM``: of a speech LLM those of :func:`speech_arguments`.
        adapter: The folder of a LoRA that is on for every prompt.

    Raises:
        StudyError: vLLM is not installed, or cannot run the model.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str,
        writer: PromptWriter,
        longest: int,
        more: Mapping[str, Any] = MappingProxyType({}),
        adapter: Path | None = None,
    ) -> None:
        vllm = _import_vllm()
        self._params: Any = vllm.SamplingParams
        self._ends = sorted(writer.end_tokens(generation_defaults(folder)))
        self._stopping = Stopping(writer.tokenizer, self._ends, len(writer.tokenizer), "cpu")
        try:
            self._llm: Any = vllm.LLM(**engine_arguments(folder, dtype, longest), **more)
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise StudyError(f"vLLM cannot run {folder} ({error}): set its engine to transformers") from error
        self._requests = {} if adapter is None else {"lora_request": _adapter_request(adapter)}

    def generate(self, rows: Sequence[list[int]], max_new_tokens: int) -> list[Generation]:
        """Answer tokenized prompts greedily.

        An answer may not end at a line break before its first word, which no stop string can say. So vLLM ends at end
        tokens only, and what stands behind the first line is cut off with the rule of the project's own loop.

        Args:
            rows: Token ids of each prompt.
            max_new_tokens: Longest answer.

        Returns:
            One answer a row, in order.
        """
        outputs = self._run(rows, **answer_parameters(self._ends, max_new_tokens))
        answers = [self._stopping.cut(list(output.outputs[0].token_ids)) for output in outputs]
        return [
            Generation(self._stopping.text(answer), len(row), len(answer))
            for row, answer in zip(rows, answers, strict=True)
        ]

    def answer_heard(
        self, rows: Sequence[list[int]], sounds: Sequence[np.ndarray], max_new_tokens: int
    ) -> list[tuple[list[int], Generation]]:
        """Answer tokenized prompts with sound greedily, ended as in :meth:`generate`.

        Args:
            rows: Token ids of each prompt, one audio token where the sound belongs.
            sounds: The waveform of each, 16 kHz, float32, shape (n,).
            max_new_tokens: Longest answer.

        Returns:
            For each row, in order, the token ids that vLLM read, an audio token for every vector, and the answer.

        Raises:
            StudyError: A prompt with its sound is longer than vLLM has room for, or the sound too short.
        """
        try:
            outputs = self._run(rows, sounds, **answer_parameters(self._ends, max_new_tokens))
        except ValueError as error:
            raise StudyError(f"vLLM refuses a prompt ({error}): set answer.speech_engine to transformers") from error
        found = []
        for output in outputs:
            read, answer = list(output.prompt_token_ids), self._stopping.cut(list(output.outputs[0].token_ids))
            found.append((read, Generation(self._stopping.text(answer), len(read), len(answer))))
        return found

    def log_likelihoods(self, rows: Sequence[list[int]], candidates: Sequence[list[list[int]]]) -> list[list[float]]:
        """Log-likelihood of candidate answers after each prompt: what vLLM tells of prompts that hold the answer.

        Args:
            rows: Token ids of each prompt.
            candidates: Token ids of each row's candidates.

        Returns:
            Sum of the token log-probabilities (natural logarithm) of each row's candidates, in order.
        """
        wholes = [[*row, *answer] for row, own in zip(rows, candidates, strict=True) for answer in own]
        outputs = iter(self._run(wholes, **score_parameters()))
        sums = []
        for row, own in zip(rows, candidates, strict=True):
            told = [next(outputs).prompt_logprobs[len(row) :] for _ in own]
            sums.append([_total(answer, found) for answer, found in zip(own, told, strict=True)])
        return sums

    def _run(
        self, rows: Sequence[list[int]], sounds: Sequence[np.ndarray] | None = None, **parameters: Any
    ) -> list[Any]:
        prompts: list[dict[str, Any]] = [{"prompt_token_ids": list(row)} for row in rows]
        for prompt, sound in zip(prompts, sounds or (), strict=sounds is not None):
            prompt["multi_modal_data"] = {"audio": (sound, SAMPLE_RATE)}
        outputs: list[Any] = self._llm.generate(prompts, self._params(**parameters), use_tqdm=False, **self._requests)
        return outputs


def _total(answer: Sequence[int], found: Sequence[Mapping[int, Any]]) -> float:
    return sum(float(place[token].logprob) for token, place in zip(answer, found, strict=True))


def _import_vllm() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
    except ImportError as error:
        raise StudyError(f"{MISSING} ({error})") from error
    return vllm


def _adapter_request(folder: Path) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest("speech", 1, str(folder))


def engine_arguments(folder: Path, dtype: str, longest: int) -> dict[str, Any]:
    """Arguments of ``vllm.LLM``."""
    return {
        "model": str(folder),
        "tokenizer": str(folder),
        "trust_remote_code": False,
        "load_format": "safetensors",
        "dtype": dtype,
        "seed": 0,
        # "auto" would take the sampling defaults of the checkpoint.
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "max_model_len": longest,
        "logprobs_mode": "raw_logprobs",
    }


def speech_arguments(rank: int | None = None) -> dict[str, Any]:
    """Further arguments of ``vllm.LLM`` for prompts with one sound each.

    Args:
        rank: Rank of the LoRA that the model hears through, if it has one.

    Raises:
        StudyError: vLLM has no room for a LoRA of that rank.
    """
    more: dict[str, Any] = {"limit_mm_per_prompt": {"image": 0, "video": 0, "audio": 1}}
    if rank is None:
        return more
    room = [each for each in RANKS if each >= rank]
    if not room:
        raise StudyError(
            f"vLLM takes LoRAs up to rank {RANKS[-1]}, not {rank}: set answer.speech_engine to transformers"
        )
    return {**more, "enable_lora": True, "max_loras": 1, "max_lora_rank": room[0]}


def answer_parameters(ends: Sequence[int], max_new_tokens: int) -> dict[str, Any]:
    """Arguments of ``vllm.SamplingParams`` for a free answer: it ends at these tokens, and no others."""
    return {**GREEDY, "max_tokens": max_new_tokens, "stop_token_ids": list(ends), "ignore_eos": True}


def score_parameters() -> dict[str, Any]:
    """Arguments of ``vllm.SamplingParams`` for the log-probability of each token of a prompt, and of no other."""
    return {**GREEDY, "max_tokens": 1, "prompt_logprobs": 0, "ignore_eos": True}


def generation_defaults(folder: Path) -> GenerationConfig:
    """A checkpoint's generation config, as the transformers library makes it: of its file, else of its config."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))


def open_vllm(folder: Path, dtype: str, writer: PromptWriter, rows: Sequence[list[int]], new_tokens: int) -> VllmEngine:
    """Load a text LLM for some prompts.

    Args:
        folder: Model folder.
        dtype: Arithmetic.
        writer: Its tokenizer.
        rows: Token ids of all prompts.
        new_tokens: Most tokens that follow a prompt.

    Raises:
        StudyError: vLLM is not installed or cannot run the model, or a prompt does not fit.
    """
    check_lengths(AutoConfig.from_pretrained(folder, trust_remote_code=False), rows, new_tokens)
    return VllmEngine(folder, dtype, writer, max(map(len, rows)) + new_tokens)
