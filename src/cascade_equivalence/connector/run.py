"""The nodes of a connector's training: shards in, trained weights out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.connector.clips import TrainingClip, load_clips, vocabulary
from cascade_equivalence.connector.distil import distil, repeat_prompt, task_prompt
from cascade_equivalence.connector.export import read_weights, write_connector
from cascade_equivalence.connector.frames import train_frames
from cascade_equivalence.files import write_text
from cascade_equivalence.models.device import resolve_dtype
from cascade_equivalence.models.speech_llm.connector import ConnectorShape, TokenMixtureConnector, tokenizer_hash
from cascade_equivalence.models.text_llm import TextLLM


@dataclass(frozen=True)
class TrainingMaterial:
    """What both stages train on.

    Attributes:
        train: Training shards.
        held_out: Held-out shard of each evaluation voice.
        text_folder: The text LLM.
        names: ``audio_model_id`` and ``text_model_id`` for the config.
    """

    train: Sequence[Path]
    held_out: Mapping[str, Path]
    text_folder: Path
    names: Mapping[str, str | None]

    def clips(self, tokenizer: PreTrainedTokenizerBase) -> tuple[list[TrainingClip], dict[str, list[TrainingClip]]]:
        """Training clips, and held-out clips by voice."""
        held_out = {voice: load_clips([path], tokenizer) for voice, path in self.held_out.items()}
        return load_clips(self.train, tokenizer), held_out


def new_connector(
    spec: ConnectorSpec, tokens: Sequence[int], widths: tuple[int, int], tokenizer: str
) -> TokenMixtureConnector:
    """A connector with random weights.

    Args:
        spec: Its shape, and the seed.
        tokens: Token id of each class.
        widths: Of the audio tower and of the text LLM.
        tokenizer: Hash of the text LLM's tokenizer.
    """
    shape = {name: getattr(spec, name) for name in ConnectorShape.model_fields if hasattr(spec, name)}
    torch.manual_seed(spec.seed)
    connector = TokenMixtureConnector(ConnectorShape(**shape, vocabulary=len(tokens), tokenizer=tokenizer), *widths)
    connector.tokens = torch.tensor(tokens, dtype=torch.int32)
    return connector


def first_stage(spec: ConnectorSpec, material: TrainingMaterial, work: Path, target: Path) -> None:
    """Train the first stage and write the connector.

    Args:
        spec: The connector.
        material: What to train on.
        work: Folder of the checkpoint, which outlives an interruption.
        target: Model folder to write.
    """
    tokenizer = AutoTokenizer.from_pretrained(material.text_folder, trust_remote_code=False)
    clips, held_out = material.clips(tokenizer)
    embeddings = input_embeddings(TextLLM(material.text_folder, "cpu", torch.float32, chat=False))
    widths = (clips[0].utterance.states.shape[1], embeddings.shape[1])
    tokens = vocabulary(clips, spec.least_occurrences)
    connector = new_connector(spec, tokens, widths, tokenizer_hash(tokenizer))
    connector.attach(embeddings)
    train_frames(connector, clips, held_out, tokenizer, spec.frames, work, spec.seed)
    write_connector(connector, material.names, target)
    _write_curve(work, target)


def second_stage(
    spec: ConnectorSpec,
    material: TrainingMaterial,
    prompts: Mapping[str, TaskSpec],
    transcription: TranscriptionPrompt,
    chat: bool,
    first: Path,
    work: Path,
    target: Path,
) -> None:
    """Train the second stage and write the connector; with no steps it is the first stage's.

    Args:
        spec: The connector.
        material: What to train on.
        prompts: How each task of ``spec.distil.tasks`` is asked.
        transcription: How a transcript is asked for.
        chat: Whether the text LLM has a chat template.
        first: Model folder of the first stage.
        work: Folder of the checkpoint.
        target: Model folder to write.
    """
    text = TextLLM(material.text_folder, "cpu", resolve_dtype("auto", "cpu"), chat)
    clips, held_out = material.clips(text.tokenizer)
    connector = load_trained(first, clips[0].utterance.states.shape[1], input_embeddings(text))
    task_prompts = [task_prompt(text, name, prompts[name]) for name in spec.distil.tasks]
    repeating = repeat_prompt(text, transcription)
    distil(connector, text, clips, held_out, task_prompts, repeating, spec.distil, work, spec.seed)
    write_connector(connector, material.names, target)
    _write_curve(work, target)


def load_trained(folder: Path, encoder_width: int, embeddings: torch.Tensor) -> TokenMixtureConnector:
    """Read a connector that a stage wrote, attached and ready to train on."""
    shape = ConnectorShape.model_validate(json.loads((folder / "config.json").read_text())["connector"])
    connector = TokenMixtureConnector(shape, encoder_width, embeddings.shape[1])
    connector.load_state_dict(read_weights(folder))
    connector.attach(embeddings)
    return connector


def input_embeddings(text: TextLLM) -> torch.Tensor:
    """What a text LLM reads for each token (vocabulary, width), float32."""
    layer = text.model.get_input_embeddings()
    with torch.no_grad():
        embeddings: torch.Tensor = layer(torch.arange(layer.weight.shape[0]))
    return embeddings.float()


def _write_curve(work: Path, target: Path) -> None:
    path = work / "curve.jsonl"
    points: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    write_text(target / "curve.json", json.dumps(points, indent=1) + "\n")
