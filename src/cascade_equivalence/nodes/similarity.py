"""The node that sets states of what is heard beside states of the same words read, layer by layer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from cascade_equivalence import stages
from cascade_equivalence.files import write_text
from cascade_equivalence.identity import OF
from cascade_equivalence.mechanism.bags import Pieces
from cascade_equivalence.mechanism.lens_node import audio_frames
from cascade_equivalence.mechanism.mean_files import write_means
from cascade_equivalence.mechanism.read_words import EMBEDDED, Read, nearest_tokens, read_words, said_tokens
from cascade_equivalence.mechanism.said import exchanges, text_numbers
from cascade_equivalence.mechanism.similarity import Taken, compare_layer, shares
from cascade_equivalence.mechanism.states import States, read_index
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import sound_of, stretches
from cascade_equivalence.models.speech_llm.heard import ear_store, hear
from cascade_equivalence.nodes.answers import model_files
from cascade_equivalence.nodes.states import asked_about, utterance_clips
from cascade_equivalence.progress import progress
from cascade_equivalence.speech.clips import Clip
from cascade_equivalence.stages.study import Study
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.tasks.base import Item

EXAMPLES = 3
"""Utterances whose nearest tokens are shown."""


def compare_hearing(
    study: Study,
    model: str,
    utterances: pl.DataFrame,
    clips: Sequence[tuple[str, Clip]],
    items: Mapping[str, Sequence[Item]],
    manifests: Sequence[Path],
    states: Mapping[int, Path],
    index_path: Path,
    target: Path,
    means: Path,
) -> None:
    """Set what a speech LLM hears beside what it reads, at each layer and before the first, and write it as JSON.

    The file says ``of`` which ``model`` it is, the number of ``utterances`` and ``words``, by layer (-1: what the text
    LLM is given) what ``similarity.compare_layer`` finds, and at -1 also what ``similarity.shares`` finds of the
    nearest tokens; ``examples`` of these, each with the ``text`` and what is ``nearest``.

    Args:
        study: The study.
        model: The speech LLM.
        utterances: The utterances.
        clips: Clips they are among, with their task.
        items: Items of each task.
        manifests: Manifests of the weights.
        states: File of each layer's states of what was heard.
        index_path: Their index.
        target: The JSON file.
        means: Where mean states of what is read go, see ``mechanism.mean_files``.

    Raises:
        StudyError: Files do not fit each other, or prompts that are heard and read cannot be set side by side.
    """
    settings = stages.similarity.settings(study)
    confidence = study.config.statistics.confidence
    answering = study.config.answer.model_copy(update={"device": study.mechanism.states.device})
    files = model_files(manifests, study.model(study.text_model(model)).chat)
    _, speech = open_model(files, answering)
    assert speech is not None
    heard = utterance_clips(utterances, clips)
    asked = asked_about(study, utterances, heard, items)
    typed = asked_about(study, utterances, heard, items, typed=True)
    read: dict[int, Read] = {}
    with progress(f"words that {model} reads", len(asked)) as advance:
        pairs = list(zip(asked, typed, strict=True))
        for _, some in groupby(pairs, key=lambda pair: pair[1].question.messages[:-1]):
            own = list(some)
            prompts = [said_tokens(speech.typed, one.question, other.question) for one, other in own]
            found = read_words(speech.typed, speech.blocks, prompts, list(states), study.mechanism.states.batch_size)
            for (one, _), words in zip(own, found, strict=True):
                read[one.utterance] = words
                advance()
    ears = ear_store(study.store("heard"), speech, files, answering)
    vectors: dict[int, torch.Tensor] = {}
    for part in stretches([each.question for each in asked]):
        hearings = hear(speech, [sound_of(each.question) for each in asked[part]], ears)
        vectors |= {each.utterance: one.vectors for each, one in zip(asked[part], hearings, strict=True)}
    # Readings of one text share the name of the first.
    first: dict[str, str] = {}
    names = [
        first.setdefault(text, f"{task}/{item}")
        for task, item, text in utterances.select("task", "id", "text").iter_rows()
    ]
    order = sorted(read)
    frames = {EMBEDDED: {row: vectors[row].double().cpu().numpy() for row in order}}
    write_means(means, {layer: _means(read, layer, utterances.height) for layer in states}, {"model": model})
    layers: dict[str, dict[str, Any]] = {}
    with progress(f"likeness of what {model} hears and reads", 1 + len(states)) as advance:
        for layer in (EMBEDDED, *states):
            mine = frames.pop(layer, None) or _frames(states[layer], index_path)
            taken = [Taken(names[row], mine[row], read[row].states[layer], read[row].tokens) for row in order]
            compared = compare_layer(taken, settings.shuffles, settings.seed, confidence)
            layers[str(layer)] = {name: asdict(each) for name, each in compared.items()}
            advance()
    texts = utterances["text"].to_list()
    pieces = Pieces(speech.typed.tokenizer)
    table = speech.typed.model.get_input_embeddings().weight
    found_tokens = iter(nearest_tokens(torch.cat([vectors[row] for row in order]), table))
    tokens = [[next(found_tokens) for _ in vectors[row]] for row in order]
    nearest = _nearest(tokens, [texts[row] for row in order], pieces, [names[row] for row in order], study)
    layers[str(EMBEDDED)] |= nearest
    result = {
        OF: {"model": model},
        "utterances": len(order),
        "words": int(sum(len(read[row].tokens) for row in order)),
        "layers": layers,
        "examples": [
            {"text": texts[row], "nearest": " ".join(pieces.kept(own))}
            for row, own in list(zip(order, tokens, strict=True))[:EXAMPLES]
        ],
    }
    write_text(target, json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _means(read: Mapping[int, Read], layer: int, count: int) -> Floats:
    """Mean state of each utterance's tokens where it is read, (utterances, width); NaN where there are none."""
    width = next(iter(read.values())).states[layer].shape[1]
    found = np.full((count, width), np.nan)
    for row, each in read.items():
        if len(each.tokens):
            found[row] = np.average(each.states[layer], axis=0, weights=each.tokens)
    return found


def _frames(path: Path, index_path: Path) -> dict[int, Floats]:
    """States where the sound stands, by row of the utterances table."""
    states = States(path)
    index = read_index(index_path, states)
    sound = audio_frames(index)
    return {
        row: states.part(start, start + count).double().numpy()[sound[start : start + count]]
        for row, start, count in index.select("utterance", "start", "frames").iter_rows()
    }


def _nearest(
    tokens: Sequence[Sequence[int]], texts: Sequence[str], pieces: Pieces, names: Sequence[str], study: Study
) -> dict[str, Any]:
    settings = stages.similarity.settings(study)
    references = [pieces.reference(text) for text in texts]

    def hits(place: int, other: int) -> int:
        return sum(references[other].either[piece] > 0 for piece in pieces.kept(tokens[place]))

    own = [hits(place, place) for place in range(len(tokens))]
    chance: list[list[int]] = [[] for _ in tokens]
    for partner in exchanges(text_numbers(names), settings.shuffles, settings.seed):
        for place, other in enumerate(partner.tolist()):
            if references[place] != references[other]:
                chance[place].append(hits(place, other))
    means = [float(np.mean(each)) if each else 0.0 for each in chance]
    found = shares(own, means, [len(each) for each in tokens], names, study.config.statistics.confidence)
    return {name: asdict(each) for name, each in found.items()}
