"""First stage: the connector learns which token is spoken when, without the text LLM's help."""

import json
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from cascade_equivalence.config.training import FramesConfig
from cascade_equivalence.connector.clips import Batch, Batcher, TrainingClip, sample_classes
from cascade_equivalence.connector.labels import UNKNOWN
from cascade_equivalence.connector.objective import frame_loss, sequence_loss
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector
from cascade_equivalence.models.transcription.words import word_errors
from cascade_equivalence.progress import progress

FLOOR = 0.02
"""Share of the peak learning rate at the end of the schedule."""
MASKED_FRAMES = 12
"""Longest run of encoder frames that is hidden at once (0.24 s)."""
CHECKPOINT = "checkpoint.safetensors"
"""Where a stage goes on after an interruption; a ``checkpoint.pt`` of an earlier version is not read."""


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then a cosine down to ``FLOOR`` of the peak."""
    fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return peak * min(1.0, (step + 1) / warmup) * fall


def hide(batch: Batch, share: float, generator: torch.Generator) -> torch.Tensor:
    """Encoder states with random short runs of frames set to zero (SpecAugment's time masks)."""
    clips, frames = batch.states.shape[:2]
    starts = torch.rand(clips, frames, generator=generator) < 2 * share / MASKED_FRAMES
    length = torch.randint(1, MASKED_FRAMES + 1, (clips, frames), generator=generator)
    hidden = torch.zeros(clips, frames, dtype=torch.bool)
    for back in range(MASKED_FRAMES):
        hit = starts & (length > back)
        hidden[:, back:] |= hit[:, : frames - back]
    return batch.states.masked_fill(hidden[..., None], 0)


def train_frames(
    connector: TokenMixtureConnector,
    clips: Sequence[TrainingClip],
    held_out: dict[str, list[TrainingClip]],
    tokenizer: PreTrainedTokenizerBase,
    config: FramesConfig,
    folder: Path,
    seed: int,
) -> None:
    """Train, keeping a checkpoint and a curve in a folder; a run that was stopped goes on from its checkpoint.

    The loss is a cross-entropy per output against the aligned tokens; from ``config.sequence_from`` of the steps on it
    turns into connectionist temporal classification, which corrects the alignment.

    Args:
        connector: Initialised and attached to the text LLM's embeddings; trained in place.
        clips: Training clips.
        held_out: Evaluation clips by voice.
        tokenizer: The text LLM's.
        config: The stage's settings.
        folder: Where ``checkpoint.safetensors`` and ``curve.jsonl`` are.
        seed: Seed of the batches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batcher = Batcher(connector.tokens.tolist(), connector.shape.stack_factor, connector.shape.outputs)
    decay = [weight for weight in connector.parameters() if weight.ndim > 1]
    plain = [weight for weight in connector.parameters() if weight.ndim <= 1]
    groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    steps = max(1, round(config.epochs * len(clips) / config.batch_size))
    done = resume(folder, connector, optimizer)
    dtype = resolve_dtype("auto", "cpu")
    running: list[float] = []
    order = batcher.epochs(clips, config.batch_size, seed)
    with progress(f"connector, first stage ({folder})", steps, done) as advance:
        for step, indices in islice(enumerate(order), done, steps):
            batch = batcher.batch([clips[index] for index in indices])
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            share = sequence_share(step / steps, config.sequence_from)
            sampled = sample_classes(batch, connector.shape.vocabulary, config.drawn_classes, generator)
            hidden = hide(batch, config.hidden, generator)
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                logits, counts = connector.scores(hidden, batch.frames, sampled.classes)
            logits = logits + torch.cat([sampled.correction, torch.zeros(1)])
            loss = (1 - share) * frame_loss(logits, sampled.labels, UNKNOWN, config.label_smoothing)
            if share > 0:
                loss = loss + share * sequence_loss(logits, counts, sampled.targets, len(sampled.classes))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, config.warmup, config.learning_rate)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
            optimizer.step()
            running.append(float(loss.detach()))
            advance()
            if (step + 1) % config.evaluate_every == 0 or step + 1 == steps:
                scores = {voice: evaluate(connector, batcher, some, tokenizer) for voice, some in held_out.items()}
                record(folder, step + 1, {"loss": sum(running) / len(running), "wer": scores})
                keep(folder, connector, optimizer, step + 1)
                running.clear()


def sequence_share(progress_made: float, start: float) -> float:
    """Weight of the sequence loss: none, then rising to 0.9 over a tenth of the run."""
    return min(0.9, max(0.0, 9 * (progress_made - start)))


@torch.no_grad()
def transcribe(connector: TokenMixtureConnector, batch: Batch, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the connector hears: its runs of best tokens as text."""
    dtype = resolve_dtype("auto", "cpu")
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits, counts = connector.scores(batch.states, batch.frames)
    _, lengths, classes = connector.mix(logits, counts)
    blank = connector.shape.vocabulary
    rows = [
        [int(label) for label in row[:length] if label != blank] for row, length in zip(classes, lengths, strict=True)
    ]
    return [str(tokenizer.decode([int(connector.tokens[label]) for label in row])).strip() for row in rows]


def evaluate(
    connector: TokenMixtureConnector,
    batcher: Batcher,
    clips: Sequence[TrainingClip],
    tokenizer: PreTrainedTokenizerBase,
) -> float:
    """Word error rate of the connector's own tokens, without the text LLM."""
    connector.eval()
    ordered = sorted(clips, key=lambda clip: clip.frames)
    said, heard = [], []
    for start in range(0, len(ordered), 50):
        batch = batcher.batch(ordered[start : start + 50])
        said += batch.texts
        heard += transcribe(connector, batch, tokenizer)
    counts = word_errors(said, heard)
    connector.train()
    return sum(errors for _, errors in counts) / max(1, sum(words for words, _ in counts))


def record(folder: Path, step: int, values: dict[str, Any]) -> None:
    """Append a point to the curve."""
    with (folder / "curve.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"step": step, **values}) + "\n")


def keep(folder: Path, connector: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write the checkpoint, whole or not at all: tensors and numbers only, in one safetensors file."""
    state = optimizer.state_dict()
    tensors = {f"connector.{name}": value for name, value in connector.state_dict().items()}
    for number, values in state["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
    told = {"step": str(step), "groups": json.dumps(state["param_groups"])}
    with replacing(folder / CHECKPOINT) as part:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, part, metadata=told)


def resume(folder: Path, connector: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the checkpoint where there is one, and return the steps it has done.

    Raises:
        StudyError: There is one that cannot be read, or that belongs to a connector of another shape.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata()
            groups, step = json.loads(told["groups"]), int(told["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, number, kind = name.split(".")
            state.setdefault(int(number), {})[kind] = tensors.pop(name)
        connector.load_state_dict({name.removeprefix("connector."): value for name, value in tensors.items()})
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise StudyError(f"{path} is no checkpoint of this connector ({error}): delete it to train anew") from error
    return step
