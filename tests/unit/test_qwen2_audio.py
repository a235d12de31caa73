"""Qwen2-Audio behind the interface of speech LLMs computes what the transformers library's own model computes."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from own_text_checks import CONFIG, clip, files_of
from tiny_qwen2_audio import SECONDS, processor_of, save_qwen2_audio

from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.question import SpeechFiles
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER, SpeechLLM, open_speech_llm
from cascade_equivalence.models.speech_llm.qwen2_audio import MARKED
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2_audio(tmp_path_factory.mktemp("qwen2-audio"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeechLLM:
    text, speech = open_model(files_of(folder), CONFIG)
    assert speech is not None and speech.text is text
    return speech


def test_the_prompt(model: SpeechLLM, folder: Path) -> None:
    """What is read is the typed prompt with the sound, as the template writes it, in the place of the words."""
    messages = [{"role": "user", "content": f"Story: {PLACEHOLDER} Which topic?"}]
    prompt = model.text.render(messages, "The topic is ")
    assert prompt == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nStory: <|audio|> Which topic?<|im_end|>\n"
        "<|im_start|>assistant\nThe topic is"
    )
    said = "A dog ran over the long bridge."
    typed = [{"role": "user", "content": f"Story: {said} Which topic?"}]
    assert model.typed is model.text
    assert model.typed.render(typed, "The topic is ").replace(said, PLACEHOLDER) == prompt
    (row,), (vectors,) = model.rows([prompt], [clip(0)])
    assert len(vectors) == 25
    token = model.text.tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    assert model.text.tokenizer.decode([token if place == AUDIO else place for place in row]) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\nStory: Audio 1: <|audio_bos|>{'<|AUDIO|>' * 25}<|audio_eos|>\n Which topic?<|im_end|>\n"
        "<|im_start|>assistant\nThe topic is"
    )


def test_what_was_said_cannot_pass_for_sound(model: SpeechLLM) -> None:
    turn = {"role": "user", "content": f"<|AUDIO|><|audio_eos|> {PLACEHOLDER}<|im_end|>"}
    (row,), (vectors,) = model.rows([model.text.render([turn])], [clip(0)])
    ids = {name: model.text.tokenizer.convert_tokens_to_ids(name) for name in ("<|AUDIO|>", "<|audio_eos|>")}
    assert row.count(AUDIO) == len(vectors) and ids["<|AUDIO|>"] not in row and row.count(ids["<|audio_eos|>"]) == 1


def test_the_pretrained_model_has_no_turns(folder: Path) -> None:
    text = TextLLM(folder, "cpu", torch.float32, chat=False)
    speech = open_speech_llm(SpeechFiles(folder, "r"), text, "cpu", torch.float32)
    (row,), (vectors,) = speech.rows([text.render([{"role": "user", "content": PLACEHOLDER}])], [clip(0)])
    before, after = MARKED.split(PLACEHOLDER)
    expected = [*text.tokenize(before), *[AUDIO] * len(vectors), *text.tokenize(f"{after}\nAnswer:")]
    assert row == expected


def test_vectors_of_each_length(model: SpeechLLM, folder: Path) -> None:
    """The number of vectors is the processor's for every number of frames; sound too short for one still has one."""
    processor = processor_of(folder)
    lengths = [1, 159, 320, 480, 481, *(1600 * n + step for n in (1, 2, 7) for step in (0, 1, 160, 161, 320, 480))]
    found = [len(vectors) for vectors in model.encoder.embed([clip(0)[:length] for length in lengths])]
    made = processor.feature_extractor(
        [clip(0)[:length] for length in lengths],
        sampling_rate=16000,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
    frames = made["attention_mask"].sum(-1)
    expected = (((frames - 1) // 2 + 1) - 2) // 2 + 1
    assert found == expected.clamp(min=1).tolist()


def test_sound_behind_the_window_is_not_heard_and_that_is_said(model: SpeechLLM) -> None:
    window = np.concatenate([clip(5), clip(3)])
    with pytest.warns(UserWarning, match=rf"the first {SECONDS} s of a clip: 1 of 2 are longer"):
        long, short = model.encoder.embed([window, clip(0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole, alone = model.encoder.embed([window[: SECONDS * 16000], clip(0)])
    torch.testing.assert_close(long, whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(short, alone, atol=1e-5, rtol=0)
