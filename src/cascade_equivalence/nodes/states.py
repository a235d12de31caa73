"""The node that captures states: its prompts, weights and files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cascade_equivalence import stages
from cascade_equivalence.config.mechanism import UNTRAINED
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.capture import (
    HeardUtterance,
    StateWriter,
    capture_speech_llm,
    capture_whisper,
    shuffle_weights,
)
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.device import resolve_device, resolve_dtype
from cascade_equivalence.models.speech_llm.heard import ear_store
from cascade_equivalence.models.transcription.engines import TorchEncoder
from cascade_equivalence.models.transcription.table import recordings
from cascade_equivalence.nodes.answers import model_files, questions, spoken_rows
from cascade_equivalence.speech.clips import Clip, read_clips
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.base import Item


def capture(
    study: Study,
    opened: str,
    utterances: pl.DataFrame,
    clips: Sequence[tuple[str, Clip]],
    items: Mapping[str, Sequence[Item]],
    manifests: Sequence[Path],
    files: Sequence[Path],
    index: Path,
) -> None:
    """Capture an opened model's states on the utterances.

    Args:
        study: The study.
        opened: The model, or its untrained twin.
        utterances: The utterances.
        clips: Clips they are among, with their task.
        items: Items of each task.
        manifests: Manifests of the weights, as ``Study.opened_manifests`` gives them.
        files: File of each layer, in the order of the layers.
        index: The index file.

    Raises:
        StudyError: The model has not as many blocks as its entry says, or its weights cannot be used.
    """
    states = study.mechanism.states
    model = opened.removesuffix(UNTRAINED)
    layers = stages.opened_models.layers(study, opened)
    about = {"model": opened, "positions": states.positions}
    heard = utterance_clips(utterances, clips)
    with StateWriter(dict(zip(layers, files, strict=True)), index, utterances, about) as writer:
        label = f"states of {opened}"
        if not study.is_speech_llm(model):
            device = resolve_device(states.device)
            encoder = TorchEncoder(manifests[0].parent, device, resolve_dtype("auto", device))
            blocks = list(encoder.model.encoder.blocks)
            _check_blocks(study, model, len(blocks))
            if opened != model:
                shuffle_weights(blocks, states.seed)
            capture_whisper(encoder, recordings(heard), states, writer, label)
            return
        answering = study.config.answer.model_copy(update={"device": states.device})
        files_of = model_files(manifests, study.model(study.text_model(model)).chat)
        _, speech = open_model(files_of, answering)
        assert speech is not None
        _check_blocks(study, study.text_model(model), len(speech.blocks))
        if opened != model:
            shuffle_weights(speech.blocks, states.seed)
        asked = asked_about(study, utterances, heard, items)
        store = ear_store(study.store("heard"), speech, files_of, answering)
        capture_speech_llm(speech, asked, states, writer, label, store)


def asked_about(
    study: Study,
    utterances: pl.DataFrame,
    heard: Sequence[Clip],
    items: Mapping[str, Sequence[Item]],
    typed: bool = False,
) -> list[HeardUtterance]:
    """Each utterance in the prompt of its task, as it is answered in the study; a task after the other.

    Args:
        study: The study.
        utterances: The utterances.
        heard: The clip of each.
        items: Items of each task.
        typed: Whether what is said is typed rather than heard.
    """
    asked = []
    places = utterances.with_row_index("place")
    for task in utterances["task"].unique(maintain_order=True):
        for voice in places.filter(pl.col("task") == task)["voice"].unique(maintain_order=True):
            own = places.filter((pl.col("task") == task) & (pl.col("voice") == voice))["place"].to_list()
            said = [heard[place] for place in own]
            wanted = {clip.id for clip in said}
            some = [item for item in items[task] if item.id in wanted]
            spec, system_prompt = study.task(task), study.config.answer.system_prompt
            rows = spoken_rows(said)
            if typed:
                rows = rows.with_columns(pl.Series("text", [clip.text for clip in said]))
            found = questions(task, spec, system_prompt, some, rows, None if typed else recordings(said))
            asked += [HeardUtterance(place, question) for place, question in zip(own, found, strict=True)]
    return asked


def _check_blocks(study: Study, model: str, found: int) -> None:
    """Refuse a model whose entry miscounts its blocks: the layers would not be those that were meant.

    Raises:
        StudyError: They differ.
    """
    said = study.model(model).blocks
    if said is not None and said != found:
        raise StudyError(f"models.{model}.blocks says {said}, but the model has {found} blocks: correct the entry")


def clips_of(study: Study, paths: Sequence[Path]) -> list[tuple[str, Clip]]:
    """The clips that utterances are among, with their task, from the files that ``stages.utterances.clips`` names."""
    files = iter(paths)
    return [
        (task, clip)
        for task in study.mechanism.states.tasks
        for _ in stages.utterances.voices(study, task)
        for clip in read_clips(next(files))
    ]


def utterance_clips(utterances: pl.DataFrame, clips: Sequence[tuple[str, Clip]]) -> list[Clip]:
    """The clip of each utterance, in the table's order.

    Args:
        utterances: Task, id and voice.
        clips: Clips with their task.
    """
    by_name = {(task, clip.id, clip.voice): clip for task, clip in clips}
    return [by_name[name] for name in utterances.select("task", "id", "voice").rows()]
