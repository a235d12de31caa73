"""What a trained connector reaches on held-out texts, and the card that says so."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.connector.clips import Batcher, TrainingClip, load_clips
from cascade_equivalence.connector.distil import DistilPrompt, repeat_prompt
from cascade_equivalence.connector.frames import transcribe
from cascade_equivalence.connector.run import input_embeddings, load_trained
from cascade_equivalence.files import write_text
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.connector import TokenMixtureConnector
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.transcription.answers import transcript_of
from cascade_equivalence.models.transcription.words import word_errors

BATCH = 32
CARD = Path(__file__).with_name("card.md")


def evaluate_connector(
    model: Path, held_out: Mapping[str, Path], text_folder: Path, transcription: TranscriptionPrompt, chat: bool
) -> dict[str, Any]:
    """Measure word error rates on held-out clips.

    Args:
        model: Model folder of the connector.
        held_out: Held-out shard of each voice.
        text_folder: The text LLM.
        transcription: How a transcript is asked for.
        chat: Whether the text LLM has a chat template.

    Returns:
        For each voice: clips, words, the word error rate of the connector's own tokens, of the speech LLM's
        transcription, and of the text LLM repeating the true text (what the LLM itself gets wrong).
    """
    text = TextLLM(text_folder, "cpu", resolve_dtype("auto", "cpu"), chat)
    prompt = repeat_prompt(text, transcription)
    results: dict[str, Any] = {}
    for voice, path in held_out.items():
        clips = sorted(load_clips([path], text.tokenizer), key=lambda clip: clip.frames)
        connector = load_trained(model, clips[0].utterance.states.shape[1], input_embeddings(text)).eval()
        batcher = Batcher(connector.tokens.tolist(), connector.shape.stack_factor, connector.shape.outputs)
        heard: dict[str, list[str]] = {"connector": [], "speech_llm": [], "text_llm_repeating": []}
        for start in range(0, len(clips), BATCH):
            some = clips[start : start + BATCH]
            heard["connector"] += transcribe(connector, batcher.batch(some), text.tokenizer)
            vectors = connector_vectors(connector, batcher, some)
            sound = [[AUDIO] * len(own) for own in vectors]
            heard["speech_llm"] += written_down(text, prompt, sound, vectors, transcription.max_new_tokens)
            words = [clip.spelling.tokens for clip in some]
            heard["text_llm_repeating"] += written_down(text, prompt, words, None, transcription.max_new_tokens)
        said = [clip.utterance.text for clip in clips]
        rates = {name: error_rate(said, texts) for name, texts in heard.items()}
        results[voice] = {"clips": len(clips), "word_error_rate": rates}
    return results


@torch.no_grad()
def connector_vectors(
    connector: TokenMixtureConnector, batcher: Batcher, clips: Sequence[TrainingClip]
) -> list[torch.Tensor]:
    """What the text LLM reads for each clip (vectors, text width)."""
    batch = batcher.batch(clips)
    vectors, counts = connector(batch.states, batch.frames)
    return [own[:count] for own, count in zip(vectors, counts.tolist(), strict=True)]


def written_down(
    text: TextLLM, prompt: DistilPrompt, speech: Sequence[list[int]], heard: list[torch.Tensor] | None, longest: int
) -> list[str]:
    """What the text LLM writes down when it is asked the transcription prompt."""
    rows = [[*prompt.before, *own, *prompt.after] for own in speech]
    answers = text.generate(rows, longest, len(prompt.before), prompt.cache, heard)
    return [transcript_of(answer.text, prompt.prefix) for answer in answers]


def error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Word error rate of transcripts, as a fraction of the words that were said."""
    counts = word_errors(said, heard)
    return sum(wrong for _, wrong in counts) / max(1, sum(words for words, _ in counts))


def write_card(name: str, spec: ConnectorSpec, results: Mapping[str, Any], folder: Path) -> None:
    """Write ``evaluation.json`` and the model card beside the weights."""
    write_text(folder / "evaluation.json", json.dumps(results, indent=2, sort_keys=True) + "\n")
    rows = [
        f"| {voice} | {found['clips']} | "
        + " | ".join(
            f"{found['word_error_rate'][kind]:.3f}" for kind in ("connector", "speech_llm", "text_llm_repeating")
        )
        + " |"
        for voice, found in results.items()
    ]
    sources = [
        f"- {source.name} {source.version} ({source.index}; licence of the package: {source.licence})"
        for source in spec.texts.sources
    ]
    voices = [f"- {voice}: {entry.voice.provider}, share {entry.share:g}" for voice, entry in spec.voices.items()]
    size = (folder / "model.safetensors").stat().st_size / 1e6
    write_text(
        folder / "README.md",
        CARD.read_text(encoding="utf-8").format(
            name=name,
            audio=spec.audio_model,
            text=spec.text_model,
            size=size,
            clips=spec.clips,
            epochs=spec.frames.epochs,
            steps=spec.distil.steps,
            apart="the published evaluation sets or of the project's own items"
            if spec.texts.exclude
            else "the project's own items",
            rows="\n".join(rows),
            sources="\n".join(sources),
            voices="\n".join(voices),
        ),
    )
