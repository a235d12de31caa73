"""What holds for every speech LLM whose checkpoint has its own text LLM, checked against the library's own model."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from cascade_equivalence.config.mechanism import WORD_POSITIONS, StatesConfig
from cascade_equivalence.config.study import AnswerConfig
from cascade_equivalence.mechanism.bags import Pieces
from cascade_equivalence.mechanism.capture import HeardUtterance, StateWriter, capture_speech_llm
from cascade_equivalence.mechanism.erasure import ErasureVariant, erasing
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.implicit import implicit_transcripts
from cascade_equivalence.mechanism.leace import Eraser
from cascade_equivalence.mechanism.lens import Unembedding, open_unembedding
from cascade_equivalence.mechanism.patched_behind import BEHIND, LAST, BehindPatcher, tokens_behind
from cascade_equivalence.mechanism.patched_runs import PatchedPair, Restored, TwoWays, in_batches, place_of
from cascade_equivalence.mechanism.patched_words import REVERSED, WordPatcher
from cascade_equivalence.mechanism.read_words import read_words, said_tokens
from cascade_equivalence.mechanism.states import States, read_index
from cascade_equivalence.models.answering import answer_questions
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles, sound_of
from cascade_equivalence.models.recording import Recording
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.text_llm import TextLLM

CONFIG = AnswerConfig(device="cpu", dtype="float32", batch_size=3)
TOLERANCE = 1e-4
# Of even and odd numbers of frames; the last is the whole window of the tiny Qwen2-Audio.
SAMPLES = [16000, 15999, 5000, 30901, 8161, 32000]
SHOT = ({"role": "user", "content": "Story: A dog ran over the long bridge."}, {"role": "assistant", "content": "no"})
BEFORE, AFTER = "Read the news story and name its topic.\nStory: ", " Now name it."
PREFIX = "The topic is"
LABELS = {"Sports": "sports", "Business": "business or technology"}


@dataclass(frozen=True)
class Read:
    """One prompt as the library's processor and model read it.

    Attributes:
        row: Its tokens, ``AUDIO`` where the library's audio token is.
        logits: Logits (columns, vocabulary).
        states: Hidden states (columns, width): of the embeddings, then of each block, the last one normed.
    """

    row: list[int]
    logits: torch.Tensor
    states: tuple[torch.Tensor, ...]


Reference = Callable[[Question, str], Read]
"""Reads a question of this module, with some more text behind it."""


@dataclass(frozen=True)
class Library:
    """A checkpoint as the library reads it.

    Attributes:
        model: The library's class.
        inputs: From prompts and their clips to arguments of the class, by its own processor, padded on the left.
        prompt: The conversation of this module as the model's template writes it, with one sound.
        audio_id: Its audio token.
        typed: Within it the class reads text alone, as its documentation says.
    """

    model: Any
    inputs: Callable[[Sequence[str], Sequence[np.ndarray]], Mapping[str, torch.Tensor]]
    prompt: str
    audio_id: int
    typed: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Tiny:
    """A random checkpoint of an architecture.

    Attributes:
        save: Writes it into a folder, by a seed.
        library: How the library reads it.
        blocks: Blocks of its text LLM.
        width: Their width.
        heard: A weight of what hears, as it is saved.
        batches: Whether the library gives a prompt in a batch what it gives it alone.
    """

    save: Callable[..., Path]
    library: Callable[[Path], Library]
    blocks: int
    width: int
    heard: str
    batches: bool = True


def reference_of(library: Library) -> Reference:
    """What the library's class makes of the questions of this module, one at a time."""

    @cache
    def cached(sha256: str, more: str) -> Read:
        number = [sound_of(each).sha256 for each in QUESTIONS].index(sha256)
        inputs = library.inputs([library.prompt + more], [clip(number)])
        with torch.no_grad():
            made = library.model(**inputs, output_hidden_states=True)
        row = [AUDIO if token == library.audio_id else token for token in inputs["input_ids"][0].tolist()]
        return Read(row, made.logits[0], tuple(states[0] for states in made.hidden_states))

    return lambda question, more: cached(sound_of(question).sha256, more)


def clip(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).standard_normal(SAMPLES[number])
    return (0.1 * np.cumsum(noise) / np.sqrt(np.arange(1, len(noise) + 1))).astype(np.float32)


def question(number: int) -> Question:
    recording = Recording(f"sha{number}", SAMPLES[number] / 16000, partial(clip, number))
    turn = {"role": "user", "content": f"{BEFORE}{PLACEHOLDER}{AFTER}"}
    return Question((*SHOT, turn), PREFIX, LABELS, recording)


QUESTIONS = [question(number) for number in range(len(SAMPLES))]


def files_of(folder: Path) -> ModelFiles:
    """The checkpoint is the text LLM and the speech LLM."""
    return ModelFiles(folder, "r", True, SpeechFiles(folder, "r"))


def read(model: SpeechLLM, questions: Sequence[Question]) -> tuple[list[list[int]], list[torch.Tensor]]:
    prompts = [model.text.render(each.messages, each.answer_prefix) for each in questions]
    return model.rows(prompts, [sound_of(each).decode() for each in questions])


def logits_of(
    text: TextLLM, rows: list[list[int]], keep: int, heard: Sequence[torch.Tensor] | None = None
) -> torch.Tensor:
    ids, mask, cache = text.start(rows, 0, text.prefix_cache([]))
    with torch.inference_mode():
        return text.logits(ids, mask, cache, keep, heard)


def check_against(model: SpeechLLM, reference: Reference) -> None:
    """Token rows, places of the sound and logits are the library's, alone and in a batch."""
    rows, heard = read(model, QUESTIONS)
    expected = [reference(each, "") for each in QUESTIONS]
    assert rows == [each.row for each in expected]
    for row, vectors, wanted in zip(rows, heard, expected, strict=True):
        assert vectors.dtype == torch.float32 and row.count(AUDIO) == len(vectors) > 0
        found = logits_of(model.text, [row], len(row), [vectors])[0]
        torch.testing.assert_close(found, wanted.logits, atol=TOLERANCE, rtol=0)
    last = logits_of(model.text, rows, 1, heard)[:, 0]
    torch.testing.assert_close(last, torch.stack([each.logits[-1] for each in expected]), atol=TOLERANCE, rtol=0)
    # A model to which every sound is the same would pass all of that.
    assert (last[0] - last[2]).abs().max() > 100 * TOLERANCE


def first_line(text: str) -> str:
    """What counts of an answer that the library generates."""
    return text.lstrip().split("\n")[0]


GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "top_k": None, "top_p": None, "temperature": None}


def check_generate(model: SpeechLLM, library: Library, batches: bool) -> None:
    """Answers are those of the class's own ``generate``, to prompts in one batch where the library can be asked so."""
    rows, heard = read(model, QUESTIONS)
    found = [answer.text for answer in model.text.generate(rows, 8, heard=heard)]
    numbers = range(len(QUESTIONS))
    for batch in [list(numbers)] if batches else [[number] for number in numbers]:
        inputs = library.inputs([library.prompt] * len(batch), [clip(number) for number in batch])
        new = library.model.generate(**inputs, max_new_tokens=8, **GREEDY)[:, inputs["input_ids"].shape[1] :]
        tokenizer = model.text.tokenizer
        said = tokenizer.batch_decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert [found[number] for number in batch] == [first_line(text) for text in said]


def check_own_text(text: TextLLM, library: Library) -> None:
    """The text LLM alone gives typed words the logits and the answer that the whole class gives them."""
    row = text.tokenize(text.render([{"role": "user", "content": "Story: The hosts reached the cup final."}]))
    with torch.no_grad(), library.typed():
        expected = library.model(input_ids=torch.tensor([row])).logits[0]
        new = library.model.generate(input_ids=torch.tensor([row]), max_new_tokens=8, **GREEDY)[0, len(row) :]
    torch.testing.assert_close(logits_of(text, [row], len(row))[0], expected, atol=TOLERANCE, rtol=0)
    said = text.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert text.generate([row], 8)[0].text == first_line(said)


def check_company(model: SpeechLLM) -> None:
    """A clip's vectors and its answer do not depend on the clips beside it."""
    rows, heard = read(model, QUESTIONS)
    together = model.text.generate(rows, 6, heard=heard)
    for each, row, vectors, answer in zip(QUESTIONS, rows, heard, together, strict=True):
        (own_row,), (own,) = read(model, [each])
        assert own_row == row
        torch.testing.assert_close(own, vectors, atol=TOLERANCE, rtol=0)
        assert model.text.generate([row], 6, heard=[own]) == [answer]


def check_answers(files: ModelFiles, reference: Reference, folder: Path) -> None:
    """Free answers and forced choices through the answer node, in any batches; likelihoods are the library's."""
    found = {}
    for mode in ("generate", "forced_choice"):
        for size in (1, 4):
            config = CONFIG.model_copy(update={"batch_size": size, "mode": mode})
            answers = answer_questions(QUESTIONS, files, config, 6, folder / f"{mode}{size}", "tiny")
            found[mode, size] = [replace(answer, seconds=0.0, scores={}) for answer in answers]
        assert found[mode, 1] == found[mode, 4]
    start = len(reference(QUESTIONS[2], "").row)
    for label, words in LABELS.items():
        whole = reference(QUESTIONS[2], f" {words}")
        likely = whole.logits.log_softmax(-1)[start - 1 : -1].gather(1, torch.tensor(whole.row[start:])[:, None])
        assert answers[2].scores[label] == pytest.approx(float(likely.sum()), abs=10 * TOLERANCE)


def check_capture(model: SpeechLLM, reference: Reference, folder: Path) -> None:
    """Captured states of every block are the library's hidden states at the audio positions; lens and all."""
    layers = list(range(len(model.blocks)))
    files = {layer: folder / f"layer{layer}.safetensors" for layer in layers}
    count = len(QUESTIONS)
    table = pl.DataFrame({"task": ["t"] * count, "id": [f"i{n}" for n in range(count)], "voice": ["v"] * count})
    heard = [HeardUtterance(place, each) for place, each in enumerate(QUESTIONS)]
    with StateWriter(files, folder / "index.parquet", table, {"model": "m"}) as sink:
        capture_speech_llm(model, heard, StatesConfig(batch_size=4), sink, "tiny")
    states = [States(files[layer]) for layer in layers]
    lens = Unembedding(model.text.model)
    from_disk = open_unembedding(Path(model.text.tokenizer.name_or_path), "cpu", torch.float32)
    for row in read_index(folder / "index.parquet", *states).iter_rows(named=True):
        wanted = reference(QUESTIONS[row["utterance"]], "")
        at = [place for place, token in enumerate(wanted.row) if token == AUDIO]
        found = [each.part(row["start"], row["start"] + row["frames"]) for each in states]
        for layer in layers[:-1]:
            torch.testing.assert_close(found[layer], wanted.states[layer + 1][at], atol=TOLERANCE, rtol=1e-4)
        # The library's last one is normed already; the captured one is not.
        with torch.no_grad():
            torch.testing.assert_close(model.final_norm(found[-1]), wanted.states[-1][at], atol=TOLERANCE, rtol=1e-4)
            own = model.unembedding(model.final_norm(found[-1]))
            shown = lens.logits(found[-1])
            torch.testing.assert_close(shown, wanted.logits[at], atol=TOLERANCE, rtol=0)
            assert torch.equal(own.argmax(-1), shown.argmax(-1))
            torch.testing.assert_close(from_disk.logits(found[-1]), shown, atol=TOLERANCE, rtol=0)


def check_implicit(model: SpeechLLM, reference: Reference) -> None:
    """The implicit transcript is what the library's model says at the audio positions."""
    found: dict[int, str] = {}
    for batch in implicit_transcripts(model, QUESTIONS, 4):
        found |= batch
    pieces = Pieces(model.text.tokenizer)
    for place, each in enumerate(QUESTIONS):
        wanted = reference(each, "")
        at = [place for place, token in enumerate(wanted.row) if token == AUDIO]
        assert found[place] == pieces.text(wanted.logits[at].argmax(-1).tolist())


def check_erasure(model: SpeechLLM, width: int) -> None:
    """Nothing is left along erased directions on any step; an eraser of nothing changes nothing."""
    text = model.text
    rows, heard = read(model, QUESTIONS[:2])

    def variant(rank: int) -> ErasureVariant:
        basis = torch.linalg.qr(torch.randn(width, rank, generator=torch.Generator().manual_seed(rank))).Q
        return ErasureVariant("w", "all", {layer: Eraser(basis, basis.T) for layer in range(len(model.blocks))})

    plain = score(text, rows, [[], []], heard=heard).first
    with erasing(model, variant(0)):
        torch.testing.assert_close(score(text, rows, [[], []], heard=heard).first, plain)
    own, left = variant(5), []

    def receive(layer: int, states: torch.Tensor) -> None:
        again = own.erasers[layer](states)
        left.append(float((again - states).abs().max() / states.abs().max()))

    with erasing(model, own), watched(model.blocks, list(own.erasers), receive):
        text.generate(rows, 3, heard=heard)
        assert (score(text, rows, [[], []], heard=heard).first - plain).abs().max() > 100 * TOLERANCE
    assert len(left) > 2 * len(model.blocks) and max(left) < 1e-5
    assert not any(block._forward_hooks for block in model.blocks)


def check_reading(model: SpeechLLM) -> None:
    """Words that are read are found in the prompt, and their states are those of the model reading it alone."""
    said = ["Story number one.", "A dog ran over it", "Paris"]
    prompts = []
    for number, text in enumerate(said):
        turns = [{**turn, "content": turn["content"].replace(PLACEHOLDER, text)} for turn in QUESTIONS[number].messages]
        typed = replace(QUESTIONS[number], messages=tuple(turns), audio=None)
        prompts.append(said_tokens(model.typed, QUESTIONS[number], typed))
    layers = list(range(len(model.blocks)))
    found = list(read_words(model.typed, model.blocks, prompts, layers, 2))
    for text, (row, words), one in zip(said, prompts, found, strict=True):
        spelt = [model.typed.tokenizer.decode([row[place] for place in word]).strip() for word in words]
        assert spelt == text.split() and one.tokens.tolist() == [len(word) for word in words]
        alone: dict[int, torch.Tensor] = {}
        ids = torch.tensor([row])
        with (
            torch.no_grad(),
            watched(model.blocks, layers, lambda layer, states, kept=alone: kept.update({layer: states})),
        ):
            model.typed.forward(ids, torch.ones_like(ids), model.typed.prefix_cache([]))
        for layer in layers:
            own = np.stack([alone[layer][0, word].float().mean(0).numpy() for word in words])
            np.testing.assert_allclose(one.states[layer], own, atol=10 * TOLERANCE, rtol=1e-3)


def check_patching(model: SpeechLLM) -> None:
    """States of the run itself change nothing; behind the last block those that were heard decide the first token."""
    last = len(model.blocks) - 1

    layers = range(len(model.blocks))

    def item(number: int) -> TwoWays:
        said = [
            {**turn, "content": turn["content"].replace(PLACEHOLDER, f"Story number {number}.")}
            for turn in QUESTIONS[number].messages
        ]
        return TwoWays(QUESTIONS[number], replace(QUESTIONS[number], messages=tuple(said), audio=None))

    def patched(pairs: Sequence[PatchedPair]) -> list[Restored]:
        patcher = BehindPatcher(model, pairs, layers, [BEHIND, LAST], tokens_behind(model, pairs))
        return [found for batch in in_batches(patcher, len(pairs), 2) for found in batch.values()]

    def at_words(pairs: Sequence[PatchedPair]) -> list[Restored]:
        patcher = WordPatcher(model, pairs, layers, [name for name in WORD_POSITIONS if name != REVERSED])
        return [found for batch in in_batches(patcher, len(pairs), 2) for found in batch.values()]

    labels = ("Sports", "Business")
    same = [PatchedPair(item(number), item(number), labels, heard=False) for number in range(3)]
    for one in [*patched(same), *at_words(same)]:
        assert one.source == pytest.approx(one.target, abs=TOLERANCE)
        assert list(one.patched.values()) == pytest.approx([one.target] * len(one.patched), abs=TOLERANCE)
    pairs = [PatchedPair(item(number), item(number + 1), labels, heard=True) for number in range(3)]
    rows, heard = read(model, [pair.source for pair in pairs])
    for number, (pair, one) in enumerate(zip(pairs, patched(pairs), strict=True)):
        row = model.typed.tokenize(model.typed.render(pair.target.messages, pair.target.answer_prefix))
        first, second = (tokens[0] for tokens in model.typed.continuations(row, list(LABELS.values())))
        source = score(model.text, [rows[number]], [[]], heard=[heard[number]]).first[0]
        target = score(model.typed, [row], [[]]).first[0]
        moved = (source - target)[first] - (source - target)[second]
        for positions in (BEHIND, LAST):
            found = one.patched[place_of(positions, last)] - one.target
            assert found == pytest.approx(float(moved), abs=10 * TOLERANCE)
    for one in at_words(pairs):
        # Behind the last block nobody looks at a word any more; before it somebody does.
        assert one.patched[place_of("words", last)] == pytest.approx(one.target, abs=TOLERANCE)
        assert abs(one.patched[place_of("words", 0)] - one.target) > 0
    assert not any(block._forward_hooks for block in model.blocks)
