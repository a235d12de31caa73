"""A voice adapter's training: the voice path alone, then with a low-rank change through the text LLM."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from cascade_equivalence.adapter.asking import Prompt, logits_at_answers
from cascade_equivalence.adapter.clips import VoicedClip
from cascade_equivalence.adapter.measure import accuracy
from cascade_equivalence.config.voice_training import LoraConfig, VoiceSteps
from cascade_equivalence.connector.frames import keep, learning_rate, record, resume
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER, adapter_off
from cascade_equivalence.models.speech_llm.voice import VoicePath
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.prosody import STYLES
from cascade_equivalence.tasks.registry import get_task

CLASSIFIED = 256
"""Clips a step while the voice path learns alone."""
HIDDEN_SHARE = 0.2
"""Share of the statistics that are hidden then, so that it does not lean on a few."""
NEIGHBOURS = 8
"""Batches that are drawn together and sorted by length, so that clips of a batch have about the same."""
TEXTS = 0.5
"""Share of the steps on words that ask a task; the others ask for a transcript."""
LED = 4
"""Words of another text that an open question's answer is led through."""


class Trained(nn.Module):
    """What is trained: the voice path and the change to the text LLM, under one roof for checkpoints.

    Args:
        voice: The voice path.
        changed: The trained weights of the text LLM, by name.
    """

    def __init__(self, voice: VoicePath, changed: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self.voice = voice
        # A parameter's name holds no dots.
        self.lora = nn.ParameterDict({name.replace(".", "/"): weight for name, weight in changed.items()})


@dataclass(frozen=True)
class TrainingPrompts:
    """The prompts of a training.

    Attributes:
        voiced: Of the tasks whose label lies in the voice.
        texts: Of the tasks whose answers lie in the words.
        repeating: That asks for a transcript.
        closing: Tokens that end one.
    """

    voiced: Sequence[Prompt]
    texts: Sequence[Prompt]
    repeating: Prompt
    closing: list[int]


def change_text_llm(text: TextLLM, config: LoraConfig, seed: int) -> dict[str, nn.Parameter]:
    """Put a low-rank change, which does nothing yet, into a text LLM, and freeze the rest.

    Returns:
        The trained weights by name.
    """
    from peft import LoraConfig as Lora

    torch.manual_seed(seed)
    text.model.requires_grad_(False)
    settings = Lora(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=config.layers)
    text.model.add_adapter(settings, ADAPTER)
    return {name: weight for name, weight in text.model.named_parameters() if "lora_" in name}


def style_classes(styles: Sequence[str]) -> dict[str, int]:
    """A class for each style; styles that sound alike share one."""
    sounds = list(dict.fromkeys(STYLES[style] for style in styles))
    return {style: sounds.index(STYLES[style]) for style in styles}


def learn_styles(voice: VoicePath, clips: Sequence[VoicedClip], steps: int, seed: int) -> None:
    """Let the voice path tell styles apart, without the text LLM; what names them is thrown away.

    Args:
        voice: Trained in place; the mean and spread of the statistics are set first.
        clips: Training clips, those without a style left aside.
        steps: Steps.
        seed: Seed of weights and batches.
    """
    styled = [clip for clip in clips if clip.style is not None]
    classes = style_classes(sorted({str(clip.style) for clip in styled}))
    sounds = torch.stack([clip.sound for clip in styled])
    goals = torch.tensor([classes[str(clip.style)] for clip in styled])
    voice.center.copy_(sounds.mean(0))
    voice.spread.copy_(sounds.std(0).clamp(min=1e-3))
    torch.manual_seed(seed)
    names = nn.Linear(voice.shape.hidden, max(classes.values()) + 1)
    optimizer = torch.optim.AdamW([*voice.into.parameters(), *names.parameters()], lr=1e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(seed)
    with progress("voice path, styles", steps) as advance:
        for step in range(steps):
            some = torch.randint(len(goals), (CLASSIFIED,), generator=generator)
            shown = torch.rand(sounds.shape[1], generator=generator) >= HIDDEN_SHARE
            hidden = voice.hidden(torch.where(shown, sounds[some], voice.center))
            loss = functional.cross_entropy(names(hidden), goals[some], label_smoothing=0.05)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, 50, 1e-3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            advance()


def speak_softly(voice: VoicePath, embeddings: torch.Tensor, clips: Sequence[VoicedClip]) -> None:
    """Start the voice path's vectors at half the size of a word's, in directions that mean nothing yet."""
    with torch.no_grad():
        hidden = voice.hidden(torch.stack([clip.sound for clip in clips[:CLASSIFIED]]))
        size = 0.5 * embeddings.std() / hidden.square().sum(-1).mean().sqrt()
        voice.out.weight.copy_(torch.randn_like(voice.out.weight) * size)
        voice.out.bias.zero_()


def heard_by(voice: VoicePath, clips: Sequence[VoicedClip]) -> list[torch.Tensor]:
    """What the text LLM reads for clips: the vectors of their words with that of the voice added to each."""
    told = voice(torch.stack([clip.sound for clip in clips]))
    return [clip.words.float() + own for clip, own in zip(clips, told, strict=True)]


def train(
    trained: Trained,
    text: TextLLM,
    clips: Sequence[VoicedClip],
    held_out: Mapping[str, Sequence[VoicedClip]],
    asked: TrainingPrompts,
    config: VoiceSteps,
    folder: Path,
    seed: int,
) -> None:
    """Train through the text LLM, keeping a checkpoint and a curve; a run that was stopped goes on.

    Each step asks a batch one prompt. For a task of the voice it lowers the cross-entropy of the label, full stop; for
    a task of the words, the divergence from what the unchanged text LLM says to the true words, at every token of an
    answer drawn at random; for a transcript, the divergence from what the base says to the same sound. Some steps on
    words are typed, so that the changed text LLM goes on reading.

    Args:
        trained: What is trained, in place.
        text: The text LLM with its change.
        clips: Training clips, styled and plain.
        held_out: Styled clips of each held-out voice.
        asked: The prompts.
        config: The settings.
        folder: Where ``checkpoint.safetensors`` and ``curve.jsonl`` are.
        seed: Seed of the batches and prompts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    done = resume(folder, trained, optimizer)
    running: dict[str, list[float]] = {"voiced": [], "text": [], "repeat": []}
    text.model.train()
    with progress(f"voice adapter ({folder})", config.steps, done) as advance:
        for step in range(done, config.steps):
            draw = random.Random(seed * 1_000_003 + step)  # noqa: S311
            torch.manual_seed(seed * 1_000_003 + step)
            kind, loss = _loss(trained, text, clips, asked, config, draw)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config.steps, config.warmup, config.learning_rate)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
            optimizer.step()
            running[kind].append(float(loss.detach()))
            advance()
            if (step + 1) % config.evaluate_every == 0 or step + 1 == config.steps:
                text.model.eval()
                found: dict[str, Any] = {name: sum(own) / len(own) for name, own in running.items() if own}
                for prompt in asked.voiced:
                    found[prompt.task] = {
                        voice: accuracy(text, prompt, own, heard_by(trained.voice, own))
                        for voice, whole in held_out.items()
                        if (own := of_task(whole, prompt.task))
                    }
                record(folder, step + 1, found)
                keep(folder, trained, optimizer, step + 1)
                running = {name: [] for name in running}
                text.model.train()
    text.model.eval()


def of_task(clips: Sequence[VoicedClip], task: str) -> list[VoicedClip]:
    """Clips in the styles that are a task's labels."""
    styles = get_task(task).styles
    return [clip for clip in clips if clip.style in styles]


def some_clips(clips: Sequence[VoicedClip], count: int, draw: random.Random) -> list[VoicedClip]:
    """Draw clips of about one length."""
    pool = draw.sample(range(len(clips)), min(len(clips), count * NEIGHBOURS))
    pool.sort(key=lambda index: len(clips[index].words))
    first = draw.randrange(0, max(1, len(pool) - count + 1))
    return [clips[index] for index in pool[first : first + count]]


def _loss(
    trained: Trained,
    text: TextLLM,
    clips: Sequence[VoicedClip],
    asked: TrainingPrompts,
    config: VoiceSteps,
    draw: random.Random,
) -> tuple[str, torch.Tensor]:
    """Kind and loss of one step."""
    if draw.random() < config.voiced:
        prompt = draw.choice(list(asked.voiced))
        some = some_clips(of_task(clips, prompt.task), config.batch_size, draw)
        answers = [prompt.answers[str(clip.style)] for clip in some]
        vectors = heard_by(trained.voice, some)
        said = logits_at_answers(text, prompt, [[AUDIO] * len(own) for own in vectors], answers, vectors)
        return "voiced", functional.cross_entropy(said, _flat(answers))
    some = some_clips(clips, config.batch_size, draw)
    words = [text.tokenize(f" {clip.text}") for clip in some]
    heard = None if draw.random() < config.typed else heard_by(trained.voice, some)
    speech = words if heard is None else [[AUDIO] * len(own) for own in heard]
    # A transcript every other time: without it the model forgets how to listen to words first.
    prompt = draw.choice(asked.texts) if asked.texts and draw.random() < TEXTS else asked.repeating
    if prompt is asked.repeating:
        answers = [[*text.tokenize(clip.text), *asked.closing] for clip in some]
        # As the base hears them, which mishears too: the true words would teach to guess where it does.
        taught, plain = speech, None if heard is None else [clip.words.float() for clip in some]
    else:
        led = [text.tokenize(" " + " ".join(draw.choice(some).text.split()[:LED])) for _ in some]
        answers = [draw.choice(list(prompt.answers.values())) for _ in some] if prompt.answers else led
        taught, plain = words, None
    with torch.no_grad(), adapter_off(text.model):
        teacher = logits_at_answers(text, prompt, taught, answers, plain).log_softmax(-1)
    student = logits_at_answers(text, prompt, speech, answers, heard).log_softmax(-1)
    loss = functional.kl_div(student, teacher, log_target=True, reduction="batchmean")
    return "repeat" if prompt is asked.repeating else "text", loss


def _flat(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    return torch.tensor([token for row in rows for token in row])
