"""Make the fixture that proves this project's Ultravox equal to the published code, by running that code.

The published code is the repository github.com/fixie-ai/ultravox (MIT licence) at commit
648efe7f55510afff7adb45f076e904b3aba1d02. It does not run with the transformers version of this project; give it an
environment of its own:

    python3.11 -m venv reference
    reference/bin/pip install torch==2.13.0 transformers==4.51.3 accelerate==1.3.0 peft==0.11.1 'numpy<2.3' safetensors
    reference/bin/python tests/recipes/ultravox_reference.py path/to/checkout tests/unit/fixtures/ultravox

A small model with random weights is written in the layout of a published checkpoint (``config.json`` is the one the
published code writes), and beside it, in ``expected.safetensors``, what goes in and what comes out. Weights are exact
in float16, in which they are stored, and everything is computed in float32.
"""

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

MEL_FRAMES = (53, 45, 22, 32, 90)
"""Frames of each clip: odd, even, whole vectors (a multiple of 8) and more than the tower takes (80)."""
LONGEST = 80
"""Mel frames the tower takes."""
STACK_FACTOR = 4
LATENCY_BLOCK = 8
WORDS_BEFORE, WORDS_AFTER = (3, 1, 2, 4, 2), (2, 3, 2, 1, 2)
VOCABULARY = 64
AUDIO_WORD = 5
"""Token that stands at the audio positions; which one it is does not matter."""


def small_config(module: Any, ln_mid: bool, latency: int | None) -> Any:
    """The config of the small model."""
    audio = {
        "_name_or_path": "openai/whisper-small-and-random",
        "model_type": "whisper",
        "num_mel_bins": 16,
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "max_source_positions": LONGEST // 2,
    }
    text = {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
    }
    return module.UltravoxConfig(
        audio_config=audio,
        text_config=text,
        hidden_size=40,
        stack_factor=STACK_FACTOR,
        projector_ln_mid=ln_mid,
        audio_latency_block_size=latency,
        torch_dtype=torch.float32,
    )


def random_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights large enough that attention and gates matter, norms and biases all different."""
    generator = torch.Generator().manual_seed(20250809)
    weights = {}
    for name, tensor in model.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.endswith("bias"):
            drawn = 0.2 * drawn
        elif tensor.ndim == 1:
            drawn = 1 + 0.3 * drawn
        elif "embed" in name:
            drawn = 0.5 * drawn
        else:
            drawn = 1.2 * drawn / tensor[0].numel() ** 0.5
        weights[name] = drawn.half()
    return weights


def collate(clips: list[torch.Tensor], numbers: list[int]) -> dict[str, torch.Tensor]:
    """A batch as the published processor and collator make it: audio padded behind, text before."""
    mels, lengths, token_counts, starts, pieces = [], [], [], [], []
    rows = []
    for clip, number in zip(clips, numbers, strict=True):
        tokens = torch.randint(6, VOCABULARY, (64,), generator=torch.Generator().manual_seed(number)).tolist()
        row = tokens[: WORDS_BEFORE[number]]
        cut = list(clip.split(LONGEST, dim=1))
        pieces.append(len(cut))
        for piece in cut:
            # A piece behind the first one is filled up to the longest.
            width = LONGEST if len(cut) > 1 else piece.shape[1]
            mels.append(torch.nn.functional.pad(piece, (0, width - piece.shape[1])))
            lengths.append(piece.shape[1])
            token_counts.append(-(-piece.shape[1] // (2 * STACK_FACTOR)))
            starts.append(len(row))
            row += [AUDIO_WORD] * token_counts[-1]
        rows.append(row + tokens[-WORDS_AFTER[number] :])
    longest, widest = max(map(len, rows)), max(mel.shape[1] for mel in mels)
    shift = [longest - len(row) for row, count in zip(rows, pieces, strict=True) for _ in range(count)]
    return {
        "input_ids": torch.tensor([[0] * (longest - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows]),
        "audio_values": torch.stack([torch.nn.functional.pad(mel, (0, widest - mel.shape[1])) for mel in mels]),
        "audio_lens": torch.tensor(lengths),
        "audio_token_len": torch.tensor(token_counts),
        "audio_token_start_idx": torch.tensor(starts) + torch.tensor(shift),
        "audio_batch_size": torch.tensor(pieces)[:, None],
    }


@torch.no_grad()
def run(model: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Inputs, the tower's states, the projector's vectors and the text LLM's logits."""
    states = model.audio_tower(batch["audio_values"], audio_len=batch["audio_lens"]).last_hidden_state
    tokens = model.multi_modal_projector(states)
    positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    logits = model(**{**batch, "audio_batch_size": batch["audio_batch_size"][:, 0]}, position_ids=positions).logits
    return {"states": states, "tokens": tokens, "logits": logits}


def stored_weights(model: torch.nn.Module, target: Path, first: bool) -> dict[str, torch.Tensor]:
    """Weights of one variant: drawn and stored for the first, and shared by the others but for the second norm."""
    if first:
        weights = random_weights(model)
        save_file(weights, target / "model.safetensors")
        return weights
    weights = load_file(target / "model.safetensors")
    norm = "multi_modal_projector.ln_post.weight"
    if norm in model.state_dict():
        del weights["multi_modal_projector.ln_mid.weight"]
        width = model.state_dict()[norm].shape[0]
        weights[norm] = (1 + 0.3 * torch.randn(width, generator=torch.Generator().manual_seed(2))).half()
        save_file({norm: weights[norm]}, target / "ln_post.safetensors")
    return weights


def main() -> None:
    """Run the published code and write the fixture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="checkout of the published code")
    parser.add_argument("target", type=Path, help="folder to write the fixture to")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.checkout))
    torch.set_num_threads(1)
    from ultravox.model import ultravox_config, ultravox_model

    draw = torch.Generator().manual_seed(1)
    drawn = [(0.5 * torch.randn(16, frames, generator=draw) + 0.2).half() for frames in MEL_FRAMES]
    expected = {f"mel.{number}": clip for number, clip in enumerate(drawn)}
    clips = [clip.float() for clip in drawn]
    target: Path = arguments.target
    target.mkdir(parents=True, exist_ok=True)
    for ln_mid, latency in product((True, False), (None, LATENCY_BLOCK)):
        config = small_config(ultravox_config, ln_mid, latency)
        made = ultravox_model.UltravoxModel(config)
        weights = stored_weights(made, target, first=ln_mid and latency is None)
        made.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=True, assign=True)
        folder = target / "variant"
        made.save_pretrained(folder)
        model = ultravox_model.UltravoxModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        if ln_mid and latency is None:
            written = json.loads((folder / "config.json").read_text())
            (target / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        name = f"ln_mid={ln_mid},latency={latency}"
        numbers = list(range(len(clips)))
        for number in numbers:
            batch = collate([clips[number]], [number])
            results = run(model, batch)
            # The norm's place does not change the states; that the mask reaches the logits, the vectors show.
            keep = {"tokens"} | ({"states"} if ln_mid else set()) | ({"logits"} if latency is None else set())
            expected |= {f"{name}.{number}.{key}": results[key] for key in sorted(keep)}
            expected |= {f"inputs.{number}.{key}": value for key, value in batch.items() if key != "audio_values"}
        if ln_mid and latency is None:
            few = [number for number in numbers if MEL_FRAMES[number] <= LONGEST]
            batch = collate([clips[number] for number in few], few)
            expected |= {f"{name}.batch.{key}": value for key, value in run(model, batch).items()}
            expected |= {f"inputs.batch.{key}": value for key, value in batch.items() if key != "audio_values"}
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, target / "expected.safetensors")
    print(sum(file.stat().st_size for file in target.iterdir()), "bytes")


if __name__ == "__main__":
    main()
