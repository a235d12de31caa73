"""Second stage: the text LLM should say to the sound what it says to the words."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional
from transformers import DynamicCache

from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.config.training import DistilConfig
from cascade_equivalence.connector.clips import Batcher, TrainingClip
from cascade_equivalence.connector.frames import evaluate, keep, learning_rate, record, resume
from cascade_equivalence.connector.objective import sequence_loss
from cascade_equivalence.models.causal_lm import cached_layers
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.progress import progress
from cascade_equivalence.tasks.prompts import build_messages, candidate_answers
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


@dataclass(frozen=True)
class DistilPrompt:
    """A prompt to distil.

    Attributes:
        before: Tokens before the speech; computed once.
        after: Tokens between the speech and the answer.
        answers: Token ids of possible answers; empty where the answer is the text itself.
        closing: Tokens that end a repeated text.
        prefix: Words the answer begins with.
        cache: Key-value cache of ``before``.
    """

    before: list[int]
    after: list[int]
    answers: list[list[int]]
    closing: list[int]
    prefix: str
    cache: DynamicCache


def split_prompt(
    text: TextLLM, messages: Sequence[Mapping[str, str]], prefix: str, answers: Sequence[str]
) -> DistilPrompt:
    """Split a rendered prompt at the audio placeholder."""
    before, after = text.render(messages, prefix).split(PLACEHOLDER)
    # The speech carries the space before its first word.
    tokens = text.tokenize(before.removesuffix(" "))
    cache = text.prefix_cache(tokens)
    copy = DynamicCache(config=text.model.config)
    for layer, keys, values in cached_layers(cache):
        # Made in inference mode; a copy may take part in gradients.
        copy.update(keys.clone(), values.clone(), layer)
    return DistilPrompt(
        tokens, text.tokenize(after), [text.tokenize(f" {word}") for word in answers], text.tokenize('"'), prefix, copy
    )


def task_prompt(text: TextLLM, name: str, spec: TaskSpec) -> DistilPrompt:
    """The prompt of a task as the study asks it; the answers are its label words."""
    task = get_task(name)
    messages = build_messages(spec, "", AUDIO_PLACEHOLDER, ())
    return split_prompt(text, messages, spec.answer_prefix, list(candidate_answers(task, spec, ()).values()))


def repeat_prompt(text: TextLLM, prompt: TranscriptionPrompt) -> DistilPrompt:
    """The transcription prompt; the answer is the text."""
    turn = {"role": "user", "content": prompt.prompt.replace("{speech}", AUDIO_PLACEHOLDER)}
    return split_prompt(text, [turn], prompt.answer_prefix, [])


def answer_logits(
    text: TextLLM,
    prompt: DistilPrompt,
    speech: Sequence[list[int]],
    answers: Sequence[list[int]],
    heard: list[torch.Tensor] | None,
) -> torch.Tensor:
    """Logits at every answer position, one row after the other.

    Args:
        text: The text LLM.
        prompt: The prompt.
        speech: Tokens of each row's speech, or ``AUDIO`` as often as it has vectors.
        answers: The answer that each row is led through.
        heard: Vectors of each row, for rows of ``AUDIO``.

    Returns:
        Logits (answer tokens of all rows, vocabulary), float32.
    """
    rows = [[*prompt.before, *own, *prompt.after, *answer] for own, answer in zip(speech, answers, strict=True)]
    prefix = len(prompt.before)
    ids, mask, cache = text.start(rows, prefix, prompt.cache)
    states = text.forward(ids, mask, cache, heard)
    # Rows end together, so an answer's predictions stand at the end, one column early.
    picked = [row[-len(answer) - 1 : -1] for row, answer in zip(states, answers, strict=True)]
    logits: torch.Tensor = text.model.get_output_embeddings()(torch.cat(picked))
    return logits.float()


def distil(
    connector: TokenMixtureConnector,
    text: TextLLM,
    clips: Sequence[TrainingClip],
    held_out: dict[str, list[TrainingClip]],
    prompts: Sequence[DistilPrompt],
    repeating: DistilPrompt,
    config: DistilConfig,
    folder: Path,
    seed: int,
) -> None:
    """Train through the frozen text LLM, keeping a checkpoint and a curve; a stopped run goes on.

    Each step asks a batch one prompt. For a task it lowers the divergence from what the LLM says to the words
    themselves, at every position of an answer drawn at random; for the transcription prompt, the cross-entropy of
    the text. The first stage's loss stays as an anchor.

    Args:
        connector: Trained in the first stage, attached; trained in place.
        text: The text LLM, its weights without gradients.
        clips: Training clips.
        held_out: Evaluation clips by voice.
        prompts: Task prompts.
        repeating: The transcription prompt.
        config: The stage's settings.
        folder: Where ``checkpoint.safetensors`` and ``curve.jsonl`` are.
        seed: Seed of the batches and prompts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text.model.requires_grad_(False)
    batcher = Batcher(connector.tokens.tolist(), connector.shape.stack_factor, connector.shape.outputs)
    optimizer = torch.optim.AdamW(
        connector.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    done = resume(folder, connector, optimizer)
    running: dict[str, list[float]] = {"anchor": [], "task": [], "repeat": []}
    order = batcher.epochs(clips, config.batch_size, seed + 1)
    with progress(f"connector, second stage ({folder})", config.steps, done) as advance:
        for step, indices in islice(enumerate(order), done, config.steps):
            draw = random.Random(seed * 1_000_003 + step)  # noqa: S311
            some = [clips[index] for index in indices]
            repeats = draw.random() < config.repeat
            prompt = repeating if repeats else draw.choice(list(prompts))
            anchor, goal = _losses(connector, text, batcher, some, prompt, draw)
            loss = goal + config.anchor * anchor
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config.steps, config.warmup, config.learning_rate)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(connector.parameters(), 1.0)
            optimizer.step()
            running["anchor"].append(float(anchor.detach()))
            running["repeat" if repeats else "task"].append(float(goal.detach()))
            advance()
            if (step + 1) % config.evaluate_every == 0 or step + 1 == config.steps:
                scores = {voice: evaluate(connector, batcher, own, text.tokenizer) for voice, own in held_out.items()}
                means = {name: sum(values) / len(values) for name, values in running.items() if values}
                record(folder, step + 1, {**means, "wer": scores})
                keep(folder, connector, optimizer, step + 1)
                running = {name: [] for name in running}


def _losses(
    connector: TokenMixtureConnector,
    text: TextLLM,
    batcher: Batcher,
    clips: Sequence[TrainingClip],
    prompt: DistilPrompt,
    draw: random.Random,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sequence loss, and the divergence or cross-entropy of the answers."""
    batch = batcher.batch(clips)
    dtype = resolve_dtype("auto", "cpu")
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits, counts = connector.scores(batch.states, batch.frames)
    # The loss that the first stage ended with: that of each moment would fill the blanks again.
    anchor = sequence_loss(logits, counts, batch.targets, connector.shape.vocabulary)
    vectors, runs, _ = connector.mix(logits, counts)
    heard = [own[:length] for own, length in zip(vectors, runs.tolist(), strict=True)]
    sound = [[AUDIO] * len(own) for own in heard]
    words = [clip.spelling.tokens for clip in clips]
    if not prompt.answers:
        targets = [[*own, *prompt.closing] for own in (text.tokenize(clip.utterance.text) for clip in clips)]
        said = answer_logits(text, prompt, sound, targets, heard)
        return anchor, functional.cross_entropy(said, torch.tensor([token for row in targets for token in row]))
    answers = [draw.choice(prompt.answers) for _ in clips]
    with torch.no_grad():
        teacher = answer_logits(text, prompt, words, answers, None).log_softmax(-1)
    student = answer_logits(text, prompt, sound, answers, heard).log_softmax(-1)
    return anchor, functional.kl_div(student, teacher, log_target=True, reduction="batchmean")
