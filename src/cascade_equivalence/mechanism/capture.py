"""States of all watched layers from one forward pass a batch, streamed to disk."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn

from cascade_equivalence.config.mechanism import StatesConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.states import INDEX, StatesWriter
from cascade_equivalence.models.question import Question, sound_of, stretches
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.heard import EarStore, heard_rows
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.transcription.engines import TorchEncoder
from cascade_equivalence.progress import progress

SAMPLES_A_FRAME = 320
"""Of Whisper's encoder: 20 ms at 16 kHz."""


@dataclass(frozen=True)
class HeardUtterance:
    """One utterance for a speech LLM.

    Attributes:
        utterance: Its row in the utterances table.
        question: The prompt it is asked in, with its sound.
    """

    utterance: int
    question: Question


class StateWriter:
    """Where captured states go: a file a layer, and the index of what is in them.

    Args:
        files: The file of each layer.
        index: The index file.
        utterances: The utterances table.
        about: Metadata of the files.
    """

    def __init__(
        self, files: Mapping[int, Path], index: Path, utterances: pl.DataFrame, about: Mapping[str, str]
    ) -> None:
        self.files, self.index, self.about = files, index, about
        self._named = utterances.select("task", "id", "voice").rows()
        self._rows: list[tuple[Any, ...]] = []
        self._start = 0
        self._writers: dict[int, StatesWriter] = {}

    def __enter__(self) -> "StateWriter":
        self._stack = ExitStack()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
        if error[0] is None:
            if short := [layer for layer, writer in self._writers.items() if writer.rows != self._start]:
                raise StudyError(f"layers {short} gave another number of states than their utterances have frames")
            with replacing(self.index) as part:
                pl.DataFrame(self._rows, schema=INDEX, orient="row").write_parquet(part)

    def states(self, layer: int, states: torch.Tensor) -> None:
        """Append states (frames, width) of one layer."""
        if layer not in self._writers:
            writer = StatesWriter(self.files[layer], states.shape[1], states.dtype, {**self.about, "layer": str(layer)})
            self._writers[layer] = self._stack.enter_context(writer)
        self._writers[layer].add(states)

    def utterance(self, row: int, frames: int, audio_start: int, audio_frames: int) -> None:
        """Say whose the next frames are."""
        self._rows.append((row, *self._named[row], self._start, frames, audio_start, audio_frames))
        self._start += frames


def shuffle_weights(blocks: Sequence[nn.Module], seed: int) -> None:
    """Shuffle the entries of every weight of some blocks: as large as before, and nothing of what was learned.

    The untrained baseline of probes: what a random network of this shape leaves in its states of what it is given.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for block in blocks:
            for weight in block.parameters():
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))


@torch.inference_mode()
def capture_speech_llm(
    model: SpeechLLM,
    heard: Sequence[HeardUtterance],
    config: StatesConfig,
    writer: StateWriter,
    label: str,
    store: EarStore | None = None,
) -> None:
    """Capture the text LLM's blocks in a speech LLM, at the audio positions or at all of the prompt.

    Args:
        model: The speech LLM.
        heard: Utterances, those of one prompt next to each other.
        config: Positions and batch size.
        writer: Where the states go; its files say which layers.
        label: What the progress lines say.
        store: Where what the model hears is kept.
    """
    text = model.text
    with progress(label, len(heard)) as advance:
        for some in _stretches(heard):
            questions = [each.question for each in some]
            prompts = [text.render(question.messages, question.answer_prefix) for question in questions]
            rows, vectors, _ = heard_rows(model, prompts, list(map(sound_of, questions)), store)
            text.check_lengths(rows, 0)
            prefix = text.usable_prefix(rows) if config.positions == "audio" else 0
            # The sound must be among the columns that are computed anew.
            prefix = min([prefix, *(row.index(AUDIO) for row in rows)])
            shared = text.prefix_cache(rows[0][:prefix])
            queue = sorted(range(len(some)), key=lambda place: (len(rows[place]), place))
            for first in range(0, len(queue), config.batch_size):
                batch = queue[first : first + config.batch_size]
                ids, mask, cache = text.start([rows[place] for place in batch], prefix, shared)
                kept = ids == AUDIO if config.positions == "audio" else mask[:, -ids.shape[1] :].bool()

                def receive(layer: int, states: torch.Tensor, kept: torch.Tensor = kept) -> None:
                    writer.states(layer, states[kept])

                with watched(model.blocks, list(writer.files), receive):
                    text.forward(ids, mask, cache, [vectors[place] for place in batch])
                for place in batch:
                    sounds = len(vectors[place])
                    where = (0, sounds) if config.positions == "audio" else (rows[place].index(AUDIO), sounds)
                    frames = sounds if config.positions == "audio" else len(rows[place])
                    writer.utterance(some[place].utterance, frames, *where)
                advance(len(batch))


def _stretches(heard: Sequence[HeardUtterance]) -> Iterator[Sequence[HeardUtterance]]:
    """Utterances that share a prompt's beginning, at most as many as may be in memory."""
    for _, sharing in groupby(heard, key=lambda each: each.question.messages[:-1]):
        some = list(sharing)
        for stretch in stretches([each.question for each in some]):
            yield some[stretch]


@torch.inference_mode()
def capture_whisper(
    encoder: TorchEncoder, recordings: Sequence[Recording], config: StatesConfig, writer: StateWriter, label: str
) -> None:
    """Capture the blocks of Whisper's encoder, on the frames that are sound.

    The encoder hears each clip in the 30 s window it was trained on; the frames behind the clip are left out.

    Args:
        encoder: Whisper's encoder.
        recordings: The utterances, in the order of their table.
        config: Batch size.
        writer: Where the states go; its files say which layers.
        label: What the progress lines say.
    """
    blocks = list(encoder.model.encoder.blocks)
    limit = encoder.model.dims.n_audio_ctx
    with progress(label, len(recordings)) as advance:
        for first in range(0, len(recordings), config.batch_size):
            audio = [recording.decode() for recording in recordings[first : first + config.batch_size]]
            frames = [min(limit, -(-len(clip) // SAMPLES_A_FRAME)) for clip in audio]
            # The encoder may take a batch in parts.
            left = {layer: iter(frames) for layer in writer.files}

            def receive(layer: int, states: torch.Tensor, left: Mapping[int, Iterator[int]] = left) -> None:
                for clip in states:
                    writer.states(layer, clip[: next(left[layer])].to(encoder.dtype))

            with watched(blocks, list(writer.files), receive):
                encoder(audio)
            for place, count in enumerate(frames):
                writer.utterance(first + place, count, 0, count)
            advance(len(audio))
