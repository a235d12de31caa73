"""Times what looking into a running model costs, against the same run left alone, in turns.

    python benchmarks/opened_models.py --width 576 --repeats 5
    python benchmarks/opened_models.py --width 4096 --rows 4 --repeats 3

Capture: a forward pass over a batch of prompts, states of the watched layers at the audio positions streamed to disk
(baseline: the same pass, nothing kept). Erasure: prompt and greedy steps with these layers erased at every position
(rank 159, the paper's largest; baseline: the same generation). The model is a Llama with random weights: width 576 has
the 30 blocks of SmolLM2-135M, width 4096 nine blocks of Llama-3.1-8B, five of which are watched: a larger share than
nine of its 32.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from goal import Goal, write_goals
from rows_table import in_turn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from cascade_equivalence.config.layers import spread_layers
from cascade_equivalence.mechanism.hooks import replaced, watched
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.states import StatesWriter
from cascade_equivalence.models.device import resolve_dtype

SHAPES: dict[int, dict[str, Any]] = {
    576: {"num_hidden_layers": 30, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3},
    4096: {"num_hidden_layers": 9, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8},
}
RANK = 159
VOCABULARY = 49_152
PLAIN = {"forward": "forward pass", "generation": "generation"}


def build(width: int, device: str) -> Any:
    """A Llama of this width with random weights."""
    config = LlamaConfig(hidden_size=width, vocab_size=VOCABULARY, max_position_embeddings=4096, **SHAPES[width])
    torch.manual_seed(0)
    torch.set_default_dtype(dtype := resolve_dtype("auto", device))
    model: Any = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    print(f"width {width}, {config.num_hidden_layers} blocks, {dtype} on {device}")
    return model.to(device).eval()


def generate(model: Any, ids: torch.Tensor, steps: int) -> None:
    """Read the prompts and go on greedily."""
    cache = DynamicCache(config=model.config)
    token = ids
    for _ in range(steps + 1):
        out = model(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1:].argmax(-1)


def turns(arms: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each arm; they take turns, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(repeats + 1):
        for name in in_turn(list(arms), turn):
            began = time.perf_counter()
            arms[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


@torch.inference_mode()
def main() -> None:
    """Measure, print, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, choices=sorted(SHAPES), default=576)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--columns", type=int, default=96, help="tokens of a prompt, half of them sound")
    parser.add_argument("--steps", type=int, default=8, help="greedy steps")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--goals", type=Path, help="write what is aimed at beside what was found, for goals.py")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = build(given.width, given.device)
    blocks = list(model.get_decoder().layers)
    layers = spread_layers(len(blocks))
    ids = torch.randint(0, VOCABULARY, (given.rows, given.columns), device=given.device)
    audio = torch.zeros_like(ids, dtype=torch.bool)
    audio[:, given.columns // 4 : 3 * given.columns // 4] = True
    erasers = {}
    for layer in layers:
        basis = torch.linalg.qr(torch.randn(given.width, RANK)).Q
        erasers[layer] = Eraser(basis, basis.T.contiguous(), torch.zeros(given.width)).to(given.device)
    with tempfile.TemporaryDirectory() as folder:

        def forward() -> None:
            model.base_model(input_ids=ids, use_cache=False)

        def capture() -> None:
            with ExitStack() as stack:
                writers = {
                    layer: stack.enter_context(StatesWriter(Path(folder, str(layer)), given.width, model.dtype, {}))
                    for layer in layers
                }
                with watched(blocks, layers, lambda layer, states: writers[layer].add(states[audio])):
                    forward()

        def generation(erased: bool) -> None:
            with replaced(blocks, erasers) if erased else nullcontext():
                generate(model, ids, given.steps)

        found = turns({"forward": forward, "captured": capture}, given.repeats)
        found |= turns({"generation": lambda: generation(False), "erased": lambda: generation(True)}, given.repeats)
    goals = []
    for name, plain, aim in (("captured", "forward", 1.15), ("erased", "generation", 1.05)):
        ratios = [one / other for one, other in zip(found[name], found[plain], strict=True)]
        what = f"{len(layers)} of {len(blocks)} layers {name}, {given.width} wide"
        goals.append(Goal(what, f"the plain {PLAIN[plain]}", aim, ratios, at_most=True))
        middle = statistics.median(found[plain])
        print(
            f"{what}: {' / '.join(f'{r:.3f}' for r in sorted(ratios))} times the plain {PLAIN[plain]} ({middle:.3f} s)"
        )
    report = {"width": given.width, "layers": layers, "seconds": found}
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_goals(given.goals, goals)


if __name__ == "__main__":
    main()
