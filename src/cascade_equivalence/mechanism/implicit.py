"""Implicit transcripts: the text that a speech LLM's last block shows where the sound stands (paper section 5.3).

At each audio position the output of the last block goes through the final norm and the unembedding; the most likely
tokens, with runs of one token taken as one and control tokens dropped, are read as text (:meth:`Pieces.text`). Put into
the place of a transcript, that text is what the text LLM alone answers from: the implicit cascade.

A causal model's state depends on nothing that comes later, so a prompt is read only as far as its sound goes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.bags import Pieces
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.lens import Unembedding
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import ModelFiles, Question, parts_of, sound_of, stretches
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.heard import EarStore, ear_store, heard_rows
from cascade_equivalence.models.speech_llm.model import SpeechLLM
from cascade_equivalence.models.store import Store, key_of
from cascade_equivalence.progress import progress

IMPLICIT_FORMAT = 1
"""Raised when the same weights, prompt and sound would give another text."""


def implicit_texts(
    questions: Sequence[Question],
    model: ModelFiles,
    config: AnswerConfig,
    store: Path,
    label: str,
    kept: Path | None = None,
) -> list[str]:
    """Implicit transcripts of prompts with sound, taking from the store what it has.

    Args:
        questions: The prompts as the speech LLM is asked them, each with its sound.
        model: Resolved weights of a speech LLM.
        config: Arithmetic and batch size.
        store: File of the append-only store.
        label: What the progress lines say.
        kept: Folder in which what speech LLMs hear is kept; see ``speech_llm.heard``.

    Returns:
        One line of text a question, in order; empty where the lens shows nothing but control tokens.

    Raises:
        StudyError: The model is not a speech LLM that can be opened, or its arithmetic overflows.
    """
    if model.speech is None:
        raise StudyError("a text LLM hears nothing, so it has no implicit transcripts: name a speech LLM")
    settings = {"kind": "implicit", "format": IMPLICIT_FORMAT, **model.identity(config)}
    keys = [key_of(settings | parts_of(question, "generate")) for question in questions]
    waiting = Counter(keys)
    with Store(store) as records:
        missing = {key: question for key, question in zip(keys, questions, strict=True) if key not in records}
        done = len(keys) - sum(waiting[key] for key in missing)
        with progress(label, len(keys), done) as advance:
            for batch in _compute(missing, model, config, kept) if missing else ():
                records.add(batch.items())
                advance(sum(waiting[key] for key in batch))
        return [str(records[key]) for key in keys]


def _compute(
    missing: Mapping[str, Question], files: ModelFiles, config: AnswerConfig, kept: Path | None
) -> Iterator[dict[str, str]]:
    """Texts by key, a batch at a time."""
    _, model = open_model(files, config)
    assert model is not None
    keys = list(missing)
    store = ear_store(kept, model, files, config)
    for batch in implicit_transcripts(model, list(missing.values()), config.batch_size, store):
        yield {keys[place]: text for place, text in batch.items()}


def implicit_transcripts(
    model: SpeechLLM, questions: Sequence[Question], batch_size: int, store: EarStore | None = None
) -> Iterator[dict[int, str]]:
    """Read what the last block shows where the sound stands.

    Args:
        model: An open speech LLM.
        questions: Prompts, each with its sound.
        batch_size: Prompts a forward pass; it changes nothing but the speed.
        store: Where what the model hears is kept.

    Yields:
        Texts by the question's place, a batch at a time, the shortest sounds first.

    Raises:
        StudyError: The states of the model cannot be reached, or its arithmetic overflows.
    """
    if not model.capabilities.hidden_states:
        raise StudyError("the model does not let its states be seen, so it has no implicit transcripts: name another")
    lens, pieces = Unembedding(model.text.model), Pieces(model.text.tokenizer)
    queue = sorted(range(len(questions)), key=lambda place: (sound_of(questions[place]).seconds, place))
    for stretch in stretches([questions[place] for place in queue]):
        some = queue[stretch]
        prompts = [model.text.render(questions[place].messages, questions[place].answer_prefix) for place in some]
        whole, heard, _ = heard_rows(model, prompts, [sound_of(questions[place]) for place in some], store)
        model.text.check_lengths(whole, 0)
        rows = [_to_the_sounds_end(row) for row in whole]
        for batch, tokens in _read(model, lens, rows, heard, batch_size):
            yield {some[place]: pieces.text(shown) for place, shown in zip(batch, tokens, strict=True)}


def _read(
    model: SpeechLLM, lens: Unembedding, rows: Sequence[list[int]], heard: Sequence[torch.Tensor], batch_size: int
) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Places of a batch of rows, and the most likely token at each of their audio positions."""
    text, last = model.text, len(model.blocks) - 1
    prefix = text.usable_prefix(rows)
    shared = text.prefix_cache(rows[0][:prefix])
    queue = sorted(range(len(rows)), key=lambda place: (len(rows[place]), place))
    for start in range(0, len(queue), batch_size):
        batch = queue[start : start + batch_size]
        ids, mask, cache = text.start([rows[place] for place in batch], prefix, shared)
        kept: dict[int, torch.Tensor] = {}
        with torch.inference_mode(), watched(model.blocks, [last], kept.__setitem__):
            text.forward(ids, mask, cache, [heard[place] for place in batch])
        at = ids == AUDIO
        tokens = lens.tokens(kept[last][at])
        yield batch, [part.tolist() for part in tokens.split(at.sum(1).tolist())]


def _to_the_sounds_end(row: list[int]) -> list[int]:
    """A row without what follows its sound; of one without any sound the first token is left."""
    return row[: max((place + 1 for place, token in enumerate(row) if token == AUDIO), default=1)]
