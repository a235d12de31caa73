"""A stand-in for vLLM 0.32: its documented classes, on top of a model of the transformers library, on the CPU.

It takes parameters that the real one takes and refuses all others. Like the real one it ends at the tokenizer's end
token unless ``ignore_eos``, and refuses what does not fit ``max_model_len``. It refuses a checkpoint's sampling
defaults, too, unless ``generation_config`` is "vllm".

Of a speech LLM it puts the audio tokens in the place of the one it is given, as vLLM's processors do, and computes with
the transformers library's own processor and class.
"""

import importlib
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from own_text_checks import Library
from transformers import AutoModelForCausalLM, AutoTokenizer

VERSION = "0.32.0"
ENGINE_ARGS = {
    *("tokenizer", "trust_remote_code", "load_format", "dtype", "seed", "generation_config", "enable_prefix_caching"),
    *("max_model_len", "logprobs_mode", "max_num_seqs", "gpu_memory_utilization", "tensor_parallel_size"),
    *("limit_mm_per_prompt", "enable_lora", "max_loras", "max_lora_rank"),
}
opened: list[dict[str, Any]] = []
"""Arguments of every LLM since the module was installed."""
libraries: dict[str, Library] = {}
"""Speech LLMs as the transformers library reads them, by their folders."""
deaf = False
"""Whether it forgets the LoRA that it is asked for."""
AROUND = {"Gemma4Config": ("boa_token_id", "eoa_token_index")}
"""Fields of a config, by its class, with the tokens that vLLM writes around the audio tokens."""
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
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


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
        self.library = libraries.get(model)
        if self.library is not None:
            assert arguments["limit_mm_per_prompt"]["audio"] == 1
            self.lora, self.rank = arguments.get("enable_lora", False), arguments.get("max_lora_rank", 16)
            self.tokenizer = AutoTokenizer.from_pretrained(model)
            return
        self.model: Any = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, arguments["dtype"]))
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        if arguments.get("generation_config", "auto") != "vllm" and self.model.generation_config.do_sample:
            raise AssertionError("the checkpoint's sampling defaults would count")

    def generate(
        self,
        prompts: list[dict[str, Any]],
        sampling_params: SamplingParams,
        *,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[RequestOutput]:
        assert not use_tqdm
        if lora_request is not None:
            assert self.lora and self.rank >= 1 and (Path(lora_request.lora_path) / "adapter_config.json").is_file()
        return [
            self._heard(str(n), prompt, sampling_params, lora_request is not None)
            if "multi_modal_data" in prompt
            else self._answer(str(n), prompt["prompt_token_ids"], sampling_params)
            for n, prompt in enumerate(prompts)
        ]

    @torch.inference_mode()
    def _heard(self, name: str, prompt: dict[str, Any], params: SamplingParams, adapted: bool) -> RequestOutput:
        library, (sound, rate) = self.library, prompt["multi_modal_data"]["audio"]
        assert library is not None and rate == 16000 and sound.dtype == np.float32 and sound.ndim == 1
        made = dict(library.inputs([library.prompt], [sound]))
        of = made["input_ids"][0]
        config = library.model.config
        around = [getattr(config, field) for field in AROUND.get(type(config).__name__, ())]
        heard = [*around[:1], *[library.audio_id] * int((of == library.audio_id).sum()), *around[1:]]
        given = prompt["prompt_token_ids"]
        at = given.index(library.audio_id)
        ids = [*given[:at], *heard, *given[at + 1 :]]
        new: list[int] = []
        ended = False
        while len(new) < params.max_tokens and not ended:
            row = torch.tensor([[*ids, *new]])
            inputs = made | {"input_ids": row}
            for key, value in made.items():
                if key != "input_ids" and value.shape == made["input_ids"].shape:
                    inputs[key] = torch.where(row == library.audio_id, value[0, of == library.audio_id][0], value[0, 0])
            with nullcontext() if adapted and not deaf else library.typed():
                logits = library.model(**inputs).logits[0, -1].float()
            for token, amount in shift.items():
                logits[token] += amount
            new.append(int(logits.argmax()))
            ended = new[-1] in (params.stop_token_ids or ())
        return RequestOutput(name, None, ids, None, [CompletionOutput(0, "", new)])

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
    lora = ModuleType("vllm.lora.request")
    lora.LoRARequest = LoRARequest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, lora.__name__, lora)
    sys.modules.pop("vllm", None)
    importlib.invalidate_caches()
    opened.clear()
    libraries.clear()
    shift.clear()
