"""The two stages of a connector's training, on made-up states in which every token has a sound of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llm import byte_level_tokenizer, save_llama
from tiny_models import build_whisper

from cascade_equivalence.config.sources import TranscriptionPrompt
from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.config.study import TaskSpec
from cascade_equivalence.config.training import DistilConfig, FramesConfig, TrainingVoice
from cascade_equivalence.connector.clips import Batcher, TrainingClip, vocabulary
from cascade_equivalence.connector.distil import answer_logits, distil, repeat_prompt, task_prompt
from cascade_equivalence.connector.frames import CHECKPOINT, evaluate, train_frames
from cascade_equivalence.connector.labels import spell
from cascade_equivalence.connector.run import input_embeddings
from cascade_equivalence.connector.shards import EncodedClip, make_shard, open_encoder, read_shard, voice_of
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.speech_llm.connector import ConnectorShape, TokenMixtureConnector
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.models.transcription.alignment import Aligner

FRAMES_A_TOKEN = 8
WIDTH = 12
SENTENCES = [
    "The dog ran home.",
    "A topic is sports.",
    "The answer is London.",
    "Read the news story and name its topic.",
]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextLLM:
    folder = save_llama(tmp_path_factory.mktemp("llm"), byte_level_tokenizer())
    return TextLLM(folder, "cpu", torch.float32, chat=True)


def spoken(text: TextLLM, sentence: str, sounds: np.ndarray) -> TrainingClip:
    """A clip in which each token sounds for some frames."""
    spelling = spell(text.tokenizer, f" {sentence}")
    states = np.repeat(sounds[spelling.tokens], FRAMES_A_TOKEN, axis=0).astype(np.float16)
    first = [spelling.words.index(word) * FRAMES_A_TOKEN for word in sorted(set(spelling.words))]
    return TrainingClip(EncodedClip(sentence, sentence, "v", states, [*first, len(states)]), spelling)


@pytest.fixture(scope="module")
def clips(text: TextLLM) -> list[TrainingClip]:
    sounds = np.random.default_rng(0).normal(size=(len(text.tokenizer), WIDTH))
    return [spoken(text, sentence, sounds) for sentence in SENTENCES]


def connector(text: TextLLM, clips: list[TrainingClip]) -> TokenMixtureConnector:
    torch.manual_seed(0)
    tokens = vocabulary(clips, 1)
    shape = ConnectorShape(
        stack_factor=4, outputs=1, width=32, blocks=1, heads=2, reach=4, hidden=32, vocabulary=len(tokens)
    )
    made = TokenMixtureConnector(shape, WIDTH, text.model.config.hidden_size)
    made.tokens = torch.tensor(tokens, dtype=torch.int32)
    made.attach(input_embeddings(text))
    return made


def frames(epochs: float) -> FramesConfig:
    return FramesConfig(
        epochs=epochs, batch_size=2, learning_rate=5e-3, warmup=5, evaluate_every=2, drawn_classes=5, hidden=0.0
    )


def test_the_first_stage_learns_what_is_said(text: TextLLM, clips: list[TrainingClip], tmp_path: Path) -> None:
    made = connector(text, clips)
    batcher = Batcher(made.tokens.tolist(), 4, 1)
    before = evaluate(made, batcher, clips, text.tokenizer)
    train_frames(made, clips, {"v": clips}, text.tokenizer, frames(80), tmp_path, 0)
    after = evaluate(made, batcher, clips, text.tokenizer)
    assert before > 0.6 and after < 0.2
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 80


def test_a_run_that_was_stopped_ends_where_an_unbroken_one_does(
    text: TextLLM, clips: list[TrainingClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = connector(text, clips)
    train_frames(whole, clips, {}, text.tokenizer, frames(4), tmp_path / "whole", 3)

    class Stopped(Exception):
        pass

    def stop(*arguments: object) -> None:
        raise Stopped

    from cascade_equivalence.connector import frames as module

    broken = connector(text, clips)
    keep = module.keep
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(module, "keep", lambda *arguments: (keep(*arguments), stop()))
        train_frames(broken, clips, {}, text.tokenizer, frames(4), tmp_path / "broken", 3)
    again = connector(text, clips)
    train_frames(again, clips, {}, text.tokenizer, frames(4), tmp_path / "broken", 3)
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_that_is_none_of_this_connector_is_named(
    text: TextLLM, clips: list[TrainingClip], tmp_path: Path
) -> None:
    # What an earlier version left is a pickle: it is not opened.
    (tmp_path / "checkpoint.pt").write_bytes(b"no matter what")
    train_frames(connector(text, clips), clips, {}, text.tokenizer, frames(1), tmp_path, 3)
    (tmp_path / CHECKPOINT).write_bytes(b"\x80\x04 damaged")
    with pytest.raises(StudyError, match=CHECKPOINT):
        train_frames(connector(text, clips), clips, {}, text.tokenizer, frames(1), tmp_path, 3)


PROMPT = TaskSpec(prompt="Topic?\n{speech}", answer_prefix="It is", label_words={"World": "politics"})
REPEAT = TranscriptionPrompt(prompt='"{speech}"\nWhat was said?', answer_prefix='"')


def test_the_student_that_hears_the_words_is_the_teacher(text: TextLLM, clips: list[TrainingClip]) -> None:
    prompt = task_prompt(text, "ag_news", PROMPT)
    assert len(prompt.answers) == 4
    words = [clip.spelling.tokens for clip in clips]
    answers = [prompt.answers[index % 4] for index in range(len(clips))]
    table = input_embeddings(text)
    heard = [table[row] for row in words]
    teacher = answer_logits(text, prompt, words, answers, None)
    student = answer_logits(text, prompt, [[AUDIO] * len(row) for row in words], answers, heard)
    torch.testing.assert_close(student, teacher, atol=1e-4, rtol=1e-4)
    # An independent way: one row at a time, without the cache of the prompt's beginning.
    at = 0
    for row, answer in zip(words, answers, strict=True):
        ids = torch.tensor([[*prompt.before, *row, *prompt.after, *answer]])
        with torch.no_grad():
            logits = text.model(input_ids=ids).logits[0, -len(answer) - 1 : -1]
        torch.testing.assert_close(teacher[at : at + len(answer)], logits, atol=1e-3, rtol=1e-3)
        at += len(answer)


def test_the_second_stage_changes_the_connector_and_not_the_text_llm(
    text: TextLLM, clips: list[TrainingClip], tmp_path: Path
) -> None:
    made = connector(text, clips)
    weights = {name: tensor.clone() for name, tensor in text.model.state_dict().items()}
    before = made.out.down.weight.detach().clone()
    config = DistilConfig(steps=3, batch_size=2, warmup=1, evaluate_every=3, repeat=0.5)
    prompts, repeating = [task_prompt(text, "ag_news", PROMPT)], repeat_prompt(text, REPEAT)
    distil(made, text, clips, {"v": clips}, prompts, repeating, config, tmp_path, 1)
    assert not torch.equal(made.out.down.weight, before)
    assert all(torch.equal(weights[name], tensor) for name, tensor in text.model.state_dict().items())
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 1


def test_a_shard_holds_its_clips(tmp_path: Path) -> None:
    folder = build_whisper(tmp_path / "whisper", 1)
    voices = {"v": TrainingVoice(share=1, voice=EspeakVoice(provider="espeak"))}
    rows = [(f"t{n}", sentence, "v") for n, sentence in enumerate(SENTENCES)]
    encoder = open_encoder(folder)
    written = make_shard(rows, voices, encoder, Aligner(folder), tmp_path / "train-0000.safetensors")
    found = list(read_shard(tmp_path / "train-0000.safetensors"))
    assert len(found) == written > 0
    for clip in found:
        assert (clip.id, clip.text, clip.voice) in rows
        assert clip.states.shape[1] == encoder.audio_tower.config.d_model
        assert len(clip.starts) == len(clip.text.split()) + 1
        assert sorted(clip.starts) == clip.starts and clip.starts[-1] < len(clip.states)


def test_voices_are_drawn_by_their_shares() -> None:
    spec = EspeakVoice(provider="espeak")
    voices = {"a": TrainingVoice(share=0.6, voice=spec), "b": TrainingVoice(share=0.2, voice=spec)}
    drawn = [voice_of(f"text-{n}", voices, 0) for n in range(2000)]
    assert drawn == [voice_of(f"text-{n}", voices, 0) for n in range(2000)]
    assert 0.70 < drawn.count("a") / len(drawn) < 0.80
