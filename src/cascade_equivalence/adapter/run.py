"""The nodes of a voice adapter's training: shards in, a model folder out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cascade_equivalence.adapter.asking import Prompt, prompt_of
from cascade_equivalence.adapter.clips import VoicedClip, read_shard
from cascade_equivalence.adapter.export import write_adapter, write_card
from cascade_equivalence.adapter.measure import BATCH, accuracy, chosen
from cascade_equivalence.adapter.plan import HELD_OUT
from cascade_equivalence.adapter.train import (
    Trained,
    TrainingPrompts,
    change_text_llm,
    heard_by,
    learn_styles,
    of_task,
    speak_softly,
    train,
)
from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.config.training import TextsConfig
from cascade_equivalence.config.voice_training import VoiceAdapterSpec
from cascade_equivalence.connector.evaluation import error_rate
from cascade_equivalence.connector.frames import CHECKPOINT
from cascade_equivalence.connector.run import input_embeddings
from cascade_equivalence.files import write_text
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER, adapter_off
from cascade_equivalence.models.speech_llm.voice import STATISTICS, VoicePath, VoiceShape
from cascade_equivalence.models.speech_llm.voice_adapter import read_voice
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.transcription.answers import transcript_of
from cascade_equivalence.tasks.registry import get_task
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

MEASURED = 200
"""Clips by which the length of a word's vector is measured."""
CHECKED = 3
"""Of so many held-out clips one is looked at for what is kept of the text LLM's answers."""


@dataclass(frozen=True)
class AdapterMaterial:
    """What an adapter is trained on.

    Attributes:
        shards: Shards by name.
        base: Folder of the speech LLM that it changes.
        audio: Folder of the Whisper model that hears, where the base has no audio tower.
        text: Folder of the text LLM.
        chat: Whether that has a chat template.
        names: ``base_model_id``, ``audio_model_id`` and ``text_model_id`` for the config.
        transcription: How the base is asked for a transcript.
        tasks: How each task of the training is asked.
        texts: What is read aloud.
    """

    shards: Mapping[str, Path]
    base: Path
    audio: Path | None
    text: Path
    chat: bool
    names: Mapping[str, str | None]
    transcription: TranscriptionPrompt
    tasks: Mapping[str, TaskSpec]
    texts: TextsConfig

    def clips(self) -> list[VoicedClip]:
        """Training clips, styled and plain."""
        own = [path for name, path in self.shards.items() if not name.startswith(f"{HELD_OUT}-")]
        return [clip for path in own for clip in read_shard(path)]

    def held_out(self) -> dict[str, list[VoicedClip]]:
        """Styled clips of each held-out voice."""
        start = f"{HELD_OUT}-"
        own = {name.removeprefix(start): path for name, path in self.shards.items() if name.startswith(start)}
        return {voice: list(read_shard(path)) for voice, path in own.items()}


def prompts_of(text: TextLLM, material: AdapterMaterial, spec: VoiceAdapterSpec) -> TrainingPrompts:
    """The prompts of a training."""
    turn = {"role": "user", "content": material.transcription.prompt.replace("{speech}", AUDIO_PLACEHOLDER)}
    before, after = text.render([turn], material.transcription.answer_prefix).split(PLACEHOLDER)
    repeating = Prompt("", text.tokenize(before.removesuffix(" ")), text.tokenize(after), {})
    voiced, texts = (
        [prompt_of(text, task, material.tasks[task]) for task in tasks]
        for tasks in (spec.voiced_tasks, spec.text_tasks)
    )
    return TrainingPrompts(voiced, texts, repeating, text.tokenize('"'))


def train_adapter(spec: VoiceAdapterSpec, material: AdapterMaterial, work: Path, target: Path) -> None:
    """Train an adapter and write it.

    Args:
        spec: The adapter.
        material: What to train on.
        work: Folder of the checkpoint, which outlives an interruption.
        target: Model folder to write.
    """
    text = TextLLM(material.text, "cpu", resolve_dtype("auto", "cpu"), material.chat)
    clips, held_out = material.clips(), material.held_out()
    embeddings = input_embeddings(text)
    trained = new_adapter(spec, text, clips, embeddings)
    if not (work / CHECKPOINT).exists():
        learn_styles(trained.voice, clips, spec.training.classifier_steps, spec.seed)
        speak_softly(trained.voice, embeddings, clips)
    train(trained, text, clips, held_out, prompts_of(text, material, spec), spec.training, work, spec.seed)
    write_adapter(trained, spec, material.names, target)
    points: list[dict[str, Any]] = [json.loads(line) for line in (work / "curve.jsonl").read_text().splitlines()]
    write_text(target / "curve.json", json.dumps(points, indent=1) + "\n")


def new_adapter(
    spec: VoiceAdapterSpec, text: TextLLM, clips: Sequence[VoicedClip], embeddings: torch.Tensor
) -> Trained:
    """An adapter that changes nothing yet, put into a text LLM."""
    changed = change_text_llm(text, spec.lora, spec.seed)
    torch.manual_seed(spec.seed)
    words = torch.cat([clip.words.float() for clip in clips[:MEASURED]])
    limit = round(spec.loudness * float(words.norm(dim=-1).mean()), 3)
    shape = VoiceShape(depths=clips[0].depths, hidden=spec.hidden, limit=limit)
    return Trained(VoicePath(shape, encoder_width(clips[0]), embeddings.shape[1]), changed)


def encoder_width(clip: VoicedClip) -> int:
    """Width of the encoder that a clip was heard by."""
    return len(clip.sound) // (clip.depths * STATISTICS)


def evaluate_adapter(spec: VoiceAdapterSpec, material: AdapterMaterial, adapter: Path, name: str) -> None:
    """Measure an adapter on held-out texts and voices, and write its card.

    Args:
        spec: The adapter.
        material: What it was trained on.
        adapter: Its model folder, without those of its parts.
        name: What to call it.
    """
    text = TextLLM(material.text, "cpu", resolve_dtype("auto", "cpu"), material.chat)
    text.model.load_adapter(str(adapter), adapter_name=ADAPTER)
    text.model.requires_grad_(False).eval()
    clips, held_out = material.clips(), material.held_out()
    width = input_embeddings(text).shape[1]
    voice = read_voice(adapter, encoder_width(clips[0]), width)
    asked = prompts_of(text, material, spec)
    styled = sum(clip.style is not None for clip in clips)
    spoken = [clip for own in held_out.values() for clip in own][::CHECKED]
    found = {
        "clips": styled,
        "plain_clips": len(clips) - styled,
        "voiced": {
            prompt.task: {
                speaker: _heard(text, prompt, of_task(own, prompt.task), voice) for speaker, own in held_out.items()
            }
            for prompt in asked.voiced
        },
        "texts": {prompt.task: _kept(text, prompt, spoken, voice) for prompt in asked.texts if prompt.answers},
        "transcripts": _written(text, asked.repeating, material.transcription, spoken, voice),
    }
    write_card(name, spec, material.texts, found, adapter)


def _heard(text: TextLLM, prompt: Prompt, clips: Sequence[VoicedClip], voice: VoicePath) -> dict[str, Any]:
    """Share of right labels of the adapter, of its base, and of the adapter where the true text is typed."""
    typed = chosen(text, prompt, [text.tokenize(f" {clip.text}") for clip in clips], None)
    with adapter_off(text.model):
        base = accuracy(text, prompt, clips, [clip.words.float() for clip in clips])
    return {
        "clips": len(clips),
        "adapter": accuracy(text, prompt, clips, heard_by(voice, clips)),
        "base": base,
        "typed": sum(label == clip.style for label, clip in zip(typed, clips, strict=True)) / len(clips),
        "chance": 1 / len(get_task(prompt.task).styles),
    }


def _kept(text: TextLLM, prompt: Prompt, clips: Sequence[VoicedClip], voice: VoicePath) -> dict[str, Any]:
    """Share of labels that are those of the unchanged text LLM reading the true words."""
    words = [text.tokenize(f" {clip.text}") for clip in clips]
    plain = [clip.words.float() for clip in clips]
    with adapter_off(text.model):
        teacher = chosen(text, prompt, words, None)
        base = chosen(text, prompt, [[AUDIO] * len(own) for own in plain], plain)
    heard = heard_by(voice, clips)
    said = chosen(text, prompt, [[AUDIO] * len(own) for own in heard], heard)
    typed = chosen(text, prompt, words, None)
    alike = {
        name: sum(one == other for one, other in zip(own, teacher, strict=True)) / len(clips)
        for name, own in (("adapter", said), ("base", base), ("typed", typed))
    }
    return {"clips": len(clips), **alike}


def _written(
    text: TextLLM, prompt: Prompt, asked: TranscriptionPrompt, clips: Sequence[VoicedClip], voice: VoicePath
) -> dict[str, Any]:
    """Word error rate of the adapter's own transcripts, and of its base's."""

    def rate(heard: Sequence[torch.Tensor]) -> float:
        rows = [[*prompt.before, *[AUDIO] * len(own), *prompt.after] for own in heard]
        said: list[str] = []
        for first in range(0, len(rows), BATCH):
            some = slice(first, first + BATCH)
            answers = text.generate(rows[some], asked.max_new_tokens, heard=heard[some])
            said += [transcript_of(answer.text, asked.answer_prefix) for answer in answers]
        return error_rate([clip.text for clip in clips], said)

    with adapter_off(text.model):
        base = rate([clip.words.float() for clip in clips])
    return {"clips": len(clips), "adapter": rate(heard_by(voice, clips)), "base": base}
