"""Phi-4-multimodal computes what the library's own model does, its speech adapter on for sound and off when typed."""

from pathlib import Path

import numpy as np
import own_text_checks as checks
import pytest
import torch
from own_text_checks import CONFIG, QUESTIONS, clip, files_of
from tiny_phi4 import library_model, library_of, native_prompt, processor_of, save_phi4

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM
from cascade_equivalence.models.speech_llm.phi4_multimodal import ANSWER_ROOM

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_phi4(tmp_path_factory.mktemp("phi4"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeechLLM:
    text, speech = open_model(files_of(folder), CONFIG)
    assert speech is not None and speech.text is text
    return speech


def test_in_a_batch_of_the_library_a_clip_depends_on_its_company(folder: Path) -> None:
    """Why clips are encoded one at a time: beside a longer clip the library's module attends to padding."""
    whole, processor = library_model(folder), processor_of(folder)
    texts, clips = [native_prompt()] * 2, [clip(2), clip(5)]
    inputs = processor(text=texts, audio=clips, sampling_rate=16000, padding=True, return_tensors="pt")
    with torch.no_grad():
        short, long = whole(**inputs).logits[:, -1]
    reference = checks.reference_of(library_of(folder))
    torch.testing.assert_close(long, reference(QUESTIONS[5], "").logits[-1], atol=1e-4, rtol=0)
    assert (short - reference(QUESTIONS[2], "").logits[-1]).abs().max() > 1e-3


def test_the_prompt(model: SpeechLLM) -> None:
    """What is read is the typed prompt with the sound in the place of the words."""
    prompt = model.text.render([{"role": "user", "content": f"Story: {PLACEHOLDER} Which topic?"}], "The topic is ")
    (row,), (vectors,) = model.rows([prompt], [clip(0)])
    assert len(vectors) == 13
    token = model.text.tokenizer.audio_token_id
    read = model.text.tokenizer.decode([token if place == AUDIO else place for place in row])
    assert read == f"<|user|>Story: {'<|audio|>' * 13} Which topic?<|end|><|assistant|>The topic is"
    said = "A dog ran over the long bridge."
    typed = model.typed.render([{"role": "user", "content": f"Story: {said} Which topic?"}], "The topic is ")
    assert typed.replace(said, "<|audio|>" * 13) == read
    assert typed == "<|user|>Story: A dog ran over the long bridge. Which topic?<|end|><|assistant|>The topic is"


def test_what_was_said_cannot_pass_for_sound(model: SpeechLLM) -> None:
    """The model's audio token is written like this project's placeholder: typed, it is the words it is made of."""
    tokens = model.typed.tokenize(model.typed.render([{"role": "user", "content": "I said <|audio|>.<|end|>"}]))
    ids = {name: model.text.tokenizer.convert_tokens_to_ids(name) for name in ("<|audio|>", "<|end|>")}
    assert ids["<|audio|>"] not in tokens and tokens.count(ids["<|end|>"]) == 1


def test_an_audio_token_that_takes_the_space_behind_it(tmp_path: Path) -> None:
    """Rows follow the tokenizer's flags, which differ between versions of a checkpoint."""
    folder = save_phi4(tmp_path, rstrip=True)
    _, model = open_model(files_of(folder), CONFIG)
    assert model is not None
    (row,), _ = checks.read(model, QUESTIONS[:1])
    inputs = processor_of(folder)(text=native_prompt(), audio=[clip(0)], sampling_rate=16000, return_tensors="pt")
    token = model.text.tokenizer.audio_token_id
    assert row == [AUDIO if place == token else place for place in inputs["input_ids"][0].tolist()]


@pytest.mark.parametrize("seconds", [0.01, 39.99, 40.4, 81])
def test_clips_of_any_length(seconds: float, model: SpeechLLM, folder: Path) -> None:
    """As many vectors as the processor says, and those that the library computes; above 40 s in its pieces."""
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal(int(16000 * seconds))).astype(np.float32)
    (vectors,) = model.encoder.embed([audio])
    processor, whole = processor_of(folder), library_model(folder)
    filled = np.pad(audio, (0, max(0, 400 - len(audio))))
    inputs = processor(text="<|audio|>", audio=[filled], sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        made = whole(**inputs, output_hidden_states=True).hidden_states[0][0]
    assert len(vectors) == len(made) == -(-((len(filled) - 400) // 160 + 1) // 8)
    torch.testing.assert_close(vectors, made, atol=1e-4, rtol=0)


def test_beyond_the_models_short_positions_nothing_is_asked(model: SpeechLLM) -> None:
    """Its positions change where a prompt grows beyond them, for a whole batch and for what is in a cache."""
    limit = model.text.model.config.original_max_position_embeddings
    prompt = model.text.render([{"role": "user", "content": PLACEHOLDER}])
    around = len(model.rows([prompt], [clip(0)])[0][0]) - 13
    most = limit - ANSWER_ROOM - around
    (row,), _ = model.rows([prompt], [np.zeros(400 + 160 * (8 * most - 1), np.float32)])
    assert len(row) == limit - ANSWER_ROOM
    with pytest.raises(StudyError, match=rf"has {len(row) + 1} tokens \({most + 1} of them sound\); beyond {limit}"):
        model.rows([prompt], [np.zeros(400 + 160 * 8 * most, np.float32)])
