"""A stand-in for vLLM 0.32: its documented classes, on top of a model of the transformers library, on the CPU.

It takes parameters that the real one takes and refuses all others. Like the real one it ends at the tokenizer's end
token unless ``ignore_eos``, and refuses what does not fit ``max_model_len``. It refuses a checkpoint's sampling
defaults, too, unless ``generation_config`` is "vllm".
"""

import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

VERSION = "0.32.0"
ENGINE_ARGS = {
    *("tokenizer", "trust_remote_code", "load_format", "dtype", "seed", "generation_config", "enable_prefix_caching"),
    *("max_model_len", "logprobs_mode", "max_num_seqs", "gpu_memory_utilization", "tensor_parallel_size"),
}
opened: list[dict[str, Any]] = []
"""Arguments of every LLM since the module was installed."""
shift: dict[int, float] = {}
"""Added to the logits of some tokens, by those who want a vLLM that answers otherwise."""


@dataclass(kw_only=True)
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    prompt_logprobs: list[dict[int, Logprob] | None] | None
    outputs: list[CompletionOutput] = field(default_factory=list)
    finished: bool = True


class LLM:
    def __init__(self, model: str, **arguments: Any) -> None:
        if unknown := set(arguments) - ENGINE_ARGS:
            raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument {min(unknown)!r}")
        opened.append({"model": model, **arguments})
        self.longest = arguments["max_model_len"]
        self.model: Any = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, arguments["dtype"]))
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        if arguments.get("generation_config", "auto") != "vllm" and self.model.generation_config.do_sample:
            raise AssertionError("the checkpoint's sampling defaults would count")

    def generate(
        self, prompts: list[dict[str, list[int]]], sampling_params: SamplingParams, *, use_tqdm: bool = True
    ) -> list[RequestOutput]:
        assert not use_tqdm
        return [self._answer(str(n), prompt["prompt_token_ids"], sampling_params) for n, prompt in enumerate(prompts)]

    @torch.inference_mode()
    def _logits(self, ids: list[int]) -> torch.Tensor:
        logits = self.model(torch.tensor([ids])).logits[0].float()
        for token, amount in shift.items():
            logits[:, token] += amount
        return logits

    def _answer(self, name: str, ids: list[int], params: SamplingParams) -> RequestOutput:
        if len(ids) + params.max_tokens > self.longest:
            raise ValueError(f"The decoder prompt is longer than the maximum model length of {self.longest}")
        assert params.temperature == 0, "the stand-in is greedy"
        new: list[int] = []
        reason = None
        while len(new) < params.max_tokens and reason is None:
            new.append(int(self._logits([*ids, *new])[-1].argmax()))
            ended = new[-1] in (params.stop_token_ids or ())
            ended |= not params.ignore_eos and new[-1] == self.tokenizer.eos_token_id
            reason = "stop" if ended else None
        told: list[dict[int, Logprob] | None] | None = None
        if params.prompt_logprobs is not None:
            scores = self._logits(ids).log_softmax(-1)
            told = [None, *({token: Logprob(float(scores[at, token]))} for at, token in enumerate(ids[1:]))]
        text = self.tokenizer.decode(new) if params.detokenize else ""
        return RequestOutput(name, None, ids, told, [CompletionOutput(0, text, new, finish_reason=reason or "length")])


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = VERSION) -> None:
    """Make ``import vllm``, and what is known of installed packages, find the stand-in."""
    (folder / f"vllm-{version}.dist-info").mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
    (folder / f"vllm-{version}.dist-info" / "METADATA").write_text(metadata)
    (folder / "vllm.py").write_text("from vllm_double import LLM, RequestOutput, SamplingParams\n")
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("vllm", None)
    importlib.invalidate_caches()
    opened.clear()
    shift.clear()
